"""A plain training loop: one image, one label raster, one small network."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from engine import __version__
from engine.errors import InputError
from engine.events import Reporter
from engine.models.architecture import build_network
from engine.models.manifest import ELEVATION_ENCODING, Band, Manifest
from engine.models.model_file import save_model
from engine.nomenclature import IGNORE_INDEX, Nomenclature, load_nomenclature
from engine.rasters.windows import PixelWindow

Pixels = npt.NDArray[np.uint8]


def train_simple(
    image: Path,
    labels: Path,
    output: Path,
    *,
    window: PixelWindow | None = None,
    architecture: str = "unet",
    encoder: str = "resnet18",
    steps: int = 450,
    seconds: float | None = None,
    batch_size: int = 4,
    crop: int = 192,
    learning_rate: float = 3e-3,
    seed: int = 0,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Manifest:
    """Train a network from scratch and write a self-describing model file.

    Args:
        image: uint8 raster whose band descriptions name the bands.
        labels: Class codes on the same grid; codes outside the nomenclature are ignored.
        output: Model file to write.
        window: Part of the rasters to learn from; default: all.
        architecture: Name of a segmentation-models-pytorch architecture.
        encoder: Name of its encoder.
        steps: Batches to learn from.
        seconds: Time after which to stop early, the learning rate falling accordingly; default: none.
        batch_size: Crops a batch.
        crop: Side of a crop in pixels, a multiple of 32.
        learning_rate: Highest rate of the one-cycle schedule.
        seed: Seed of weights, crops and symmetries.
        threads: CPU threads; default: all cores.
        reporter: Receiver of progress.

    Returns:
        The manifest of the model.

    Raises:
        InputError: Image and labels are not on one grid, the part is smaller than a crop, or nothing is labelled.
    """
    import torch
    from torch.nn.functional import cross_entropy

    nomenclature = load_nomenclature("flair")
    pixels, targets, names = _read(image, labels, window, nomenclature)
    if min(targets.shape) < crop:
        raise InputError(f"The part to learn from is {targets.shape[1]} x {targets.shape[0]} pixels, less than {crop}.")
    mean, deviation = _statistics(pixels)
    torch.set_num_threads(threads or os.cpu_count() or 1)
    torch.manual_seed(seed)
    network = build_network(architecture, encoder, len(names), len(nomenclature.classes))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.01)
    weights = torch.from_numpy(_class_weights(targets, len(nomenclature.classes)))
    rng = np.random.default_rng(seed)
    started, done = time.monotonic(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * _one_cycle(done)
        batch, wanted = _batch(pixels, targets, batch_size, crop, rng)
        inputs = (torch.from_numpy(batch).float() - torch.from_numpy(mean)) / torch.from_numpy(deviation)
        inputs = inputs * _jitter(rng, inputs.shape, 0.06) + _jitter(rng, inputs.shape, 0.08) - 1
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=_has_bfloat16()):
            scores = network(inputs.contiguous(memory_format=torch.channels_last))
        loss = cross_entropy(
            scores.float(),
            torch.from_numpy(wanted).long(),
            weight=weights,
            ignore_index=IGNORE_INDEX,
            label_smoothing=0.02,
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        elapsed = time.monotonic() - started
        done = (step + 1) / steps if seconds is None else max((step + 1) / steps, elapsed / seconds)
        if reporter:
            reporter.progress(min(done, 1.0), f"training, loss {loss.item():.2f}", elapsed / done * (1 - done))
        if done >= 1:
            break
    network.eval()
    manifest = Manifest(
        name=output.stem,
        architecture=architecture,
        encoder=encoder,
        bands=tuple(
            Band(name, float(mean[index, 0, 0]), float(deviation[index, 0, 0])) for index, name in enumerate(names)
        ),
        nomenclature=nomenclature,
        ground_sampling_distance=0.2,
        elevation=ELEVATION_ENCODING if "elevation" in names else None,
        licence="",
        provenance={
            "engine": __version__,
            "image": image.name,
            "steps": step + 1,
            "seed": seed,
            "loss": round(float(loss.item()), 4),
        },
    )
    save_model(output, network, manifest)
    return manifest


def _has_bfloat16() -> bool:
    """Whether the CPU computes in bfloat16 by itself; elsewhere it is slower than float32."""
    import torch

    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _read(
    image: Path, labels: Path, window: PixelWindow | None, nomenclature: Nomenclature
) -> tuple[Pixels, Pixels, tuple[str, ...]]:
    """Return pixels (bands, h, w), training indices (h, w) and band names."""
    with rasterio.open(image) as image_file, rasterio.open(labels) as label_file:
        if (image_file.width, image_file.height) != (label_file.width, label_file.height) or (
            not image_file.transform.almost_equals(label_file.transform, 1e-6)
        ):
            raise InputError(f"'{image.name}' and '{labels.name}' do not lie on the same grid.")
        part = Window(window.column, window.row, window.width, window.height) if window else None
        names = tuple(name or "" for name in image_file.descriptions)
        if not all(names):
            raise InputError(f"The bands of '{image.name}' have no names.", "Set band descriptions: red, green, ...")
        pixels: Pixels = image_file.read(window=part)
        targets: Pixels = nomenclature.code_to_index[label_file.read(1, window=part)]
    if np.all(targets == IGNORE_INDEX):
        raise InputError(f"'{labels.name}' holds no class of the nomenclature in that part.")
    return pixels, targets, names


def _statistics(pixels: Pixels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return mean and standard deviation of each band, of shape (bands, 1, 1)."""
    mean = pixels.mean(axis=(1, 2), dtype=np.float64)
    deviation = np.maximum(pixels.std(axis=(1, 2), dtype=np.float64), 1e-3)
    return mean.astype(np.float32)[:, None, None], deviation.astype(np.float32)[:, None, None]


def _class_weights(targets: Pixels, classes: int) -> npt.NDArray[np.float32]:
    """Return milder weights for common classes, so that a pool counts beside a meadow; shape (classes,)."""
    counts = np.bincount(targets[targets != IGNORE_INDEX], minlength=classes).astype(np.float64)
    share = counts / counts.sum()
    weights = np.where(counts > 0, np.maximum(share, 1e-3) ** -0.25, 0.0)
    return np.asarray(weights / np.sum(weights * share), dtype=np.float32)


def _jitter(rng: np.random.Generator, shape: Sequence[int], strength: float) -> Any:
    """Return factors about 1 for each crop and band: light and season differ from place to place."""
    import torch

    return torch.from_numpy(1 + strength * rng.standard_normal((shape[0], shape[1], 1, 1), dtype=np.float32))


def _one_cycle(done: float) -> float:
    """Return the share of the highest learning rate when so much of the training is done, both 0 to 1."""
    rise = 0.2
    if done < rise:
        return 0.05 + 0.95 * done / rise
    return 0.001 + 0.999 * 0.5 * (1 + float(np.cos(np.pi * min(1.0, (done - rise) / (1 - rise)))))


def _batch(
    pixels: Pixels, targets: Pixels, count: int, size: int, rng: np.random.Generator
) -> tuple[Pixels, npt.NDArray[Any]]:
    """Return random crops under random symmetries: pixels (n, bands, size, size) and indices (n, size, size)."""
    crops = list(_crops(pixels, targets, count, size, rng))
    return np.stack([crop for crop, _ in crops]), np.stack([wanted for _, wanted in crops])


def _crops(
    pixels: Pixels, targets: Pixels, count: int, size: int, rng: np.random.Generator
) -> Iterator[tuple[Pixels, Pixels]]:
    height, width = targets.shape
    for _ in range(count):
        row, column = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
        part = pixels[:, row : row + size, column : column + size]
        wanted = targets[row : row + size, column : column + size]
        turns = int(rng.integers(4))
        part, wanted = np.rot90(part, turns, (1, 2)), np.rot90(wanted, turns)
        if rng.random() < 0.5:
            part, wanted = part[:, :, ::-1], wanted[:, ::-1]
        yield part, wanted
