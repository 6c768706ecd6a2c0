"""Prediction with torch: on GPUs, and on the CPU where a network cannot be exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.errors import DeviceError
from engine.events import Reporter
from engine.inference.deployed_network import DeployedNetwork
from engine.inference.device_memory import told_when_full
from engine.inference.predictor import Head, Precision, Prediction
from engine.inference.views import View
from engine.models.checkpoint import load_network
from engine.models.resolve import ResolvedModel
from engine.nomenclature import Nomenclature

# Compilation takes about a minute; below this many pixels it costs more than it saves.
COMPILE_FROM_PIXELS = 1_000_000_000
MEASURED_SIDE = 512


class TorchPredictor:
    """A network on a torch device; uint8 goes there and uint8 comes back.

    Args:
        model: Model to load.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
        head: What to compute per pixel.
        precision: `exact` (float32, without TF32) or `half` (bfloat16, float16 where that is missing).
        pixels: Pixels to classify in all; decides whether compilation pays.
        reporter: Told when compilation is not possible.
        threads: CPU threads, None for all.

    Raises:
        DeviceError: The device is absent.
        ModelError: The weights do not fit.
    """

    _compilable = True

    def __init__(
        self,
        model: ResolvedModel,
        device: str,
        *,
        head: Head = "codes",
        precision: Precision = "exact",
        pixels: int = 0,
        reporter: Reporter,
        threads: int | None = None,
    ) -> None:
        if precision == "int8":
            raise DeviceError("int8 runs on the CPU only.", "Use --device cpu, or the precision 'half'.")
        self.device = device
        self.precision: Precision = precision
        self._head = head
        self._reporter = reporter
        self._device = torch.device(device)
        if threads:
            torch.set_num_threads(threads)
        if self._device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = precision == "half"
            torch.backends.cudnn.allow_tf32 = precision == "half"
            torch.backends.cudnn.benchmark = True
        self._dtype = _dtype(self._device, precision)
        network = self._deployed(model).eval().to(self._device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network: Callable[..., torch.Tensor] = network
        self._codes = _codes(model.manifest.nomenclature).to(self._device)
        self.bytes_per_pixel = self._measure(len(model.manifest.bands))
        if self._device.type == "cuda" and pixels >= COMPILE_FROM_PIXELS and self._compilable:
            self._compile(len(model.manifest.bands))

    def predict(self, images: npt.NDArray[np.generic], views: Sequence[View] = ()) -> Prediction:
        """See `Predictor`."""
        with told_when_full(self._device):
            return self._predict(images, views)

    @torch.inference_mode()
    def _predict(self, images: npt.NDArray[np.generic], views: Sequence[View]) -> Prediction:
        batch = torch.from_numpy(np.ascontiguousarray(images))
        if self._device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self._device, non_blocking=True).float().contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, dtype=self._dtype, enabled=self._dtype is not None):
            logits = self._logits(batch, views)
        logits = logits.float()
        if self._head == "probabilities":
            return Prediction(probabilities=logits.softmax(1).cpu().numpy())
        codes = self._codes[logits.argmax(1)].cpu().numpy()
        if self._head == "codes":
            return Prediction(codes=codes)
        confidence = (logits.softmax(1).amax(1) * 100).round().to(torch.uint8)
        return Prediction(codes=codes, confidence=confidence.cpu().numpy())

    def _deployed(self, model: ResolvedModel) -> nn.Module:
        return DeployedNetwork(load_network(model.path, model.manifest), model.manifest)

    def _logits(self, batch: torch.Tensor, views: Sequence[View]) -> torch.Tensor:
        return self._network(batch)

    def _measure(self, bands: int) -> float:
        """Return the working memory per pixel, measured on the GPU and estimated elsewhere."""
        images = np.zeros((1, bands, MEASURED_SIDE, MEASURED_SIDE), dtype=np.uint8)
        if self._device.type != "cuda":
            return 700.0
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        self.predict(images)
        grown = torch.cuda.max_memory_allocated(self._device) - before
        return float(grown) / (MEASURED_SIDE * MEASURED_SIDE)

    def _compile(self, bands: int) -> None:
        eager = self._network
        try:
            self._network = torch.compile(eager, dynamic=True)
            self.predict(np.zeros((1, bands, MEASURED_SIDE, MEASURED_SIDE), dtype=np.uint8))
        except Exception as error:
            # Compilation needs a C compiler and triton, which many machines lack; eager is right, only slower.
            self._network = eager
            self._reporter.log(f"The network is run uncompiled ({type(error).__name__}).")


def _dtype(device: torch.device, precision: Precision) -> torch.dtype | None:
    if precision != "half":
        return None
    if device.type == "mps":
        return torch.float16
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def _codes(nomenclature: Nomenclature) -> torch.Tensor:
    return torch.tensor([item.code for item in nomenclature.enabled], dtype=torch.uint8)
