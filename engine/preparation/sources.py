"""Opening the inputs, and refusing what cannot lie on one grid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as warp_transform

from engine.band_names import band_name
from engine.errors import InputError
from engine.events import Reporter, SilentReporter
from engine.rasters.raster_file import GDAL_ERRORS, RasterFile, describe, open_dataset
from engine.rasters.source import RasterSource
from engine.rasters.virtual_raster import OutputGrid

COLOURS = ("red", "green", "blue")
FOOT, METRE = 0.3048, 1.0
_FEET = re.compile(r"\b(ft|feet|foot|us-ft|ftus|survey foot)\b", re.IGNORECASE)
_VERTICAL_UNIT = re.compile(r'VERT(?:_CS|CRS|ICALCRS)\[.*?(?:LENGTH)?UNIT\["([^"]*)",\s*([\d.]+)', re.DOTALL)
# Two names of one CRS, such as RGF93 v1 and v2b, put a point into the same place, far below a pixel.
_SAME_PLACE = 0.1
_ROTATION = 1e-9
_NOMINAL = 0.02


@dataclass(frozen=True)
class HeightUnit:
    """In what a height model measures.

    Args:
        factor: Metres per unit.
        told: Whether the file says so.
    """

    factor: float
    told: bool


def open_image(
    paths: Sequence[str],
    bands: Mapping[str, int] | None,
    crs: str | None,
    nodata: float | None,
    reporter: Reporter,
) -> RasterSource:
    """Open the orthophoto.

    Raises:
        InputError: It cannot be read, lacks a band, or its grid is none that can be written.
        RequestError: `crs` is no CRS.
    """
    for path in paths:
        _check_crs(describe(path), "rgb", crs)
    with _speaking_of_the_orthophoto():
        source = RasterSource.open(paths, COLOURS, bands=bands, crs=crs, nodata=nodata, reporter=reporter)
    _check_upright(source.files[0], "rgb")
    return source


@contextmanager
def _speaking_of_the_orthophoto() -> Iterator[None]:
    """Let errors on bands speak of what was asked for, where they would speak of a model's wish."""
    try:
        yield
    except InputError as error:
        message = error.message.replace("The model wants the bands", "An orthophoto has the bands")
        hint = error.hint.replace("or choose an image or a model that fits", "or choose another image")
        raise InputError(message, hint) from error


def open_beside(
    paths: Sequence[str],
    option: str,
    bands: Mapping[str, int],
    crs: str | None,
    image: RasterSource,
    reporter: Reporter,
) -> RasterSource:
    """Open an input that is brought onto the orthophoto's grid.

    Args:
        paths: Its files.
        option: Name of the option, for messages.
        bands: Band numbers by name.
        crs: CRS of files that carry none.
        image: The orthophoto.
        reporter: Receives what was found.

    Raises:
        InputError: It cannot be read, or does not lie on the orthophoto.
        RequestError: `crs` is no CRS.
    """
    for path in paths:
        _check_crs(describe(path), option, crs)
    source = RasterSource.open(paths, tuple(bands), bands=bands, crs=crs, reporter=_Warnings(reporter))
    _check_upright(source.files[0], option)
    _check_same_crs(source, option, image)
    _check_overlap(source, option, image)
    return source


class _Warnings(SilentReporter):
    """Passes warnings on, and no facts: those of many inputs are said together."""

    def __init__(self, reporter: Reporter) -> None:
        self.warning = reporter.warning  # type: ignore[method-assign]


def infrared_bands(path: str, given: int | None, option: str, reporter: Reporter) -> dict[str, int]:
    """Return the band numbers of infrared, and of red and green where the file has them.

    Args:
        path: First file of `irc` or `nir`.
        given: Number given for infrared, or None.
        option: `irc`, whose bands are near infrared, red, green unless their descriptions tell otherwise; or `nir`.
        reporter: Is told the choice.

    Raises:
        InputError: The file has too few bands, or does not tell which one is infrared.
    """
    file = describe(path)
    described = {name: number for number in file.data_bands if (name := band_name(file.descriptions[number - 1]))}
    count = len(file.dtypes)
    if given is not None:
        if given > count:
            raise InputError(f"Band {given} was given for infrared, but {file.name} has {_bands(count)}.", "Check it.")
        described["infrared"] = given
    if option == "nir":
        if "infrared" not in described and len(file.data_bands) > 1:
            raise InputError(
                f"{file.name}, given as nir, has {_bands(count)}, and none is described as infrared.",
                "Name the one with --infrared-band, or give a colour-infrared image as irc.",
            )
        return {"infrared": described.get("infrared", file.data_bands[0])}
    if len(file.data_bands) < 3:
        raise InputError(
            f"{file.name}, given as irc, has {_bands(count)}; colour-infrared has near infrared, red and green.",
            "Give near infrared alone as nir.",
        )
    if {"infrared", "red", "green"} <= set(described):
        chosen = {name: described[name] for name in ("infrared", "red", "green")}
    else:
        first = given or file.data_bands[0]
        others = [number for number in file.data_bands if number != first]
        chosen = {"infrared": first, "red": others[0], "green": others[1]}
    reporter.log(f"Colour-infrared of {file.name}: " + ", ".join(f"{key}={n}" for key, n in chosen.items()) + ".")
    return chosen


def height_band(path: str, option: str) -> dict[str, int]:
    """Return the band of a height model.

    Raises:
        InputError: The file has several bands.
    """
    file = describe(path)
    if len(file.data_bands) != 1:
        raise InputError(
            f"{file.name}, given as {option}, has {_bands(len(file.data_bands))}; heights have one.",
            "Check that this is a height model, not an image of one.",
        )
    return {"elevation": file.data_bands[0]}


def height_unit(file: RasterFile, given: str) -> HeightUnit:
    """Return in what a height model measures: what was given, else what its band or its vertical CRS says."""
    if given != "auto":
        return HeightUnit(FOOT if given == "foot" else METRE, True)
    with open_dataset(file.path) as dataset:
        unit = dataset.units[0] or ""
    if unit.strip():
        return HeightUnit(FOOT if _FEET.search(unit) else METRE, True)
    found = _VERTICAL_UNIT.search(file.crs.to_wkt()) if file.crs else None
    return HeightUnit(float(found[2]), True) if found else HeightUnit(METRE, False)


def grid_of(source: RasterSource) -> OutputGrid:
    """Return the grid of a source."""
    return OutputGrid(source.width, source.height, source.transform, source.crs)


def pixel_metres(source: RasterSource) -> tuple[float, float]:
    """Return the metres of a pixel across and down, as people name them: 0.2 m is 0.2 units of a projection in metres.

    Map projections stretch distances by some per mille, and nobody counts them: 0.4 m is to be twice 0.2 m. Where
    units and metres on the ground differ by more than 2 %, as in feet, degrees or EPSG:3857, those on the ground count.
    """
    nominal = abs(float(source.transform.a)), abs(float(source.transform.e))
    near = all(abs(a / b - 1) <= _NOMINAL for a, b in zip(nominal, source.gsd, strict=True))
    return nominal if near else source.gsd


def bounds_of(source: RasterSource) -> tuple[float, float, float, float]:
    """Return xmin, xmax, ymin, ymax of a source that is not rotated."""
    left, top = source.transform * (0, 0)
    right, bottom = source.transform * (source.width, source.height)
    return float(left), float(right), float(bottom), float(top)


def _check_crs(file: RasterFile, option: str, crs: str | None) -> None:
    if file.ground_control_points and file.transform == Affine.identity():
        raise InputError(
            f"{file.name}, given as {option}, is georeferenced by control points alone.",
            "Warp it to a grid first, with gdalwarp or QGIS.",
        )
    if file.transform == Affine.identity():
        raise InputError(
            f"{file.name}, given as {option}, has no georeference, so its place is unknown.",
            "Georeference it first, or look for the world file (.tfw, .j2w, .tab) that belongs beside it.",
        )
    local = file.crs is not None and not (file.crs.is_geographic or file.crs.is_projected)
    if crs is None and (file.crs is None or local):
        what = "a local CRS without a place on earth" if local else "no CRS"
        raise InputError(
            f"{file.name}, given as {option}, has {what}.",
            "Give the CRS of inputs that carry none, such as --crs EPSG:2154.",
        )


def _check_upright(file: RasterFile, option: str) -> None:
    a, b, _, d, e, _ = file.transform[:6]
    if max(abs(b), abs(d)) > _ROTATION * max(abs(a), abs(e)) or a < 0 or e > 0:
        raise InputError(
            f"{file.name}, given as {option}, is rotated, mirrored or upside down.",
            f"Warp it to a north-up grid first: gdalwarp {file.name} upright.tif",
        )


def _check_same_crs(source: RasterSource, option: str, image: RasterSource) -> None:
    if source.crs is None or image.crs is None or source.crs == image.crs:
        return
    left, right, bottom, top = bounds_of(image)
    xs, ys = [left, right, (left + right) / 2], [bottom, top, (bottom + top) / 2]
    try:
        there = warp_transform(image.crs, source.crs, xs, ys)
        apart = max(np.abs(np.array(there[0]) - xs).max(), np.abs(np.array(there[1]) - ys).max())
    except (CRSError, *GDAL_ERRORS):
        apart = np.inf
    if not apart <= _SAME_PLACE * abs(image.transform.a):
        ours, theirs = _crs_name(image.crs), _crs_name(source.crs)
        raise InputError(
            f"{source.files[0].name}, given as {option}, is in {theirs}, the orthophoto in {ours}.",
            f"Bring it into the orthophoto's CRS first: gdalwarp -t_srs {ours} -r bilinear {source.files[0].name} "
            "reprojected.tif",
        )


def _check_overlap(source: RasterSource, option: str, image: RasterSource) -> None:
    ours, theirs = bounds_of(image), bounds_of(source)
    if min(ours[1], theirs[1]) > max(ours[0], theirs[0]) and min(ours[3], theirs[3]) > max(ours[2], theirs[2]):
        return
    raise InputError(
        f"{option} does not overlap the orthophoto: it spans {_extent(theirs)}, the orthophoto {_extent(ours)} "
        "(xmin,xmax,ymin,ymax).",
        "Choose the tiles of the same place; IGN names tiles by the kilometres of their upper left corner.",
    )


def _extent(bounds: tuple[float, float, float, float]) -> str:
    return ",".join(f"{value:.10g}" for value in bounds)


def _crs_name(crs: CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.to_string()[:60]


def _bands(count: int) -> str:
    return "1 band" if count == 1 else f"{count} bands"
