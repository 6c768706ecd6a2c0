"""A catalogue of small models, and their checkpoints in the layouts that IGN publishes."""

from __future__ import annotations

import io
from contextlib import contextmanager

import yaml

from engine.models import catalogue
from engine.resources import RESOURCES
from tests.engine import tiny

NAME, FILE = "small-unet", "small-unet_weights.pth"
OTHER = "small-fpn"
ENTRY = {
    "title": "small",
    "architecture": "unet",
    "encoder": "mobilenet_v2",
    "bands": ["red", "green", "blue"],
    "size_mb": 27.0,
    "figures": {},
    "source": "none",
}


@contextmanager
def small_catalogue(monkeypatch, tmp_path, without=(), **changes):
    """Replace the catalogue by one of two small models."""
    real = yaml.safe_load((RESOURCES / "models.yaml").read_text(encoding="utf-8"))
    first = {key: value for key, value in {**ENTRY, **changes}.items() if key not in without}
    models = {NAME: first, OTHER: {**ENTRY, "architecture": "fpn", "size_mb": 17.0}}
    path = tmp_path / "catalogue.yaml"
    path.write_text(yaml.safe_dump({**real, "models": models}), encoding="utf-8")
    monkeypatch.setattr(catalogue, "CATALOGUE", path)
    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path / "cache"))
    catalogue.load_catalogue.cache_clear()
    yield catalogue.find_entry(NAME)
    catalogue.load_catalogue.cache_clear()


def checkpoint(described, seed=0):
    """Return the bytes of a checkpoint as FLAIR-INC's are: prefixed names and the loss's class weights."""
    import torch

    state = tiny.network(described, seed).state_dict()
    content = {f"model.seg_model.{name}": tensor for name, tensor in state.items()}
    content["criterion.weight"] = torch.ones(len(described.nomenclature.classes))
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()
