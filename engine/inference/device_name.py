"""What people call a device."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil


def device_name(device: str) -> str:
    """Return what a person calls a device, such as `NVIDIA H100`."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(torch.device(device)))
    if device == "mps":
        return "Apple GPU"
    return _cpu_name()


def _cpu_name() -> str:
    name = ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        name = platform.processor()
    cores = (
        len(psutil.Process().cpu_affinity() or ()) if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count()
    )
    return f"{' '.join(name.split()) or platform.machine()}, {cores} core{'s' if cores != 1 else ''}"
