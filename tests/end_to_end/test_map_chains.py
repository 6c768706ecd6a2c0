"""The chains that go on from a land-cover map, by qgis_process; all shipped chains in the designer."""

from __future__ import annotations

import csv

import numpy as np
import pyogrio
import pytest
import rasterio

from tests.end_to_end import rasters
from tests.end_to_end.processes import ROOT, names_in
from tests.end_to_end.qgis_runs import program
from tests.end_to_end.test_preparing_chain import destinations
from tests.end_to_end.window_runs import run_in_window

FOLDER = ROOT / "resources" / "models3"
STEPS = {
    "classify_and_count": ["flair:areastatistics", "flair:classify", "flair:polygonise"],
    "compare_two_years": ["flair:change", "flair:classify", "flair:classify"],
    "prepare_and_classify": ["flair:classify", "flair:prepareinput"],
    "train_on_my_area": ["flair:classify", "flair:extractpatches", "flair:train"],
}


def test_classify_polygonise_and_count(qgis, material, tmp_path):
    made = {"land_cover": tmp_path / "map.tif", "polygons": tmp_path / "polygons.gpkg"}
    made.update(folder=tmp_path / "areas", report=tmp_path / "report.html")
    named = destinations(qgis, FOLDER / "classify_and_count.model3", **made)
    answer = qgis.execute("flair:classifyandcount", images=material.image, model_file=material.model, **named)
    assert answer.code == 0, answer.text
    pixels = rasters.read(made["land_cover"])
    assert np.array_equal(pixels, rasters.read(material.map))
    polygons = pyogrio.raw.read(made["polygons"], layer="polygons")[3]
    fields = dict(zip(pyogrio.read_info(made["polygons"], layer="polygons")["fields"], polygons, strict=True))
    # small polygons have joined a neighbour, and the pixels are all there
    assert fields["pixels"].sum() == pixels.size
    assert fields["area_m2"].min() > 24
    with open(made["folder"] / "areas.csv", newline="", encoding="utf-8-sig") as stream:
        hectares = sum(float(row["hectares"]) for row in csv.DictReader(stream) if row["class"])
    assert hectares == pytest.approx(pixels.size * 0.2**2 / 10_000, rel=0.002)
    assert "Areas by class" in made["report"].read_text(encoding="utf-8")


def test_compare_two_years(qgis, material, tmp_path):
    """The later image is the earlier one with its right half shown upside down."""
    later = tmp_path / "later.tif"
    with rasterio.open(material.image) as dataset:
        profile, bands, names = dataset.profile, dataset.read(), dataset.descriptions
    half = bands.shape[2] // 2
    bands[:, :, half:] = bands[:, ::-1, half:]
    with rasterio.open(later, "w", **profile) as dataset:
        dataset.write(bands)
        dataset.descriptions = names
    made = {"before_map": tmp_path / "before.tif", "after_map": tmp_path / "after.tif"}
    made.update(changes=tmp_path / "changes.tif", folder=tmp_path / "change", report=tmp_path / "report.html")
    named = destinations(qgis, FOLDER / "compare_two_years.model3", **made)
    answer = qgis.execute(
        "flair:comparetwoyears", before=material.image, after=later, model_file=material.model, **named
    )
    assert answer.code == 0, answer.text
    assert np.array_equal(rasters.read(made["before_map"]), rasters.read(material.map))
    changes = rasters.read(made["changes"])
    # far from the seam nothing has changed on the left; on the right much has
    assert (changes[:, : half - 256] == 1).mean() > 0.99
    assert (changes[:, half:] > 100).mean() > 0.2
    assert "sealed" in made["report"].read_text(encoding="utf-8").lower()
    assert (made["folder"] / "change.csv").is_file()


def test_all_chains_open_in_the_designer(material, display, tmp_path):
    if program("qgis") is None:
        pytest.skip("QGIS is not installed")
    seen, pictures = run_in_window(
        "designer_in_window.py",
        material,
        display,
        tmp_path,
        name="designer",
        seconds=90,
        chains=[str(FOLDER / f"{name}.model3") for name in STEPS],
    )
    assert {path.stem for path in FOLDER.iterdir()} == set(STEPS)
    assert {name: chain["steps"] for name, chain in seen["chains"].items()} == STEPS
    for name, chain in seen["chains"].items():
        assert chain["valid"] == [True, []], name
        assert chain["boxes"] > 10, name
        assert f"flair:{name.replace('_', '')}" in seen["listed"]
    assert names_in(pictures) == [f"{name}.png" for name in STEPS]
