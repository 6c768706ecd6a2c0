"""Which tiles lack a partner, or a neighbour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import shapely

from engine.preparation.product_names import read_name
from engine.rasters.polygons import footprint
from engine.rasters.raster_file import RasterFile
from engine.rasters.source import RasterSource
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow

# A tile whose partner lacks less than this was cut along a border of pixels, not left out.
_NOTABLE = 0.005
# A hole between tiles has neighbours on this many of its four sides.
_SURROUNDED = 3


@dataclass(frozen=True)
class Gap:
    """A tile that is missing.

    Args:
        tile: Name of the tile of the orthophoto that lacks a partner, or the kilometres of one that is missing.
        missing: Name of the option that it lacks.
        share: Share of the tile that is not covered.
    """

    tile: str
    missing: str
    share: float

    def to_dict(self) -> dict[str, str | float]:
        """Return the gap as JSON values."""
        return {"tile": self.tile, "missing": self.missing, "share": round(self.share, 4)}


def partner_gaps(image: RasterSource, option: str, partner: RasterSource, grid: OutputGrid) -> list[Gap]:
    """Return the orthophoto's tiles that another input does not cover, by place and not by name.

    Args:
        image: The orthophoto.
        option: Name of the other input's option.
        partner: The other input.
        grid: Grid to write; what lies outside does not count.
    """
    written = footprint(grid.transform, grid.window)
    theirs = [_frame(file) for file in partner.files]
    tree = shapely.STRtree(theirs)
    gaps = []
    for file in image.files:
        frame = _frame(file).intersection(written)
        if frame.area < _NOTABLE * written.area / max(1, len(image.files)):
            continue
        near = shapely.union_all([theirs[int(index)] for index in tree.query(frame)])
        share = 1 - frame.intersection(near).area / frame.area
        if share > _NOTABLE:
            gaps.append(Gap(file.name, option, float(share)))
    return gaps


def neighbour_gaps(image: RasterSource, grid: OutputGrid) -> list[Gap]:
    """Return the places between the orthophoto's tiles, by the kilometres in their names, where one is missing.

    Args:
        image: The orthophoto.
        grid: Grid to write; tiles outside do not count.
    """
    named = [name for file in image.files if (name := read_name(file.name)).corner]
    if len(named) < _SURROUNDED:
        return []
    corners = {name.corner for name in named if name.corner}
    step = _step(corners)
    around = ((step, 0), (-step, 0), (0, step), (0, -step))
    votes = Counter((x + across, y + down) for x, y in corners for across, down in around)
    missing = [place for place, count in sorted(votes.items()) if count >= _SURROUNDED and place not in corners]
    return [Gap(f"{x:04d}-{y:04d}", "rgb", 1.0) for x, y in missing if _is_written(image, x, y, grid)]


def years_of(inputs: Mapping[str, RasterSource]) -> dict[str, list[int]]:
    """Return the years that the names of each input's files carry, ascending; inputs without any are left out."""
    found = {option: sorted(_years(source.files)) for option, source in inputs.items()}
    return {option: years for option, years in found.items() if years}


def year_warnings(years: Mapping[str, list[int]]) -> list[str]:
    """Return sentences on inputs of several years, and on inputs of other years than the orthophoto."""
    texts = [
        f"The tiles of {option} are of different years: {', '.join(map(str, found))}."
        for option, found in years.items()
        if len(found) > 1
    ]
    ours = years.get("rgb", [])
    texts += [
        f"The orthophoto is of {_listed(ours)}, {option} of {_listed(found)}: what was built or felled between shows "
        "in one and not in the other."
        for option, found in years.items()
        if option != "rgb" and ours and set(found) != set(ours)
    ]
    return texts


def _is_written(image: RasterSource, x: int, y: int, grid: OutputGrid) -> bool:
    """Whether a missing tile lies in the grid to write, told from the name and place of one that is there."""
    there = next(file for file in image.files if read_name(file.name).corner)
    corner = read_name(there.name).corner or (x, y)
    across, down = there.width * there.transform.a, there.height * there.transform.e
    step = _step({name for file in image.files if (name := read_name(file.name).corner)})
    left = there.transform.c + (x - corner[0]) / step * across
    top = there.transform.f + (corner[1] - y) / step * down
    tile = shapely.box(left, top + down, left + across, top)
    return bool(tile.intersection(footprint(grid.transform, grid.window)).area > _NOTABLE * tile.area)


def _frame(file: RasterFile) -> shapely.Geometry:
    return footprint(file.transform, PixelWindow(0, 0, file.height, file.width))


def _step(corners: Iterable[tuple[int, int]]) -> int:
    """Return the side of the tiles in kilometres: the least distance between neighbours in a row or column."""
    places = sorted(corners)
    steps = [abs(a[axis] - b[axis]) for axis in (0, 1) for a, b in pairwise(places)]
    return min((step for step in steps if step), default=1)


def _years(files: Iterable[RasterFile]) -> set[int]:
    return {year for file in files if (year := read_name(file.name).year)}


def _listed(years: list[int]) -> str:
    return " and ".join(map(str, years))
