"""Patches, data sets and made scenes."""
