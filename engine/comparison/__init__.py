"""A class raster beside the truth, streamed: what is right, what is wrong, and where."""
