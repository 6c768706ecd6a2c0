"""Which device to predict on, found without importing torch."""

from __future__ import annotations

import ctypes
import platform
import sys

from engine.errors import DeviceError


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


def choose_device(wanted: str) -> str:
    """Return the device to use: `cpu`, `mps`, `cuda` or `cuda:N`.

    Args:
        wanted: `auto` takes the first of CUDA, MPS and CPU that is there.

    Raises:
        DeviceError: The device asked for is absent.
    """
    if wanted == "cpu":
        return "cpu"
    if wanted == "mps":
        if not has_mps():
            raise DeviceError("This computer has no Apple GPU (mps).", "Use --device auto or cpu.")
        return "mps"
    count = cuda_device_count()
    if wanted == "auto":
        return "cuda" if count else "mps" if has_mps() else "cpu"
    index = int(wanted.partition(":")[2] or 0)
    if index >= count:
        found = f"{count} NVIDIA GPU(s)" if count else "no NVIDIA GPU, or no driver for it,"
        raise DeviceError(f"The device '{wanted}' was asked for, but {found} was found.", "Use --device auto or cpu.")
    return wanted
