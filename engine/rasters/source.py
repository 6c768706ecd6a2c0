"""The image to classify: one file, or several as a mosaic."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from engine.errors import InputError, RequestError
from engine.events import Reporter, SilentReporter
from engine.rasters.bands import resolve_bands
from engine.rasters.coverage import Coverage, RectangleCoverage, coverage_of
from engine.rasters.ground_sampling import ground_sampling_distance as measure_ground_sampling_distance
from engine.rasters.headers import describe_all
from engine.rasters.input_files import listed_files
from engine.rasters.mosaic import Mosaic, differ_in_size, lay_out
from engine.rasters.raster_file import RasterFile, describe, on_earth
from engine.rasters.reader import FileReader, RasterReader
from engine.rasters.validity import ValidityRule, can_hold
from engine.rasters.windows import PixelWindow
from engine.remote_path import is_remote
from engine.storage.inputs import stamp_of

_FILES_NAMED = 50


@dataclass(frozen=True)
class RasterSource:
    """What is to be read; holds no open file, so that all threads can share it.

    Args:
        width: Columns.
        height: Rows.
        crs: CRS, or None where only the ground sampling distance is known.
        transform: Pixel to CRS coordinates.
        dtype: numpy type name of the pixels read.
        block_shape: Rows and columns of a block of the (first) file.
        band_numbers: Band numbers in the order of the names asked for.
        gsd: Metres on the ground per pixel (x, y), at the raster's centre.
        files: The files.
        rules: Validity rule of each file.
        coverages: Where each file can hold data; None for anywhere.
        mosaic: How several files lie side by side; None for a single one.
        nodata: Value given as no data, or None.
        extent: Where the mosaic, or the single file, can hold data; None for anywhere.
    """

    width: int
    height: int
    crs: CRS | None
    transform: Affine
    dtype: str
    block_shape: tuple[int, int]
    band_numbers: tuple[int, ...]
    gsd: tuple[float, float]
    files: tuple[RasterFile, ...]
    rules: tuple[ValidityRule, ...]
    coverages: tuple[Coverage | None, ...]
    mosaic: Mosaic | None
    nodata: float | None
    extent: Coverage | None

    @classmethod
    def open(
        cls,
        inputs: Sequence[str],
        band_names: Sequence[str],
        *,
        bands: Mapping[str, int] | None = None,
        crs: str | None = None,
        ground_sampling_distance: float | None = None,
        nodata: float | None = None,
        reporter: Reporter,
        cancelled: threading.Event | None = None,
    ) -> RasterSource:
        """Examine the files and return the source.

        Args:
            inputs: Paths as GDAL takes them, or folders, lists and indexes of them (see `listed_files`); several
                become a mosaic, later ones on top.
            band_names: Names of the bands to read, in the model's order.
            bands: Band numbers by name; None lets the file tell.
            crs: CRS of files that carry none.
            ground_sampling_distance: Metres per pixel, where the files do not tell or are wrong.
            nodata: Value that means no data, in place of the files' own.
            reporter: Receives what was found, and the progress of reading many headers.
            cancelled: Set to stop.

        Raises:
            Cancelled: `cancelled` was set.
            InputError: A file cannot be used.
            RequestError: No file was named, or `crs` is no CRS.
        """
        if not inputs:
            raise RequestError("No image was named.", "Name at least one with --input.")
        described = describe_all(listed_files(inputs), reporter, cancelled)
        files = tuple(_with_crs(file, crs, reporter) for file in described)
        mosaic = None
        numbers = resolve_bands(band_names, files[0], bands, reporter)
        if len(files) > 1:
            _check_georeference(files, ground_sampling_distance)
            mosaic = lay_out(files)
            _check_bands_agree(band_names, files, numbers, bands)
            if differ_in_size(files):
                reporter.warning("The images have pixels of different sizes; all are read on the grid of the first.")
        first = files[0]
        width, height, transform = (
            (mosaic.width, mosaic.height, mosaic.transform) if mosaic else (first.width, first.height, first.transform)
        )
        gsd = _ground_sampling(first, transform, width, height, ground_sampling_distance, reporter)
        if nodata is not None and not any(can_hold(np.dtype(first.dtypes[n - 1]), nodata) for n in numbers):
            reporter.warning(f"The nodata value {nodata:g} cannot occur in {first.dtypes[0]} and has no effect.")
        rules: dict[ValidityRule, ValidityRule] = {}
        coverages = tuple(coverage_of(file, numbers) for file in files)
        source = cls(
            width=width,
            height=height,
            crs=first.crs,
            transform=transform,
            dtype=str(np.result_type(*(np.dtype(first.dtypes[n - 1]) for n in numbers))),
            block_shape=first.block_shape,
            band_numbers=numbers,
            gsd=gsd,
            files=files,
            # Files of one kind share theirs.
            rules=tuple(rules.setdefault(rule, rule) for rule in (ValidityRule.of(f, numbers, nodata) for f in files)),
            coverages=coverages,
            mosaic=mosaic,
            nodata=nodata,
            extent=RectangleCoverage([p.window for p in mosaic.placements]) if mosaic else coverages[0],
        )
        what = first.name if len(files) == 1 else f"Mosaic of {len(files)} files"
        reporter.log(
            f"{what}: {width} x {height} pixels, {source.dtype}, "
            f"{gsd[0]:.3g} x {gsd[1]:.3g} m on the ground, {_crs_name(first.crs)}."
        )
        return source

    @property
    def all_valid(self) -> bool:
        """Whether every pixel is known to be valid without reading it."""
        return self.extent is None and all(rule.everything for rule in self.rules)

    def reader(self) -> RasterReader:
        """Return a reader, to be used in one thread and closed."""
        return RasterReader(self)

    def file_reader(self, index: int) -> FileReader:
        """Open one of the files."""
        return FileReader(self.files[index], self.band_numbers, self.dtype, self.rules[index], self.coverages[index])

    def files_in(self, window: PixelWindow) -> list[int]:
        """Return the positions of the files that overlap a window, ascending."""
        if self.mosaic is None or not isinstance(self.extent, RectangleCoverage):
            return [0]
        return self.extent.overlapping(window)

    def covers(self, window: PixelWindow) -> bool:
        """Return False only when surely no pixel of the window is valid; reads no pixels."""
        inside = window.intersection(PixelWindow(0, 0, self.height, self.width))
        return bool(inside.pixels) and (self.extent is None or self.extent.touches(inside))

    def sample(
        self, count: int, size: int, seed: int = 0, within: PixelWindow | None = None
    ) -> list[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]:
        """Return windows spread over the raster that hold data, as far as some are found.

        Args:
            count: Windows wanted.
            size: Side in pixels; less where there is less room.
            seed: Seed of their places.
            within: Part of the raster to stay in; default: all of it.

        Returns:
            Pairs of pixels (bands, height, width) and validity (height, width); fewer than `count` where the raster
            is small or holds little data.
        """
        generator = np.random.default_rng(seed)
        frame = within or PixelWindow(0, 0, self.height, self.width)
        height, width = min(size, frame.height), min(size, frame.width)
        places = self.extent.places(2 * count, generator) if self.extent is not None else []
        side = max(1, int(np.ceil(np.sqrt(2 * count))))
        cells = generator.permutation(side * side)
        jitter = generator.random((side * side, 2))
        for cell, (down, right) in zip(cells, jitter, strict=True):
            row, column = (int(cell) // side + down) / side, (int(cell) % side + right) / side
            places.append((frame.row + int(row * frame.height), frame.column + int(column * frame.width)))
        found: list[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]] = []
        seen: set[PixelWindow] = set()
        with self.reader() as reader:
            for row_, column_ in places:
                window = PixelWindow(
                    min(max(frame.row, row_ - height // 2), frame.bottom - height),
                    min(max(frame.column, column_ - width // 2), frame.right - width),
                    height,
                    width,
                )
                if len(found) >= count or window in seen or not self.covers(window):
                    continue
                seen.add(window)
                values, valid = reader.read(window)
                if valid.any():
                    found.append((values, valid))
        return found

    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the pixels that will be read, as JSON values.

        It changes when a file's size or time, or an option of reading, does. For a VRT the files that it refers to
        count too.
        """
        parts = hashlib.sha256()
        for path in sorted(_all_parts(self.files)):
            parts.update(repr((path, *stamp(path))).encode())
        return {**self.facts(), "parts": parts.hexdigest()}

    def facts(self) -> dict[str, Any]:
        """Return what `fingerprint` does, of the files but how many there are, and size and time of the first."""
        return {
            # Thousands are told apart by `parts` alone, so that what is stored and shown of a run stays small.
            "inputs": [[file.path, *stamp(file.path)] for file in self.files[:_FILES_NAMED]],
            "files": len(self.files),
            "width": self.width,
            "height": self.height,
            "crs": self.crs.to_wkt() if self.crs else None,
            "transform": list(self.transform[:6]),
            "dtype": self.dtype,
            "bands": list(self.band_numbers),
            "gsd": list(self.gsd),
            "nodata": None if self.nodata is None else repr(float(self.nodata)),
        }


def _with_crs(file: RasterFile, crs: str | None, reporter: Reporter) -> RasterFile:
    if crs is None:
        return file
    try:
        given = CRS.from_user_input(crs)
    except (CRSError, ValueError) as error:
        raise RequestError(f"'{crs}' is no known CRS.", "Give one such as EPSG:2154.") from error
    if not on_earth(file.crs):
        # Masks of the FLAIR data set carry a local CRS, which has a name but no place on earth.
        return replace(file, crs=given)
    if file.crs != given:
        reporter.warning(f"{file.name} carries {_crs_name(file.crs)}, which is kept; {crs} is not used.")
    return file


def _check_georeference(files: Sequence[RasterFile], gsd: float | None) -> None:
    for file in files:
        if file.transform == Affine.identity():
            raise InputError(
                f"{file.name} has no georeference, so its place in a mosaic is unknown.",
                "Use it alone, or georeference it first.",
            )
        if file.crs is None and gsd is None:
            raise _no_crs(file)


def _check_bands_agree(
    names: Sequence[str], files: Sequence[RasterFile], numbers: tuple[int, ...], bands: Mapping[str, int] | None
) -> None:
    first = files[0]
    told = {(first.descriptions, first.interpretations)}
    for file in files[1:]:
        if bands is None and (file.descriptions, file.interpretations) not in told:
            if resolve_bands(names, file, None, SilentReporter()) != numbers:
                raise InputError(
                    f"{first.name} and {file.name} hold their bands in a different order.",
                    "Choose files of one kind, or name the bands with --bands if they are in fact the same.",
                )
            told.add((file.descriptions, file.interpretations))
        if [file.dtypes[n - 1] for n in numbers] != [first.dtypes[n - 1] for n in numbers]:
            raise InputError(f"{first.name} and {file.name} differ in their type.", "Choose files of one kind.")


def _ground_sampling(
    file: RasterFile, transform: Affine, width: int, height: int, given: float | None, reporter: Reporter
) -> tuple[float, float]:
    if given is not None:
        return given, given
    if file.crs is None:
        raise _no_crs(file)
    if file.transform == Affine.identity():
        raise InputError(
            f"{file.name} has a CRS but no georeference, so the size of its pixels is unknown.",
            "Give it with --ground-sampling-distance, in metres, such as 0.2.",
        )
    return measure_ground_sampling_distance(file.crs, transform, width, height, reporter)


def _no_crs(file: RasterFile) -> InputError:
    if file.ground_control_points:
        return InputError(
            f"{file.name} is georeferenced by control points alone.", "Warp it to a grid first, with gdalwarp or QGIS."
        )
    return InputError(
        f"{file.name} has no CRS, so the size of its pixels on the ground is unknown.",
        "Give its CRS, such as --crs EPSG:2154, or its pixel size in metres, such as --ground-sampling-distance 0.2.",
    )


def _crs_name(crs: CRS | None) -> str:
    if crs is None:
        return "no CRS"
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else "a CRS without a code"


def _all_parts(files: Sequence[RasterFile]) -> set[str]:
    """Return the paths of all files read, through VRTs that refer to VRTs."""
    found: set[str] = set()
    own = {_absolute(file.path) for file in files}
    waiting = [_absolute(path) for file in files for path in (file.path, *file.parts)]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path.lower().endswith(".vrt") and path not in own and Path(path).is_file():
            waiting.extend(_absolute(part) for part in describe(path).parts)
    return found


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if Path(path).exists() else path


def stamp(path: str) -> tuple[int | None, int | str | None]:
    """Return size in bytes and modification time in ns of a file, or of the archive that holds it.

    Files in storage have the name of their version (ETag) in place of the time.
    """
    if is_remote(path):
        found = stamp_of(path)
        return (found.size, found.version) if found else (None, None)
    with contextlib.suppress(OSError):
        status = Path(path).stat()
        if S_ISREG(status.st_mode):
            return status.st_size, status.st_mtime_ns
    place = Path(path)
    if path.startswith("/vsi"):
        _, _, inner = path[1:].partition("/")
        place = Path(inner)
    for candidate in (place, *place.parents):
        try:
            if candidate.is_file():
                status = candidate.stat()
                return status.st_size, status.st_mtime_ns
        except OSError:
            continue
    return None, None
