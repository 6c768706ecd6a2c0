"""Raster sources, the tile store and the final writers."""
