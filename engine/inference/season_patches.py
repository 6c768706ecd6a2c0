"""Prediction of whole patches, each with its own season, as a network learnt from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from engine.errors import ModelError
from engine.inference.device_memory import told_when_full
from engine.inference.predictor import Precision
from engine.models.checkpoint import load_network
from engine.models.resolve import ResolvedModel
from engine.models.season_answer import SeasonAnswer

# Working memory of both branches per pixel of an aerial patch, on the safe side.
BYTES_PER_PIXEL = 2000.0


class SeasonPatches:
    """A network with a season on a torch device, in float32.

    Args:
        model: Model to load.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
        threads: CPU threads, None for all.

    Raises:
        ModelError: The weights do not fit, or the network looks at no season.
    """

    precision: Precision = "exact"
    bytes_per_pixel = BYTES_PER_PIXEL

    def __init__(self, model: ResolvedModel, device: str, threads: int | None = None) -> None:
        manifest = model.manifest
        if manifest.season is None:
            raise ModelError(f"'{manifest.name}' looks at no season.")
        self.device = device
        self._device = torch.device(device)
        if threads:
            torch.set_num_threads(threads)
        if self._device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = False
            torch.backends.cudnn.allow_tf32 = False
        self._network = load_network(model.path, manifest).to(self._device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._answer = SeasonAnswer(manifest.season, self._device)
        self._mean, self._std = (
            torch.tensor([float(getattr(band, name)) for band in manifest.bands], device=self._device).view(1, -1, 1, 1)
            for name in ("mean", "std")
        )
        self._channels = list(manifest.nomenclature.enabled_channels)
        codes = [item.code for item in manifest.nomenclature.enabled]
        self._codes = torch.tensor(codes, dtype=torch.uint8, device=self._device)

    @torch.inference_mode()
    def codes(self, batch: Mapping[str, torch.Tensor]) -> npt.NDArray[np.uint8]:
        """Return the class codes of patches, shape (N, H, W).

        Args:
            batch: What `batch_pieces` made of them; raw values.

        Raises:
            MemoryError: They do not fit into the device's memory; fewer may.
            ModelError: Patches and season do not fit the network.
        """
        with told_when_full(self._device):
            values = (batch["image"].to(self._device).float() - self._mean) / self._std
            values = values.contiguous(memory_format=torch.channels_last)
            logits = self._answer(self._network, values, dict(batch)).logits.float()[:, self._channels]
            return np.asarray(self._codes[logits.argmax(1)].cpu().numpy(), dtype=np.uint8)
