"""The polygons or cells that get figures of their own."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.features import rasterize

from engine.errors import InputError, RequestError
from engine.events import Reporter, SilentReporter
from engine.polygon_names import NUMBERS, name_of, naming_field
from engine.rasters.ground_sampling import ground_sampling_distance
from engine.rasters.polygons import (
    VECTOR_ERRORS,
    choose_layer,
    footprint,
    layer_crs,
    not_a_vector_file,
    reproject,
    valid_parts,
)
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

# Each takes a row of figures in memory and in the files.
MOST = 250_000
# Polygons that are left out and named one by one.
_NAMED = 5
# Where the ground measures what the map says to this part, cells lie on round coordinates.
_TRUE_TO_SCALE = 0.01

Shapes = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Zones:
    """Polygons by name, in the order of their file; they may overlap.

    Args:
        names: One a polygon.
        features: Number of each in its file.
        shapes: Polygons of one or more parts, in the raster's CRS.
        drawn: The same as they were drawn, in `crs`.
        crs: CRS of `drawn`.
        transform: The raster's pixel to CRS coordinates.
        covered: Share of each polygon, 0 to 1, that lies on the raster.
        apart: Whether no two overlap.
    """

    names: tuple[str, ...]
    features: tuple[int, ...]
    shapes: Shapes
    drawn: Shapes
    crs: CRS | None
    transform: Affine
    covered: tuple[float, ...]
    apart: bool = False
    _layers: npt.NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shapely.prepare(self.shapes)
        layers = np.zeros(len(self.names), np.int64) if self.apart else _layers_of(self.shapes, self._tree)
        object.__setattr__(self, "_layers", layers)

    def __len__(self) -> int:
        return len(self.names)

    def burn(self, window: PixelWindow) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]]:
        """Yield layers in which no two polygons meet, so that each pixel of a layer belongs to at most one.

        A pixel belongs to the polygons that its centre lies in.

        Args:
            window: Pixels of the raster.

        Yields:
            Numbers of polygons; and for each pixel, shape (height, width), 1 + the position of its polygon among these
            numbers, or 0.
        """
        # A pixel more around, so that clipping never touches a pixel of the window.
        frame = footprint(self.transform, window.expanded(1))
        found: npt.NDArray[np.int64] = np.sort(self._tree.query(frame, predicate="intersects"))
        whole = shapely.contains(self.shapes[found], frame)
        offset = self.transform * Affine.translation(window.column, window.row)
        for layer in np.unique(self._layers[found]):
            own = self._layers[found] == layer
            numbers = found[own]
            if whole[own].any():
                yield numbers[whole[own]], np.ones((window.height, window.width), np.int32)
                continue
            pieces = shapely.intersection(self.shapes[numbers], frame)
            burnt = rasterize(
                [(piece, place) for place, piece in enumerate(pieces, 1) if not piece.is_empty],
                out_shape=(window.height, window.width),
                transform=offset,
                dtype="int32",
            )
            yield numbers, burnt

    @cached_property
    def _tree(self) -> Any:
        return shapely.STRtree(self.shapes)


def _layers_of(shapes: Shapes, tree: Any) -> npt.NDArray[np.int64]:
    """Return a layer for each polygon such that no two of a layer meet: the first that no earlier neighbour has."""
    neighbours: dict[int, list[int]] = defaultdict(list)
    for one, other in tree.query(shapes, predicate="intersects").T.tolist():
        if other < one:
            neighbours[one].append(other)
    layers = np.zeros(len(shapes), np.int64)
    for number, others in sorted(neighbours.items()):
        taken = set(layers[others].tolist())
        layers[number] = next(layer for layer in range(len(taken) + 1) if layer not in taken)
    return layers


def read_zones(path: str, layer: str | None, name_field: str | None, source: RasterSource, reporter: Reporter) -> Zones:
    """Read the polygons of a layer that lie on a raster.

    Polygons in another CRS are reprojected, invalid ones repaired; points and lines are left out.

    Args:
        path: Any vector file that GDAL reads.
        layer: Name of the layer; None takes the first with polygons.
        name_field: Field that names them; None takes the first of `polygon_names.NAME_FIELDS`, an id or code only
            where each polygon has its own; else numbers from 1.
        source: The raster.
        reporter: Is told what was found, and warned of what is left out.

    Raises:
        InputError: The file cannot be read, has no such field, or no polygon on the raster.
    """
    chosen = choose_layer(path, layer, "the area")
    try:
        fields = [str(item) for item in pyogrio.read_info(path, layer=chosen)["fields"]]
        naming = naming_field(fields, name_field, path)
        meta, fids, binary, attributes = pyogrio.raw.read(
            path, layer=chosen, columns=[naming] if naming else [], force_2d=True, return_fids=True
        )
    except VECTOR_ERRORS as error:
        raise not_a_vector_file(path) from error
    if binary is None or len(binary) == 0:
        raise InputError(f"The layer '{chosen}' of '{path}' is empty.", "Draw a polygon in it, or choose another one.")
    given = attributes[0].tolist() if naming else [None] * len(binary)
    names = [name_of(value) or str(number) for number, value in enumerate(given, 1)]
    if naming and name_field is None and naming.casefold() in NUMBERS and len(set(names)) < len(names):
        # Polygons of classes share their codes, which tells none from another.
        naming, names = None, [str(number) for number in range(1, len(names) + 1)]
    parts, owners = valid_parts(shapely.from_wkb(binary, on_invalid="ignore"))
    if not parts:
        raise InputError(f"The layer '{chosen}' of '{path}' holds no polygons.", "Choose a layer of polygons.")
    crs = layer_crs(meta.get("crs"), path)
    drawn = _joined(parts, owners, len(names))
    shapes = drawn
    if crs is None:
        reporter.warning(f"The polygons of '{path}' carry no CRS: taken to be in the raster's.")
    elif crs != source.crs and source.crs is not None:
        moved, places = valid_parts(reproject(parts, crs, source.crs, path))
        shapes = _joined(moved, owners[places], len(names))
    frame = footprint(source.transform, PixelWindow(0, 0, source.height, source.width))
    shapely.prepare(frame)
    on_raster = np.flatnonzero(shapely.intersects(frame, shapes) & ~shapely.touches(frame, shapes))
    _tell_outside([names[number] for number in np.setdiff1d(np.arange(len(names)), on_raster)], reporter)
    if not len(on_raster):
        left, bottom, right, top = frame.bounds
        raise InputError(
            f"No polygon of '{path}' lies on the raster.",
            f"The raster spans {left:.10g},{right:.10g},{bottom:.10g},{top:.10g} in "
            f"{source.crs.to_string() if source.crs and source.crs.to_epsg() else 'its CRS'}.",
        )
    _check_number(len(on_raster), f"The area '{path}' has {len(on_raster)} polygons on the raster")
    shapes, drawn = shapes[on_raster], drawn[on_raster]
    covered = _covered(shapes, frame)
    beyond = [names[number] for number, share in zip(on_raster, covered, strict=True) if share < 0.9999]
    if beyond:
        verb = "reaches" if len(beyond) == 1 else "reach"
        reporter.warning(f"{_some(beyond)} {verb} beyond the raster: only what lies on it counts.")
    reporter.log(f"Polygons: {len(on_raster)}, named by {f'field {naming!r}' if naming else 'numbers'}.")
    return Zones(
        tuple(names[number] for number in on_raster),
        tuple(int(fids[number]) for number in on_raster),
        shapes,
        drawn,
        crs or source.crs,
        source.transform,
        tuple(covered.tolist()),
    )


def grid_zones(side: float, source: RasterSource, reporter: Reporter) -> Zones:
    """Return the square cells that cover a raster, named by row and column from the upper left.

    Where the map is true to scale cells lie on multiples of the side; elsewhere (degrees, Web Mercator) they measure
    it on the ground at the raster's centre.

    Args:
        side: Metres on the ground.
        source: The raster.
        reporter: Is told how many there are.

    Raises:
        InputError: The raster has no CRS.
        RequestError: Cells are smaller than pixels, or too many.
    """
    if source.crs is None:
        raise InputError("A grid in metres needs a raster with a CRS.", "Give it one (--crs), such as EPSG:2154.")
    transform = source.transform
    ground = ground_sampling_distance(source.crs, transform, source.width, source.height, SilentReporter())
    units = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    if side < max(ground):
        raise RequestError(
            f"Cells of {side:g} m are smaller than the raster's pixels of {max(ground):.3g} m.", "Choose larger cells."
        )
    metre = float(source.crs.linear_units_factor[1]) if source.crs.is_projected else math.inf
    true = all(abs(metres / (unit * metre) - 1) < _TRUE_TO_SCALE for metres, unit in zip(ground, units, strict=True))
    step_x, step_y = (
        side / metre if true else side * unit / metres for metres, unit in zip(ground, units, strict=True)
    )
    frame = footprint(transform, PixelWindow(0, 0, source.height, source.width))
    left, bottom, right, top = frame.bounds
    # A hair inward, so that an edge on a multiple makes no empty cells.
    columns = range(math.floor(left / step_x + 1e-6), math.ceil(right / step_x - 1e-6))
    rows = range(math.ceil(top / step_y - 1e-6) - 1, math.floor(bottom / step_y + 1e-6) - 1, -1)
    _check_number(len(columns) * len(rows), f"The grid has {len(columns) * len(rows)} cells")
    x, y = (array.ravel() for array in np.meshgrid(np.array(columns) * step_x, np.array(rows) * step_y))
    cells: Shapes = shapely.box(x, y, x + step_x, y + step_y)
    kept = np.flatnonzero(shapely.intersects(cells, frame))
    names = [f"{row}-{column}" for row in range(1, len(rows) + 1) for column in range(1, len(columns) + 1)]
    reporter.log(f"Grid: {len(kept)} cells of {side:g} m.")
    return Zones(
        tuple(names[number] for number in kept),
        tuple(range(1, len(kept) + 1)),
        cells[kept],
        cells[kept],
        source.crs,
        transform,
        tuple(_covered(cells[kept], frame).tolist()),
        apart=True,
    )


def _joined(parts: Sequence[Any], owners: npt.NDArray[np.int64], count: int) -> Shapes:
    """Return one multipolygon for each owner, empty where it has no part."""
    joined: Shapes = np.full(count, shapely.MultiPolygon(), dtype=object)
    present = np.unique(owners)
    made = shapely.multipolygons(np.asarray(parts, dtype=object), indices=np.searchsorted(present, owners))
    joined[present] = made
    return joined


def _covered(shapes: Shapes, frame: Any) -> npt.NDArray[np.float64]:
    """Return the share of each polygon that lies in a frame."""
    shares = np.ones(len(shapes))
    partly = np.flatnonzero(~shapely.contains_properly(frame, shapes))
    areas = shapely.area(shapes[partly])
    inside = shapely.area(shapely.intersection(shapes[partly], frame))
    shares[partly] = np.divide(inside, areas, out=np.ones(len(partly)), where=areas > 0)
    return shares


def _check_number(number: int, what: str) -> None:
    if number > MOST:
        raise RequestError(f"{what}; up to {MOST} can each have a row.", "Choose fewer and larger ones.")


def _tell_outside(names: Sequence[str], reporter: Reporter) -> None:
    if names:
        verb = "lies" if len(names) == 1 else "lie"
        reporter.warning(f"{_some(names)} {verb} outside the raster: left out.")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} polygons ({shown}{more})" if len(names) > 1 else f"The polygon {shown}"
