"""Classification with a season: the satellite images of the same ground, pixel by pixel."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from engine.commands import classify
from engine.data.time_series.date_folder import DateFolder, Ground
from engine.errors import Cancelled, EngineError
from engine.inference import season_predictor, window_classifier
from engine.models.model_file import save_model
from engine.requests import ClassifyRequest
from tests.engine import season_files, tiny
from tests.engine.season_files import PATCH, RATIO, SIDE

LAMBERT = CRS.from_epsg(2154)
PLACED = Affine(0.2, 0, season_files.CORNER[0], 0, -0.2, season_files.CORNER[1])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    described = season_files.manifest()
    made = season_files.network(described)
    path = tmp_path_factory.mktemp("seasonal") / "seasonal.safetensors"
    save_model(path, made, described)
    return path, described, made


@pytest.fixture
def run(model, tmp_path, recorder):
    def start(image, season=None, *, cancelled=None, reporter=None, **options):
        values = {"model": str(model[0]), "input": image, "output": str(tmp_path / "o.tif"), "device": "cpu", **options}
        values["season"] = None if season is None else str(season)
        request = ClassifyRequest.model_validate(values)
        return classify.run(request, reporter or recorder, cancelled or threading.Event())

    return start


def series_of(folder, row=0, column=0, placed=PLACED, crs=LAMBERT):
    """The season of a patch, cut by hand."""
    corner = placed * Affine.translation(column, row)
    return DateFolder.open(folder).cut(Ground(crs, corner, PATCH, PATCH, RATIO, SIDE)).series.by_month()


def same(first, second):
    assert first.shape == second.shape
    return float((first == second).mean())


def test_a_patch_gets_what_the_plain_network_says(model, run, tmp_path, recorder):
    _, described, made = model
    image = tiny.smooth(3, PATCH, PATCH)
    season = season_files.write_series(tmp_path / "s2", PATCH, PATCH)
    run(tiny.write(tmp_path / "i.tif", image), season)
    expected = tiny.codes_of(season_files.truth(made, described, image, series_of(season)))
    codes = tiny.read(tmp_path / "o.tif")
    assert same(codes, expected) > 0.9999
    assert len(np.unique(codes)) > 1
    assert recorder.warnings == []
    alone = tiny.codes_of(season_files.truth(made, described, image, series_of(season).chosen(np.zeros(4, bool))))
    assert same(codes, alone) < 0.9
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.tags()["FLAIR_SEASON"].startswith("S2_20210415.tif, ")
        assert file.transform == PLACED


@pytest.mark.parametrize("shift", [0.56, -0.8])
def test_a_series_beside_the_grid_is_cut_between_its_pixels(model, run, tmp_path, shift):
    _, described, made = model
    image = tiny.smooth(3, PATCH, PATCH)
    season = season_files.write_series(tmp_path / "s2", PATCH, PATCH, shift=shift)
    run(tiny.write(tmp_path / "i.tif", image), season)
    expected = tiny.codes_of(season_files.truth(made, described, image, series_of(season)))
    codes = tiny.read(tmp_path / "o.tif")
    assert same(codes, expected) > 0.9999
    aligned = season_files.write_series(tmp_path / "aligned", PATCH, PATCH)
    run(tiny.write(tmp_path / "i.tif", image), aligned, output=str(tmp_path / "p.tif"))
    assert same(codes, tiny.read(tmp_path / "p.tif")) > 0.95


def test_cuts_do_not_show(run, tmp_path):
    image = tiny.smooth(3, 300, 340)
    path = tiny.write(tmp_path / "i.tif", image)
    season = season_files.write_series(tmp_path / "s2", 340, 340, around=20)
    run(path, season)
    whole = tiny.read(tmp_path / "o.tif")
    result = run(path, season, window=64, margin=96, output=str(tmp_path / "p.tif"))
    assert result["computed_ratio"] > 3
    assert same(whole, tiny.read(tmp_path / "p.tif")) > 0.995
    run(path, output=str(tmp_path / "q.tif"), season=season, extent="650020,650060,6859950,6859980 [EPSG:2154]")
    part = tiny.read(tmp_path / "q.tif")
    assert same(whole[100:250, 100:300], part) > 0.995


def test_symmetries_turn_both(model, run, tmp_path):
    _, described, made = model
    image = tiny.smooth(3, PATCH, PATCH)
    season = season_files.write_series(tmp_path / "s2", PATCH, PATCH)
    run(tiny.write(tmp_path / "i.tif", image), season, augment=True)
    series, total = series_of(season), 0
    for quarters in range(4):
        for mirrored in (False, True):

            def turn(values, quarters=quarters, mirrored=mirrored):
                turned = np.rot90(values, quarters, (-2, -1))
                return (turned[..., ::-1] if mirrored else turned).copy()

            turned = series.__class__(turn(series.pixels), series.days, series.months)
            shares = tiny.softmax(season_files.truth(made, described, turn(image), turned))
            total = total + np.rot90(shares[..., ::-1] if mirrored else shares, -quarters, (-2, -1))
    assert same(tiny.read(tmp_path / "o.tif"), tiny.codes_of(total)) > 0.9999


def test_parts_of_turned_windows_see_their_own_ground(model, run, tmp_path, monkeypatch):
    image = tiny.smooth(3, 256, 192)
    path = tiny.write(tmp_path / "i.tif", image)
    season = season_files.write_series(tmp_path / "s2", 256, 192, around=20)
    run(path, season, augment=True)
    predict = season_predictor.SeasonPredictor.predict

    def scarce(self, images, views=()):
        if images.shape[2] * images.shape[3] > 160 * 160:
            raise MemoryError
        return predict(self, images, views)

    monkeypatch.setattr(season_predictor.SeasonPredictor, "predict", scarce)
    monkeypatch.setattr(window_classifier, "SMALLEST_PART", 32)
    monkeypatch.setattr(window_classifier, "PART_MARGIN", 64)
    run(path, season, augment=True, output=str(tmp_path / "p.tif"))
    assert same(tiny.read(tmp_path / "o.tif"), tiny.read(tmp_path / "p.tif")) > 0.98


def test_blended_windows_and_all_layers(run, tmp_path):
    image = tiny.smooth(3, 512, 512)
    path = tiny.write(tmp_path / "i.tif", image)
    season = season_files.write_series(tmp_path / "s2", 512, 512, around=20)
    layers = {name: str(tmp_path / f"{name}.tif") for name in ("confidence", "probabilities")}
    run(path, season, **layers)
    run(path, season, blend=True, output=str(tmp_path / "p.tif"))
    # A single blended window.
    assert same(tiny.read(tmp_path / "o.tif"), tiny.read(tmp_path / "p.tif")) > 0.9999
    with rasterio.open(layers["probabilities"]) as file:
        assert file.count == 4
        highest = file.read().max(0)
    assert np.abs(highest.astype(int) - tiny.read(layers["confidence"])).max() <= 1


def test_an_image_of_other_pixels_has_its_season_on_the_models_grid(model, run, tmp_path):
    """Twice as fine an image: one cell is 128 of its pixels, over the same ground."""
    _, described, made = model
    fine = np.repeat(np.repeat(tiny.smooth(3, PATCH, PATCH), 2, 1), 2, 2)
    season = season_files.write_series(tmp_path / "s2", PATCH, PATCH)
    run(tiny.write(tmp_path / "i.tif", fine, pixel=0.1), season, ground_sampling_distance=0.1)
    expected = tiny.codes_of(season_files.truth(made, described, fine[:, ::2, ::2], series_of(season)))
    assert same(tiny.read(tmp_path / "o.tif")[::2, ::2], expected) > 0.999


def test_an_image_in_another_crs_is_laid_over_the_same_ground(model, run, tmp_path):
    _, described, made = model
    image = tiny.smooth(3, PATCH, PATCH)
    season = season_files.write_series(tmp_path / "s2", PATCH, PATCH, around=40)
    east, north = (
        part[0]
        for part in rasterio.warp.transform(
            LAMBERT, CRS.from_epsg(32631), [season_files.CORNER[0]], [season_files.CORNER[1]]
        )
    )
    placed = Affine(0.2, 0, east, 0, -0.2, north)
    run(tiny.write(tmp_path / "i.tif", image, crs="EPSG:32631", transform=placed), season)
    series = series_of(season, placed=placed, crs=CRS.from_epsg(32631))
    assert series.dates == 4
    expected = tiny.codes_of(season_files.truth(made, described, image, series))
    assert same(tiny.read(tmp_path / "o.tif"), expected) > 0.9999


def test_ground_without_a_date_is_told_of(run, tmp_path, recorder):
    image = tiny.smooth(3, PATCH, 3 * PATCH)
    season = season_files.write_series(tmp_path / "s2", PATCH, PATCH, around=SIDE)
    run(tiny.write(tmp_path / "i.tif", image), season)
    assert any("No satellite image shows 1 of 3 pieces of ground of 64 pixels" in text for text in recorder.warnings)
    assert tiny.read(tmp_path / "o.tif").all()


def test_clouds_are_left_out_where_masks_tell_of_them(run, tmp_path):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, PATCH, PATCH))
    season = season_files.write_series(tmp_path / "s2", PATCH, PATCH)
    run(path, season_files.write_series(tmp_path / "three", PATCH, PATCH, dates=season_files.DATES[:3]))
    (season / "masks").mkdir()
    with rasterio.open(season / "S2_20210902.tif") as file:
        profile = {**file.profile, "count": 2, "dtype": "uint8"}
    cloud = np.zeros((2, profile["height"], profile["width"]), np.uint8)
    cloud[1, :, : profile["width"] // 2 + 1] = 60
    with rasterio.open(season / "masks" / "S2_20210902.tif", "w", **profile) as file:
        file.write(cloud)
    run(path, season, output=str(tmp_path / "p.tif"))
    assert same(tiny.read(tmp_path / "o.tif"), tiny.read(tmp_path / "p.tif")) == 1


def test_an_interrupted_run_goes_on_unless_the_series_changed(run, tmp_path, recorder):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 256, 256))
    season = season_files.write_series(tmp_path / "s2", 256, 256, around=20)
    run(path, season, window=64, output=str(tmp_path / "whole.tif"))
    cancelled = threading.Event()

    class Stopping(type(recorder)):
        def progress(self, fraction, text="", eta=None):
            super().progress(fraction, text, eta)
            if fraction > 0.3:
                cancelled.set()

    with pytest.raises(Cancelled):
        run(path, season, window=64, cancelled=cancelled, reporter=Stopping())
    assert not (tmp_path / "o.tif").exists()
    again = type(recorder)()
    run(path, season, window=64, reporter=again)
    assert any("oing on" in text for text in again.logs)
    assert (tiny.read(tmp_path / "o.tif") == tiny.read(tmp_path / "whole.tif")).all()
    cancelled.clear()
    (tmp_path / "o.tif").unlink()
    with pytest.raises(Cancelled):
        run(path, season, window=64, cancelled=cancelled, reporter=Stopping())
    (season / "S2_20210902.tif").unlink()
    other = type(recorder)()
    run(path, season, window=64, reporter=other)
    assert not any("oing on" in text for text in other.logs)


@pytest.mark.parametrize(
    ("wrong", "sentence", "hint"),
    [
        ("none", "also looks at the season", "--season"),
        ("nowhere", "There is no folder", "folder"),
        ("far", "None of the 4 satellite images shows the image's ground", "margin"),
        ("bands", "hold the bands B02, B03; the model also needs B04", "prepare-time-series"),
        ("reflectance", "as reflectances do", "10000"),
        ("no crs", "has no CRS", ""),
        ("int8", "cannot be quantised", "exact"),
    ],
)
def test_what_is_wrong_is_said(run, tmp_path, wrong, sentence, hint):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, PATCH, PATCH))
    options = {}
    if wrong == "none":
        season = None
    elif wrong == "nowhere":
        season = tmp_path / "nowhere"
    elif wrong == "bands":
        season = season_files.write_series(tmp_path / "s2", PATCH, PATCH, bands=("B02", "B03"))
    elif wrong == "far":
        season = season_files.write_series(tmp_path / "s2", PATCH, PATCH, shift=5000)
    elif wrong == "no crs":
        season = season_files.write_series(tmp_path / "s2", PATCH, PATCH)
        path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, PATCH, PATCH), crs=None)
        options["ground_sampling_distance"] = 0.2
    else:
        season = season_files.write_series(tmp_path / "s2", PATCH, PATCH)
        options = {"precision": "int8"} if wrong == "int8" else {}
    if wrong == "reflectance":
        for file in season.glob("*.tif"):
            with rasterio.open(file, "r+") as dataset:
                dataset.write(dataset.read() / 10000)
    with pytest.raises(EngineError) as caught:
        run(path, season, **options)
    assert sentence in caught.value.message
    assert hint in caught.value.hint
    assert not (tmp_path / "o.tif").exists()


def test_a_model_of_images_alone_has_no_use_for_a_season(run, tiny_model, tmp_path):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, PATCH, PATCH))
    with pytest.raises(EngineError, match="looks at aerial images alone") as caught:
        run(path, tmp_path, model=str(tiny_model[0].path))
    assert "--season" in caught.value.hint


def test_workers_see_the_same_season(run, tmp_path):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 192, 192))
    season = season_files.write_series(tmp_path / "s2", 192, 192, around=20)
    run(path, season, window=64, threads=1)
    run(path, season, window=64, threads=1, workers=2, output=str(tmp_path / "p.tif"))
    assert (tiny.read(tmp_path / "o.tif") == tiny.read(tmp_path / "p.tif")).all()
