from __future__ import annotations

import json
import os
import threading

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.errors import OutputError
from engine.rasters.percent_raster import confidence_layer, probabilities_layer
from engine.rasters.tile_store import work_folder
from engine.rasters.windows import PixelWindow
from tests.engine.rasters.stored_tiles import (
    CLASSES,
    LAMBERT,
    NOMENCLATURE,
    Reports,
    cut,
    fill,
    grid_of,
    land_cover,
    names_in,
    open_store,
    run_python,
    tiles_of,
)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "map.tif"


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def test_the_mosaic_is_the_image_to_the_pixel(output):
    image = land_cover(700, 900)
    rotated = Affine(0.2, 0.05, 961000, 0.04, -0.2, 6329000)
    store = open_store(output, grid_of(700, 900, rotated))
    fill(store, 256, classes=image)
    with rasterio.open(store.mosaic("classes")) as file:
        np.testing.assert_array_equal(file.read(1), image)
        assert file.crs == LAMBERT
        assert file.transform.almost_equals(rotated, precision=1e-12)
        assert file.nodata == 0
    store.close()


def test_tiles_that_are_missing_or_empty_are_nodata(output):
    store = open_store(output, grid_of(300, 300), layers=(CLASSES, confidence_layer()))
    store.write(PixelWindow(0, 0, 100, 300), None)
    image = np.full((100, 100), 3, dtype=np.uint8)
    store.write(PixelWindow(100, 100, 100, 100), {"classes": image, "confidence": image * 20})
    nothing = np.zeros((1, 100, 100), dtype=np.uint8)
    store.write(PixelWindow(200, 200, 100, 100), {"classes": nothing, "confidence": nothing + 255})
    expected = np.zeros((300, 300), dtype=np.uint8)
    expected[100:200, 100:200] = 3
    np.testing.assert_array_equal(read(store.mosaic("classes"))[0], expected)
    np.testing.assert_array_equal(read(store.mosaic("confidence"))[0], np.where(expected == 3, 60, 255))
    assert len(store.done) == 3
    assert len(list(store.folder.glob("tiles/*/*"))) == 2
    store.close()


def test_bands_keep_their_order(output):
    layer = probabilities_layer(NOMENCLATURE)
    store = open_store(output, grid_of(40, 50), layers=(layer,))
    image = np.random.default_rng(0).integers(0, 101, (layer.count, 40, 50)).astype(np.uint8)
    fill(store, 32, probabilities=image)
    np.testing.assert_array_equal(read(store.mosaic("probabilities")), image)
    store.close()


def test_work_folder_lies_hidden_beside_the_output(output):
    assert work_folder(output) == output.parent / ".map.tif.flair-work"


def test_remove_leaves_nothing_and_close_keeps_the_tiles(output):
    grid = grid_of(64, 64)
    store = open_store(output, grid)
    fill(store, 32, classes=land_cover(64, 64))
    store.mosaic("classes")
    store.close()
    assert names_in(output.parent) == {".map.tif.flair-work"}
    store = open_store(output, grid)
    assert len(store.done) == 4
    store.remove()
    assert names_in(output.parent) == set()


def test_remove_keeps_what_is_not_the_stores(output):
    store = open_store(output, grid_of(64, 64))
    (store.folder / "notes.txt").write_text("mine")
    store.remove()
    assert names_in(store.folder) == {"notes.txt"}


def test_a_later_run_goes_on_and_knows_the_counts(output):
    image = land_cover(100, 100)
    store = open_store(output, grid_of(100, 100))
    tiles = tiles_of(100, 100, 50)
    store.save_plan({"window": 50})
    for tile in tiles[:2]:
        store.write(tile, {"classes": cut(image, tile)})
    store.write(tiles[2], None)
    store.close()
    reports = Reports()
    store = open_store(output, grid_of(100, 100), reports=reports)
    assert store.done == set(tiles[:3])
    assert store.plan == {"window": 50}
    assert "3 tiles" in reports.lines[0]
    store.write(tiles[3], {"classes": cut(image, tiles[3])})
    image[50:, :50] = 0
    np.testing.assert_array_equal(read(store.mosaic("classes"))[0], image)
    codes, pixels = np.unique(image[image > 0], return_counts=True)
    assert store.counts() == dict(zip(codes.tolist(), pixels.tolist(), strict=True))
    store.close()


def test_counts_of_a_tile_written_twice_are_those_of_the_last(output):
    store = open_store(output, grid_of(10, 10))
    for value in (3, 5):
        store.write(PixelWindow(0, 0, 10, 10), {"classes": np.full((10, 10), value, dtype=np.uint8)})
    assert store.counts() == {5: 100}
    store.close()
    store = open_store(output, grid_of(10, 10))
    assert store.counts() == {5: 100}
    assert read(store.mosaic("classes")).max() == 5
    store.close()


def damage_journal(folder):
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"window":[50,50,50,50],"files":{"classes":[1')


def remove_tile(folder):
    (folder / "tiles/classes/50_50_50_50.tif").unlink()


def cut_tile(folder):
    path = folder / "tiles/classes/50_50_50_50.tif"
    path.write_bytes(path.read_bytes()[:-10])


def spoil_tile(folder):
    path = folder / "tiles/classes/50_50_50_50.tif"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("damage", "kept"), [(damage_journal, 4), (remove_tile, 3), (cut_tile, 3), (spoil_tile, 3)])
def test_what_is_torn_or_corrupt_is_done_again(output, damage, kept):
    image = land_cover(100, 100)
    store = open_store(output, grid_of(100, 100))
    fill(store, 50, classes=image)
    store.close()
    damage(store.folder)
    store = open_store(output, grid_of(100, 100))
    assert len(store.done) == kept
    for tile in set(tiles_of(100, 100, 50)) - store.done:
        store.write(tile, {"classes": cut(image, tile)})
    store.close()
    store = open_store(output, grid_of(100, 100))
    assert len(store.done) == 4
    np.testing.assert_array_equal(read(store.mosaic("classes"))[0], image)
    store.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": {"options": {"blend": True}, "model": "m"}}, "options blend: false, now true"),
        ({"fingerprint": {"options": {"blend": False}, "model": "other"}}, "model: m, now other"),
        ({"fingerprint": {"options": {"blend": False}, "model": "m", "area": "x.gpkg"}}, "area: none, now x.gpkg"),
        ({"grid": grid_of(100, 101)}, "grid width: 100, now 101"),
        ({"layers": (CLASSES, confidence_layer())}, "layers"),
        ({"resume": False}, "as asked"),
    ],
)
def test_other_settings_start_anew_and_say_which(output, change, said):
    first = {"fingerprint": {"options": {"blend": False}, "model": "m"}, "grid": grid_of(100, 100)}
    store = open_store(output, **first)
    fill(store, 50, classes=land_cover(100, 100))
    store.save_plan({"window": 50})
    store.close()
    reports = Reports()
    store = open_store(output, **(first | change), reports=reports)
    assert store.done == set()
    assert store.plan is None
    assert list(store.folder.glob("tiles/*/*")) == []
    assert len(reports.lines) == 1
    assert said in reports.lines[0]
    assert "starting anew" in reports.lines[0]
    store.close()


def test_a_new_store_has_nothing_to_say(output):
    reports = Reports()
    open_store(output, grid_of(10, 10), reports=reports).close()
    assert reports.lines == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": 0, "plan": null}'])
def test_an_unreadable_manifest_starts_anew(output, content):
    store = open_store(output, grid_of(10, 10))
    fill(store, 10, classes=np.full((10, 10), 3, dtype=np.uint8))
    store.close()
    (store.folder / "store.json").write_text(content)
    reports = Reports()
    store = open_store(output, grid_of(10, 10), reports=reports)
    assert store.done == set()
    assert "starting anew" in reports.lines[0]
    store.close()


def test_many_threads_write_at_once(output):
    image = land_cover(320, 320)
    store = open_store(output, grid_of(320, 320))
    tiles = tiles_of(320, 320, 32)

    def work(part):
        for tile in part:
            store.write(tile, {"classes": cut(image, tile)})

    threads = [threading.Thread(target=work, args=(tiles[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    store = open_store(output, grid_of(320, 320))
    assert store.done == set(tiles)
    np.testing.assert_array_equal(read(store.mosaic("classes"))[0], image)
    store.close()


@pytest.mark.parametrize(
    ("tile", "arrays"),
    [
        (PixelWindow(0, 0, 10, 11), {"classes": np.zeros((10, 11), dtype=np.uint8)}),
        (PixelWindow(-1, 0, 5, 5), None),
        (PixelWindow(0, 0, 10, 10), {"classes": np.zeros((10, 9), dtype=np.uint8)}),
        (PixelWindow(0, 0, 10, 10), {"classes": np.zeros((10, 10), dtype=np.int64)}),
        (PixelWindow(0, 0, 10, 10), {}),
    ],
)
def test_what_does_not_fit_is_refused(output, tile, arrays):
    store = open_store(output, grid_of(10, 10))
    with pytest.raises(ValueError, match=r"fit|inside|missing"):
        store.write(tile, arrays)
    assert store.done == set()
    store.close()


HOLD = """
store = open_store(Path(sys.argv[1]), grid_of(100, 100))
store.write(PixelWindow(0, 0, 50, 50), {"classes": land_cover(100, 100)[:50, :50].copy()})
print("held", flush=True)
sys.stdin.read()
"""


def test_two_runs_collide_and_a_killed_one_does_not_block(output):
    process = run_python(HOLD, output)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match="Another run is writing") as caught:
        open_store(output, grid_of(100, 100))
    assert str(output) in caught.value.message
    process.kill()
    process.communicate()
    store = open_store(output, grid_of(100, 100))
    assert store.done == {PixelWindow(0, 0, 50, 50)}
    store.remove()


WRITE = """
store = open_store(Path(sys.argv[1]), grid_of(1280, 1280))
image = land_cover(1280, 1280)
print("begin", flush=True)
for tile in tiles_of(1280, 1280, 64):
    if tile not in store.done:
        store.write(tile, {"classes": cut(image, tile)})
print("end", flush=True)
"""


def test_kill_in_the_middle_of_writing_and_resume_give_the_same_pixels(output):
    known = 0
    for seconds in (0.05, 0.1, 0.15):
        process = run_python(WRITE, output)
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        threading.Event().wait(seconds)
        process.kill()
        process.communicate()
        store = open_store(output, grid_of(1280, 1280))
        assert known <= len(store.done) < 400
        known = len(store.done)
        store.close()
    assert known > 0
    image = land_cover(1280, 1280)
    store = open_store(output, grid_of(1280, 1280))
    for tile in set(tiles_of(1280, 1280, 64)) - store.done:
        store.write(tile, {"classes": cut(image, tile)})
    np.testing.assert_array_equal(read(store.mosaic("classes"))[0], image)
    assert sum(store.counts().values()) == np.count_nonzero(image)
    store.remove()
    assert names_in(output.parent) == set()


LIMITED = """
import resource, signal
from engine.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(Path(sys.argv[1]), grid_of(512, 512))
store.write(PixelWindow(0, 0, 16, 16), {"classes": np.full((16, 16), 3, dtype=np.uint8)})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0).integers(1, 15, (512, 512)).astype(np.uint8)
try:
    store.write(PixelWindow(0, 0, 512, 512), {"classes": noise})
except OutputError as error:
    print(error.message)
    print(error.hint)
store.close()
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit of file sizes")
def test_a_disk_that_is_full_is_said_and_the_partial_tile_removed(output):
    process = run_python(LIMITED, output)
    message, hint, *_ = process.communicate()[0].splitlines()
    assert "disk is full" in message
    assert f"'{output.parent}'" in message
    assert "free: " in message
    assert "Free some space" in hint
    assert [path.name for path in work_folder(output).glob("tiles/*/*")] == ["0_0_16_16.tif"]
    store = open_store(output, grid_of(512, 512))
    assert store.done == {PixelWindow(0, 0, 16, 16)}
    store.close()


def test_a_journal_that_cannot_grow_leaves_no_tile(output, monkeypatch):
    store = open_store(output, grid_of(32, 32))

    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.rasters.journal.os.fsync", refuse)
    with pytest.raises(OutputError, match="disk is full"):
        store.write(PixelWindow(0, 0, 32, 32), {"classes": np.full((32, 32), 3, dtype=np.uint8)})
    monkeypatch.undo()
    assert list(store.folder.glob("tiles/*/*")) == []
    assert store.done == set()
    store.close()


def test_a_folder_that_cannot_be_made(tmp_path):
    with pytest.raises(OutputError, match="could not be written"):
        open_store(tmp_path / "missing" / "map.tif", grid_of(10, 10))


def test_the_manifest_is_plain_json(output):
    store = open_store(output, grid_of(10, 20), fingerprint={"files": ("a", "b")})
    store.close()
    values = json.loads((store.folder / "store.json").read_text())
    assert values["fingerprint"] == {"files": ["a", "b"]}
    assert (values["grid"]["height"], values["grid"]["width"]) == (10, 20)
    reports = Reports()
    open_store(output, grid_of(10, 20), fingerprint={"files": ("a", "b")}, reports=reports).close()
    assert reports.lines == []


def test_a_tile_that_comes_twice_counts_once_also_with_other_pixels(output):
    store = open_store(output, grid_of(100, 100))
    tile = PixelWindow(0, 0, 100, 100)
    store.write(tile, {"classes": np.full((100, 100), 3, dtype=np.uint8)})
    store.write(tile, {"classes": np.full((100, 100), 3, dtype=np.uint8)})
    assert store.counts() == {3: 10_000}
    journal = work_folder(output) / "journal.jsonl"
    assert journal.read_text().count("\n") == 1
    store.write(tile, {"classes": np.full((100, 100), 5, dtype=np.uint8)})
    assert store.counts() == {5: 10_000}
    assert (store.tile_count, journal.read_text().count("\n")) == (1, 2)
    store.close()
    again = open_store(output, grid_of(100, 100))
    assert again.counts() == {5: 10_000}
    again.close()
