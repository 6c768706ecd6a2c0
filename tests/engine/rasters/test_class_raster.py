from __future__ import annotations

import os
import threading
import time
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.errors import Cancelled, OutputError
from engine.rasters import cog
from engine.rasters.class_raster import write_class_raster
from engine.rasters.pyramid import halve
from engine.rasters.windows import PixelWindow
from tests.engine.rasters.stored_tiles import (
    LAMBERT,
    NOMENCLATURE,
    fill,
    finish,
    grid_of,
    land_cover,
    names_in,
    open_store,
    run_python,
)

TAGS = {"FLAIR_MODEL": "tiny <1>", "FLAIR_OPTIONS": '{"blend": false}'}


@pytest.fixture
def output(tmp_path):
    return tmp_path / "map.tif"


def stored(output, image, **grid):
    store = open_store(output, grid_of(*image.shape, **grid))
    fill(store, 256, classes=image)
    return store


def test_it_is_a_cloud_optimized_geotiff_of_the_stored_pixels(output):
    image = land_cover(1100, 1300)
    store = stored(output, image)
    shares: list[float] = []
    finish(write_class_raster, store, output, NOMENCLATURE, TAGS, progress=shares.append)
    store.remove()
    assert names_in(output.parent) == {"map.tif", "map.tif.aux.xml", "map.qml"}
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1), image)
        assert file.dtypes == ("uint8",)
        assert file.nodata == 0
        assert file.crs == LAMBERT
        assert file.transform == Affine(0.2, 0, 961000, 0, -0.2, 6329000)
        assert file.block_shapes == [(512, 512)]
        assert file.compression.name == "deflate"
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1) == [2, 4]
        assert file.descriptions == ("Land cover",)
        colors = file.colormap(1)
        tags = file.tags()
    assert colors[0] == (0, 0, 0, 0)
    assert all(colors[item.code] == (*item.rgb, 255) for item in NOMENCLATURE.classes)
    assert {key: tags[key] for key in TAGS} == TAGS
    assert tags["TIFFTAG_SOFTWARE"] == "FLAIR land cover"
    assert not any("STATISTICS" in key for key in tags)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_overviews_are_by_mode_and_end_below_512(output):
    image = land_cover(1100, 1300)
    finish(write_class_raster, stored(output, image), output, NOMENCLATURE, {})
    expected = image[np.newaxis]
    for level in (0, 1):
        expected = halve(expected, 0, "mode")
        with rasterio.open(output, overview_level=level) as file:
            np.testing.assert_array_equal(file.read(), expected)
    assert max(expected.shape) < 512


def test_companions_hold_the_palette(output):
    finish(write_class_raster, stored(output, land_cover(30, 30)), output, NOMENCLATURE, {})
    entries = ElementTree.parse(output.with_suffix(".qml")).findall(".//paletteEntry")
    assert [int(entry.get("value", "")) for entry in entries] == [item.code for item in NOMENCLATURE.enabled]
    categories = ElementTree.parse(f"{output}.aux.xml").findall(".//Category")
    assert categories[1].text == "Building"


def test_an_output_may_be_called_like_an_overview(tmp_path):
    output = tmp_path / "overview1.tif"
    finish(write_class_raster, stored(output, land_cover(600, 600)), output, NOMENCLATURE, {})
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1), land_cover(600, 600))


@pytest.mark.parametrize("shape", [(1, 1), (1, 600), (512, 3)])
def test_small_rasters(output, shape):
    image = np.full(shape, 3, dtype=np.uint8)
    finish(write_class_raster, stored(output, image), output, NOMENCLATURE, {})
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1), image)


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (Affine(0.2, 0.05, 961000, 0.04, -0.2, 6329000), LAMBERT),
        (Affine(1e-6, 0, 2.5, 0, -1e-6, 48.5), rasterio.crs.CRS.from_epsg(4326)),
        (Affine(0.2, 0, 10, 0, -0.2, 20), None),
        (Affine.identity(), None),
        (Affine(0.2, 0, 961000, 0, 0.2, 6329000), LAMBERT),
    ],
)
def test_it_lies_where_the_image_lies(output, transform, crs):
    image = land_cover(60, 70)
    finish(write_class_raster, stored(output, image, transform=transform, crs=crs), output, NOMENCLATURE, {})
    with rasterio.open(output) as file:
        assert file.transform.almost_equals(transform, precision=1e-12)
        assert file.crs == crs
        np.testing.assert_array_equal(file.read(1), image)


def test_nothing_classified_is_a_whole_file_of_nodata(output):
    store = open_store(output, grid_of(600, 700))
    store.write(PixelWindow(0, 0, 600, 700), None)
    finish(write_class_raster, store, output, NOMENCLATURE, {})
    with rasterio.open(output) as file:
        assert file.shape == (600, 700)
        assert not file.read(1).any()


def test_a_huge_raster_that_is_almost_empty_is_quick(output):
    store = open_store(output, grid_of(100_000, 100_000))
    image = land_cover(512, 512)
    store.write(PixelWindow(70_000, 81_920, 512, 512), {"classes": image})
    start = time.monotonic()
    finish(write_class_raster, store, output, NOMENCLATURE, {})
    assert time.monotonic() - start < 10
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1, window=rasterio.windows.Window(81_920, 70_000, 512, 512)), image)
        assert file.overviews(1)[-1] == 256
    with rasterio.open(output, overview_level=7) as file:
        assert file.read(1).any()


def test_an_existing_output_is_replaced_only_when_allowed(output):
    store = stored(output, land_cover(300, 300))
    output.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        finish(write_class_raster, store, output, NOMENCLATURE, {})
    assert output.read_bytes() == b"old"
    seen: list[bytes] = []
    finish(
        write_class_raster, store, output, NOMENCLATURE, {}, overwrite=True,
        progress=lambda share: seen.append(output.read_bytes()),
    )  # fmt: skip
    assert set(seen) == {b"old"}
    with rasterio.open(output) as file:
        assert file.read(1).any()


@pytest.mark.parametrize("share", [0.0, 0.35, 0.9])
def test_cancelling_leaves_the_old_output_and_nothing_else(output, share):
    store = stored(output, land_cover(600, 600))
    output.write_bytes(b"old")
    reached: list[float] = []
    with pytest.raises(Cancelled):
        finish(
            write_class_raster, store, output, NOMENCLATURE, {}, overwrite=True,
            progress=reached.append, cancelled=lambda: bool(reached) and reached[-1] >= share,
        )  # fmt: skip
    store.remove()
    assert names_in(output.parent) == {"map.tif"}
    assert output.read_bytes() == b"old"


def test_cancelling_does_not_wait_for_gdal(output, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(cog.rasterio.shutil, "copy", lambda *_, **__: release.wait(20))
    store = stored(output, land_cover(30, 30))
    start = time.monotonic()
    with pytest.raises(Cancelled):
        finish(write_class_raster, store, output, NOMENCLATURE, {}, cancelled=lambda: time.monotonic() - start > 0.3)
    assert time.monotonic() - start < 1.5
    release.set()


def cut_short(path):
    os.truncate(path, path.stat().st_size - 1000)


def change_pixels(path):
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        block = file.read(1, window=rasterio.windows.Window(0, 0, 16, 16))
        file.write(block + 1, 1, window=rasterio.windows.Window(0, 0, 16, 16))


@pytest.mark.parametrize("spoil", [cut_short, change_pixels])
def test_a_file_that_is_not_whole_never_becomes_the_output(output, monkeypatch, spoil):
    store = stored(output, land_cover(600, 600))
    copy = cog.rasterio.shutil.copy

    def spoiled(source, path, **options):
        copy(source, path, **options)
        spoil(path)

    monkeypatch.setattr(cog.rasterio.shutil, "copy", spoiled)
    with pytest.raises(OutputError, match="could not be written whole"):
        finish(write_class_raster, store, output, NOMENCLATURE, {})
    store.remove()
    assert names_in(output.parent) == set()


LIMITED = """
import resource, signal
from engine.errors import OutputError
from engine.rasters.class_raster import write_class_raster
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
output = Path(sys.argv[1])
store = open_store(output, grid_of(700, 700))
image = np.random.default_rng(0).integers(1, 15, (700, 700)).astype(np.uint8)
fill(store, 100, classes=image)
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    finish(write_class_raster, store, output, NOMENCLATURE, {}, overwrite=True)
except OutputError as error:
    print("OutputError", error.message)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit of file sizes")
@pytest.mark.parametrize("limit", [40_000, 100_000, 250_000])
def test_a_full_disk_keeps_the_old_output(output, limit):
    output.write_bytes(b"old")
    said, errors = run_python(LIMITED, output, limit).communicate()
    assert said.startswith("OutputError"), errors
    assert "free" in said
    assert "partial" not in said
    assert names_in(output.parent) == {"map.tif", ".map.tif.flair-work"}
    assert output.read_bytes() == b"old"


KILLED = """
import os
from engine.rasters.class_raster import write_class_raster
output = Path(sys.argv[1])
store = open_store(output, grid_of(600, 600))
fill(store, 200, classes=land_cover(600, 600))
def progress(share):
    if share >= 0.9:
        os.kill(os.getpid(), 9)
finish(write_class_raster, store, output, NOMENCLATURE, {}, overwrite=True, progress=progress)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs kill -9")
def test_kill_while_finishing_keeps_the_old_output_and_the_next_run_cleans_up(output):
    output.write_bytes(b"old")
    process = run_python(KILLED, output)
    process.communicate()
    assert process.returncode == -9
    assert output.read_bytes() == b"old"
    store = open_store(output, grid_of(600, 600))
    assert len(store.done) == 9
    finish(write_class_raster, store, output, NOMENCLATURE, {}, overwrite=True)
    store.remove()
    assert names_in(output.parent) == {"map.tif", "map.tif.aux.xml", "map.qml"}
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1), land_cover(600, 600))
