"""The parts of the sample scene: where things lie, what they are made of, how they look from above."""
