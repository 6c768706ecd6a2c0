"""The panel for a first use: sees to the engine, and classifies a layer in the background."""
