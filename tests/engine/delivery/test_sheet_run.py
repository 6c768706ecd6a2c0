"""Sheets that are written while tiles come in: what they hold, when they appear, and what outlives the process."""

from __future__ import annotations

import hashlib
import json
import shutil
import time

import numpy as np
import pytest
import rasterio

from engine.delivery import sheet_files
from engine.delivery.sheet_index import check_index, index_path
from engine.errors import Cancelled, OutputError
from engine.rasters.sheets import sheets_folder
from tests.engine.delivery.delivered import TRANSFORM, Delivery, Stored, index_of
from tests.engine.rasters.stored_tiles import LAMBERT, NOMENCLATURE, land_cover, names_in, run_python

NAMES = {f"map_{x}_{y}" for x in ("0960", "0961") for y in ("6330", "6329", "6328")}
EAST = {name for name in NAMES if "0961" in name}


@pytest.fixture
def output(tmp_path):
    return tmp_path / "map.vrt"


def picture():
    image = land_cover(400, 500)
    image[:, 350:] = 0  # the third column of sheets begins there
    return image


def wait_for(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def staged(output):
    return output.parent / f".{output.name}.flair-work" / "sheets"


def test_sheets_hold_the_image_at_its_place(output):
    image = picture()
    delivery = Delivery(output, image, FLAIR_MODEL="m")
    delivery.predict()
    assert delivery.finish() == {"sheets": 6, "index": str(index_path(output))}
    assert names_in(output.parent) == {"map.vrt", "map.qml", "map_sheets", "map_sheets.gpkg"}
    folder = sheets_folder(output)
    assert names_in(folder) == {name + end for name in NAMES for end in (".tif", ".tif.aux.xml", ".qml")}
    with rasterio.open(folder / "map_0961_6329.tif") as sheet:
        assert sheet.crs == LAMBERT
        assert sheet.nodata == 0
        assert sheet.transform == rasterio.Affine(4, 0, 961_002, 0, -4, 6_328_998)
        assert sheet.tags()["FLAIR_MODEL"] == "m"
        assert sheet.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert sheet.colormap(1)[1] == (*NOMENCLATURE.classes[0].rgb, 255)
        np.testing.assert_array_equal(sheet.read(1), image[100:350, 100:350])


def test_the_mosaic_moves_with_its_sheets_and_its_index(output, tmp_path):
    image = picture()
    delivery = Delivery(output, image)
    delivery.predict()
    delivery.finish()
    (tmp_path / "elsewhere").mkdir()
    for name in ("map.vrt", "map_sheets", "map_sheets.gpkg"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    moved = tmp_path / "elsewhere" / "map.vrt"
    with rasterio.open(moved) as file:
        np.testing.assert_array_equal(file.read(1), image)
        assert (file.transform, file.crs, file.nodata) == (TRANSFORM, LAMBERT, 0)
        assert file.colormap(1)[5] == (*NOMENCLATURE.classes[4].rgb, 255)
    assert "<Category>Building</Category>" in moved.read_text()
    found = [line["location"] for line in index_of(moved).values() if line["state"] == "done"]
    assert len(found) == 6
    assert all((moved.parent / location).is_file() for location in found)


def test_the_index_says_what_was_delivered(output):
    image = picture()
    delivery = Delivery(output, image)
    delivery.predict(worker="a")
    delivery.finish()
    lines = index_of(output)
    # Tiles reach into the third column, which holds nothing.
    assert {name for name, line in lines.items() if line["state"] == "done"} == NAMES
    assert {name for name, line in lines.items() if line["state"] == "empty"} == {n.replace("61_", "62_") for n in EAST}
    line = lines["map_0961_6329"]
    path = output.parent / line["location"]
    values, counts = np.unique(image[100:350, 100:350], return_counts=True)
    assert line["state"] == "done"
    assert line["tiles"] == line["tiles_done"] > 0
    assert line["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert json.loads(line["classes"]) == {str(v): int(c) for v, c in zip(values, counts, strict=True) if v}
    assert line["pixels"] == (image[100:350, 100:350] > 0).sum()
    assert line["worker"] == "a"
    assert line["started"] < line["finished"]
    # What a tile took is shared among its sheets by area.
    assert sum(item["seconds"] for item in lines.values()) == pytest.approx(2.0 * len(delivery.tiles), abs=0.01)


def test_sheets_appear_one_after_the_other(output):
    delivery = Delivery(output, picture())
    assert {line["state"] for line in index_of(output).values()} == {"waiting"}
    delivery.predict(1)
    wait_for(lambda: any(line["state"] == "running" for line in index_of(output).values()))
    delivery.predict(4)
    wait_for(lambda: any(line["state"] == "done" for line in index_of(output).values()))
    states = [line["state"] for line in index_of(output).values()]
    assert {"done", "waiting"} <= set(states)
    done = [line for line in index_of(output).values() if line["state"] == "done"]
    for line in done:
        path = output.parent / line["location"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == line["sha256"]
    assert not output.exists()
    delivery.stop(Cancelled())


def test_a_sheet_without_a_classified_pixel_is_empty(output):
    image = np.zeros((400, 500), dtype=np.uint8)
    image[0, 0] = 1
    delivery = Delivery(output, image)
    # Its tile reaches into the sheets below and to the right, which have no pixel of it.
    delivery.predict()
    assert delivery.finish()["sheets"] == 1
    states = sorted(line["state"] for line in index_of(output).values())
    assert states == ["done", "empty", "empty", "empty"]
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1), image)


def test_a_stopped_run_goes_on_with_its_finished_sheets(output):
    image = picture()
    first = Delivery(output, image)
    first.predict(9)
    wait_for(lambda: len(list(staged(output).glob("*.tif"))) >= 2)
    first.stop(Cancelled())
    lines = index_of(output)
    assert "running" not in {line["state"] for line in lines.values()}
    before = {path.name: path.stat().st_mtime_ns for path in staged(output).iterdir()}
    damaged = sorted(staged(output).glob("*.tif"))[0]
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    second = Delivery(output, image)
    assert any("sheets are there already" in line for line in second.reports.lines)
    second.predict()
    second.finish()
    after = {path.name: path.stat().st_mtime_ns for path in sheets_folder(output).iterdir()}
    again = {name for name, when in before.items() if after[name] != when}
    assert again == {damaged.name, f"{damaged.name}.aux.xml", f"{damaged.stem}.qml"}
    lines = index_of(output)
    assert {line["state"] for line in lines.values()} == {"done", "empty"}
    for line in lines.values():
        assert (
            line["state"] == "empty"
            or hashlib.sha256((output.parent / line["location"]).read_bytes()).hexdigest() == line["sha256"]
        )
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1), image)


def test_sheets_of_another_size_are_made_anew_from_the_tiles(output):
    image = picture()
    first = Delivery(output, image)
    first.predict()
    wait_for(lambda: len(list(staged(output).glob("*.tif"))) == 6)
    first.stop(Cancelled())
    second = Delivery(output, image, size=400)
    assert all(tile in second.store for tile in second.tiles)
    assert second.finish()["sheets"] > 6
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1), image)


KILLED = """
from tests.engine.delivery.delivered import Delivery
image = land_cover(400, 500)
image[:, 350:] = 0
delivery = Delivery(Path(sys.argv[1]), image)
delivery.predict(6)
print("ready", flush=True)
sys.stdin.read()
"""


def test_sheets_outlive_a_killed_process(output):
    process = run_python(KILLED, output)
    assert process.stdout.readline() == "ready\n"
    wait_for(lambda: len(list(staged(output).glob("*.tif"))) >= 2)
    wait_for(lambda: sum(line["state"] == "done" for line in index_of(output).values()) >= 2)
    process.kill()
    process.communicate()
    # The index can be read as it was left.
    states = {name: line["state"] for name, line in index_of(output).items()}
    assert {"done", "running", "waiting"} <= set(states.values())
    before = {path.name: path.stat().st_mtime_ns for path in staged(output).iterdir()}
    delivery = Delivery(output, picture())
    delivery.predict()
    delivery.finish()
    after = {path.name: path.stat().st_mtime_ns for path in sheets_folder(output).iterdir()}
    assert {name: after[name] for name in before} == before
    assert {line["state"] for line in index_of(output).values()} == {"done", "empty"}
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1), picture())


def test_what_was_delivered_before_stays_until_the_new_is_whole(output):
    image = picture()
    first = Delivery(output, image)
    first.predict()
    first.finish()
    earlier = {path.name: path.read_bytes() for path in sheets_folder(output).iterdir()}
    lines = index_of(output)
    second = Delivery(output, np.where(image > 0, 1, 0).astype(np.uint8))
    second.predict(9)
    wait_for(lambda: any(line["state"] == "done" for line in index_of(output).values()))
    assert {path.name: path.read_bytes() for path in sheets_folder(output).iterdir()} == earlier
    second.stop(Cancelled())
    assert index_of(output) == lines
    third = Delivery(output, np.where(image > 0, 1, 0).astype(np.uint8))
    third.predict()
    with pytest.raises(OutputError, match="exists already"):
        third.run.finish(overwrite=False, progress=lambda share: None)
    third.stop(OutputError("x", "y"))
    assert {path.name: path.read_bytes() for path in sheets_folder(output).iterdir()} == earlier
    fourth = Delivery(output, np.where(image > 0, 1, 0).astype(np.uint8))
    fourth.finish(overwrite=True)
    with rasterio.open(output) as file:
        assert set(np.unique(file.read(1))) == {0, 1}
    assert names_in(output.parent) == {"map.vrt", "map.qml", "map_sheets", "map_sheets.gpkg"}


def test_finished_sheets_return_when_the_mosaic_cannot_be_put_in_its_place(output, monkeypatch):
    delivery = Delivery(output, picture())
    delivery.predict()
    original = type(output).replace

    def replace(path, target):
        if path.name == "map.vrt":
            raise OSError(28, "No space left on device")
        return original(path, target)

    monkeypatch.setattr(type(output), "replace", replace)
    with pytest.raises(OutputError):
        delivery.run.finish(overwrite=False, progress=lambda share: None)
    monkeypatch.undo()
    assert not sheets_folder(output).exists()
    assert len(list(staged(output).glob("*.tif"))) == 6
    delivery.stop(OutputError("x", "y"))
    again = Delivery(output, picture())
    assert again.finish()["sheets"] == 6


def predict_and_finish(delivery):
    delivery.predict()
    delivery.finish()


def test_a_sheet_that_cannot_be_written_ends_the_run(output, monkeypatch):
    delivery = Delivery(output, picture())

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sheet_files, "write_cog", full)
    # The next tile, or the end, tells of it.
    with pytest.raises(OutputError, match="disk is full"):
        predict_and_finish(delivery)
    delivery.stop(OutputError("x", "y"))
    assert "failed" in {line["state"] for line in index_of(output).values()}
    assert not output.exists()


def test_a_tile_that_is_told_twice_counts_once(output):
    delivery = Delivery(output, picture())
    delivery.predict()
    for tile in delivery.tiles:
        delivery.run.stored(Stored(tile))
    assert delivery.finish()["sheets"] == 6
    assert all(line["tiles_done"] == line["tiles"] for line in index_of(output).values())


def test_nothing_classified_is_a_mosaic_without_sheets(output):
    delivery = Delivery(output, np.zeros((300, 300), dtype=np.uint8))
    assert delivery.finish()["sheets"] == 0
    with rasterio.open(output) as file:
        assert file.shape == (300, 300)
        assert not file.read(1).any()


def test_a_file_that_is_no_index_is_never_replaced(output):
    check_index(output)
    index_path(output).write_bytes(b"a thesis")
    with pytest.raises(OutputError, match=r"map_sheets\.gpkg.*something else"):
        check_index(output)
    index_path(output).unlink()
    delivery = Delivery(output, picture())
    delivery.stop(Cancelled())
    check_index(output)
    shutil.copy(index_path(output), output.with_name("copy.gpkg"))


def test_a_run_that_is_not_kept_leaves_no_index(output):
    delivery = Delivery(output, picture())
    delivery.predict(3)
    delivery.run.abandon(OutputError("x", "y"), kept=False)
    delivery.store.remove()
    assert names_in(output.parent) == set()
    assert not delivery.cancelled.is_set()
