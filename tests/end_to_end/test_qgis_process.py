"""flair:classify in qgis_process: results."""

from __future__ import annotations

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.features
import rasterio.warp
import shapely
from affine import Affine

from tests.end_to_end import rasters
from tests.end_to_end.processes import names_in

ALGORITHMS = ("flair:extractpatches", "flair:train", "flair:classify", "flair:setupengine", "flair:diagnostics")
ALGORITHMS += ("flair:evaluate", "flair:benchmark")


def test_lists_the_plugin_and_its_algorithms(qgis):
    plugins = qgis.run("plugins")
    assert plugins.code == 0
    assert "* flair_land_cover" in plugins.stdout
    listed = qgis.run("list")
    assert listed.code == 0
    assert "FLAIR land cover" in listed.stdout
    for name in ALGORITHMS:
        assert name in listed.stdout
    assert "Traceback" not in plugins.text + listed.text


def test_help_describes_every_parameter(qgis):
    answer = qgis.run("--json", "help", "flair:classify")
    assert answer.code == 0
    parameters, outputs = answer.json["parameters"], answer.json["outputs"]
    assert {"INPUT", "MODEL", "MODEL_NAME", "BANDS", "EXTENT", "AREA", "OUTPUT", "CONFIDENCE"} <= set(parameters)
    assert parameters["INPUT"]["optional"] is False
    assert parameters["EXTENT"]["optional"] is True
    assert {"OUTPUT", "PIXELS", "SECONDS"} <= set(outputs)
    for name, parameter in parameters.items():
        assert parameter["description"], name


def test_gives_the_same_as_the_command_line_and_carries_its_style(qgis, material, tmp_path):
    output, confidence = tmp_path / "land cover é.tif", tmp_path / "confidence.tif"
    answer = qgis.classify(INPUT=material.image, MODEL=material.model, OUTPUT=output, CONFIDENCE=confidence)
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    assert results["OUTPUT"] == str(output)
    assert results["CONFIDENCE"] == str(confidence)
    assert results["PIXELS"] == 768 * 512
    assert results["SECONDS"] > 0
    pixels = rasters.assert_is_class_raster(output, width=768, height=512, transform=material.transform)
    assert np.array_equal(pixels, rasters.read(material.map))
    with rasterio.open(confidence) as dataset:
        assert dataset.nodata == 255
        assert dataset.transform == material.transform
        values = dataset.read(1)
    assert 0 < values.min() <= values.max() <= 100
    assert names_in(tmp_path) == sorted(
        ["confidence.qml", "confidence.tif", output.name, f"{output.name}.aux.xml", "land cover é.qml"]
    )


def test_the_trained_model_knows_the_scene(material):
    # what the other tests compare must mean something: far more right than the commonest class alone
    found, wanted = rasters.read(material.map), rasters.read(material.labels)
    commonest = np.bincount(wanted.ravel()).max() / wanted.size
    right = float((found == wanted).mean())
    print(f"{right:.1%} right, the commonest class alone {commonest:.1%}")
    assert right > commonest + 0.05
    assert len(np.unique(found)) >= 4


def test_temporary_output(qgis, material):
    answer = qgis.classify(INPUT=material.image, MODEL=material.model, OUTPUT="TEMPORARY_OUTPUT")
    assert answer.code == 0, answer.text
    assert answer.json["results"]["OUTPUT"].endswith(".tif")
    assert answer.json["results"]["PIXELS"] == 768 * 512


def test_extent(qgis, material, tmp_path):
    output = tmp_path / "part.tif"
    x, y = 853_000.0, 6_541_000.0
    # whole pixels: columns 200 to 500, rows 100 to 300
    extent = f"{x + 40},{x + 100},{y - 60},{y - 20} [EPSG:2154]"
    answer = qgis.classify(INPUT=material.image, MODEL=material.model, EXTENT=extent, OUTPUT=output)
    assert answer.code == 0, answer.text
    pixels = rasters.assert_is_class_raster(
        output, width=300, height=200, transform=material.transform @ Affine.translation(200, 100)
    )
    assert (pixels > 0).all()
    whole = rasters.read(material.map)[100:300, 200:500]
    assert (pixels != whole).mean() < 0.005


def test_area_in_another_crs(qgis, material, tmp_path):
    output = tmp_path / "area.tif"
    x, y = 853_000.0, 6_541_000.0
    triangle = shapely.Polygon([(x + 20, y - 20), (x + 120, y - 20), (x + 20, y - 80)])
    # a degree is so long that the area is given to a centimetre only
    file = tmp_path / "area.gpkg"
    longitudes, latitudes = rasterio.warp.transform("EPSG:2154", "EPSG:4326", *triangle.exterior.xy)
    placed = shapely.Polygon(list(zip(longitudes, latitudes, strict=True)))
    pyogrio.raw.write(
        file, shapely.to_wkb(np.array([placed])), [], [], driver="GPKG", geometry_type="Polygon", crs="EPSG:4326"
    )
    answer = qgis.classify(INPUT=material.image, MODEL=material.model, AREA=file, OUTPUT=output)
    assert answer.code == 0, answer.text
    with rasterio.open(output) as dataset:
        assert dataset.crs.to_epsg() == 2154
        inside = rasterio.features.geometry_mask(
            [triangle], dataset.shape, dataset.transform, invert=True, all_touched=False
        )
        pixels = dataset.read(1)
        column, row = (round(value) for value in ~material.transform @ (dataset.transform.c, dataset.transform.f))
    assert ((pixels > 0) == inside).mean() > 0.99
    assert (pixels[:40, :40] > 0).mean() > 0.8
    assert not (pixels[-40:, -40:] > 0).any()
    whole = rasters.read(material.map)[row : row + pixels.shape[0], column : column + pixels.shape[1]]
    assert (pixels != whole)[pixels > 0].mean() < 0.005


def test_bands_by_number(qgis, material, tmp_path):
    # the bands in another order, without names: only the parameter tells
    shuffled = rasters.read_all(material.image)[[4, 3, 0, 1, 2]]
    image = rasters.write(tmp_path / "shuffled.tif", shuffled, transform=material.transform, names=False)
    bands = "elevation=1, infrared=2, red=3, green=4, blue=5"
    output = tmp_path / "out.tif"
    answer = qgis.classify(INPUT=image, MODEL=material.model, BANDS=bands, OUTPUT=output)
    assert answer.code == 0, answer.text
    assert np.array_equal(rasters.read(output), rasters.read(material.map))


def test_several_images_make_one_map(qgis, material, tmp_path):
    parts = [
        rasters.cut(material.image, tmp_path / "west.tif", 0, 0, 300, 512),
        rasters.cut(material.image, tmp_path / "east.tif", 300, 0, 468, 512),
    ]
    output = tmp_path / "out.tif"
    answer = qgis.classify(INPUT=parts, MODEL=material.model, OUTPUT=output)
    assert answer.code == 0, answer.text
    pixels = rasters.assert_is_class_raster(output, width=768, height=512, transform=material.transform)
    assert np.array_equal(pixels, rasters.read(material.map))


def test_an_existing_output_is_replaced_unless_forbidden(qgis, material, tmp_path):
    output = tmp_path / "out.tif"
    values = {"INPUT": material.image, "MODEL": material.model, "OUTPUT": output}
    output.write_bytes(b"something else")
    refused = qgis.classify(**values, OVERWRITE="false")
    assert refused.code != 0
    assert "exists already" in refused.stderr
    assert output.read_bytes() == b"something else"
    assert qgis.classify(**values).code == 0
    assert np.array_equal(rasters.read(output), rasters.read(material.map))


@pytest.mark.parametrize("name", ["diagnostics"])
def test_other_algorithms_run(qgis, name):
    answer = qgis.run("--json", "run", f"flair:{name}")
    assert answer.code == 0, answer.text
    assert answer.json["results"]
    assert "Traceback" not in answer.text
