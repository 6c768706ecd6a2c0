"""From products as they are delivered to one image with the bands that a model expects."""
