"""Architectures, model files, the catalogue and foreign checkpoints."""
