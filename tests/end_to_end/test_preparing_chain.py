"""From products as they are delivered to a map: by qgis_process step by step, as the shipped chain, in a window."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.end_to_end import rasters
from tests.end_to_end.processes import MINUTES, PATIENCE, ROOT, names_in
from tests.end_to_end.products import deliver
from tests.end_to_end.qgis_runs import program
from tests.end_to_end.window_runs import run_in_window

DATA = Path(os.environ.get("FLAIR_TEST_DATA", ROOT.parent / "shared" / "data"))
CHAIN = ROOT / "resources" / "models3" / "prepare_and_classify.model3"
BANDS = ["red", "green", "blue", "infrared", "elevation"]


@pytest.fixture(scope="module")
def products(material, tmp_path_factory):
    return deliver(material.image, tmp_path_factory.mktemp("products"))


def layers(products):
    return {name.upper(): path for name, path in products.items()}


def destinations(qgis, model, **paths):
    """Return outputs of a model by the names that the version of QGIS at hand gives them."""
    # not as JSON, over which 3.22 crashes where an output of a model is a file
    answer = qgis.run("help", str(model))
    assert answer.code == 0, answer.text
    found = {name: re.search(rf"^((?:\w+:)?{name}): ", answer.stdout, re.MULTILINE) for name in paths}
    return {found[name][1]: path for name, path in paths.items()}


def assert_is_the_scene(material, image):
    """The bands of the products make the scene again; heights to the metre, as their pixels are coarser."""
    with rasterio.open(image) as dataset, rasterio.open(material.image) as scene:
        assert list(dataset.descriptions) == BANDS
        assert dataset.dtypes == ("uint8",) * 5
        assert dataset.crs == scene.crs
        assert dataset.transform.almost_equals(scene.transform)
        made, wanted = dataset.read(), scene.read()
    assert np.array_equal(made[:4], wanted[:4])
    assert np.median(np.abs(made[4].astype(int) - wanted[4])) <= 5


def test_prepare_then_classify(qgis, material, products, tmp_path):
    image, report = tmp_path / "image.tif", tmp_path / "report.html"
    answer = qgis.execute("flair:prepareinput", OUTPUT=image, REPORT=report, **layers(products))
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    assert results["BAND_NAMES"] == ", ".join(BANDS)
    assert results["PIXELS"] == 768 * 512
    assert results["REPORT"] == str(report)
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert_is_the_scene(material, image)
    answer = qgis.classify(INPUT=image, MODEL=material.model, OUTPUT=tmp_path / "map.tif")
    assert answer.code == 0, answer.text
    pixels = rasters.assert_is_class_raster(tmp_path / "map.tif", width=768, height=512, transform=material.transform)
    assert (pixels == rasters.read(material.map)).mean() > 0.8


def test_folders_of_tiles_and_an_extent(qgis, material, products, tmp_path):
    for name in ("rgb", "irc"):
        for part, (left, top) in enumerate(((0, 0), (384, 0), (0, 256), (384, 256))):
            folder = tmp_path / name / str(part)
            folder.mkdir(parents=True)
            rasters.cut(products[name], folder / "tile.tif", left, top, 384, 256)
    image = tmp_path / "image.tif"
    box = rasters_extent(material.transform, 300, 200, 200, 100)
    answer = qgis.execute(
        "flair:prepareinput", RGB_FOLDER=tmp_path / "rgb", IRC_FOLDER=tmp_path / "irc", EXTENT=box, OUTPUT=image
    )
    assert answer.code == 0, answer.text
    assert answer.json["results"]["BAND_NAMES"] == ", ".join(BANDS[:4])
    with rasterio.open(image) as made, rasterio.open(material.image) as scene:
        window = rasterio.windows.Window(300, 200, 200, 100)
        assert np.array_equal(made.read(), scene.read([1, 2, 3, 4], window=window))


def rasters_extent(transform, column, row, width, height):
    left, top = transform * (column, row)
    right, bottom = transform * (column + width, row + height)
    return f"{left},{right},{bottom},{top} [EPSG:2154]"


@pytest.mark.parametrize("chain", [CHAIN, "flair:prepareandclassify"], ids=["file", "toolbox"])
def test_shipped_model_goes_from_products_to_a_map(qgis, material, products, tmp_path, chain):
    image, output = tmp_path / "image.tif", tmp_path / "map.tif"
    outputs = destinations(qgis, chain, image=image, land_cover=output, report=tmp_path / "report.html")
    answer = qgis.execute(chain, timeout=2 * MINUTES, model_file=material.model, **products, **outputs)
    assert answer.code == 0, answer.text
    assert "Traceback" not in answer.text
    assert_is_the_scene(material, image)
    pixels = rasters.assert_is_class_raster(output, width=768, height=512, transform=material.transform)
    assert (pixels == rasters.read(material.map)).mean() > 0.8
    assert (tmp_path / "report.html").is_file()
    # the same as the two steps by hand
    material.classify(input=image, output=tmp_path / "direct.tif")
    assert np.array_equal(pixels, rasters.read(tmp_path / "direct.tif"))


@pytest.mark.real_data
def test_a_place_of_bd_ortho(qgis, tmp_path):
    place = {name: DATA / "bdortho" / f"town_{name}" for name in ("rgb_0m20.tif", "irc_0m20.tif")}
    place.update({name: DATA / "bdortho" / f"town_{name}" for name in ("dsm_0m50.tif", "dtm_0m50.tif")})
    if not all(path.exists() for path in place.values()):
        pytest.skip(f"there are no products in {DATA / 'bdortho'}")
    image = tmp_path / "town.tif"
    given = {name.partition("_")[0].upper(): path for name, path in place.items()}
    answer = qgis.execute("flair:prepareinput", OUTPUT=image, **given)
    assert answer.code == 0, answer.text
    with rasterio.open(image) as made, rasterio.open(place["irc_0m20.tif"]) as infrared:
        assert list(made.descriptions) == BANDS
        assert made.crs == "EPSG:2154"
        assert np.array_equal(made.read(4), infrared.read(1))
        # houses of some metres, at 0.2 m a unit
        assert 10 < np.percentile(made.read(5), 90) < 150


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DSM": None}, "belong together"),
        ({"IRC": None, "NIR": None, "INFRARED_BAND": 1}, "number of the infrared band is given"),
        ({"RGB": "/nowhere/x.tif"}, "There is no image /nowhere/x.tif"),
        ({"EXTENT": "0,10,0,10"}, "lies outside the image"),
        ({"DSM": None, "DTM": None, "HEIGHT": "dsm"}, 'allow it ("Accept bands that do not fit")'),
    ],
)
def test_mistakes_are_said_in_a_sentence(qgis, products, tmp_path, changes, message):
    values = {**layers(products), **changes, "OUTPUT": tmp_path / "image.tif"}
    given = {name: products.get(value, value) for name, value in values.items() if value is not None}
    answer = qgis.execute("flair:prepareinput", **given)
    assert answer.code != 0
    assert message in answer.text
    assert "Traceback" not in answer.text
    assert list(tmp_path.iterdir()) == []


def test_from_the_dialog_and_in_the_designer(material, products, display, tmp_path):
    if program("qgis") is None:
        pytest.skip("QGIS is not installed")
    output, report = tmp_path / "image.tif", tmp_path / "report.html"
    values = {**{name: [str(path)] for name, path in layers(products).items()}, "OUTPUT": str(output)}
    seen, pictures = run_in_window(
        "prepare_in_window.py",
        material,
        display,
        tmp_path,
        name="prepare",
        seconds=240,
        image=str(products["rgb"]),
        values={**values, "REPORT": str(report)},
        chain=str(CHAIN),
        model=str(material.model),
        map=str(tmp_path / "map.tif"),
    )
    assert seen["prepare"]["successful"], seen["log"]
    assert seen["prepare"]["longest_gap"] < PATIENCE
    assert len(seen["layers"]) == 1
    assert seen["colours"] == [1, 2, 3, -1]
    assert [name.partition(": ")[2].partition(" ")[0] for name in seen["bands"]] == BANDS
    assert_is_the_scene(material, output)
    assert seen["chain"] == ["Prepare and classify", ["Classify land cover", "Prepare an image"]]
    assert seen["valid"] == [True, []]
    assert seen["boxes"] > 10
    assert seen["run"]["successful"], seen["run_log"]
    rasters.assert_is_class_raster(tmp_path / "map.tif", width=768, height=512, transform=material.transform)
    assert ["Report", str(report)] in seen["results"]
    shown = ["chain.png", "chain_log.png", "checkdataset.png", "designer.png", "downloaddataset.png"]
    assert names_in(pictures) == [*shown, "downloadmodel.png", "image.png", "prepare.png", "prepare_log.png"]
