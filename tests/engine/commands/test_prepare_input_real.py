"""BD ORTHO and LiDAR HD as IGN delivers them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio

from engine.errors import InputError
from tests.engine.commands.prepared_scene import read

pytestmark = pytest.mark.real_data
PLACES = ("town", "square_0", "square_1")


@pytest.fixture(scope="session")
def bdortho():
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("FLAIR_TEST_DATA", beside)) / "bdortho"
    if not folder.is_dir():
        pytest.skip(f"the real imagery is not at {folder}; set FLAIR_TEST_DATA")
    return folder


def parts(folder, place):
    names = {"rgb": "rgb_0m20", "irc": "irc_0m20", "dsm": "dsm_0m50", "dtm": "dtm_0m50"}
    return {option: str(folder / f"{place}_{name}.tif") for option, name in names.items()}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_becomes_five_bands(make, bdortho, place):
    files = parts(bdortho, place)
    result = make(**files)
    image, valid, names = read(result["output"])
    assert names == ("red", "green", "blue", "infrared", "elevation")
    assert valid.all()
    with rasterio.open(files["rgb"]) as rgb, rasterio.open(files["irc"]) as irc:
        assert (image[:3] == rgb.read()).all()
        assert (image[3] == irc.read(1)).all()
    # like what the models have learnt from: no band is two deviations off
    assert not any("standard deviations" in text for text in result["warnings"])
    assert 5 < result["statistics"]["elevation"]["mean"] < 60
    assert result["counts"]["below_ground"] == 0
    # a house or a tree, not a mountain
    assert 20 < image[4].max() < 150


@pytest.mark.parametrize("place", PLACES)
def test_every_wrong_infrared_band_is_found(make, bdortho, place):
    files = parts(bdortho, place)
    make(rgb=files["rgb"], irc=files["irc"])
    for wrong in (2, 3):
        with pytest.raises(InputError, match="Give --infrared-band 1"):
            make(rgb=files["rgb"], irc=files["irc"], infrared_band=wrong, overwrite=True)


@pytest.mark.parametrize("place", PLACES)
def test_swapped_images_are_found(make, bdortho, place):
    files = parts(bdortho, place)
    with pytest.raises(InputError, match="are swapped"):
        make(rgb=files["irc"], irc=files["rgb"])


@pytest.mark.parametrize("place", PLACES)
def test_swapped_models_are_found(make, bdortho, place):
    files = parts(bdortho, place)
    with pytest.raises(InputError, match="swapped"):
        make(rgb=files["rgb"], dsm=files["dtm"], dtm=files["dsm"])


def test_large_holes_are_filled_and_the_rest_is_told(make, bdortho, tmp_path):
    files = parts(bdortho, "square_0")
    result = make(**files)
    counts = result["counts"]
    assert counts["filled_height"] > 0.3 * counts["valid"]
    assert 0 < counts["without_height"] < 0.05 * counts["valid"]
    none = make(**files, fill_distance=0, output=str(tmp_path / "none.tif"))["counts"]
    assert none["without_height"] > 0.3 * none["valid"]
    assert none["filled_height"] == 0


def test_elevation_is_the_formula_where_both_models_are_whole(make, bdortho):
    files = parts(bdortho, "town")
    elevation = read(make(**files, fill_distance=0)["output"])[0][4]
    with rasterio.open(files["dsm"]) as surface, rasterio.open(files["dtm"]) as terrain:
        heights = [item.read(1).astype(np.float64) for item in (surface, terrain)]
        nodata = surface.nodata
    # 1.6 pixels of 0.5 m from the models' corner to the orthophoto's, 0.4 of them a pixel
    centres = 1.6 + 0.4 * (np.arange(252) + 0.5) - 0.5
    first = np.floor(centres).astype(int)
    share = centres - first

    def on_grid(values):
        rows = values[first] * (1 - share)[:, None] + values[first + 1] * share[:, None]
        return rows[:, first] * (1 - share) + rows[:, first + 1] * share

    whole = np.ones((252, 252), bool)
    for values in heights:
        whole &= on_grid((values == nodata).astype(float)) == 0
    expected = np.clip(np.rint(5 * np.maximum(on_grid(heights[0]) - on_grid(heights[1]), 0)), 0, 255)
    assert whole.mean() > 0.9
    # a rounding may go either way where a height lies half-way between two steps
    assert (elevation != expected)[whole].mean() < 1e-4
