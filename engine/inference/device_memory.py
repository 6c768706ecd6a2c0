"""What torch says when a device's memory is full, as one kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def told_when_full(device: torch.device) -> Iterator[None]:
    """Turn torch's errors of a full memory into `MemoryError`, with what a GPU had set aside given back.

    Raises:
        MemoryError: What was done inside does not fit into the device's memory; less may.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        raise MemoryError(str(error)) from error
    except RuntimeError as error:
        if "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower():
            raise MemoryError(str(error)) from error
        raise
