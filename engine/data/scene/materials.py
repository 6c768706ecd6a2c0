"""What the things in the scene are made of.

Colours of different classes overlap on purpose: tiles and bare soil, slate and asphalt, water and shadow, crops
and meadows can only be told apart by context, texture and height.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

Color = tuple[int, int, int, int]
"""Red, green, blue and infrared, 0 to 255."""


class Shape(IntEnum):
    """How high the points of a thing are above the ground."""

    GROUND = 0
    FLAT = 1
    GABLE = 2
    HIP = 3
    CROWN = 4
    CONE = 5
    BUSH = 6
    ROWS = 7
    TUNNELS = 8


@dataclass(frozen=True)
class Material:
    """The look of one kind of thing.

    Args:
        code: Land-cover class.
        colors: Each thing takes one of them.
        jitter: Standard deviation of the brightness from thing to thing, as a share.
        grain: Strength of the texture of a pixel or two, as a share of the brightness.
        patches: Strength of the texture of some metres, as a share.
        dryness: How far patches turn from green to yellow; 0 for what is not alive.
        shape: Relief.
        row_spacing: Distance of rows or furrows in metres; 0 for none.
        row_contrast: Difference between row and gap, as a share.
    """

    code: int
    colors: tuple[Color, ...]
    jitter: float = 0.05
    grain: float = 0.03
    patches: float = 0.03
    dryness: float = 0.0
    shape: Shape = Shape.GROUND
    row_spacing: float = 0.0
    row_contrast: float = 0.0


_TILES: tuple[Color, ...] = ((178, 112, 86, 138), (164, 98, 78, 126), (186, 134, 106, 148), (150, 96, 82, 118))
_SLATE: tuple[Color, ...] = ((92, 95, 103, 84), (78, 80, 88, 72))
_METAL: tuple[Color, ...] = ((150, 150, 150, 134), (176, 177, 176, 160), (128, 132, 136, 118), (132, 106, 94, 118))
_SOIL: tuple[Color, ...] = ((174, 142, 108, 148), (186, 158, 124, 160), (160, 122, 94, 138))
_GREEN: tuple[Color, ...] = ((108, 128, 82, 168), (98, 122, 76, 176), (124, 136, 88, 160), (134, 138, 94, 152))

TILE_ROOF = Material(1, _TILES, 0.07, 0.05, 0.05, shape=Shape.GABLE, row_spacing=0.8, row_contrast=0.05)
HIP_ROOF = Material(1, _TILES + _SLATE, 0.07, 0.05, 0.05, shape=Shape.HIP)
SLATE_ROOF = Material(1, _SLATE, 0.06, 0.04, 0.03, shape=Shape.GABLE)
METAL_ROOF = Material(1, _METAL, 0.05, 0.02, 0.03, shape=Shape.GABLE, row_spacing=1.1, row_contrast=0.05)
FLAT_ROOF = Material(1, (*_METAL, (200, 198, 194, 178), (118, 116, 114, 102)), 0.06, 0.03, 0.05, shape=Shape.FLAT)
SOLAR_PANEL = Material(1, ((48, 56, 78, 52),), 0.05, 0.03, 0.0, row_spacing=1.0, row_contrast=0.18)
GRAVEL = Material(2, ((182, 170, 150, 164), (168, 154, 132, 152), (160, 152, 140, 146)), 0.05, 0.07, 0.07)
TRACK = Material(2, ((176, 156, 124, 158), (164, 148, 120, 150)), 0.04, 0.06, 0.08, dryness=0.2)
ASPHALT = Material(3, ((132, 131, 130, 116), (118, 118, 120, 104), (146, 143, 139, 128)), 0.05, 0.03, 0.03)
PAVING = Material(3, ((186, 178, 166, 164), (170, 156, 142, 150)), 0.05, 0.04, 0.03)
ROAD_MARK = Material(3, ((214, 214, 210, 196),), 0.03, 0.03, 0.0)
CAR = Material(
    3, ((210, 210, 212, 190), (48, 50, 54, 46), (130, 34, 34, 90), (60, 76, 116, 80), (150, 152, 156, 140)), 0.08,
    0.03, 0.0, shape=Shape.FLAT,
)  # fmt: skip
BARE_SOIL = Material(4, (*_SOIL, _TILES[2]), 0.06, 0.07, 0.08)
SOIL_HEAP = Material(4, _SOIL, 0.06, 0.06, 0.06, shape=Shape.CROWN)
RIVER = Material(5, ((62, 78, 74, 30), (56, 70, 66, 26)), 0.03, 0.025, 0.05)
POND = Material(5, ((58, 76, 66, 34), (74, 88, 72, 40), (46, 58, 58, 26)), 0.04, 0.025, 0.05)
CONIFER = Material(6, ((66, 88, 66, 110), (74, 94, 68, 120), (60, 82, 66, 102)), 0.08, 0.07, 0.02, shape=Shape.CONE)
CONIFER_FLOOR = Material(6, ((58, 70, 54, 84),), 0.04, 0.08, 0.06)
DECIDUOUS = Material(
    7, ((82, 108, 62, 160), (94, 118, 70, 172), (74, 98, 60, 148), (108, 124, 72, 166)), 0.09, 0.07, 0.03, 0.12,
    shape=Shape.CROWN,
)  # fmt: skip
DECIDUOUS_FLOOR = Material(7, ((66, 84, 54, 120),), 0.04, 0.08, 0.06)
BRUSH = Material(8, ((102, 112, 78, 134), (116, 118, 84, 130), (94, 104, 72, 126)), 0.07, 0.1, 0.05, 0.3, Shape.BUSH)
BRUSH_GROUND = Material(8, ((116, 122, 84, 138),), 0.05, 0.1, 0.1, 0.5, Shape.BUSH)
HEDGE = Material(8, ((84, 102, 68, 138), (78, 98, 64, 146)), 0.07, 0.09, 0.04, 0.1, Shape.BUSH)
VINES_ON_SOIL = Material(9, _SOIL, 0.05, 0.06, 0.05, shape=Shape.ROWS, row_spacing=2.2)
VINES_ON_GRASS = Material(9, _GREEN, 0.05, 0.05, 0.06, 0.3, Shape.ROWS, row_spacing=2.5)
MEADOW = Material(10, (*_GREEN, (142, 138, 98, 146)), 0.05, 0.05, 0.1, 0.7)
LAWN = Material(10, ((104, 130, 80, 176), (118, 136, 86, 168), (130, 138, 92, 156)), 0.05, 0.04, 0.06, 0.5)
GREEN_CROP = Material(11, _GREEN, 0.05, 0.04, 0.05, 0.2, row_spacing=1.0, row_contrast=0.16)
RIPE_CROP = Material(
    11, ((188, 170, 118, 172), (176, 160, 112, 164), (196, 176, 130, 178)), 0.05, 0.04, 0.05, 0.15,
    row_spacing=1.2, row_contrast=0.1,
)  # fmt: skip
MAIZE = Material(
    11, ((88, 116, 66, 178), (80, 106, 62, 168)), 0.05, 0.06, 0.05, 0.15, Shape.FLAT, row_spacing=1.5,
    row_contrast=0.22,
)  # fmt: skip
PLOWED = Material(
    12,
    (_SOIL[0], _SOIL[2], (136, 108, 84, 116), (124, 100, 80, 106)),
    0.06,
    0.05,
    0.06,
    row_spacing=1.4,
    row_contrast=0.22,
)
POOL = Material(13, ((96, 188, 204, 44), (82, 168, 192, 36), (116, 198, 206, 52)), 0.04, 0.03, 0.04)
GREENHOUSE = Material(
    18, ((196, 202, 204, 176), (178, 186, 186, 166), (206, 208, 206, 188)), 0.04, 0.03, 0.05, 0.1, Shape.TUNNELS,
    row_spacing=2.0, row_contrast=0.06,
)  # fmt: skip
