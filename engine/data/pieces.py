"""Pieces of patches as a network learns from them: cut, scaled, turned and mirrored, image and mask together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate
from torch.utils.data import Dataset as TorchDataset

from engine.data.jitter import Jitter
from engine.data.pairs import Pair
from engine.data.patch_file import missing_pixels, read_image, read_mask
from engine.data.read_cache import ReadCache
from engine.data.sampling import class_rarity
from engine.data.turning import Turn
from engine.nomenclature import IGNORE_INDEX
from engine.recipe import Recipe

Pixels = npt.NDArray[Any]
# Half of the pieces of a balanced recipe are cut around a pixel of a class that is drawn by its rarity.
FOCUSED_SHARE = 0.5


@dataclass(frozen=True)
class PatchReader:
    """Reads patches as pixels and training indices.

    Args:
        pairs: The patches.
        bands: Numbers of the bands to read, in the network's order.
        table: Code to training index, shape (256,), 255 for what is ignored.
        means: Means of these bands, put where an image holds no number.
        nodata: Image value without meaning, None without one.
    """

    pairs: tuple[Pair, ...]
    bands: tuple[int, ...]
    table: npt.NDArray[np.uint8]
    means: tuple[float, ...]
    nodata: float | None = None

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Return pixels (bands, height, width), uint8 or float32, and training indices (height, width), uint8."""
        pair = self.pairs[index]
        image = read_image(pair.image, self.bands)
        mask = read_mask(pair.mask)
        # Values outside the table's 256 were refused when the data set was looked at.
        target = self.table[mask.astype(np.uint8, copy=False)]
        if image.dtype != np.uint8:
            image = image.astype(np.float32)
        missing = missing_pixels(image, self.nodata)
        if missing.any():
            # Their neighbours see them: a value in the middle of the band says least.
            target = np.where(missing, IGNORE_INDEX, target).astype(np.uint8, copy=False)
            for band, mean in enumerate(self.means):
                image[band][missing] = mean
        return image, target


class PatchCache(ReadCache[tuple[Pixels, Pixels]]):
    """Keeps patches; see `ReadCache`."""

    def _size(self, item: tuple[Pixels, Pixels]) -> int:
        return sum(int(array.nbytes) for array in item)


class TrainingPieces(TorchDataset[dict[str, torch.Tensor]]):
    """Pieces to learn from. A piece is a function of the seed, the epoch and its position in it.

    Args:
        source: Patches.
        recipe: Size of pieces and their changes.
        size: Side of a piece in pixels, a multiple of 32.
        jitter: Radiometric changes; only their numbers are drawn here.
        seed: Seed of all changes.
        pixels: Pixels of the training patches by class, shape (classes,); where rare classes are to be seen.
    """

    def __init__(
        self,
        source: PatchCache | PatchReader,
        recipe: Recipe,
        size: int,
        jitter: Jitter,
        seed: int,
        pixels: npt.NDArray[np.int64],
    ) -> None:
        self._source = source
        self._recipe = recipe
        self._size = size
        self._jitter = jitter
        self._seed = seed
        self._rarity = class_rarity(pixels)

    def __getitem__(self, key: tuple[int, int, int]) -> dict[str, torch.Tensor]:
        """Return a piece.

        Args:
            key: Epoch, position in the epoch, number of the patch.

        Returns:
            `image` (C, size, size) uint8 or float32, `target` (size, size) uint8 with 255 where ignored, `jitter`
            (width,) float32.
        """
        epoch, position, patch = key
        rng = np.random.default_rng((self._seed, epoch, position))
        image, target = self._source.read(patch)
        image, target = self._cut(image, target, rng)
        turn = Turn.draw(rng, self._recipe.quarter_turns, self._recipe.flips)
        image, target = turn.of(image), turn.of(target)
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image)),
            "target": torch.from_numpy(np.ascontiguousarray(target)),
            "jitter": torch.from_numpy(self._jitter.draw(rng)),
        }

    def _cut(self, image: Pixels, target: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        height, width = target.shape
        scale = float(np.exp(rng.uniform(-1, 1) * np.log(self._recipe.scale)))
        side = min(round(self._size / scale), height, width) if self._recipe.scale > 1 else self._size
        row, column = self._corner(target, side, rng)
        image = image[:, row : row + side, column : column + side]
        target = target[row : row + side, column : column + side]
        if side == self._size:
            return image, target
        return _resized(image, target, self._size)

    def _corner(self, target: Pixels, side: int, rng: np.random.Generator) -> tuple[int, int]:
        height, width = target.shape
        row, column = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        if self._recipe.sampling != "balanced" or rng.random() >= FOCUSED_SHARE or side == min(height, width):
            return row, column
        counts = np.bincount(target.ravel(), minlength=256)[: len(self._rarity)]
        chances = np.where(counts > 0, self._rarity, 0.0)
        if not chances.any():
            return row, column
        wanted = int(rng.choice(len(chances), p=chances / chances.sum()))
        places = np.flatnonzero(target.ravel() == wanted)
        down, right = divmod(int(places[rng.integers(len(places))]), width)
        # Anywhere in the piece, not always in its middle.
        row = int(np.clip(down - rng.integers(side), 0, height - side))
        return row, int(np.clip(right - rng.integers(side), 0, width - side))


class WholePatches(TorchDataset[dict[str, torch.Tensor]]):
    """Whole patches, unchanged, padded to one size: what a model is judged by.

    Args:
        source: Patches.
        height: Rows to pad to, a multiple of 32.
        width: Columns to pad to, a multiple of 32.
    """

    def __init__(self, source: PatchCache | PatchReader, height: int, width: int) -> None:
        self._source = source
        self._shape = height, width

    def __getitem__(self, patch: int) -> dict[str, torch.Tensor]:
        """Return a patch.

        Args:
            patch: Its number; -1 is a patch without any label, which fills up the share of a process.

        Returns:
            `image` (C, height, width), mirrored beyond the patch, and `target` (height, width), 255 there.
        """
        image, target = self._source.read(max(0, patch))
        down, right = self._shape[0] - target.shape[0], self._shape[1] - target.shape[1]
        if down or right:
            image = np.pad(image, ((0, 0), (0, down), (0, right)), mode="symmetric")
            target = np.pad(target, ((0, down), (0, right)), constant_values=IGNORE_INDEX)
        if patch < 0:
            target = np.full_like(target, IGNORE_INDEX)
        return {"image": torch.from_numpy(image), "target": torch.from_numpy(target)}


def _resized(image: Pixels, target: Pixels, size: int) -> tuple[Pixels, Pixels]:
    """Return image, bilinear, and target, nearest, brought to size x size pixels."""
    values = torch.from_numpy(np.ascontiguousarray(image)).float()[None]
    shrinking = image.shape[1] > size
    scaled = interpolate(values, (size, size), mode="bilinear", align_corners=False, antialias=shrinking)[0].numpy()
    steps = np.minimum(((np.arange(size) + 0.5) * image.shape[1] / size).astype(np.int64), image.shape[1] - 1)
    if image.dtype == np.uint8:
        scaled = np.rint(scaled).clip(0, 255).astype(np.uint8)
    return scaled, target[np.ix_(steps, steps)]
