"""One image of an orthophoto, infrared and heights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.engine import tiny
from tests.engine.commands.prepared_scene import inputs, read

CRS = "EPSG:2154"


def bilinear(path, transform, height, width):
    """A height model on a grid, by plain numpy over the whole of it; no missing values."""
    with rasterio.open(path) as file:
        values, own = file.read(1).astype(np.float64), file.transform
        assert (values != file.nodata).all()
    columns = ((transform.c - own.c) / own.a) + transform.a / own.a * (np.arange(width) + 0.5) - 0.5
    rows = ((transform.f - own.f) / own.e) + transform.e / own.e * (np.arange(height) + 0.5) - 0.5

    def ends(positions, size):
        first = np.floor(positions).astype(int)
        return np.clip(first, 0, size - 1), np.clip(first + 1, 0, size - 1), positions - first

    top, bottom, down = ends(rows, values.shape[0])
    left, right, across = ends(columns, values.shape[1])
    upper = values[np.ix_(top, left)] * (1 - across) + values[np.ix_(top, right)] * across
    lower = values[np.ix_(bottom, left)] * (1 - across) + values[np.ix_(bottom, right)] * across
    return upper * (1 - down[:, None]) + lower * down[:, None]


def test_five_bands_of_four_products(make, scene):
    result = make(**inputs(scene))
    image, valid, names = read(result["output"])
    assert names == ("red", "green", "blue", "infrared", "elevation")
    assert valid.all()
    assert (image[:4] == scene["pixels"][:4]).all()
    with rasterio.open(scene["rgb"]) as file:
        transform = file.transform
    height = bilinear(scene["dsm"], transform, 500, 600) - bilinear(scene["dtm"], transform, 500, 600)
    assert (image[4] == np.clip(np.rint(5 * np.maximum(height, 0)), 0, 255)).all()
    assert image[4].max() > 20
    assert result["bands"] == list(names)
    assert result["pixels"] == 300_000


def test_the_file_is_a_cloud_optimized_geotiff_that_lies_where_the_orthophoto_lies(make, scene):
    path = make(**inputs(scene))["output"]
    with rasterio.open(path) as file, rasterio.open(scene["rgb"]) as source:
        assert (file.crs, file.transform, file.shape) == (source.crs, source.transform, source.shape)
        assert set(file.dtypes) == {"uint8"}
        assert file.nodata is None
        assert [kind.name for kind in file.colorinterp] == ["red", "green", "blue", "undefined", "undefined"]
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1) == [2]
        assert file.tags()["FLAIR_DSM"] == "dsm.tif"


@pytest.mark.parametrize(
    ("names", "bands"),
    [
        (("rgb",), ["red", "green", "blue"]),
        (("rgb", "irc"), ["red", "green", "blue", "infrared"]),
        (("rgb", "dsm", "dtm"), ["red", "green", "blue", "elevation"]),
    ],
)
def test_what_is_not_given_has_no_band(make, scene, names, bands):
    result = make(**inputs(scene, *names))
    image, _, found = read(result["output"])
    assert list(found) == result["bands"] == bands
    places = [("red", "green", "blue", "infrared", "elevation").index(name) for name in bands if name != "elevation"]
    assert (image[: len(places)] == scene["pixels"][places]).all()


def test_height_above_ground_stands_for_both_models(make, scene, tmp_path):
    with rasterio.open(scene["dsm"]) as dsm, rasterio.open(scene["dtm"]) as dtm:
        height = dsm.read(1).astype(np.float64) - dtm.read(1)
        path = tiny.write(tmp_path / "mnh.tif", height[None], transform=dsm.transform, nodata=-9999)
    both = read(make(**inputs(scene))["output"])[0]
    alone = read(make(**inputs(scene, "rgb", "irc"), height=path, output=str(tmp_path / "alone.tif"))["output"])[0]
    # the difference of two interpolations and the interpolation of a difference round apart only on a tie
    assert (both != alone).mean() < 1e-4


def test_near_infrared_alone(make, scene, tmp_path):
    with rasterio.open(scene["rgb"]) as file:
        nir = tiny.write(tmp_path / "nir.tif", scene["pixels"][3:4], transform=file.transform)
    image, _, names = read(make(rgb=scene["rgb"], nir=nir)["output"])
    assert names[3] == "infrared"
    assert (image == scene["pixels"][:4]).all()


def test_the_fourth_band_of_the_same_file(make, scene, tmp_path):
    with rasterio.open(scene["rgb"]) as file:
        path = tiny.write(
            tmp_path / "rgbi.tif", scene["pixels"][:4], transform=file.transform, photometric="MINISBLACK"
        )
    image = read(make(rgb=path, nir=path, infrared_band=4)["output"])[0]
    assert (image == scene["pixels"][:4]).all()


def test_infrared_on_another_grid_is_interpolated(make, scene, tmp_path):
    with rasterio.open(scene["rgb"]) as file:
        transform = file.transform
    coarse = scene["pixels"][:, : 500 // 2 * 2, : 600 // 2 * 2].reshape(5, 250, 2, 300, 2).mean(axis=(2, 4))
    irc = tiny.write(
        tmp_path / "irc.tif", np.rint(coarse[[3, 0, 1]]).astype(np.uint8), transform=transform @ Affine.scale(2)
    )
    result = make(rgb=scene["rgb"], irc=irc)
    image = read(result["output"])[0]
    source = np.rint(coarse[3])
    # Row 21 lies a quarter of a coarse pixel below the centre of row 10, column 41 likewise right of column 20.
    down = 0.75 * source[10] + 0.25 * source[11]
    expected = 0.75 * down[20:40] + 0.25 * down[21:41]
    assert np.abs(image[3, 21, 41:81:2] - expected).max() <= 0.5
    assert result["sources"][1]["exact"] is False


def test_tiles_equal_the_whole(make, scene, tmp_path, monkeypatch):
    whole = read(make(**inputs(scene), fill_distance=3)["output"])[0]
    monkeypatch.setattr("engine.preparation.target.Target.tiles.__defaults__", (96,))
    tiles = read(make(**inputs(scene), fill_distance=3, output=str(tmp_path / "tiles.tif"))["output"])[0]
    assert (tiles == whole).all()


def test_a_coarser_image_is_averaged(make, scene):
    result = make(**inputs(scene), ground_sampling_distance=0.4)
    image = read(result["output"])[0]
    assert image.shape == (5, 250, 300)
    with rasterio.open(result["output"]) as file, rasterio.open(scene["rgb"]) as source:
        assert file.bounds == source.bounds
        assert file.res == pytest.approx((0.4, 0.4))
    mean = scene["pixels"][:4].reshape(4, 250, 2, 300, 2).mean(axis=(2, 4))
    assert np.abs(image[:4] - mean).max() <= 0.5


def test_a_part_by_its_extent(make, scene):
    with rasterio.open(scene["rgb"]) as file:
        left, top = file.transform * (100, 50)
    extent = f"{left},{left + 40},{top - 30},{top} [{CRS}]"
    result = make(**inputs(scene), extent=extent)
    image = read(result["output"])[0]
    assert image.shape == (5, 150, 200)
    assert (image[:4] == scene["pixels"][:4, 50:200, 100:300]).all()
    with rasterio.open(result["output"]) as file:
        assert (file.transform.c, file.transform.f) == pytest.approx((left, top))


def test_missing_data_of_the_orthophoto_is_masked_and_black_pixels_stay_data(make, scene, tmp_path):
    pixels = scene["pixels"].copy()
    pixels[:3, 100:120, 100:120] = 0
    mask = np.full((500, 600), 255, np.uint8)
    mask[:, :150] = 0
    mask[100:120, 100:120] = 255
    with rasterio.open(scene["rgb"]) as file:
        rgb = tiny.write(tmp_path / "masked.tif", pixels[:3], transform=file.transform, mask=mask)
    result = make(**inputs(scene, "irc", "dsm", "dtm"), rgb=rgb)
    image, valid, _ = read(result["output"])
    assert (valid == (mask > 0)).all()
    assert (image[:, ~valid] == 0).all()
    assert (image[:3, 100:120, 100:120] == 0).all()
    assert result["pixels"] == valid.sum()
    assert result["counts"]["pixels"] == 300_000


def test_alpha_and_nodata_become_the_mask(make, scene, tmp_path):
    alpha = np.full((1, 500, 600), 255, np.uint8)
    alpha[:, 300:] = 0
    with rasterio.open(scene["rgb"]) as file:
        transform = file.transform
    rgba = np.concatenate([scene["pixels"][:3], alpha])
    path = tiny.write(
        tmp_path / "rgba.tif", rgba, transform=transform, interpretation=("red", "green", "blue", "alpha")
    )
    image, valid, names = read(make(rgb=path)["output"])
    assert names == ("red", "green", "blue")
    assert (valid == (alpha[0] > 0)).all()
    pixels = np.maximum(scene["pixels"][:3], 1)
    pixels[:, :, :77] = 0
    path = tiny.write(tmp_path / "bordered.tif", pixels, transform=transform, nodata=0)
    image, valid, _ = read(make(rgb=path, output=str(tmp_path / "second.tif"))["output"])
    assert not valid[:, :77].any()
    assert valid[:, 77:].all()
    assert (image == pixels).all()


def holed(scene, path, rows, columns, declared=True):
    with rasterio.open(scene["dsm"]) as file:
        values, transform = file.read(), file.transform
    values[:, rows, columns] = -9999
    return tiny.write(path, values, transform=transform, nodata=-9999 if declared else None)


@pytest.mark.parametrize("declared", [True, False])
def test_a_hole_in_the_heights_is_filled_as_far_as_told(make, scene, tmp_path, recorder, declared):
    dsm = holed(scene, tmp_path / "dsm.tif", slice(60, 90), slice(60, 120), declared)
    result = make(**inputs(scene, "rgb", "irc", "dtm"), dsm=dsm, fill_distance=2)
    image, valid, _ = read(result["output"])
    # the classifier must still see these pixels: what is missing is a height, not the image
    assert valid.all()
    counts = result["counts"]
    assert counts["without_height"] > 0
    assert counts["filled_height"] > 0
    # 15 m x 30 m, of which all but 2 m around is missing still
    assert counts["without_height"] == pytest.approx(11 * 26 / 0.04, rel=0.03)
    # rows 60 to 90 of the model begin a metre above the image
    assert (image[4, 165:200, 180:250] == 0).all()
    assert any("no height" in text for text in recorder.warnings)
    whole = make(**inputs(scene), output=str(tmp_path / "whole.tif"))
    untouched = read(whole["output"])[0][4]
    assert (image[4, :120] == untouched[:120]).all()


def test_no_filling_leaves_the_whole_hole(make, scene, tmp_path):
    dsm = holed(scene, tmp_path / "dsm.tif", slice(60, 90), slice(60, 120))
    counts = make(**inputs(scene, "rgb", "dtm"), dsm=dsm, fill_distance=0)["counts"]
    assert counts["filled_height"] == 0
    assert counts["without_height"] == pytest.approx(30 * 60 * 0.25 / 0.04, rel=0.01)


def test_pixels_without_infrared_are_left_out(make, scene, tmp_path, recorder):
    with rasterio.open(scene["irc"]) as file:
        irc = tiny.write(tmp_path / "half.tif", file.read()[:, :, :300], transform=file.transform)
    result = make(**inputs(scene, "rgb", "dsm", "dtm"), irc=irc)
    _, valid, _ = read(result["output"])
    assert valid[:, :300].all()
    assert not valid[:, 300:].any()
    assert result["counts"]["without_infrared"] == 150_000
    assert result["gaps"] == [{"tile": "rgb_2021.tif", "missing": "irc", "share": 0.5}]
    assert any("no infrared" in text for text in recorder.warnings)


def test_sixteen_bits_by_percentiles_or_by_a_range(make, scene, tmp_path, recorder):
    wide = scene["pixels"][:3].astype(np.uint16) * 40 + 500
    with rasterio.open(scene["rgb"]) as file:
        path = tiny.write(tmp_path / "wide.tif", wide, transform=file.transform)
    result = make(rgb=path, value_range=[500, 500 + 255 * 40])
    image = read(result["output"])[0]
    assert (image == scene["pixels"][:3]).all()
    result = make(rgb=path, output=str(tmp_path / "second.tif"), percentiles="2,98")
    image = read(result["output"])[0]
    for name, band, source in zip(("red", "green", "blue"), image, wide, strict=True):
        low, high = np.percentile(source, (2, 98))
        assert result["stretches"][name] == pytest.approx([low, high])
        assert (band == np.clip(np.rint((source - low) / (high - low) * 255), 0, 255)).all()
    assert any("becomes 255" in text for text in recorder.logs)


def test_heights_in_feet_as_the_band_says(make, scene, tmp_path, recorder):
    paths = {}
    for name in ("dsm", "dtm"):
        with rasterio.open(scene[name]) as file:
            paths[name] = tiny.write(
                tmp_path / f"{name}.tif", file.read() / np.float32(0.3048), transform=file.transform
            )
        with rasterio.open(paths[name], "r+") as file:
            file.units = ("ft",)
    metres = read(make(**inputs(scene, "rgb", "dsm", "dtm"))["output"])[0]
    feet = read(make(rgb=scene["rgb"], **paths, output=str(tmp_path / "feet.tif"))["output"])[0]
    assert (metres[3] != feet[3]).mean() < 1e-3
    assert any("feet" in text for text in recorder.logs)


def test_jpeg_2000(make, scene, tmp_path):
    with rasterio.open(scene["rgb"]) as file:
        path = tmp_path / "35-2020-0853-6541-LA93-0M20-E080.jp2"
        with rasterio.open(
            path, "w", driver="JP2OpenJPEG", width=600, height=500, count=3, dtype="uint8", crs=CRS,
            transform=file.transform, QUALITY="100", REVERSIBLE="YES", BLOCKXSIZE=256, BLOCKYSIZE=256,
        ) as target:  # fmt: skip
            target.write(file.read())
    result = make(**inputs(scene, "irc", "dsm", "dtm"), rgb=str(path))
    image = read(result["output"])[0]
    assert (image[:4] == scene["pixels"][:4]).all()
    assert result["sources"][0]["years"] == [2020]
    # the infrared image's name says 2021
    assert any("2021" in text for text in result["warnings"])


def test_dark_water_in_infrared_is_data(make, scene, tmp_path):
    irc = scene["pixels"][[3, 0, 1]].copy()
    irc[0, 50:90, 50:90] = 0
    irc[:, 200:220, 200:220] = 0
    path = tiny.write(tmp_path / "irc.tif", irc, transform=scene["transform"], nodata=0)
    image, valid, _ = read(make(rgb=scene["rgb"], irc=path)["output"])
    assert (image[3, 50:90, 50:90] == 0).all()
    assert valid[50:90, 50:90].all()
    assert not valid[200:220, 200:220].any()


def test_degrees_serve_where_all_inputs_have_them(make, scene, tmp_path):
    # 0.2 m north-south and about 0.14 m east-west, at 45 degrees
    transform = Affine(1.8e-6, 0, 4.9, 0, -1.8e-6, 45.2)
    rgb = tiny.write(tmp_path / "rgb.tif", scene["pixels"][:3], crs="EPSG:4326", transform=transform)
    height = np.zeros((1, 300, 300), np.float32)
    height[:, 100:, 100:] = 10
    height[:, 150:160, 150:160] = -9999
    place = transform @ Affine.scale(2)
    path = tiny.write(tmp_path / "mnh.tif", height, crs="EPSG:4326", transform=place, nodata=-9999)
    result = make(rgb=rgb, height=path, fill_distance=3)
    image = read(result["output"])[0]
    assert (image[:3] == scene["pixels"][:3]).all()
    assert image[3, 320, 320] == 50
    assert image[3, 100, 100] == 0
    assert result["counts"]["without_height"] == 0
    assert result["counts"]["filled_height"] > 0


def test_the_result_is_plain_and_the_report_shows_it(make, scene, tmp_path):
    (tmp_path / "pages").mkdir()
    report = tmp_path / "pages" / "checks.html"
    result = make(**inputs(scene), report=str(report))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["report"] == str(report)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["out.tif", "pages"]
    html = report.read_text(encoding="utf-8")
    red = result["statistics"]["red"]
    assert red["mean"] == pytest.approx(scene["pixels"][0].mean(), abs=1e-3)
    assert (red["flair_mean"], red["flair_deviation"]) == (105.08, 52.17)
    assert f"<b>{red['mean']:.1f}</b>" in html
    assert "rgb_2021.tif" in html
    # in colour, infrared in colour, five bands
    assert html.count('<img src="data:image/png') == 7
    assert result["correlations"]["red"] == pytest.approx(
        np.corrcoef(scene["pixels"][3].ravel(), scene["pixels"][0].ravel())[0, 1], abs=1e-3
    )


def test_an_image_unlike_flair_is_warned_of(make, scene, tmp_path):
    bright = np.clip(scene["pixels"][:3].astype(int) + 150, 0, 255).astype(np.uint8)
    path = tiny.write(tmp_path / "bright.tif", bright, transform=scene["transform"])
    warnings = make(rgb=path)["warnings"]
    assert any("mean of red" in text and "standard deviations" in text for text in warnings)
    assert any("stand at 255" in text for text in warnings)


def test_the_command_line(scene, tmp_path):
    output = tmp_path / "out.tif"
    done = tiny.engine("prepare-input", "--rgb", scene["rgb"], "--irc", scene["irc"], "--output", output)
    assert done.returncode == 0, done.stderr
    assert f"output: {output}" in done.stdout
    assert (read(output)[0] == scene["pixels"][:4]).all()
    other = tmp_path / "other.tif"
    refused = tiny.engine("prepare-input", "--rgb", scene["rgb"], "--nir", scene["rgb"], "--output", other)
    assert refused.returncode == 3
    assert "Error: rgb_2021.tif, given as nir, has 3 bands" in refused.stderr
    assert "--rgb FILE [FILE ...]" in tiny.engine("prepare-input", "--help").stdout
