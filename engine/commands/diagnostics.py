"""Versions, devices and memory of the engine, for a report that helps to help."""

from __future__ import annotations

import platform
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine import __version__
from engine.events import Reporter
from engine.inference.device import cuda_device_count, why_unusable
from engine.inference.memory import GIGABYTE, available_memory
from engine.models.cached import cached_path
from engine.models.catalogue import load_catalogue
from engine.requests import DiagnosticsRequest

PACKAGES = (
    "torch",
    "torchvision",
    "segmentation-models-pytorch",
    "timm",
    "openvino",
    "nncf",
    "rasterio",
    "numpy",
    "pydantic",
    "safetensors",
    "pyogrio",
    "shapely",
)


def run(request: DiagnosticsRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Return versions, devices and memory; importing torch and rasterio shows that they load."""
    del request, cancelled
    reporter.progress(0.1, "Loading the libraries")
    import rasterio
    import torch

    devices: list[dict[str, Any]] = [{"name": platform.processor() or platform.machine(), "device": "cpu"}]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            devices.append(
                {
                    "name": properties.name,
                    "device": f"cuda:{index}",
                    "memory_gb": round(properties.total_memory / GIGABYTE, 1),
                }
            )
    elif cuda_device_count() and (reason := why_unusable("cuda")):
        reporter.warning(f"There is an NVIDIA GPU, but it cannot be used: {reason}.")
    if torch.backends.mps.is_available():
        devices.append({"name": "Apple GPU", "device": "mps"})
    values = {
        "engine": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "gdal": rasterio.__gdal_version__,
        "cuda": torch.version.cuda,
        "devices": devices,
        # what a name of the catalogue finds without a download
        "models": [name for name in load_catalogue() if cached_path(name) is not None],
        "memory_gb": round(available_memory() / GIGABYTE, 1),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    for key, value in values.items():
        reporter.log(f"{key}: {value}")
    return values


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
