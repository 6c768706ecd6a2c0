"""Paints a rectangle of the scene as the camera and the laser scanner see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.scene.frame import Frame
from engine.data.scene.materials import Shape
from engine.data.scene.relief import Ground, Relief, lambert, relief_of, shadow_of, terrain
from engine.data.scene.textures import Textures
from engine.data.scene.things import PlacedThings

Grid = npt.NDArray[np.floating[Any]]

PIXEL = 0.2
"""Side of an image pixel in metres."""
POST = 0.5
"""Side of a cell of the height models in metres."""
SPARE = 2
"""Cells by which the height models reach beyond the image."""

_HALO = 4
_SHADOW_REACH = 20.0
_DRY = np.array([0.20, 0.08, 0.02, -0.10], dtype=np.float32)
_SKY = np.array([0.40, 0.43, 0.52, 0.34], dtype=np.float32)
"""Share of the light that reaches the shadow: the sky is blue."""


@dataclass(frozen=True)
class Scene:
    """Everything that painting needs.

    Args:
        frame: Ground and plan coordinates.
        placed: The things.
        textures: Noise.
        phases: Where hills and light start, in radians, shape (8,).
        seed: Seed of the camera's noise.
    """

    frame: Frame
    placed: PlacedThings
    textures: Textures
    phases: npt.NDArray[np.float64]
    seed: int

    def heights(self, row: int, column: int, rows: int, columns: int) -> tuple[Grid, Grid]:
        """Return DSM and DTM in metres of a rectangle of height cells, each of shape (rows, columns).

        Rows and columns count from the height models' corner, `SPARE` cells beyond the image's.
        """
        ground = self._posts(row, column, rows, columns)
        relief = relief_of(ground, self.placed, self.frame, self.textures)
        return self._models(ground, relief)

    def _posts(self, row: int, column: int, rows: int, columns: int) -> Ground:
        return Ground.of((column - SPARE) * POST, -(row - SPARE) * POST, columns, rows, POST)

    def _models(self, ground: Ground, relief: Relief) -> tuple[Grid, Grid]:
        terrain_model = terrain(ground, self.phases)
        scatter = 0.04 * self.textures.at("grain", ground.x, ground.y)
        return terrain_model + relief.height + scatter, terrain_model

    def paint(
        self, row: int, column: int, rows: int, columns: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return image and class codes of a rectangle of pixels.

        Args:
            row: Its first row.
            column: Its first column.
            rows: Its height.
            columns: Its width.

        Returns:
            uint8 of shape (5, rows, columns): red, green, blue, infrared, elevation; and uint8 codes of shape
            (rows, columns).
        """
        halo = _HALO
        left, top = (column - halo) * PIXEL, -(row - halo) * PIXEL
        ground = Ground.of(left, top, columns + 2 * halo, rows + 2 * halo, PIXEL)
        relief = relief_of(ground, self.placed, self.frame, self.textures)
        elevation, shadow = self._from_posts(ground)
        reflected = self._reflectance(ground, relief)
        shape = self.placed.column("shape", relief.things)
        foliage = (shape >= Shape.CROWN) & (shape <= Shape.ROWS)
        lit = lambert(_blurred(relief.height), PIXEL, ~foliage)
        shadow = np.maximum(shadow, np.clip((0.75 - lit) * 1.6, 0, 0.6))
        rng = np.random.default_rng((self.seed, row, column))
        image = np.empty((5, rows, columns), dtype=np.uint8)
        inner = slice(halo, halo + rows), slice(halo, halo + columns)
        light = self._light(ground)
        for band in range(4):
            band_light = light * (lit * (1 - shadow) + _SKY[band] * shadow)
            seen = _blurred(reflected[band] * band_light)[inner]
            seen += (2.4 if band < 3 else 2.9) * rng.standard_normal(seen.shape, dtype=np.float32)
            image[band] = np.clip(np.rint(seen), 1, 255)
        image[4] = elevation[inner]
        return image, self.placed.codes[relief.things[inner]]

    def _from_posts(self, ground: Ground) -> tuple[npt.NDArray[np.uint8], Grid]:
        """Return the elevation band and the shadow of a rectangle of pixels, from the height models."""
        west, south, east, north = ground.bounds
        first_row, first_column = int(np.floor(-north / POST)) - 2, int(np.floor(west / POST)) - 2
        margin = int(_SHADOW_REACH / POST)
        rows = int(np.ceil(-south / POST)) + 2 - first_row
        columns = int(np.ceil(east / POST)) + 2 - first_column
        posts = self._posts(first_row + SPARE, first_column + SPARE, rows + margin, columns + margin)
        relief = relief_of(posts, self.placed, self.frame, self.textures)
        surface, terrain_model = self._models(posts, relief)
        at_row = (posts.y[0] - ground.y) / POST
        at_column = (ground.x - posts.x[0]) / POST
        difference = _bilinear(surface, at_row, at_column) - _bilinear(terrain_model, at_row, at_column)
        elevation = np.clip(np.rint(5 * np.maximum(difference, 0)), 0, 255).astype(np.uint8)
        shadow = _bilinear(shadow_of(relief.height, POST, _SHADOW_REACH), at_row, at_column)
        return elevation, shadow

    def _reflectance(self, ground: Ground, relief: Relief) -> Grid:
        """Return the colours of a rectangle in even light, of shape (4, h, w)."""
        things, placed = relief.things, self.placed
        grain = self.textures.at("grain", ground.x, ground.y)
        tufts = self.textures.at("tufts", ground.x, ground.y)
        patches = self.textures.at("patches", ground.x, ground.y)
        spacing = placed.column("row_spacing", things)
        turn = np.where(spacing > 0, relief.across / np.maximum(spacing, 0.1), 0).astype(np.float32)
        wave = np.where(spacing > 0, np.cos(2 * np.pi * turn), 0).astype(np.float32)
        # rows are not drawn with a ruler
        rows = placed.column("row_contrast", things) * wave * (1 + 0.35 * tufts)
        bright = 1 + placed.column("grain", things) * (grain + 0.7 * tufts)
        bright += placed.column("patches", things) * patches + rows
        dry = placed.column("dryness", things) * np.clip(0.6 * patches + 0.25 * tufts, -1, 2.5)
        vines = (placed.column("shape", things) == Shape.ROWS) & (relief.height > 0.35)
        colors = np.empty((4, *things.shape), dtype=np.float32)
        for band, name in enumerate(("red", "green", "blue", "infrared")):
            colors[band] = placed.column(name, things) * bright * (1 + _DRY[band] * dry)
            colors[band][vines] = _VINE[band] * bright[vines]
        return colors

    def _light(self, ground: Ground) -> Grid:
        """Return the slow change of brightness over the flight, about 1, of shape (h, w)."""
        x, y = ground.x[None], ground.y[:, None]
        slow = np.sin(x / 330 + self.phases[4]) + np.sin(y / 270 + self.phases[5])
        haze = 0.05 * slow + 0.02 * np.sin((x + y) / 95 + self.phases[6])
        shaded: Grid = (1 + haze).astype(np.float32)
        return shaded


_VINE = np.array([92, 122, 66, 164], dtype=np.float32)


def _blurred(values: Grid) -> Grid:
    """Return the values as seen through the lens: a narrow binomial blur of shape (3, 3)."""
    padded = np.pad(values, 1, mode="edge")
    down = 0.22 * (padded[:-2] + padded[2:]) + 0.56 * padded[1:-1]
    blurred: Grid = 0.22 * (down[:, :-2] + down[:, 2:]) + 0.56 * down[:, 1:-1]
    return blurred


def _bilinear(values: Grid, rows: Grid, columns: Grid) -> Grid:
    """Return values at fractional row and column positions, of shape (len(rows), len(columns))."""
    row, column = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    part_row, part_column = (rows - row)[:, None].astype(np.float32), (columns - column)[None].astype(np.float32)
    upper, lower = values[row], values[row + 1]
    lines = upper + part_row * (lower - upper)
    left, right = lines[:, column], lines[:, column + 1]
    between: Grid = left + part_column * (right - left)
    return between
