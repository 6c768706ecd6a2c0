"""One date of a series: its products side by side on the series' grid, and what is known of snow and clouds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from engine.data.time_series.date_folder import MASKS
from engine.data.time_series.season_folder import band_name
from engine.data.time_series.season_sampling import opened
from engine.data.time_series.series import COVERED
from engine.errors import InputError
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.raster_file import GDAL_ERRORS
from engine.rasters.written_pixels import WrittenPixels
from engine.seasons import clouds
from engine.seasons.products import Product
from engine.seasons.series_grid import SeriesGrid

ROWS = 256
THEIA_NODATA = -10000
# Of Sentinel-2: a reflectance of 1.
FULL = 10000
# Values up to this are reflectances from 0 to 1; snow and corrections overshoot.
_REFLECTANCE = 2.0
# Bands of files that name none, by their number: all of L2A, all of L1C.
ALL_BANDS = {
    12: ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"),
    13: ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"),
}
_Pixels = npt.NDArray[Any]
Stop = Callable[[], None]


@dataclass(frozen=True)
class DateFacts:
    """What is known of a date that was made.

    Args:
        shown: Share of the grid with data, 0 to 1.
        cloud: Share of that under clouds.
        snow: Share of that under snow.
        masked: Whether anything told of clouds.
        clear: Whether some patch could use the date.
    """

    shown: float
    cloud: float
    snow: float
    masked: bool
    clear: bool


@dataclass(frozen=True)
class _Layer:
    """A band of a file: its number, and what its values become."""

    path: Path
    number: int
    scale: float
    shift: int


def lacking(product: Product, bands: Sequence[str]) -> list[str]:
    """Return the names of bands that a product has not.

    Args:
        product: The product.
        bands: Names of the bands wanted.

    Raises:
        InputError: The file of all bands cannot be read, or has a number of bands that tells nothing.
    """
    places = _places(product, bands)
    return [name for name in bands if name not in places]


def _places(product: Product, bands: Sequence[str]) -> dict[str, tuple[Path, int]]:
    """Return the file and the number in it of each band that a product has."""
    if product.stacked is None:
        return {name: (path, 1) for name, path in product.bands.items()}
    names = stacked_bands(product.stacked, bands)
    return {name: (product.stacked, number) for number, name in enumerate(names, 1)}


def _layers(product: Product, bands: Sequence[str], shift: int | None) -> list[_Layer]:
    """Return the layers of a product that has all bands, in their order."""
    added = (product.shift or 0) if shift is None else shift
    places = _places(product, bands)
    scales = {path: _scale(path) for path in {places[name][0] for name in bands}}
    return [_Layer(path, number, scales[path], added) for path, number in (places[name] for name in bands)]


def stacked_bands(path: Path, bands: Sequence[str]) -> list[str]:
    """Return the names of the bands of a file that holds all of a date.

    Raises:
        InputError: It cannot be read, or neither its descriptions nor their number tell.
    """
    with opened(path) as dataset:
        named = [band_name(text or "") for text in dataset.descriptions]
        if set(bands) <= set(named):
            return named
        if dataset.count == len(bands):
            return list(bands)
        if dataset.count in ALL_BANDS:
            return list(ALL_BANDS[dataset.count])
        raise InputError(
            f"'{path.name}' has {dataset.count} bands without the names {', '.join(bands)}.",
            f"Give its bands these names, or files of {len(bands)} bands in this order, or of all 12 or 13.",
        )


def _scale(path: Path) -> float:
    """Return 10000 for reflectances from 0 to 1, else 1."""
    with opened(path) as dataset:
        if np.dtype(dataset.dtypes[0]).kind != "f":
            return 1.0
        try:
            seen = dataset.read(1, out_shape=(min(256, dataset.height), min(256, dataset.width)), masked=True)
        except GDAL_ERRORS as error:
            raise _unreadable(path, error) from error
    seen = seen[np.isfinite(seen.filled(np.nan))] if seen.size else seen
    return float(FULL) if seen.size and float(seen.max()) <= _REFLECTANCE else 1.0


def write_date(
    path: Path,
    products: Sequence[Product],
    grid: SeriesGrid,
    bands: Sequence[str],
    shift: int | None,
    stop: Stop,
    *,
    with_masks: bool = True,
) -> DateFacts:
    """Write a date's image (uint16, 0 where nothing is shown) and its masks (per cent of snow and cloud, uint8).

    Products come one over the other, the first on top.

    Args:
        path: The image; the masks get its name in a folder beside it.
        products: Products with all bands.
        grid: Grid to write.
        bands: Names of the bands.
        shift: What is added to pixels; None as the products' names tell.
        stop: Called between blocks; raises to end the work.
        with_masks: Look for snow and clouds.

    Raises:
        InputError: A file cannot be read.
        OutputError: A file cannot be written.
    """
    masks = path.parent / MASKS / path.name
    readers = [_ProductReader(product, grid, bands, shift) for product in products]
    masked = with_masks and any(reader.masked for reader in readers)
    shown, covered = 0, np.zeros(2, dtype=np.int64)
    pixels, shares = WrittenPixels(path), WrittenPixels(masks)
    try:
        with ExitStack() as stack:
            for reader in readers:
                stack.enter_context(reader)
            image = stack.enter_context(rasterio.open(path, "w", **profile(grid, len(bands), "uint16", 0)))
            image.descriptions = tuple(bands)
            cover = None
            if masked:
                masks.parent.mkdir(exist_ok=True)
                cover = stack.enter_context(rasterio.open(masks, "w", **profile(grid, 2, "uint8", None)))
                cover.descriptions = ("snow", "cloud")
            for window in blocks(grid):
                stop()
                values, under = _stacked(readers, window, len(bands))
                pixels.write(image, values, window)
                if cover is not None:
                    shares.write(cover, under, window)
                seen = values.any(0)
                shown += int(seen.sum())
                covered += (under[:, seen] >= COVERED).sum(1)
    except WRITE_ERRORS as error:
        raise output_error(path, error) from error
    pixels.check(path)
    if masked:
        shares.check(masks)
    clear = shown > 0 and (not masked or _clear_somewhere(path, masks, grid, stop))
    part = covered / max(1, shown)
    return DateFacts(shown / (grid.height * grid.width), float(part[1]), float(part[0]), masked, clear)


def profile(grid: SeriesGrid, count: int, dtype: str, nodata: float | None) -> dict[str, Any]:
    """Return how files of a series are written."""
    return {
        "driver": "GTiff",
        "count": count,
        "dtype": dtype,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": nodata,
        "compress": "deflate",
        "predictor": 2,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "interleave": "pixel",
        "BIGTIFF": "IF_SAFER",
    }


def blocks(grid: SeriesGrid, around: int = 0) -> Iterator[Window]:
    """Yield windows of some rows that cover a grid, with rows around them."""
    for start in range(0, grid.height, ROWS):
        first, last = max(0, start - around), min(grid.height, start + ROWS + around)
        yield Window(0, first, grid.width, last - first)


def usable(image: Any, masks: Any | None, window: Window, grid: SeriesGrid) -> tuple[_Pixels, npt.NDArray[np.bool_]]:
    """Return pixels of a window, and where a patch around them would use them.

    Args:
        image: Open image of a date.
        masks: Its open masks, or None.
        window: Whole rows.
        grid: The grid.
    """
    values = image.read(window=window)
    where = values.any(0)
    if masks is not None:
        first = max(0, window.row_off - clouds.BOX)
        last = min(grid.height, window.row_off + window.height + clouds.BOX)
        around = masks.read(window=Window(0, first, grid.width, last - first))
        start = window.row_off - first
        where &= ~clouds.too_covered(around)[start : start + window.height]
    return values, where


def _clear_somewhere(path: Path, masks: Path, grid: SeriesGrid, stop: Stop) -> bool:
    with rasterio.open(path) as image, rasterio.open(masks) as cover:
        for window in blocks(grid):
            stop()
            if usable(image, cover, window, grid)[1].any():
                return True
    return False


def _stacked(readers: Sequence[_ProductReader], window: Window, count: int) -> tuple[_Pixels, _Pixels]:
    shape = (int(window.height), int(window.width))
    values = np.zeros((count, *shape), dtype=np.uint16)
    under = np.zeros((2, *shape), dtype=np.uint8)
    missing = np.ones(shape, dtype=np.bool_)
    for reader in readers:
        if not missing.any():
            break
        pixels, there = reader.read(window)
        new = missing & there
        values[:, new] = pixels[:, new]
        if reader.masked:
            under[:, new] = reader.read_masks(window)[:, new]
        missing &= ~there
    return values, under


class _ProductReader:
    """The bands and masks of a product on the grid of a series."""

    def __init__(self, product: Product, grid: SeriesGrid, bands: Sequence[str], shift: int | None) -> None:
        self._layers = _layers(product, bands, shift)
        self._masks = {kind: (path, 1) for kind, path in product.masks.items()}
        scene = _scene_band(product.stacked) if product.stacked else None
        if product.stacked and scene:
            self._masks.setdefault("scene", (product.stacked, scene))
        self._grid = grid
        self._stack = ExitStack()
        self._opened: dict[tuple[Path, Resampling], Any] = {}
        # Probabilities are what the rule is made for; classifications tell of the same in words.
        sets = (("cloud", "snow"), ("scene",), ("theia_cloud", "theia_ground"))
        self._kinds: list[str] = next(
            ([kind for kind in kinds if kind in self._masks] for kinds in sets if kinds[0] in self._masks), []
        )
        self.masked = bool(self._kinds)

    def __enter__(self) -> _ProductReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, window: Window) -> tuple[_Pixels, npt.NDArray[np.bool_]]:
        """Return pixels, and where all bands have some."""
        shape = (int(window.height), int(window.width))
        values = np.zeros((len(self._layers), *shape), dtype=np.uint16)
        there = np.ones(shape, dtype=np.bool_)
        for place, layer in enumerate(self._layers):
            dataset, nodata = self._open(layer.path, Resampling.bilinear)
            found = self._pixels(dataset, layer.path, layer.number, window).astype(np.float32)
            present = np.isfinite(found) & (found != nodata)
            scaled = np.rint(np.where(present, found, 0) * layer.scale) + layer.shift
            # What is no more than nothing keeps off the value that means no data.
            values[place] = np.clip(scaled, 1, 65535)
            there &= present
        values[:, ~there] = 0
        return values, there

    def read_masks(self, window: Window) -> _Pixels:
        """Return per cent of snow and cloud."""
        under = np.zeros((2, int(window.height), int(window.width)), dtype=np.uint8)
        for kind in self._kinds:
            path, number = self._masks[kind]
            dataset, _ = self._open(path, Resampling.nearest)
            found = self._pixels(dataset, path, number, window)
            if kind == "scene":
                return clouds.scene(found)
            what, share = clouds.cover(kind, found)
            under[0 if what == "snow" else 1] = share
        return under

    def _open(self, path: Path, resampling: Resampling) -> tuple[Any, float]:
        key = (path, resampling)
        if key not in self._opened:
            dataset = self._stack.enter_context(opened(path))
            if not dataset.crs:
                raise InputError(f"'{path}' has no CRS.", "Give it one: nothing else says where it lies.")
            nodata = dataset.nodata
            if nodata is None:
                kind = np.dtype(dataset.dtypes[0]).kind
                nodata = THEIA_NODATA if kind == "i" else 0.0 if kind == "u" else float("nan")
            grid = self._grid
            options = {} if resampling is Resampling.nearest else {"src_nodata": nodata, "nodata": nodata}
            warped = WarpedVRT(
                dataset,
                crs=grid.crs,
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=resampling,
                **options,
            )
            self._opened[key] = (self._stack.enter_context(warped), float(nodata))
        found: tuple[Any, float] = self._opened[key]
        return found

    @staticmethod
    def _pixels(dataset: Any, path: Path, number: int, window: Window) -> _Pixels:
        try:
            return np.asarray(dataset.read(number, window=window))
        except GDAL_ERRORS as error:
            raise _unreadable(path, error) from error


def _scene_band(path: Path) -> int | None:
    """Return the number of the band that holds the scene classification, or None."""
    with opened(path) as dataset:
        named = [(text or "").strip().upper() for text in dataset.descriptions]
    return named.index("SCL") + 1 if "SCL" in named else None


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"'{path}' cannot be read: {error}.", "Copy or download it again.")
