"""The classes that a raster says it holds."""

from __future__ import annotations

import html
import re
from pathlib import Path

from engine.nomenclature import SPARE_COLORS, LandCoverClass, Nomenclature, load_nomenclature
from engine.rasters.raster_file import RasterFile, open_dataset
from engine.remote_path import is_remote
from engine.storage.inputs import text_of


def named_classes(file: RasterFile) -> Nomenclature:
    """Return the classes that a raster names, FLAIR's where it names none.

    Names are GDAL's categories, in the file beside the raster or in a VRT itself. FLAIR's classes that it does not name
    are disabled: the model could not predict them. Names that are not FLAIR's make a nomenclature of their own.

    Args:
        file: The raster.
    """
    flair = load_nomenclature("flair")
    names = {code: name for code, name in enumerate(_categories(file)) if name and 1 <= code <= 254}
    if not names:
        return flair
    known = {item.code: item.name.casefold() for item in flair.classes}
    if all(known.get(code) == name.casefold() for code, name in names.items()):
        return flair.with_disabled(set(known) - set(names))
    colors = _colors(file)
    return Nomenclature(
        file.name,
        tuple(
            LandCoverClass(code, name[:1].lower() + name[1:], colors.get(code, SPARE_COLORS[place % len(SPARE_COLORS)]))
            for place, (code, name) in enumerate(names.items())
        ),
    )


def _categories(file: RasterFile) -> list[str]:
    for path in (f"{file.path}.aux.xml", file.path):
        text = _text(path) if path.lower().endswith((".xml", ".vrt")) else None
        if text is None:
            continue
        block = re.search(r"<CategoryNames>(.*?)</CategoryNames>", text, re.DOTALL)
        if block:
            found = re.findall(r"<Category\s*/>|<Category>(.*?)</Category>", block[1], re.DOTALL)
            return [html.unescape(name).strip() for name in found]
    return []


def _text(path: str) -> str | None:
    if is_remote(path):
        return text_of(path)
    return Path(path).read_text(encoding="utf-8", errors="replace") if Path(path).is_file() else None


def _colors(file: RasterFile) -> dict[int, str]:
    if "palette" not in file.interpretations:
        return {}
    with open_dataset(file.path) as dataset:
        table: dict[int, tuple[int, ...]] = dataset.colormap(file.interpretations.index("palette") + 1)
    return {code: "#{:02x}{:02x}{:02x}".format(*color[:3]) for code, color in table.items() if color[3]}
