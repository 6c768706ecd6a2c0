"""The catalogue and the machine."""

from __future__ import annotations

from pydantic import Field

from engine.requests.base import Request


class ModelsRequest(Request):
    """List the models of the catalogue, or describe a model file."""

    POSITIONAL = "model"

    model: str | None = Field(None, description="Model file or catalogue name to describe; default: list all.")


class ModelsDownloadRequest(Request):
    """Download a model of the catalogue, check it and convert it to a model file."""

    POSITIONAL = "model"

    model: str = Field(description="Name of a model in the catalogue.")
    output: str | None = Field(None, description="Model file to write (.safetensors); default: in the user's cache.")
    revision: str | None = Field(None, description="Revision of the repository; default: the one in the catalogue.")
    weights: str | None = Field(None, description="Checkpoint on disk to take instead of a download.")
    overwrite: bool = Field(False, description="Replace an existing model file once the new one is complete.")


class DiagnosticsRequest(Request):
    """Report versions, devices and memory of the engine."""
