"""Imagery of web services (WMS, WCS), copied piece by piece so that the rest reads it like any file."""
