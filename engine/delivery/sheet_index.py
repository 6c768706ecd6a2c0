"""The index of sheets: a GeoPackage with a polygon for each, kept up to date while the run goes on.

It is written by SQLite itself with a write-ahead log, so that QGIS can read it at
any moment and never stops the run; GDAL would open and close it for each change.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.delivery.index_style import index_qml
from engine.errors import OutputError
from engine.rasters.disk import output_error
from engine.rasters.sheets import Sheet
from engine.rasters.virtual_raster import OutputGrid

LAYER = "sheets"
GEOMETRY = "geom"
SECONDS = 1.0
"""Changes are written at most this often."""
# What GDAL wrote up to 3.10: that of an older QGIS warns of anything newer.
_GEOPACKAGE = "1.2"
_SIDE_FILES = ("-wal", "-shm", "-journal")
_WAIT_SECONDS = 10.0


def index_path(output: Path) -> Path:
    """Return the index of the sheets under a mosaic (.vrt)."""
    return output.absolute().with_name(f"{output.stem}_sheets.gpkg")


def check_index(output: Path) -> None:
    """Check that what lies at the place of the index is one, and may thus be replaced with its mosaic.

    Raises:
        OutputError: It is something else.
    """
    path = index_path(output)
    if not path.exists():
        return
    try:
        # Without locks and log: QGIS may be showing what a run left that was killed.
        place = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(place, uri=True)) as database:
            fields = {str(row[1]) for row in database.execute(f"PRAGMA table_info({LAYER})")}
    except sqlite3.Error:
        fields = set()
    if not {"name", "state", "tiles_done", "location"} <= fields:
        raise OutputError(
            f"'{path}' would become the index of the sheets, but holds something else.",
            "Move it away, or give the output another name.",
        )


def create_index(path: Path, grid: OutputGrid, sheets: Sequence[Sheet], tiles: Sequence[int]) -> SheetIndex:
    """Write an index in which all sheets wait, and return it open.

    Args:
        path: File to write. Of an existing one the content is replaced, so that QGIS goes on seeing it.
        grid: Grid of the classification.
        sheets: The sheets.
        tiles: Number of tiles of each.

    Raises:
        OutputError: It could not be written.
    """
    import pyogrio
    import shapely

    from engine.rasters.polygons import VECTOR_ERRORS

    count = len(sheets)
    corners = np.array([[s.window.column, s.window.row, s.window.right, s.window.bottom] for s in sheets])
    corners = corners.reshape(-1, 4).astype(np.float64)
    a, _, x, _, e, y = grid.transform[:6]
    shapes = shapely.box(x + a * corners[:, 0], y + e * corners[:, 3], x + a * corners[:, 2], y + e * corners[:, 1])
    nothing = np.full(count, None, dtype=object)
    fields: dict[str, npt.NDArray[Any]] = {
        "name": np.array([sheet.name for sheet in sheets], dtype=object),
        "state": np.full(count, "waiting", dtype=object),
        "tiles": np.array(tiles, dtype=np.int32),
        "tiles_done": np.zeros(count, dtype=np.int32),
        "started": np.full(count, np.datetime64("NaT"), dtype="datetime64[ms]"),
        "finished": np.full(count, np.datetime64("NaT"), dtype="datetime64[ms]"),
        "seconds": np.zeros(count),
        "worker": nothing,
        "pixels": np.zeros(count, dtype=np.int64),
        "classes": nothing,
        "sha256": nothing,
        "location": nothing,
    }
    code = grid.crs.to_epsg() if grid.crs else None
    crs = f"EPSG:{code}" if code else grid.crs.to_wkt() if grid.crs else None
    new = path.with_name(f".{path.stem}.new.gpkg")
    options = {"layer": LAYER, "driver": "GPKG", "VERSION": _GEOPACKAGE}
    try:
        remove_index(new)
        pyogrio.raw.write(
            str(new),
            shapely.to_wkb(shapes),
            list(fields.values()),
            list(fields),
            geometry_type="Polygon",
            crs=crs,
            SPATIAL_INDEX="YES",
            GEOMETRY_NAME=GEOMETRY,
            **options,
        )
        style = _style_fields()
        pyogrio.raw.write(
            str(new), None, list(style.values()), list(style), layer="layer_styles", driver="GPKG", append=True
        )
        if not path.exists():
            new.rename(path)
            return SheetIndex(path)
        index = SheetIndex(path)
        try:
            index.replace(new)
        except BaseException:
            index.close()
            raise
        return index
    except (*VECTOR_ERRORS, OSError, RuntimeError, sqlite3.Error) as error:
        raise output_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            remove_index(new)


def copy_index(source: Path, target: Path) -> None:
    """Copy an index that nobody writes to a file that does not exist, whole or not at all.

    Raises:
        OSError: It could not be read or written.
    """
    new = target.with_name(f".{target.stem}.copy.gpkg")
    try:
        remove_index(new)
        new.touch()
        with contextlib.closing(_connected(source)) as original, contextlib.closing(_connected(new)) as copy:
            original.backup(copy)
        new.rename(target)
    except sqlite3.Error as error:
        raise OSError(str(error)) from error


class SheetIndex:
    """Keeps an index up to date, at most once a second, in a thread of its own.

    A file that cannot be written for a while, such as one that is being edited in QGIS, is no reason to stop: the
    changes wait. The file stays open from the beginning to the end: with the last one that closes it SQLite removes
    the log, which QGIS does not take well while it shows the layer.

    Args:
        path: The index, see `create_index`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = _connected(path, SECONDS)
        _use_log(self._database)
        self._mutex = threading.Lock()
        self._changes: dict[str, dict[str, Any]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name="sheet index", daemon=True)
        self._thread.start()

    def replace(self, source: Path) -> None:
        """Replace all content by that of another index; whoever reads this one goes on reading it.

        Raises:
            sqlite3.Error: It could not be read or written.
        """
        with contextlib.closing(_connected(source)) as original:
            original.backup(self._database)

    def note(self, name: str, **values: Any) -> None:
        """Change fields of a sheet, soon.

        Args:
            name: The sheet.
            values: Values by field: text, numbers, or a `datetime` in UTC.
        """
        plain = {key: _time_text(value) if isinstance(value, datetime) else value for key, value in values.items()}
        with self._mutex:
            self._changes.setdefault(name, {}).update(plain)

    def close(self, restored: Path | None = None) -> str | None:
        """Write what is left and make the file one that is complete by itself.

        Args:
            restored: Index whose content it gets instead, such as that of an earlier delivery.

        Returns:
            Why that failed, or None.
        """
        self._ended.set()
        self._thread.join()
        problem = None
        with contextlib.suppress(sqlite3.Error):
            self._database.execute(f"PRAGMA busy_timeout = {round(1000 * _WAIT_SECONDS)}")
        if restored is None:
            problem = self._write()
        else:
            try:
                self.replace(restored)
            except sqlite3.Error as error:
                problem = str(error)
        with contextlib.suppress(sqlite3.Error):
            # Fails while another program reads it; then the log stays beside it until the last one closes it.
            self._database.execute("PRAGMA journal_mode = DELETE")
        self._database.close()
        return problem if self._path.exists() else "it was removed meanwhile"

    def _keep_up(self) -> None:
        while not self._ended.wait(SECONDS):
            self._write()

    def _write(self) -> str | None:
        with self._mutex:
            changes, self._changes = self._changes, {}
        if not changes:
            return None
        try:
            with self._database:
                _update(self._database, changes)
        except sqlite3.Error as error:
            with self._mutex:
                for name, values in changes.items():
                    self._changes[name] = {**values, **self._changes.get(name, {})}
            return str(error)
        return None


def _update(database: sqlite3.Connection, changes: Mapping[str, Mapping[str, Any]]) -> None:
    numbers = {str(name): fid for fid, name in database.execute("SELECT fid, name FROM sheets")}
    for name, values in changes.items():
        if name not in numbers:
            # Somebody has deleted its polygon.
            continue
        fields = ", ".join(f'"{key}" = ?' for key in values)
        # Fields are this module's own words.
        query = f"UPDATE sheets SET {fields} WHERE fid = ?"  # nosec B608
        database.execute(query, [*values.values(), numbers[name]])
    now = _time_text(datetime.now(timezone.utc))
    database.execute("UPDATE gpkg_contents SET last_change = ? WHERE table_name = ?", (now, LAYER))


def _use_log(database: sqlite3.Connection) -> None:
    """Turn to a write-ahead log, where that is possible: not on every network folder, nor while someone reads."""
    with contextlib.suppress(sqlite3.Error):
        database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")


def _connected(path: Path, patience: float = 2.0) -> sqlite3.Connection:
    # For writing in any case: a reader alone would leave the files of the log behind. Never made where it is missing.
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience, check_same_thread=False
    )
    # GDAL's triggers for the spatial index call these, even where no geometry changes.
    database.create_function("ST_IsEmpty", 1, lambda blob: int(blob is None or bool(blob[3] & 16)))
    for place, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        database.create_function(name, 1, lambda blob, place=place: struct.unpack_from("<4d", blob, 8)[place])
    return database


def _time_text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _style_fields() -> dict[str, npt.NDArray[Any]]:
    text = {
        "f_table_catalog": "",
        "f_table_schema": "",
        "f_table_name": LAYER,
        "f_geometry_column": GEOMETRY,
        "styleName": "state",
        "styleQML": index_qml(),
        "styleSLD": "",
        "description": "",
        "owner": "",
        "ui": "",
    }
    fields: dict[str, npt.NDArray[Any]] = {key: np.array([value], dtype=object) for key, value in text.items()}
    fields["useAsDefault"] = np.array([True])
    fields["update_time"] = np.array([datetime.now(timezone.utc).replace(tzinfo=None)], dtype="datetime64[ms]")
    return fields


def remove_index(path: Path) -> None:
    """Remove an index with the files of its log.

    Raises:
        OSError: It could not be removed.
    """
    for name in (path.name, *(path.name + ending for ending in _SIDE_FILES)):
        path.with_name(name).unlink(missing_ok=True)
