"""Terrain, and how high things stand above it."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from rasterio.features import rasterize

from engine.data.scene.frame import Frame
from engine.data.scene.materials import Shape
from engine.data.scene.textures import Textures
from engine.data.scene.things import PlacedThings

Grid = npt.NDArray[np.floating[Any]]
Numbers = npt.NDArray[np.int32]

SUN_AZIMUTH = math.radians(152.0)
SUN_ELEVATION = math.radians(48.0)
ROOF_SLOPE = 0.55
"""Rise of a gabled roof per metre."""
# rasterio silences a warning of its own in a way that holds for one thread at a time
_RASTERIZE = threading.Lock()
_WALL = 0.8
"""Rise per metre that no roof has."""


@dataclass(frozen=True)
class Ground:
    """One rectangle of the scene at one cell size.

    Args:
        x: Centres of the columns in metres east of the scene's corner, shape (w,).
        y: Centres of the rows in metres north of it (negative), shape (h,).
        cell: Side of a cell in metres.
    """

    x: Grid
    y: Grid
    cell: float

    @staticmethod
    def of(left: float, top: float, width: int, height: int, cell: float) -> Ground:
        """Return the rectangle whose upper-left corner lies at (left, top), in metres."""
        x = (left + (np.arange(width) + 0.5) * cell).astype(np.float32)
        y = (top - (np.arange(height) + 0.5) * cell).astype(np.float32)
        return Ground(x, y, cell)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        half = self.cell / 2
        return self.x[0] - half, self.y[-1] - half, self.x[-1] + half, self.y[0] + half


def things_at(ground: Ground, placed: PlacedThings) -> Numbers:
    """Return the number of the uppermost thing in each cell, of shape (h, w)."""
    west, south, east, north = ground.bounds
    numbers = np.sort(placed.tree.query(shapely.box(west, south, east, north)))
    transform = Affine(ground.cell, 0, west, 0, -ground.cell, north)
    with _RASTERIZE:
        burned: Numbers = rasterize(
            zip(placed.polygons[numbers], numbers.tolist(), strict=True),
            out_shape=(len(ground.y), len(ground.x)),
            transform=transform,
            dtype=np.int32,
        )
    return burned


def terrain(ground: Ground, phases: npt.NDArray[np.float64]) -> Grid:
    """Return a gentle terrain in metres above sea level, of shape (h, w)."""
    x, y = ground.x[None], ground.y[:, None]
    hills = 6.0 * np.sin(x / 210 + phases[0]) * np.cos(y / 260 + phases[1])
    folds = 1.6 * np.sin((x + 0.6 * y) / 74 + phases[2]) + 0.5 * np.sin((x - y) / 31 + phases[3])
    heights: Grid = (212.0 + 0.012 * x + 0.008 * y + hills + folds).astype(np.float32)
    return heights


@dataclass(frozen=True)
class Relief:
    """Heights and rows of one rectangle.

    Args:
        things: Uppermost thing of each cell.
        height: Metres above the terrain.
        across: Position across the rows in metres; what stripes and furrows follow.
    """

    things: Numbers
    height: Grid
    across: Grid


def relief_of(ground: Ground, placed: PlacedThings, frame: Frame, textures: Textures) -> Relief:
    """Return what stands in a rectangle, and how high."""
    things = things_at(ground, placed)
    u, v = frame.to_plan(ground.x[None], ground.y[:, None])

    def of(name: str) -> Grid:
        return placed.column(name, things)

    shape, height = of("shape"), of("height")
    du, dv = (u - of("u")).astype(np.float32), (v - of("v")).astype(np.float32)
    cos, sin = of("cos"), of("sin")
    along, across = du * cos + dv * sin, dv * cos - du * sin
    length, width = of("length"), of("width")
    tufts = textures.at("tufts", ground.x, ground.y)

    raised = np.where(shape == Shape.FLAT, height, np.float32(0))

    def put(kind: Shape, heights: Grid) -> None:
        np.copyto(raised, heights, where=shape == kind)

    beside = width - np.abs(across)
    put(Shape.GABLE, height + ROOF_SLOPE * np.clip(beside, 0, 9))
    put(Shape.HIP, height + ROOF_SLOPE * np.clip(np.minimum(beside, length - np.abs(along)), 0, 9))
    near = np.clip(1 - (du**2 + dv**2) / np.maximum(length, 0.1) ** 2, 0, 1)
    put(Shape.CROWN, height * (0.5 + 0.5 * np.sqrt(near)) + 0.35 * tufts)
    put(Shape.CONE, height * (0.42 + 0.58 * (1 - np.sqrt(1 - near))) + 0.2 * tufts)
    put(Shape.BUSH, height * (0.75 + 0.25 * tufts))
    spacing = np.maximum(of("row_spacing"), 0.1)
    wave = np.cos(2 * np.pi * across / spacing)
    # a vine here and there is missing
    put(Shape.ROWS, height * np.clip(1.6 * (wave - 0.25) + 0.25 * tufts, 0, 1))
    put(Shape.TUNNELS, height + 1.6 * np.sqrt(np.clip(1 - (across / np.maximum(width, 0.1)) ** 2, 0, 1)))
    return Relief(things, np.maximum(raised, 0), across)


def shadow_of(height: Grid, cell: float, reach: float) -> Grid:
    """Return how deep each cell lies in cast shadow, 0 to 1; `height` in metres, shape (h, w).

    Args:
        height: Surface above the terrain; shadows from beyond its edges are not seen.
        cell: Side of a cell in metres.
        reach: How far to look towards the sun, in metres.
    """
    rows, columns = height.shape
    blocked = np.zeros_like(height)
    # towards the sun row by row, between two columns: a direction rounded to whole cells would make edges ragged
    south, east = -math.cos(SUN_AZIMUTH), math.sin(SUN_AZIMUTH)
    rise = math.tan(SUN_ELEVATION) * cell / south
    for down in range(1, int(reach * south / cell) + 1):
        right = down * east / south
        whole = int(right)
        if down >= rows or whole + 1 >= columns:
            break
        end = columns - whole - 1
        left_part, right_part = height[down:, whole : whole + end], height[down:, whole + 1 :]
        toward = left_part + np.float32(right - whole) * (right_part - left_part)
        excess = toward - (height[: rows - down, :end] + np.float32(rise * down))
        part = blocked[: rows - down, :end]
        np.maximum(part, np.clip(excess / 0.6, 0, 1), out=part)
    return blocked


def lambert(height: Grid, cell: float, walls: npt.NDArray[np.bool_]) -> Grid:
    """Return how bright slopes are, 1 for level ground.

    Args:
        height: Surface above the terrain in metres, shape (h, w).
        cell: Side of a cell in metres.
        walls: Where steep steps are walls, which are not seen from above; elsewhere they are foliage.
    """
    south, east = np.gradient(height, cell)
    steep = np.maximum(np.abs(south), np.abs(east)) > _WALL
    south, east = np.where(walls & steep, 0, south), np.where(walls & steep, 0, east)
    toward = -math.cos(SUN_AZIMUTH) * south + math.sin(SUN_AZIMUTH) * east  # rise towards the sun
    lit = math.sin(SUN_ELEVATION) - math.cos(SUN_ELEVATION) * np.clip(toward, -1.3, 1.3)
    norm = np.sqrt(1 + np.clip(south**2 + east**2, 0, 2))
    shade: Grid = np.clip(lit / norm / math.sin(SUN_ELEVATION), 0.3, 1.5).astype(np.float32)
    return shade
