"""A season in qgis_process: prepared from downloads, and a map made with it by a tiny network."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.data.time_series.date_folder import DateFolder, Ground
from engine.models.model_file import save_model
from tests.end_to_end.processes import ROOT
from tests.end_to_end.qgis_runs import Qgis, program
from tests.engine import season_files, tiny
from tests.engine.season_files import PATCH, RATIO, SIDE


@pytest.fixture(scope="module")
def bare_qgis(tmp_path_factory):
    """qgis_process with the checkout as its plugin."""
    if program("qgis_process") is None:
        pytest.skip("QGIS is not installed")
    folder = tmp_path_factory.mktemp("season_qgis")
    return Qgis(folder, ROOT, folder / "cache").enable()


def test_downloads_become_a_season_and_with_the_image_a_styled_map(bare_qgis, tmp_path):
    described = season_files.manifest()
    made = season_files.network(described)
    model = tmp_path / "seasonal.safetensors"
    save_model(model, made, described)
    pixels = tiny.smooth(3, PATCH, PATCH)
    image = tiny.write(tmp_path / "image é.tif", pixels)
    season_files.write_series(tmp_path / "downloads", PATCH, PATCH, around=30)
    season = tmp_path / "season"
    prepared = bare_qgis.execute(
        "flair:preparetimeseries", INPUT=tmp_path / "downloads", IMAGE=image, SEASON_BANDS="B02,B03,B04",
        PIXEL_SIZE=season_files.PIXEL, MARGIN=30, OUTPUT=season,
    )  # fmt: skip
    assert prepared.code == 0, prepared.text
    results = prepared.json["results"]
    assert (results["KEPT"], results["DROPPED"], results["OUTPUT"]) == (4, 0, str(season))
    with rasterio.open(season / "2021-06-04.tif") as file:
        # 30 m are 18.75 pixels: 19 of the downloads' own.
        assert file.transform == Affine(1.6, 0, 650000 - 19 * 1.6, 0, -1.6, 6860000 + 19 * 1.6)
        assert file.descriptions == season_files.SEASON_BANDS

    output = tmp_path / "map.tif"
    refused = bare_qgis.classify(INPUT=image, MODEL=model, OUTPUT=output)
    assert refused.code != 0
    assert "The model seasonal also looks at the season" in refused.text
    answer = bare_qgis.classify(INPUT=image, MODEL=model, SEASON=season, DEVICE="cpu", OUTPUT=output)
    assert answer.code == 0, answer.text
    placed = Affine(0.2, 0, 650000, 0, -0.2, 6860000)
    ground = Ground(rasterio.crs.CRS.from_epsg(2154), placed, PATCH, PATCH, RATIO, SIDE)
    series = DateFolder.open(season).cut(ground).series.by_month()
    assert series.dates == 4
    expected = tiny.codes_of(season_files.truth(made, described, pixels, series))
    with rasterio.open(output) as file:
        assert file.transform == placed
        assert (file.read(1) == expected).mean() > 0.9999
        assert len(np.unique(expected)) > 1
        assert file.colormap(1)[7] == (255, 0, 0, 255)
    entries = ElementTree.parse(output.with_suffix(".qml")).iter("paletteEntry")
    assert {entry.get("value"): entry.get("color") for entry in entries}["5"] == "#0000ff"
