"""The most memory that the process holds while something is done."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

_EVERY_SECONDS = 0.05


class PeakMemory:
    """Looks at the process's resident memory again and again; on an NVIDIA GPU, torch's own count is read instead.

    Args:
        device: `cpu`, `mps`, `cuda` or `cuda:N`.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._peak = 0

    def __enter__(self) -> PeakMemory:
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(torch.device(self._device))
        else:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def bytes(self) -> int:
        """Bytes until now: of the GPU's memory where there is one, else of main memory."""
        if self._device.startswith("cuda"):
            import torch

            return int(torch.cuda.max_memory_allocated(torch.device(self._device)))
        self._look()
        return self._peak

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        self._peak = max(self._peak, int(self._process.memory_info().rss))
