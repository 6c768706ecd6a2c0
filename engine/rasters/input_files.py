"""Which files an input names: itself, all of a folder, those of a text list, or those of an index of tiles."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.errors import InputError
from engine.remote_path import gdal_path, is_remote, shown
from engine.storage.inputs import files_in

SUFFIXES = (".tif", ".tiff", ".jp2", ".img", ".vrt")
"""Rasters that are looked for in a folder."""
LOCATIONS = ("location", "path", "filename", "filepath", "file")
"""Fields of an index that may hold the path of a tile; `location` is what gdaltindex writes."""
_LISTS = (".txt", ".lst")
_INDEXES = (".gpkg", ".shp", ".fgb", ".geojson")


def listed_files(inputs: Sequence[str]) -> list[str]:
    """Return the files that inputs name, in their order; one that is named twice comes once, at its last place.

    Args:
        inputs: Each a raster, a folder of rasters, a text file with a path a line (`@list` or `list.txt`), or an index
            of tiles: a vector file whose field `location` or `path` names a raster for each polygon.

    Raises:
        InputError: A folder holds no raster, or a list or an index cannot be read or names none.
    """
    found = [path for item in inputs for path in _files_of(str(item))]
    if len(found) == 1:
        return found
    # Later files lie on top: the last place is the one that counts.
    return list(dict.fromkeys(reversed(found)))[::-1]


def _files_of(item: str) -> Iterator[str]:
    if item.startswith("@"):
        yield from _of_list(Path(item[1:]))
        return
    if is_remote(item) and item.endswith("/"):
        yield from _of_remote_folder(item)
        return
    if item.startswith("/vsi") or "://" in item or "<" in item:
        yield item
        return
    path = Path(item)
    suffix = path.suffix.lower()
    if path.is_dir():
        yield from _of_folder(path)
    elif suffix in _LISTS and path.is_file():
        yield from _of_list(path)
    elif suffix in _INDEXES and path.is_file() and (suffix != ".gpkg" or _holds_polygons(path)):
        yield from _of_index(path)
    else:
        yield item


def _of_folder(folder: Path) -> list[str]:
    try:
        found = [str(item) for item in folder.iterdir() if item.suffix.lower() in SUFFIXES and item.is_file()]
    except OSError as error:
        raise InputError(
            f"The folder '{folder}' cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    return _without_mosaics(sorted(found), str(folder))


def _of_remote_folder(folder: str) -> list[str]:
    found = [path for path in files_in(folder) if "/" not in path[len(folder) :] and path.lower().endswith(SUFFIXES)]
    return _without_mosaics(found, shown(folder))


def _without_mosaics(found: list[str], folder: str) -> list[str]:
    if not found:
        raise InputError(
            f"The folder '{folder}' holds no raster ({', '.join(SUFFIXES)}).",
            "Name the folder in which the images themselves lie; folders inside it are not searched.",
        )
    # A mosaic beside its tiles holds the same pixels once more.
    return [path for path in found if not path.lower().endswith(".vrt")] or found


def _of_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"There is no list '{path}'.", "Check the path of the list of images.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not a list of images in UTF-8 text.", "Write one path a line.") from error
    names = [line.strip().strip('"') for line in lines]
    names = [name for name in names if name and not name.startswith("#")]
    if not names:
        raise InputError(f"The list '{path}' names no image.", "Write one path a line.")
    return [_found_from(path.parent, name) for name in names]


def _of_index(path: Path) -> list[str]:
    # Takes 30 MB, which most runs have no use for.
    import pyogrio

    from engine.rasters.polygons import VECTOR_ERRORS

    try:
        layer = next((str(name) for name, kind in pyogrio.list_layers(path) if kind), None)
        fields = [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]] if layer else []
        chosen = next((name for wanted in LOCATIONS for name in fields if name.lower() == wanted), None)
        if chosen is None:
            raise InputError(
                f"'{path}' has polygons, but no field that names an image for each.",
                f"An index of tiles has a field 'location' or 'path', as gdaltindex makes it; here there is: "
                f"{', '.join(fields) or 'none'}.",
            )
        values = pyogrio.raw.read(path, layer=layer, columns=[chosen], read_geometry=False)[3][0]
    except (*VECTOR_ERRORS, RuntimeError) as error:
        raise InputError(f"'{path}' is not an index of tiles that can be read: {error}.", "Make it anew.") from error
    # A sheet that is not written yet has no location.
    names = [str(value) for value in values if value is not None and str(value) not in ("", "nan")]
    if not names:
        raise InputError(f"The index '{path}' names no image.", f"Fill its field '{chosen}'.")
    return [_found_from(path.parent, name) for name in names]


def _found_from(folder: Path, name: str) -> str:
    """Return a path relative to the file that names it, unless it is found from the working folder alone."""
    name = gdal_path(name)
    if name.startswith("/vsi") or "://" in name or Path(name).is_absolute():
        return name
    beside = folder / name
    # gdaltindex writes paths as they were given, thus from where it was started.
    return name if Path(name).exists() and not beside.exists() else str(beside)


def _holds_polygons(path: Path) -> bool:
    """Return whether a GeoPackage is an index and not a raster; one may hold both, and then counts as a raster."""
    try:
        with sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as database:
            kinds = {str(kind) for (kind,) in database.execute("SELECT DISTINCT data_type FROM gpkg_contents")}
    except sqlite3.Error:
        return False
    return "features" in kinds and not kinds & {"tiles", "2d-gridded-coverage"}
