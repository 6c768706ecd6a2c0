"""Labels that are rasters of class codes."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from engine.errors import InputError
from engine.events import Reporter
from engine.extraction.class_mapping import ClassMapping, LabelValue
from engine.extraction.labels import Codes, LabelWindow
from engine.rasters.coverage import RectangleCoverage
from engine.rasters.mosaic import Placement, place
from engine.rasters.raster_file import GDAL_ERRORS, RasterFile, describe, on_earth, open_dataset
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

_OPEN_FILES = 48
# Share of a pixel by which grids may lie apart, and still be the same grid.
_SAME_GRID = 0.01
_COARSE = 2.0


@dataclass(frozen=True)
class _LabelFile:
    """A label raster and where it lies.

    Args:
        file: The raster.
        window: Pixels of the image that it may cover.
        placement: Where it lies on the image's grid; None where it has to be warped.
        crs: Its CRS, or the image's where it has none with a place on earth.
    """

    file: RasterFile
    window: PixelWindow
    placement: Placement | None
    crs: CRS | None


@dataclass(frozen=True)
class LabelRasters:
    """Rasters of class codes on an image's grid.

    A pixel of the image takes the label under its centre. Later files lie on top of earlier ones; their pixels without
    a label let through what lies below.

    Args:
        files: The rasters.
        mapping: Label values to codes.
        source: The image.
        reporter: Is told what is found.
    """

    files: tuple[_LabelFile, ...]
    mapping: ClassMapping
    source: RasterSource
    reporter: Reporter
    contested_rule: str = "there the later label raster lies on top"

    @classmethod
    def open(
        cls, paths: Sequence[str], mapping: ClassMapping, source: RasterSource, reporter: Reporter
    ) -> LabelRasters:
        """Examine label rasters.

        Args:
            paths: Rasters of one band of whole numbers. Without a CRS, or with a local one, they are taken to be in
                the image's, without a georeference to lie on it pixel for pixel; on another grid the nearest pixel
                counts. All of that is said.
            mapping: Label values to codes.
            source: The image.
            reporter: Is told what was found.

        Raises:
            InputError: A file cannot be read, holds no class codes, or none lies on the image.
        """
        described = [describe(path) for path in paths]
        for file in described:
            _check(file, mapping, reporter)
        bare = [file for file in described if file.crs is None]
        if bare and source.crs is not None:
            reporter.log(f"{_names(bare)} without a CRS: taken to be in the image's.")
        local = [file for file in described if file.crs is not None and not on_earth(file.crs)]
        if local and on_earth(source.crs):
            reporter.log(f"{_names(local)} in a local CRS, which has no place on earth: taken to be in the image's.")
        files = [found for file in described if (found := _locate(file, source))]
        if not files:
            raise InputError(
                f"The labels '{described[0].name}' lie outside the image.",
                "Check the CRS of both, and that they show the same place.",
            )
        other = [item.file for item in files if item.placement is None or not _on_grid(item.placement)]
        if other:
            reporter.warning(
                f"{_names(other)} on another grid than the image: each pixel takes the label nearest to its centre."
            )
        coarse = [item.file for item in files if item.placement and item.placement.row_ratio < 1 / _COARSE]
        if coarse:
            reporter.warning(f"{_names(coarse)} with pixels much larger than the image's: their edges will be steps.")
        labels = cls(tuple(files), mapping, source, reporter)
        # Built before threads share it.
        _ = labels.coverage
        return labels

    def touches(self, window: PixelWindow) -> bool:
        """Return False only when surely no pixel of a window has a label; quick."""
        return self.coverage.touches(window)

    @cached_property
    def coverage(self) -> RectangleCoverage:
        """Where files lie in the image, in their order."""
        return RectangleCoverage([item.window for item in self.files])

    def reader(self) -> LabelRasterReader:
        """Return a reader, to be used in one thread and closed."""
        return LabelRasterReader(self)

    def check(self, values: Mapping[LabelValue, int]) -> None:
        """Check the values that were met; see `Labels.check`."""
        self.mapping.check(
            {v: n for v, n in values.items() if v != 0 or 0 in self.mapping.given}, "pixels", self.reporter
        )


class LabelRasterReader:
    """Reads label rasters; use it in one thread, as a context manager.

    Args:
        labels: What to read.
    """

    def __init__(self, labels: LabelRasters) -> None:
        self._labels = labels
        self._open: OrderedDict[int, tuple[ExitStack, Any]] = OrderedDict()

    def __enter__(self) -> LabelRasterReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1][0].close()

    def read(self, window: PixelWindow, *, examine: bool = False) -> LabelWindow:
        """See `LabelReader`."""
        codes = np.zeros((window.height, window.width), dtype=np.uint8)
        contested = np.zeros(codes.shape, dtype=np.bool_)
        values: Counter[LabelValue] = Counter()
        for index in self._labels.coverage.overlapping(window):
            item = self._labels.files[index]
            part = item.window.intersection(window)
            raw, labelled = self._raw(index, item, part)
            target = part.slices_in(window)
            fresh, claims = self._to_codes(raw, labelled, values)
            below = codes[target]
            contested[target] |= claims & (below != 0) & (fresh != below)
            np.copyto(below, fresh, where=claims)
        return LabelWindow(codes, dict(values) if examine else {}, int(contested.sum()) if examine else 0)

    def _to_codes(
        self, raw: npt.NDArray[Any], labelled: npt.NDArray[np.bool_], values: Counter[LabelValue]
    ) -> tuple[Codes, npt.NDArray[np.bool_]]:
        """Return codes, and where they cover what lies below; adds to the counts of values."""
        codes = np.zeros(raw.shape, dtype=np.uint8)
        claims = np.zeros(raw.shape, dtype=np.bool_)
        found, places, counts = np.unique(raw[labelled], return_inverse=True, return_counts=True)
        numbers = [int(value) for value in found.tolist()]
        values.update(dict(zip(numbers, counts.tolist(), strict=True)))
        known = [self._labels.mapping.code_of(number) or 0 for number in numbers]
        table = np.array(known, dtype=np.uint8)
        covers = np.array([number != 0 or 0 in self._labels.mapping.given for number in numbers], dtype=np.bool_)
        if numbers:
            codes[labelled] = table[places]
            claims[labelled] = covers[places]
        return codes, claims

    def _raw(self, index: int, item: _LabelFile, part: PixelWindow) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Return the values of a file on the image's grid, and where it has any."""
        try:
            dataset = self._dataset(index, item)
            if item.placement is None:
                area = Window(part.column, part.row, part.width, part.height)
                return self._whole_numbers(item.file, dataset.read(1, window=area), dataset.read_masks(1, window=area))
            rows = item.placement.file_rows(part.row, part.height)
            columns = item.placement.file_columns(part.column, part.width)
            row, column = int(rows[0]), int(columns[0])
            area = Window(column, row, int(columns[-1]) - column + 1, int(rows[-1]) - row + 1)
            where = np.ix_(rows - row, columns - column)
            raw, labelled = dataset.read(1, window=area)[where], dataset.read_masks(1, window=area)[where]
        except (*GDAL_ERRORS, OSError) as error:
            reason = str(error.__cause__ or error).strip().splitlines()
            raise InputError(
                f"The labels '{item.file.path}' cannot be read in rows {part.row} to {part.bottom - 1} of the image"
                + (f": {reason[0].rstrip('.')}." if reason else "."),
                "The file is damaged or incomplete: copy or download it again.",
            ) from error
        return self._whole_numbers(item.file, raw, labelled)

    def _whole_numbers(
        self, file: RasterFile, raw: npt.NDArray[Any], mask: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        labelled = mask > 0
        if raw.dtype.kind == "f":
            labelled &= np.isfinite(raw)
            values = raw[labelled]
            if (values != np.rint(values)).any():
                broken = float(values[values != np.rint(values)][0])
                raise InputError(
                    f"The labels '{file.path}' hold fractions such as {broken:g}, which are no class codes.",
                    "Choose a raster of class codes.",
                )
        return raw, labelled

    def _dataset(self, index: int, item: _LabelFile) -> Any:
        if index in self._open:
            self._open.move_to_end(index)
            return self._open[index][1]
        while len(self._open) >= _OPEN_FILES:
            self._open.popitem(last=False)[1][0].close()
        # Closed, never entered: rasterio ties what is entered to the thread.
        stack = ExitStack()
        dataset: Any = open_dataset(item.file.path)
        stack.callback(dataset.close)
        if item.placement is None:
            source = self._labels.source
            dataset = WarpedVRT(
                dataset,
                src_crs=item.crs,
                crs=source.crs,
                transform=source.transform,
                width=source.width,
                height=source.height,
                resampling=Resampling.nearest,
                # rasterio takes no 0; so little moves a label by no pixel that could be seen.
                tolerance=0.001,
                add_alpha=item.file.alpha is None,
            )
            stack.callback(dataset.close)
        self._open[index] = (stack, dataset)
        return dataset


def _check(file: RasterFile, mapping: ClassMapping, reporter: Reporter) -> None:
    if len(file.data_bands) != 1:
        raise InputError(
            f"The labels '{file.name}' have {len(file.data_bands)} bands: they hold colours, not class codes.",
            "Choose a raster of one band that holds codes, or polygons.",
        )
    nodata = file.nodata[0]
    if nodata is not None and nodata.is_integer() and mapping.given.get(int(nodata)):
        reporter.warning(f"{nodata:g} is the nodata value of {file.name}: it stays without a label, though mapped.")


def _locate(file: RasterFile, source: RasterSource) -> _LabelFile | None:
    """Return where a label raster lies, None for outside the image.

    Raises:
        InputError: It cannot be told.
    """
    full = PixelWindow(0, 0, source.height, source.width)
    transform = file.transform
    bare = transform == Affine.identity()
    if bare and source.transform != Affine.identity():
        if (file.width, file.height) != (source.width, source.height):
            raise InputError(
                f"The labels '{file.name}' have no georeference, and are not of the image's size: "
                f"{file.width} x {file.height} instead of {source.width} x {source.height} pixels.",
                "Georeference them first, in QGIS for example.",
            )
        transform = source.transform
    elif source.transform == Affine.identity() and not bare:
        raise InputError(
            f"The labels '{file.name}' have a georeference, but the image has none.", "Georeference the image too."
        )
    # FLAIR's own masks carry a local CRS: the name of the image's, and none of its numbers.
    crs = file.crs if on_earth(file.crs) and on_earth(source.crs) else source.crs or file.crs
    upright = not (transform.b or transform.d or source.transform.b or source.transform.d)
    same_way = transform.a * source.transform.a > 0 and transform.e * source.transform.e > 0
    if transform == source.transform and _same(crs, source.crs):
        placement = Placement(PixelWindow(0, 0, file.height, file.width), 0.0, 0.0, 1.0, 1.0, file.height, file.width)
    elif upright and same_way and _same(crs, source.crs):
        placement = place(source.transform, transform, file.height, file.width)
    else:
        return _warped(file, crs, source, full)
    window = placement.window.intersection(full)
    return _LabelFile(file, window, placement, crs) if window.pixels else None


def _warped(file: RasterFile, crs: CRS | None, source: RasterSource, full: PixelWindow) -> _LabelFile | None:
    if crs is None or source.crs is None:
        raise InputError(
            f"How the labels '{file.name}' lie on the image cannot be told: one of them has no CRS.",
            "Give the image's CRS with --crs, such as --crs EPSG:2154.",
        )
    try:
        ends = [(0, 0), (file.width, 0), (0, file.height), (file.width, file.height)]
        x, y = zip(*(file.transform * end for end in ends), strict=True)
        bounds = (min(x), min(y), max(x), max(y))
        left, bottom, right, top = transform_bounds(crs, source.crs, *bounds, densify_pts=21)
    except (CRSError, *GDAL_ERRORS) as error:
        raise InputError(
            f"The labels '{file.name}' cannot be converted to the image's CRS.", "Warp them first, with gdalwarp."
        ) from error
    if not np.isfinite([left, bottom, right, top]).all():
        return _LabelFile(file, full, None, crs)
    places = [~source.transform * point for point in ((left, top), (right, top), (left, bottom), (right, bottom))]
    row, last_row = int(min(y for _, y in places)) - 2, int(max(y for _, y in places)) + 2
    column, last_column = int(min(x for x, _ in places)) - 2, int(max(x for x, _ in places)) + 2
    window = PixelWindow(row, column, last_row - row, last_column - column).intersection(full)
    return _LabelFile(file, window, None, crs) if window.pixels else None


def _same(one: CRS | None, other: CRS | None) -> bool:
    if one is None or other is None or one == other:
        return True
    code = one.to_epsg()
    return code is not None and code == other.to_epsg()


def _on_grid(placement: Placement) -> bool:
    """Return whether each pixel of a raster lies on one of the image, to within a small part of it."""
    ends = [
        (placement.top, placement.height / placement.row_ratio),
        (placement.left, placement.width / placement.column_ratio),
    ]
    sizes = (placement.height, placement.width)
    return all(
        abs(start - round(start)) < _SAME_GRID and abs(length - size) < _SAME_GRID
        for (start, length), size in zip(ends, sizes, strict=True)
    )


def _names(files: Sequence[RasterFile]) -> str:
    return f"The label raster {files[0].name} is" if len(files) == 1 else f"{len(files)} label rasters are"
