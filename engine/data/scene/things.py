"""The things that stand and lie in the scene, and the tables that painting needs of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from engine.data.scene.frame import Frame
from engine.data.scene.materials import Material

Array = npt.NDArray[Any]

CROWN_CORNERS = 14


@dataclass
class Things:
    """A growing list, painted in order of rank: later and higher ranks hide earlier ones.

    All coordinates are plan coordinates in metres.
    """

    rng: np.random.Generator
    polygons: list[Any] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    ranks: list[float] = field(default_factory=list)
    looks: list[tuple[float, ...]] = field(default_factory=list)
    _colors: dict[Material, list[int]] = field(default_factory=dict)

    def add(
        self,
        material: Material,
        polygon: Any,
        *,
        rank: float,
        angle: float = 0.0,
        size: tuple[float, float] = (1.0, 1.0),
        center: tuple[float, float] | None = None,
        height: float = 0.0,
        color: int | None = None,
    ) -> None:
        """Add one thing.

        Args:
            material: Its look.
            polygon: Its outline.
            rank: Its place in the order of painting.
            angle: Direction of its ridge or its rows, in radians from the u axis.
            size: Half its length and half its width in metres, for roofs and crowns.
            center: Its centre; default: the outline's centroid.
            height: Height of the eaves, or of the top of a crown, in metres.
            color: Which of the material's colours; default: the next, so that each appears soon.
        """
        if polygon.is_empty:
            return
        if center is None:
            center = (polygon.centroid.x, polygon.centroid.y)
        chosen = material.colors[self._next_color(material) if color is None else color]
        bright = 1 + material.jitter * float(np.clip(self.rng.standard_normal(), -2, 2))
        self.polygons.append(polygon)
        self.codes.append(material.code)
        self.ranks.append(rank)
        self.looks.append(
            (
                *(bright * value for value in chosen),
                *(material.grain, material.patches, material.dryness),
                *(float(material.shape), material.row_spacing, material.row_contrast),
                *(math.cos(angle), math.sin(angle), *center, *size, height),
            )
        )

    def _next_color(self, material: Material) -> int:
        left = self._colors.setdefault(material, [])
        if not left:
            left.extend(self.rng.permutation(len(material.colors)).tolist())
        return left.pop()

    def add_round(self, material: Material, centers: Array, radii: Array, heights: Array, *, rank: float) -> None:
        """Add crowns, bushes or heaps with ragged outlines; the tallest hide the others.

        Args:
            material: Their look.
            centers: Array of shape (n, 2).
            radii: Array of shape (n,), in metres.
            heights: Array of shape (n,), in metres.
            rank: Their place in the order of painting.
        """
        angles = np.linspace(0, 2 * np.pi, CROWN_CORNERS, endpoint=False)
        ragged = radii[:, None] * (1 + 0.13 * self.rng.standard_normal((len(radii), CROWN_CORNERS)).clip(-2, 2))
        corners = np.stack([ragged * np.cos(angles), ragged * np.sin(angles)], axis=-1) + centers[:, None]
        for polygon, center, radius, height in zip(shapely.polygons(corners), centers, radii, heights, strict=True):
            self.add(
                material, polygon, rank=rank + min(height, 90) / 100, size=(radius, radius),
                center=(float(center[0]), float(center[1])), height=float(height),
            )  # fmt: skip

    def on_ground(self, frame: Frame) -> PlacedThings:
        """Return the things in order of painting, outlines in ground coordinates."""
        order = np.argsort(np.asarray(self.ranks), kind="stable")
        outlines = shapely.segmentize(np.asarray(self.polygons, dtype=object)[order], 6.0)
        return PlacedThings(
            shapely.transform(outlines, frame.to_ground),
            np.asarray(self.codes, dtype=np.uint8)[order],
            np.asarray(self.looks, dtype=np.float32)[order],
        )


COLUMNS: Sequence[str] = (
    "red", "green", "blue", "infrared", "grain", "patches", "dryness", "shape", "row_spacing", "row_contrast",
    "cos", "sin", "u", "v", "length", "width", "height",
)  # fmt: skip


@dataclass(frozen=True)
class PlacedThings:
    """Things in order of painting.

    Args:
        polygons: Outlines in ground coordinates, shape (n,).
        codes: Land-cover classes, shape (n,).
        looks: One row a thing, one column for each of `COLUMNS`, shape (n, 17).
    """

    polygons: Array
    codes: npt.NDArray[np.uint8]
    looks: npt.NDArray[np.float32]

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Index of the outlines."""
        return shapely.STRtree(self.polygons)

    def column(self, name: str, things: Array) -> npt.NDArray[np.float32]:
        """Return one property of each of the things with the given numbers."""
        values: npt.NDArray[np.float32] = self.looks[:, COLUMNS.index(name)].take(things)
        return values
