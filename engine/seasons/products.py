"""What a folder of Sentinel-2 downloads holds, told by the names of its files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.data.time_series.date_folder import SUFFIXES, date_of
from engine.data.time_series.season_folder import band_name
from engine.errors import InputError

Date = tuple[int, int, int]

# From this baseline of the processing on, pixels hold 1000 more.
_SHIFTED_BASELINE = 400
SHIFT = -1000
_BASELINE = re.compile(r"_N(\d{4})_", re.IGNORECASE)
_BAND = re.compile(r"(?:^|[_-])(B(?:0?[1-9]|1[0-2]|8A))(?:[_-](\d+)M)?$", re.IGNORECASE)
_METRES = re.compile(r"[_-](\d+)m$", re.IGNORECASE)
_TILE = re.compile(r"(?:^|[_-])T?(\d\d[A-Z]{3})(?=[_-]|$)")
# Kinds of masks by what their names say, the better first: probabilities, scene classification, Theia's bits.
_MASKS = {
    "cloud": re.compile(r"(?:MSK_CLDPRB|[_-]CLD)(?:[_-]\d+m)?$", re.IGNORECASE),
    "snow": re.compile(r"(?:MSK_SNWPRB|[_-]SNW)(?:[_-]\d+m)?$", re.IGNORECASE),
    "scene": re.compile(r"(?:^|[_-])SCL(?:[_-]\d+m)?$", re.IGNORECASE),
    "theia_cloud": re.compile(r"[_-]CLM_R\d$", re.IGNORECASE),
    "theia_ground": re.compile(r"[_-]MG2_R\d$", re.IGNORECASE),
}
# Other layers of the same products.
_OTHER = re.compile(
    r"(?:^|[_-])(?:TCI|AOT|WVP|PVI|ATB|IAB|SAT|EDG|DFP|QKL|DDV|CLASSI|QUALIT|DETFOO|CLM|MG2)(?=[_.-]|$)|^MSK_",
    re.IGNORECASE,
)


@dataclass
class Product:
    """The files of one date and tile.

    Args:
        date: Year, month, day.
        name: What the product is called in reports.
        stacked: File with all bands, or None.
        bands: Files of single bands by name, with metres of a pixel and whether they are corrected for slopes.
        masks: Files of masks by kind.
        shift: What is added to pixels; None where nothing tells.
    """

    date: Date
    name: str
    stacked: Path | None = None
    bands: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)
    shift: int | None = None

    @property
    def files(self) -> list[Path]:
        """All files."""
        return [*([self.stacked] if self.stacked else []), *self.bands.values(), *self.masks.values()]


def find_products(folder: Path) -> list[Product]:
    """Find the products in a folder and all folders below it, in order of their dates.

    Raises:
        InputError: The folder cannot be read, or holds no satellite image with a date.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'.", "Name the folder of the Sentinel-2 downloads.")
    found: dict[tuple[Date, str], Product] = {}
    undated = 0
    for path in sorted(_images(folder)):
        date = _date(path, folder)
        if date is None:
            undated += 1
            continue
        _add(found, path, date, folder)
    products = [item for item in found.values() if item.stacked or item.bands]
    if not products:
        packed = [item.name for item in folder.iterdir() if item.suffix.lower() in (".zip", ".gz", ".tar")]
        raise InputError(
            f"'{folder}' holds no satellite image with a date in its name.",
            f"Unpack '{packed[0]}' and the like first."
            if packed
            else "Names carry a date, such as T31TCJ_20210604T105031_B02_10m.jp2 or 2021-06-04.tif"
            + (f"; {undated} files have none." if undated else "."),
        )
    return sorted(products, key=lambda item: (item.date, item.name))


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path


def _date(path: Path, folder: Path) -> Date | None:
    """Return the date of a file: of its own name, or of the nearest folder that carries one."""
    for name in (path.stem, *reversed(path.relative_to(folder).parts[:-1]), folder.name):
        date = date_of(name)
        if date is not None:
            return date
    return None


def _add(found: dict[tuple[Date, str], Product], path: Path, date: Date, folder: Path) -> None:
    relative = path.relative_to(folder).as_posix()
    band = _BAND.search(path.stem)
    kinds = [kind for kind, pattern in _MASKS.items() if pattern.search(path.stem)]
    stacked = not band and not kinds and not _OTHER.search(path.stem)
    tile = _TILE.search(relative.upper().replace("/", "_"))
    # Files of one date lie in the same tile, or are a product each.
    key = f"T{tile[1]}" if tile else (path.stem if stacked else "")
    if not (band or kinds or stacked):
        return
    name = f"{date[0]:04}-{date[1]:02}-{date[2]:02}" + (f" {key}" if tile else "")
    product = found.setdefault((date, key), Product(date, name))
    baseline = _BASELINE.search(relative)
    if baseline:
        product.shift = SHIFT if int(baseline[1]) >= _SHIFTED_BASELINE else 0
    elif "_FRE_" in path.stem or "_SRE_" in path.stem:
        product.shift = 0
    if band:
        named = band_name(band[1])
        product.bands[named] = _better(path, product.bands.get(named))
    elif kinds:
        product.masks[kinds[0]] = _better(path, product.masks.get(kinds[0]))
    else:
        product.stacked = product.stacked or path


def _better(path: Path, known: Path | None) -> Path:
    """Return the finer of two files; of Theia's, that which is corrected for slopes."""
    return path if known is None or _rank(path) < _rank(known) else known


def _rank(path: Path) -> tuple[bool, float, str]:
    metres = _METRES.search(path.stem)
    theia = re.search(r"_R(\d)$", path.stem)
    return "_SRE_" in path.stem, float(metres[1]) if metres else float(theia[1]) if theia else 0.0, str(path)


def dates_of(products: Sequence[Product]) -> list[tuple[Date, list[Product]]]:
    """Return the products by date: tiles of one date side by side."""
    grouped: dict[Date, list[Product]] = {}
    for product in products:
        grouped.setdefault(product.date, []).append(product)
    return sorted(grouped.items())
