"""Confusion matrices and the figures derived from them."""
