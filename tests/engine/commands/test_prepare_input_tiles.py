"""Folders of tiles, gaps between them, years, and virtual rasters over them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.commands.classify import run as classify
from engine.errors import InputError, RequestError
from tests.engine import tiny
from tests.engine.commands.prepared_scene import inputs, read

SIDE = 250


def tile_name(row, column, year=2021, irc=False):
    # as IGN does: kilometres of the upper left corner, here as if tiles had a side of one kilometre
    return f"38-{year}-{853 + column:04d}-{6541 - row:04d}-LA93-0M20-{'IRC-' if irc else ''}E080.tif"


def cut(scene, folder, *, irc=False, left_out=(), year=2021, years=None, dtype=None):
    """Write the scene's tiles of 250 x 200 pixels, as one folder of a delivery; returns the folder."""
    folder.mkdir(exist_ok=True)
    pixels = scene["pixels"][[3, 0, 1]] if irc else scene["pixels"][:3]
    for row in range(2):
        for column in range(3):
            if (row, column) in left_out:
                continue
            part = pixels[:, row * SIDE : (row + 1) * SIDE, column * 200 : (column + 1) * 200]
            transform = scene["transform"] @ Affine.translation(column * 200, row * SIDE)
            name = tile_name(row, column, (years or {}).get((row, column), year), irc)
            tiny.write(folder / name, part.astype(dtype or part.dtype), transform=transform)
    return str(folder)


def test_folders_of_tiles_are_one_image(make, scene, tmp_path):
    rgb, irc = cut(scene, tmp_path / "rgb"), cut(scene, tmp_path / "irc", irc=True)
    result = make(**inputs(scene, "dsm", "dtm"), rgb=rgb, irc=irc)
    image, valid, _ = read(result["output"])
    assert (image[:4] == scene["pixels"][:4]).all()
    assert valid.all()
    assert result["gaps"] == []
    assert result["sources"][0]["years"] == [2021]
    assert len(result["sources"][0]["files"]) == 6


def test_both_products_in_one_folder_are_told_apart(make, scene, tmp_path, recorder):
    folder = cut(scene, tmp_path / "both")
    assert cut(scene, tmp_path / "both", irc=True) == folder
    image = read(make(rgb=folder, irc=folder)["output"])[0]
    assert (image == scene["pixels"][:4]).all()
    assert any("6 others are left out" in text for text in recorder.logs)


def test_a_missing_infrared_tile_is_named_and_masked(make, scene, tmp_path, recorder):
    rgb, irc = cut(scene, tmp_path / "rgb"), cut(scene, tmp_path / "irc", irc=True, left_out=[(0, 1)])
    result = make(rgb=rgb, irc=irc)
    assert result["gaps"] == [{"tile": tile_name(0, 1), "missing": "irc", "share": 1.0}]
    valid = read(result["output"])[1]
    assert not valid[:SIDE, 200:400].any()
    assert valid[:SIDE, :200].all()
    assert valid[SIDE:].all()
    assert any(tile_name(0, 1) in text for text in recorder.warnings)
    assert tile_name(0, 1) in open(result["report"], encoding="utf-8").read()  # noqa: SIM115


def test_a_missing_tile_of_the_orthophoto_is_named_by_its_kilometres(make, scene, tmp_path):
    rgb = cut(scene, tmp_path / "rgb", left_out=[(0, 1)])
    result = make(rgb=rgb)
    assert result["gaps"] == [{"tile": "0854-6541", "missing": "rgb", "share": 1.0}]
    assert not read(result["output"])[1][:SIDE, 200:400].any()


def test_gaps_outside_the_extent_are_nobodys_concern(make, scene, tmp_path):
    rgb = cut(scene, tmp_path / "rgb", left_out=[(0, 1)])
    irc = cut(scene, tmp_path / "irc", irc=True, left_out=[(0, 1), (1, 0)])
    left, top = scene["transform"] * (400, 0)
    result = make(rgb=rgb, irc=irc, extent=f"{left},{left + 40},{top - 100},{top}")
    assert result["gaps"] == []
    assert not any("missing" in text or "no tile" in text for text in result["warnings"])
    whole = make(rgb=rgb, irc=irc, output=str(tmp_path / "whole.tif"))["gaps"]
    assert [(gap["tile"], gap["missing"]) for gap in whole] == [("0854-6541", "rgb"), (tile_name(1, 0), "irc")]


def test_tiles_of_several_years(make, scene, tmp_path):
    rgb = cut(scene, tmp_path / "rgb", years={(1, 2): 2018})
    irc = cut(scene, tmp_path / "irc", irc=True)
    warnings = make(rgb=rgb, irc=irc)["warnings"]
    assert any("tiles of rgb are of different years: 2018, 2021" in text for text in warnings)
    assert any("irc of 2021" in text for text in warnings)


def test_a_folder_that_holds_nothing_fitting(make, scene, tmp_path):
    folder = cut(scene, tmp_path / "irc", irc=True)
    with pytest.raises(InputError, match="not a colour-infrared orthophoto by its name"):
        make(rgb=folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file ending in"):
        make(rgb=str(tmp_path / "empty"))


def test_a_vrt_of_tiles_stands_for_them(make, scene, tmp_path):
    folder = cut(scene, tmp_path / "rgb")
    first = make(rgb=folder, output=str(tmp_path / "first.vrt"))["output"]
    image = read(make(rgb=first)["output"])[0]
    assert (image == scene["pixels"][:3]).all()


def test_a_virtual_raster_where_nothing_is_computed(make, scene, tmp_path):
    rgb, irc = cut(scene, tmp_path / "rgb"), cut(scene, tmp_path / "irc", irc=True)
    result = make(rgb=rgb, irc=irc, output=str(tmp_path / "out.vrt"))
    text = (tmp_path / "out.vrt").read_text(encoding="utf-8")
    assert 'relativeToVRT="1">rgb/38-2021-0853-6541-LA93-0M20-E080.tif' in text
    image, valid, names = read(result["output"])
    assert names == ("red", "green", "blue", "infrared")
    assert (image == scene["pixels"][:4]).all()
    assert valid.all()
    assert result["statistics"]["infrared"]["mean"] == pytest.approx(scene["pixels"][3].mean(), abs=1e-3)
    with rasterio.open(result["output"]) as file:
        assert [kind.name for kind in file.colorinterp] == ["red", "green", "blue", "undefined"]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["irc", "out.vrt", "out_report.html", "rgb"]


def test_a_part_as_a_virtual_raster(make, scene, tmp_path):
    left, top = scene["transform"] * (150, 100)
    extent = f"{left},{left + 60},{top - 50},{top}"
    folder = cut(scene, tmp_path / "rgb")
    image = read(make(rgb=folder, extent=extent, output=str(tmp_path / "out.vrt"))["output"])[0]
    assert (image == scene["pixels"][:3, 100:350, 150:450]).all()


def test_the_nodata_value_goes_into_the_virtual_raster(make, scene, tmp_path):
    pixels = np.maximum(scene["pixels"][:3], 1)
    pixels[:, :50] = 0
    path = tiny.write(tmp_path / "rgb.tif", pixels, transform=scene["transform"], nodata=0)
    valid = read(make(rgb=path, output=str(tmp_path / "out.vrt"))["output"])[1]
    assert not valid[:50].any()
    assert valid[50:].all()


def test_what_has_to_be_computed_is_no_virtual_raster(make, scene, tmp_path):
    def refused(**options):
        with pytest.raises(RequestError) as caught:
            make(output=str(tmp_path / "out.vrt"), **options)
        assert ".tif" in caught.value.hint
        return caught.value.message

    rgb = scene["rgb"]
    assert "the elevation has to be computed" in refused(**inputs(scene))
    assert "another ground sampling distance" in refused(rgb=rgb, ground_sampling_distance=0.5)
    assert "more than 8 bits" in refused(rgb=cut(scene, tmp_path / "wide", dtype=np.uint16))
    irc = tmp_path / "irc.tif"
    tiny.write(irc, scene["pixels"][[3, 0, 1]], transform=Affine.translation(0.05, 0) @ scene["transform"])
    assert "infrared lies on another grid" in refused(rgb=rgb, irc=str(irc))
    part = cut(scene, tmp_path / "part", irc=True, left_out=[(0, 0)])
    assert "does not cover" in refused(rgb=rgb, irc=part)
    mask = np.full((500, 600), 255, np.uint8)
    mask[:9] = 0
    masked = tiny.write(tmp_path / "masked.tif", scene["pixels"][:3], transform=scene["transform"], mask=mask)
    assert "a mask" in refused(rgb=masked)


def test_a_prepared_image_can_be_classified(make, scene, tmp_path, recorder, shared_cache):
    import threading

    from engine.models.model_file import save_model
    from engine.requests import ClassifyRequest

    described = tiny.manifest(bands=("red", "green", "blue", "infrared", "elevation"))
    save_model(tmp_path / "model.safetensors", tiny.network(described), described)
    mask = np.full((500, 600), 255, np.uint8)
    mask[:, 500:] = 0
    rgb = tiny.write(tmp_path / "rgb.tif", scene["pixels"][:3], transform=scene["transform"], mask=mask)
    prepared = make(**inputs(scene, "irc", "dsm", "dtm"), rgb=rgb)
    extent = "853000,853040,6540970,6541000"
    request = ClassifyRequest(
        model=str(tmp_path / "model.safetensors"),
        input=[prepared["output"]],
        output=str(tmp_path / "classes.tif"),
        device="cpu",
        extent=extent,
    )
    result = classify(request, recorder, threading.Event())
    assert result["pixels"] == 200 * 150
    assert any("by their descriptions: red=1, green=2, blue=3, infrared=4, elevation=5" in t for t in recorder.logs)
    with rasterio.open(result["output"]) as file:
        codes = file.read(1)
        assert file.bounds.left == 853000
    assert set(np.unique(codes)) <= {7, 3, 5, 1}
