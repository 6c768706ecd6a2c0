"""Which device to compute on; torch is only imported where there is a GPU to try."""

from __future__ import annotations

import ctypes
import platform
import sys

from engine.errors import DeviceError
from engine.events import Reporter


def cuda_device_count() -> int:
    """Return the number of NVIDIA GPUs that the driver shows, 0 without a driver."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def has_mps() -> bool:
    """Return whether this is a Mac with Apple silicon."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def why_unusable(device: str) -> str | None:
    """Return why the installed torch cannot compute on a GPU, None where it can.

    Args:
        device: `mps`, `cuda` or `cuda:N`; it exists.
    """
    import torch

    if device.startswith("cuda") and torch.version.cuda is None and torch.version.hip is None:
        return "the installed torch is built for CPUs alone"
    if device.startswith("cuda") and not torch.cuda.is_available():
        return f"the installed torch, built for CUDA {torch.version.cuda}, does not get along with its driver"
    if device == "mps" and not torch.backends.mps.is_available():
        return "the installed torch is built without it, or the system is too old"
    try:
        # A card too old for the build, or taken by another program, is only seen when it computes.
        torch.ones(1, device=device).add(1).item()
    except RuntimeError as error:
        return str(error).strip().splitlines()[0].rstrip(".")
    return None


def choose_device(wanted: str, reporter: Reporter | None = None) -> str:
    """Return the device to use: `cpu`, `mps`, `cuda` or `cuda:N`.

    Args:
        wanted: `auto` takes the first of CUDA, MPS and CPU that computes.
        reporter: Told when `auto` passes a GPU by, and why.

    Raises:
        DeviceError: The device asked for is absent, or the installed torch cannot use it.
    """
    if wanted == "cpu":
        return "cpu"
    count = 0 if wanted == "mps" else cuda_device_count()
    if wanted == "auto":
        return _best_device(count, reporter)
    if wanted == "mps" and not has_mps():
        raise DeviceError("This computer has no Apple GPU (mps).", "Use --device auto or cpu.")
    if wanted != "mps" and int(wanted.partition(":")[2] or 0) >= count:
        found = f"{count} NVIDIA GPU(s)" if count else "no NVIDIA GPU, or no driver for it,"
        raise DeviceError(f"The device '{wanted}' was asked for, but {found} was found.", "Use --device auto or cpu.")
    reason = why_unusable(wanted)
    if reason:
        raise DeviceError(
            f"The device '{wanted}' cannot be used: {reason}.",
            "Set up the engine again with the build of torch for this GPU, or use --device cpu.",
        )
    return wanted


def _best_device(cuda_devices: int, reporter: Reporter | None) -> str:
    found = "cuda" if cuda_devices else "mps" if has_mps() else "cpu"
    reason = None if found == "cpu" else why_unusable(found)
    if reason is None:
        return found
    if reporter is not None:
        reporter.warning(
            f"There is a GPU, but it cannot be used: {reason}. The CPU is used, which is slower; setting up the engine "
            "again with the build of torch for this GPU may help."
        )
    return "cpu"
