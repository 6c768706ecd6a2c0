"""Inputs that do not go together, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from engine.errors import EngineError, InputError, OutputError, RequestError
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.commands.prepared_scene import inputs, read


@pytest.fixture
def refuse(make, tmp_path):
    """Run the command, which must fail and leave nothing behind; returns the error."""

    def start(kind=InputError, **options):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(kind) as caught:
            make(**options)
        assert sorted(tmp_path.rglob("*")) == before
        assert caught.value.hint
        return caught.value

    return start


def copy(path, target, **changes):
    """Write a raster anew with another CRS, place or values."""
    with rasterio.open(path) as file:
        values = {"crs": file.crs, "transform": file.transform, "nodata": file.nodata, **changes}
        return tiny.write(target, values.pop("pixels", file.read()), **values)


def test_surface_and_terrain_swapped(make, refuse, scene, recorder):
    swapped = {**inputs(scene, "rgb", "irc"), "dsm": scene["dtm"], "dtm": scene["dsm"]}
    error = refuse(**swapped)
    assert "dsm and dtm are swapped" in error.message
    assert "--allow-mismatch" in error.hint
    image = read(make(**swapped, allow_mismatch=True)["output"])[0]
    assert (image[4] == 0).mean() > 0.6
    assert any("swapped" in text for text in recorder.warnings)


def test_terrain_given_as_height_above_ground(refuse, scene, tmp_path):
    with rasterio.open(scene["dtm"]) as file:
        raised = copy(scene["dtm"], tmp_path / "height.tif", pixels=file.read() + 150)
    error = refuse(**inputs(scene, "rgb"), height=raised)
    assert "height of the terrain" in error.message
    assert "dsm and dtm" in error.hint


def test_heights_that_look_like_feet_are_only_warned_of(make, scene, tmp_path, recorder):
    with rasterio.open(scene["dsm"]) as surface, rasterio.open(scene["dtm"]) as terrain:
        tall = (surface.read() - terrain.read()) / 0.3048
        tall *= 70 / np.percentile(tall, 99.2)
        path = tiny.write(tmp_path / "height.tif", tall, transform=surface.transform)
    make(**inputs(scene, "rgb"), height=path)
    assert any("--height-unit foot" in text and "guess" in text for text in recorder.warnings)


def test_feet_can_be_given(make, scene, tmp_path):
    paths = {}
    for name in ("dsm", "dtm"):
        with rasterio.open(scene[name]) as file:
            pixels = file.read() / np.float32(0.3048)
        paths[name] = copy(scene[name], tmp_path / f"{name}.tif", pixels=pixels, nodata=None)
    feet = read(make(rgb=scene["rgb"], **paths, height_unit="foot")["output"])[0]
    metres = read(make(**inputs(scene, "rgb", "dsm", "dtm"), output=str(tmp_path / "metres.tif"))["output"])[0]
    assert (feet != metres).mean() < 1e-3


def test_a_vertical_crs_in_feet_is_believed(make, scene, tmp_path, recorder):
    compound = CRS.from_user_input("EPSG:2154+6360")
    paths = {name: copy(scene[name], tmp_path / f"{name}.tif", crs=compound) for name in ("dsm", "dtm")}
    make(rgb=scene["rgb"], **paths)
    assert any("feet" in text and "0.3048" in text for text in recorder.logs)


@pytest.mark.parametrize("order", [(0, 1, 3), (0, 3, 1), (1, 3, 0)])
def test_infrared_bands_in_another_order(make, refuse, scene, tmp_path, order, recorder):
    wrong = tiny.write(tmp_path / "irc.tif", scene["pixels"][list(order)], transform=scene["transform"])
    place = order.index(3) + 1
    error = refuse(rgb=scene["rgb"], irc=wrong)
    assert "Band 1 of the colour-infrared image is not infrared" in error.message
    assert f"near infrared is band {place}" in error.message
    assert f"--infrared-band {place}" in error.hint
    image = read(make(rgb=scene["rgb"], irc=wrong, infrared_band=place)["output"])[0]
    assert (image[3] == scene["pixels"][3]).all()


def test_the_orthophoto_given_as_infrared(refuse, scene, tmp_path):
    again = copy(scene["rgb"], tmp_path / "irc.tif")
    assert "is the orthophoto itself" in refuse(rgb=scene["rgb"], irc=again).message
    assert "is the orthophoto's red" in refuse(rgb=scene["rgb"], nir=again, infrared_band=1).message


def test_an_order_that_cannot_be_told_is_only_warned_of(make, scene, tmp_path, recorder):
    noise = np.random.default_rng(0).integers(0, 255, (3, 500, 600)).astype(np.uint8)
    path = tiny.write(tmp_path / "irc.tif", noise, transform=scene["transform"])
    make(rgb=scene["rgb"], irc=path)
    assert any("could not be checked" in text for text in recorder.warnings)


def test_near_infrared_among_several_bands(refuse, scene):
    error = refuse(rgb=scene["rgb"], nir=scene["irc"])
    assert "none is described as infrared" in error.message
    assert "--infrared-band" in error.hint
    assert "has 3 bands" in refuse(rgb=scene["rgb"], nir=scene["irc"], infrared_band=4).message


def test_colour_infrared_of_one_band(refuse, scene, tmp_path):
    path = tiny.write(tmp_path / "nir.tif", scene["pixels"][3:4], transform=scene["transform"])
    assert "has 1 band" in refuse(rgb=scene["rgb"], irc=path).message


@pytest.mark.parametrize("name", ["rgb", "irc", "dsm"])
def test_an_input_without_a_crs(make, refuse, scene, tmp_path, name):
    bare = {**inputs(scene), name: copy(scene[name], tmp_path / "bare.tif", crs=None)}
    error = refuse(**bare)
    assert f"given as {name}, has no CRS" in error.message
    assert "--crs EPSG:2154" in error.hint
    result = make(**bare, crs="EPSG:2154")
    with rasterio.open(result["output"]) as file:
        assert file.crs == CRS.from_epsg(2154)


def test_a_local_crs_is_none(make, refuse, scene, tmp_path):
    local = copy(scene["irc"], tmp_path / "irc.tif", crs='LOCAL_CS["local",UNIT["metre",1]]')
    assert "a local CRS" in refuse(rgb=scene["rgb"], irc=local).message
    assert make(rgb=scene["rgb"], irc=local, crs="EPSG:2154")["pixels"] == 300_000


def test_an_input_in_another_crs(refuse, scene, tmp_path):
    other = copy(scene["dsm"], tmp_path / "dsm.tif", crs="EPSG:3857")
    error = refuse(**inputs(scene, "rgb", "dtm"), dsm=other)
    assert "EPSG:3857" in error.message
    assert "EPSG:2154" in error.message
    assert "gdalwarp -t_srs EPSG:2154" in error.hint


def test_two_names_of_one_crs_are_one(make, scene, tmp_path):
    same = copy(scene["dsm"], tmp_path / "dsm.tif", crs="EPSG:9794")
    assert make(**inputs(scene, "rgb", "dtm"), dsm=same)["pixels"] == 300_000


def test_inputs_of_different_places(refuse, scene, tmp_path):
    moved = copy(scene["dtm"], tmp_path / "dtm.tif", transform=Affine.translation(5000, 0) @ scene["transform"])
    error = refuse(**inputs(scene, "rgb", "dsm"), dtm=moved)
    assert "dtm does not overlap the orthophoto" in error.message
    assert "858000" in error.message
    assert "853000" in error.message


def test_a_rotated_or_mirrored_image(refuse, scene, tmp_path):
    for name, turn in (("rotated", Affine.rotation(10)), ("upside down", Affine.scale(1, -1))):
        path = copy(scene["rgb"], tmp_path / f"{name}.tif", transform=scene["transform"] @ turn)
        error = refuse(rgb=path)
        assert "rotated, mirrored or upside down" in error.message
        assert "gdalwarp" in error.hint


def test_heights_with_three_bands(refuse, scene):
    assert "heights have one" in refuse(rgb=scene["rgb"], height=scene["irc"]).message


def test_an_image_without_colour(refuse, scene, tmp_path):
    path = tiny.write(tmp_path / "grey.tif", scene["pixels"][:1], transform=scene["transform"])
    error = refuse(rgb=path)
    assert "An orthophoto has the bands red, green, blue" in error.message
    assert "only 1 band" in error.message
    assert "model" not in str(error)


def test_nothing_but_nodata(refuse, scene, tmp_path):
    path = tiny.write(tmp_path / "empty.tif", np.zeros((3, 500, 600), np.uint8), transform=scene["transform"], nodata=0)
    assert "holds data" in refuse(rgb=path).message


def test_files_that_are_none(refuse, tmp_path, scene):
    assert "There is no file" in refuse(rgb=str(tmp_path / "missing.tif")).message
    text = tmp_path / "text.tif"
    text.write_text("no image")
    assert "not a raster" in refuse(rgb=str(text)).message
    assert "named twice" in refuse(rgb=[scene["rgb"], scene["rgb"]]).message


def test_a_name_that_tells_of_another_product(make, refuse, scene, tmp_path, recorder):
    terrain = copy(scene["dtm"], tmp_path / "LHD_FXX_0853_6541_MNT_O_0M50_LAMB93_IGN69.tif")
    error = refuse(**inputs(scene, "rgb"), dsm=terrain, dtm=scene["dtm"])
    assert "bears the name of a terrain model (MNT), but was given as dsm" in error.message
    make(**inputs(scene, "rgb"), dsm=terrain, dtm=scene["dtm"], allow_mismatch=True)
    assert any("bears the name" in text for text in recorder.warnings)


def test_an_extent_elsewhere(refuse, scene):
    assert "outside the image" in refuse(rgb=scene["rgb"], extent="0,1,0,1").message
    assert "is no extent" in refuse(RequestError, rgb=scene["rgb"], extent="here").message


def test_an_output_that_exists_stays_as_it_is(make, refuse, scene, tmp_path):
    path = tmp_path / "out.tif"
    path.write_text("mine")
    assert "exists already" in refuse(OutputError, rgb=scene["rgb"]).message
    assert path.read_text() == "mine"
    make(rgb=scene["rgb"], overwrite=True)
    assert read(path)[0].shape == (3, 500, 600)
    path.unlink()
    assert "out_report.html' exists already" in refuse(OutputError, rgb=scene["rgb"]).message


def test_an_output_that_is_an_input(refuse, scene, tmp_path):
    path = copy(scene["rgb"], tmp_path / "out.tif")
    assert "both input and output" in refuse(rgb=path, overwrite=True).message
    folder = str(tmp_path / "no folder" / "out.tif")
    assert "does not exist" in refuse(OutputError, rgb=scene["rgb"], output=folder).message


def test_a_full_disk_is_told_before_anything_is_made(refuse, scene, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("engine.preparation.image_file.shutil.disk_usage", lambda path: usage(10, 10, 1000))
    assert "free" in refuse(OutputError, rgb=scene["rgb"]).message


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"irc": "a.tif", "nir": "b.tif"}, "exclude each other"),
        ({"dsm": "a.tif"}, "belong together"),
        ({"height": "a.tif", "dsm": "b.tif", "dtm": "c.tif"}, "in place of dsm and dtm"),
        ({"percentiles": "1,99", "value_range": "0,4095"}, "exclude each other"),
        ({"value_range": "5,5"}, "low,high"),
        ({"percentiles": "-1,99"}, "0 to 100"),
        ({"output": "o.png"}, "must end in .tif or .vrt"),
        ({"infrared_band": 4}, "give one of them"),
        ({"bands": "infrared=4"}, "red, green and blue"),
        ({"fill_distance": 500}, "fill_distance"),
    ],
)
def test_options_that_contradict_each_other(options, text):
    with pytest.raises(EngineError) as caught:
        parse_request("prepare-input", {"rgb": "r.tif", "output": "o.tif", **options})
    assert text in caught.value.message
