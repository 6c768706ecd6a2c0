"""The image that patches are cut from, with all its bands that have a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.band_names import FLAIR_ORDER
from engine.errors import InputError
from engine.events import Reporter
from engine.rasters.bands import named_bands
from engine.rasters.raster_file import RasterFile, describe
from engine.rasters.source import RasterSource


def open_image(
    paths: Sequence[str],
    *,
    bands: Mapping[str, int] | None,
    crs: str | None,
    ground_sampling_distance: float | None,
    nodata: float | None,
    reporter: Reporter,
) -> tuple[RasterSource, tuple[str, ...]]:
    """Open an image, or several as a mosaic.

    Args:
        paths: Image files.
        bands: Band numbers by name; None takes every band that has a name, see `named_bands`.
        crs: CRS of an image that carries none.
        ground_sampling_distance: Metres per pixel, where the image does not tell.
        nodata: Value that means no data, in place of the image's own.
        reporter: Is told what was found.

    Returns:
        The source, and the names of its bands in the order in which it reads them.

    Raises:
        InputError: A file cannot be used, has no band with a name, or differs from the others.
        RequestError: `crs` is no CRS.
    """
    chosen: Mapping[str, int] | None = bands
    if bands is None:
        files = [describe(path) for path in paths]
        names = named_bands(files[0])
        if not names:
            raise _nameless(files[0])
        _check_alike(files, names)
        _say_what_is_left_out(files[0], names, reporter)
        # Bands that every model knows by name are found, and spoken of, as in classification.
        chosen = None if set(names) <= set(FLAIR_ORDER) else names
    else:
        names = dict(bands)
    source = RasterSource.open(
        paths,
        tuple(names),
        bands=chosen,
        crs=crs,
        ground_sampling_distance=ground_sampling_distance,
        nodata=nodata,
        reporter=reporter,
    )
    return source, tuple(names)


def _check_alike(files: Sequence[RasterFile], names: dict[str, int]) -> None:
    first = files[0]
    told = {(first.descriptions, first.interpretations)}
    for file in files[1:]:
        if len(file.data_bands) != len(first.data_bands):
            raise InputError(
                f"{first.name} and {file.name} differ in their number of bands: {len(first.data_bands)} and "
                f"{len(file.data_bands)}.",
                "Choose files of one kind.",
            )
        if (file.descriptions, file.interpretations) not in told and named_bands(file) != names:
            raise InputError(
                f"{first.name} and {file.name} differ in the names of their bands: {', '.join(names)} and "
                f"{', '.join(named_bands(file)) or 'none'}.",
                "Choose files of one kind, or name the bands with --bands if they are in fact the same.",
            )
        told.add((file.descriptions, file.interpretations))


def _say_what_is_left_out(file: RasterFile, names: dict[str, int], reporter: Reporter) -> None:
    if file.alpha is not None:
        hint = ""
        if len(file.data_bands) == 3:
            given = ",".join(f"{name}={number}" for name, number in names.items())
            hint = f"; if it holds infrared, say so: --bands {given},infrared={file.alpha}"
        reporter.log(f"Band {file.alpha} of {file.name} is marked as alpha and tells which pixels are valid{hint}.")
    nameless = [number for number in file.data_bands if number not in names.values()]
    if nameless:
        which = f"{'Band' if len(nameless) == 1 else 'Bands'} {', '.join(map(str, nameless))}"
        reporter.warning(
            f"{which} of {file.name} {'has' if len(nameless) == 1 else 'have'} no name and will not be in the patches; "
            f"name all bands with --bands to have them."
        )


def _nameless(file: RasterFile) -> InputError:
    if "palette" in file.interpretations:
        return InputError(f"{file.name} is an image with a palette.", "Expand it first: gdal_translate -expand rgb.")
    count = len(file.data_bands)
    return InputError(
        f"What the {count} band{'s' * (count != 1)} of {file.name} show is not known.",
        "Name them by number with --bands, such as --bands red=1,green=2,blue=3.",
    )
