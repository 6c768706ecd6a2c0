"""The index as other programs see it, during a run and after it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime, timezone

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from engine.delivery.index_style import STATES
from engine.delivery.sheet_index import SheetIndex, copy_index, create_index
from engine.rasters.sheets import SheetGrid
from tests.engine.rasters.stored_tiles import grid_of

GRID = grid_of(400, 500, Affine(4, 0, 960_602, 0, -4, 6_329_398))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "i.gpkg"
    make(path).close()
    return path


def make(path, grid=GRID):
    squares = SheetGrid(grid, 1000, "s")
    sheets = [squares.sheet(place) for place in squares.touched(grid.window)]
    return create_index(path, grid, sheets, [3] * len(sheets))


def lines(path):
    meta, _, shapes, fields = pyogrio.raw.read(path, layer="sheets")
    found = [dict(zip(meta["fields"], values, strict=True)) for values in zip(*fields, strict=True)]
    return {line["name"]: line for line in found}, dict(
        zip((x["name"] for x in found), shapely.from_wkb(shapes), strict=True)
    )


READ = """
import sys, pyogrio
meta, _, _, fields = pyogrio.raw.read(sys.argv[1], layer="sheets", read_geometry=False)
print(*fields[list(meta["fields"]).index("state")])
"""


def states(path):
    """Return what GDAL reads in another process, as QGIS is one."""
    command = [sys.executable, "-c", READ, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def wait_for(path, state):
    until = time.monotonic() + 30
    while state not in states(path):
        assert time.monotonic() < until


def test_a_new_index_has_a_waiting_polygon_for_each_sheet(path):
    values, shapes = lines(path)
    assert len(values) == 9
    assert all(line["state"] == "waiting" and line["tiles"] == 3 and line["sha256"] is None for line in values.values())
    assert shapes["s_0961_6329"].bounds == (961_002, 6_327_998, 962_002, 6_328_998)
    assert pyogrio.read_info(path, layer="sheets")["crs"] == "EPSG:2154"
    assert np.isclose(sum(shape.area for shape in shapes.values()), 400 * 500 * 16)


def test_its_style_has_a_colour_for_each_state(path):
    style = pyogrio.raw.read(path, layer="layer_styles", read_geometry=False)
    values = dict(zip(style[0]["fields"], (field[0] for field in style[3]), strict=True))
    assert values["useAsDefault"]
    assert (values["f_table_name"], values["f_geometry_column"]) == ("sheets", "geom")
    assert all(f'value="{state}"' in values["styleQML"] for state in STATES)


def test_changes_are_seen_while_it_is_read(path):
    index = SheetIndex(path)
    now = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    with closing(sqlite3.connect(path)) as reader:
        # A reader in the middle of a query stops nothing.
        rows = reader.execute("SELECT name FROM sheets")
        rows.fetchone()
        index.note("s_0961_6329", state="running", tiles_done=1)
        index.note("s_0961_6329", tiles_done=2, started=now, worker="it's me")
        wait_for(path, "running")
        rows.fetchall()
    assert index.close() is None
    line = lines(path)[0]["s_0961_6329"]
    assert (line["tiles_done"], line["worker"]) == (2, "it's me")
    assert line["started"].astype("datetime64[s]") == np.datetime64("2026-05-06T07:08:09")
    assert sorted(item.name for item in path.parent.iterdir()) == ["i.gpkg"]


def test_changes_wait_for_whoever_edits_it(path):
    index = SheetIndex(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as editor:
        editor.execute("BEGIN IMMEDIATE")
        index.note("s_0961_6329", state="done")
        time.sleep(1.5)
        index.note("s_0961_6329", pixels=7)
        editor.execute("ROLLBACK")
    assert index.close() is None
    line = lines(path)[0]["s_0961_6329"]
    assert (line["state"], line["pixels"]) == ("done", 7)


def test_a_file_that_vanished_is_told_at_the_end(path):
    index = SheetIndex(path)
    path.unlink()
    index.note("s_0961_6329", state="done")
    assert "removed" in index.close()
    assert not path.exists()


def test_an_index_is_replaced_under_the_eyes_of_its_readers(path, tmp_path):
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT COUNT(*) FROM sheets").fetchone() == (9,)
        index = make(path, grid_of(200, 200, Affine(4, 0, 960_602, 0, -4, 6_329_398)))
        assert reader.execute("SELECT COUNT(*) FROM sheets").fetchone() == (4,)
    assert index.close() is None
    copy_index(path, tmp_path / "copy.gpkg")
    assert len(lines(tmp_path / "copy.gpkg")[0]) == 4
    assert sorted(item.name for item in tmp_path.iterdir()) == ["copy.gpkg", "i.gpkg"]


@pytest.mark.parametrize("crs", [None, CRS.from_wkt('LOCAL_CS["mine",UNIT["metre",1]]')])
def test_an_index_without_a_place_on_earth(tmp_path, crs):
    make(tmp_path / "i.gpkg", grid_of(400, 500, Affine(4, 0, 0, 0, -4, 0), crs)).close()
    assert len(lines(tmp_path / "i.gpkg")[0]) == 4


def test_the_log_stays_as_long_as_the_run_goes_on(path):
    """QGIS fails on a layer whose log vanishes under it, and it does not always hold the lock that would keep it."""
    index = SheetIndex(path)
    index.note("s_0961_6329", state="done")
    wait_for(path, "done")
    assert path.with_name("i.gpkg-wal").is_file()
    index.close()
    assert not path.with_name("i.gpkg-wal").exists()


def test_a_polygon_that_somebody_deleted_stops_nothing(path):
    index = SheetIndex(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as editor:
        # GDAL's triggers for the spatial index need functions that plain SQLite lacks.
        for (name,) in editor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            editor.execute(f'DROP TRIGGER "{name}"')
        editor.execute("DELETE FROM sheets WHERE name = 's_0961_6329'")
    index.note("s_0961_6329", state="done")
    index.note("s_0961_6328", state="running")
    wait_for(path, "running")
    assert index.close() is None
    assert len(lines(path)[0]) == 8
