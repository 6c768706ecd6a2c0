"""Prediction of windows and whole rasters."""
