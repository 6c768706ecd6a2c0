"""The demo's own arithmetic; `make demo` itself is run by hand."""

from __future__ import annotations

import subprocess

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.transform import from_origin

from engine.data.sample_scene import write_sample_scene
from engine.nomenclature import load_nomenclature
from scripts import demo


def write(path, codes, left=700000.0):
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="uint8", height=codes.shape[0], width=codes.shape[1],
        crs="EPSG:2154", transform=from_origin(left, 6600000, 0.2, 0.2),
    ) as file:  # fmt: skip
        file.write(codes, 1)
    return path


def test_table_compares_the_part_that_both_have(tmp_path):
    truth = np.full((10, 20), 10, dtype=np.uint8)
    truth[:, 15:] = 5
    found = np.full((10, 10), 10, dtype=np.uint8)
    found[:, 6:] = 5
    found[:, 0] = 0  # not classified
    table = demo.accuracy_table(write(tmp_path / "t.tif", truth), write(tmp_path / "f.tif", found, 700002.0))
    assert "Overall accuracy 88.9 %" in table  # 80 of 90 pixels
    water = next(line for line in table.splitlines() if line.startswith("Water"))
    assert water.split()[1:] == ["55.6", "80.0", "100.0", "80.0"]


def test_halves_cover_the_image_once(tmp_path):
    east = demo.eastern_half(write(tmp_path / "t.tif", np.ones((10, 21), dtype=np.uint8)), tmp_path / "west.gpkg")
    west = pyogrio.read_info(tmp_path / "west.gpkg")
    assert west["total_bounds"] == pytest.approx((700000.0, 6599998.0, 700002.0, 6600000.0))
    assert west["crs"] == "EPSG:2154"
    left, right, bottom, top = (float(value) for value in east.split(" ")[0].split(","))
    assert (left, right, bottom, top) == pytest.approx((700002.0, 700004.2, 6599998.0, 6600000.0))
    assert east.endswith("[EPSG:2154]")


@pytest.mark.parametrize(
    ("image", "model", "message"),
    [("missing.tif", None, "does not exist"), ("t.tif", None, "needs a model"), ("t.tif", "no.pth", "does not exist")],
)
def test_wrong_arguments_end_in_one_sentence(tmp_path, image, model, message):
    write(tmp_path / "t.tif", np.ones((4, 4), dtype=np.uint8))
    with pytest.raises(demo.DemoError, match=message):
        demo.run(tmp_path / image, tmp_path / model if model else None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_qgis_draws_the_map_in_the_classes_colours(tmp_path):
    if subprocess.run(["/usr/bin/python3", "-c", "import qgis.core"], capture_output=True, check=False).returncode:
        pytest.skip("the system's Python has no PyQGIS")
    scene = write_sample_scene(tmp_path, width=160, height=120)
    demo.draw_map(scene.image, scene.labels, tmp_path / "map.png", "A map")
    with rasterio.open(tmp_path / "map.png") as file:
        pixels = file.read([1, 2, 3]).reshape(3, -1).T
    with rasterio.open(scene.labels) as file:
        labels = file.read(1)
    codes, counts = np.unique(labels, return_counts=True)
    drawn = {tuple(color) for color in np.unique(pixels, axis=0).tolist()}
    common = set(codes[counts > 200].tolist())
    assert common
    for item in load_nomenclature("flair").classes:
        if item.code in common:
            assert item.rgb in drawn, item.name
    with pytest.raises(demo.DemoError, match="could not be drawn"):
        demo.draw_map(scene.image, tmp_path / "missing.tif", tmp_path / "other.png", "A map")
