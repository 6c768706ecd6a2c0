"""How much memory a prediction may take, and the window that fits into it."""

from __future__ import annotations

from pathlib import Path

import psutil

GIGABYTE = 1e9
# Larger windows compute less twice, but delay the first tile and take more memory.
LARGEST_CPU_WINDOW = 1600
LARGEST_GPU_WINDOW = 2048
SMALLEST_WINDOW = 256
# Default limit on the CPU, so that QGIS and other programs keep their memory.
DEFAULT_CPU_BUDGET = 1.4 * GIGABYTE
USABLE_SHARE = 0.6
CGROUP_FILES = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def available_memory() -> float:
    """Return the bytes that can still be taken, by the system or by the container's limit."""
    free = float(psutil.virtual_memory().available)
    for limit, usage in CGROUP_FILES:
        try:
            free = min(free, max(0.0, float(limit.read_text()) - float(usage.read_text())))
        except (OSError, ValueError):
            continue
    return free


def cpu_budget(limit_gb: float | None, processes: int = 1) -> float:
    """Return the bytes that predictions on the CPU may take in one process.

    Args:
        limit_gb: What the person allows each process, in GB; None for the default.
        processes: How many share this computer.
    """
    free = available_memory() * USABLE_SHARE / processes
    return min(free, DEFAULT_CPU_BUDGET if limit_gb is None else limit_gb * GIGABYTE)


def cuda_budget(device: str, limit_gb: float | None) -> float:
    """Return the bytes of GPU memory that predictions may take."""
    import torch

    free = float(torch.cuda.mem_get_info(torch.device(device))[0]) * 0.8
    return free if limit_gb is None else min(free, limit_gb * GIGABYTE)


def prediction_budget(device: str, limit_gb: float | None, processes: int = 1) -> float:
    """Return the bytes that predictions may take on a device.

    Args:
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
        limit_gb: What the person allows each process, in GB; None for the default.
        processes: How many share this computer.
    """
    return cuda_budget(device, limit_gb) if device.startswith("cuda") else cpu_budget(limit_gb, processes)


def largest_window(budget: float, bytes_per_pixel: float, upper: int) -> int:
    """Return the greatest side of a window whose prediction fits into a budget.

    Args:
        budget: Bytes.
        bytes_per_pixel: Working memory per pixel of a window.
        upper: Side never exceeded.

    Returns:
        A multiple of 32, at least 256.
    """
    side = int((budget / max(bytes_per_pixel, 1.0)) ** 0.5) // 32 * 32
    return max(SMALLEST_WINDOW, min(side, upper))
