"""The main job in one process: what comes out, pixel by pixel."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform as warp

from engine.commands import classify
from engine.errors import Cancelled, EngineError, InputError, OutputError
from engine.inference import computing, window_classifier
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import plan_tiles
from engine.rasters.windows import PixelWindow
from engine.requests import ClassifyRequest
from tests.engine import tiny
from tests.engine.interruptions import StopAfter, damage, left_behind


@pytest.fixture
def run(tiny_model, tiny_graph, tmp_path, recorder):
    """Run the command with the small model; returns its result."""

    def start(*inputs, cancelled=None, reporter=None, **options):
        values = {"model": str(tiny_model[0].path), "input": list(inputs), "output": str(tmp_path / "o.tif"), **options}
        request = ClassifyRequest.model_validate(values)
        return classify.run(request, reporter or recorder, cancelled or threading.Event())

    return start


@pytest.fixture
def expected(tiny_model):
    """Codes of the plain network for a whole image."""
    _, described, made = tiny_model
    return lambda image: tiny.codes_of(tiny.truth(made, described, image))


def same(first, second, share=0.9999):
    assert first.shape == second.shape
    return (first == second).mean() >= share


def test_a_patch_gives_what_the_plain_network_gives(run, expected, tmp_path, recorder):
    image = tiny.smooth(3, 512, 512)
    result = run(tiny.write(tmp_path / "i.tif", image))
    codes = tiny.read(tmp_path / "o.tif")
    assert same(codes, expected(image))
    assert len(np.unique(codes)) > 1
    assert result["output"] == str(tmp_path / "o.tif")
    assert (tmp_path / "o.qml").is_file()
    values, counts = np.unique(codes, return_counts=True)
    assert result["classes"] == {str(value): int(count) for value, count in zip(values, counts, strict=True)}
    assert result["pixels"] == 512 * 512
    assert result["computed_ratio"] == 1.0
    assert recorder.warnings == []
    assert recorder.fractions[-1] == 1.0
    assert recorder.fractions == sorted(recorder.fractions)
    assert left_behind(tmp_path) == []


def test_the_file_says_what_it_is_and_where_it_comes_from(run, tiny_model, tmp_path):
    run(tiny.write(tmp_path / "i.tif", tiny.smooth(3, 100, 90)), window=64)
    with rasterio.open(tmp_path / "o.tif") as dataset:
        assert dataset.dtypes == ("uint8",)
        assert dataset.nodata == 0
        assert dataset.crs.to_epsg() == 2154
        assert dataset.transform == Affine(0.2, 0, 650000.0, 0, -0.2, 6860000.0)
        assert dataset.tags()["FLAIR_MODEL_SHA256"] == tiny_model[0].sha256
        assert dataset.tags()["FLAIR_MODEL"] == "tiny"
        assert "window=64" in dataset.tags()["FLAIR_OPTIONS"]
        assert dataset.colormap(1)[7] == (255, 0, 0, 255)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_every_type_gives_the_same_for_the_same_values(run, expected, tmp_path, dtype):
    image = tiny.smooth(3, 96, 128)
    run(tiny.write(tmp_path / "i.tif", image.astype(dtype)))
    assert same(tiny.read(tmp_path / "o.tif"), expected(image))


def test_fractions_of_a_float_image_are_not_rounded_away(run, expected, tmp_path):
    image = tiny.smooth(3, 96, 96, dtype="float32")
    run(tiny.write(tmp_path / "i.tif", image))
    assert same(tiny.read(tmp_path / "o.tif"), expected(image))


def test_bands_by_number_and_by_interpretation(run, expected, tmp_path):
    image = tiny.smooth(3, 64, 64)
    run(tiny.write(tmp_path / "i.tif", image[::-1]), bands="red=3,green=2,blue=1")
    assert same(tiny.read(tmp_path / "o.tif"), expected(image))
    path = tiny.write(tmp_path / "j.tif", image[[2, 0, 1]], interpretation=["blue", "red", "green"])
    run(path, output=str(tmp_path / "p.tif"))
    assert same(tiny.read(tmp_path / "p.tif"), expected(image))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (200, 200), (33, 31)])
def test_small_and_odd_images(run, expected, tmp_path, shape):
    image = tiny.smooth(3, *shape)
    run(tiny.write(tmp_path / "i.tif", image), allow_range=True)
    assert same(tiny.read(tmp_path / "o.tif"), expected(image))


def test_tiles_are_put_where_they_belong(run, tiny_model, tmp_path):
    _, described, made = tiny_model
    image = tiny.smooth(3, 290, 333)
    result = run(tiny.write(tmp_path / "i.tif", image), window=64, margin=32)
    grid = ModelGrid(333, 290, 1.0, 1.0)
    plan = plan_tiles(grid, PixelWindow(0, 0, 290, 333), 32, 64 + 2 * 32)
    by_hand = np.zeros((290, 333), dtype=np.uint8)
    padded = tiny.mirrored(image, 32, 32)
    for tile in plan:
        w, c = tile.window, tile.core
        codes = tiny.codes_of(tiny.truth(made, described, padded[:, w.row : w.bottom, w.column : w.right]))
        by_hand[c.row : c.bottom, c.column : c.right] = codes[c.slices_in(w)]
    assert len(plan) > 9
    assert same(tiny.read(tmp_path / "o.tif"), by_hand)
    assert result["computed_ratio"] > 1


def test_holes_stay_holes(run, tmp_path):
    image = tiny.smooth(3, 128, 128)
    image[:, 30:60, 40:90] = 0
    run(tiny.write(tmp_path / "i.tif", image, nodata=0))
    codes = tiny.read(tmp_path / "o.tif")
    hole = (image == 0).all(0)
    assert (codes[hole] == 0).all()
    assert (codes[~hole] > 0).all()
    run(tiny.write(tmp_path / "j.tif", image), output=str(tmp_path / "p.tif"), nodata=0)
    assert np.array_equal(tiny.read(tmp_path / "p.tif"), codes)


def test_alpha_and_mask_are_holes_too(run, tmp_path):
    image = tiny.smooth(3, 96, 96)
    seen = np.full((96, 96), 255, np.uint8)
    seen[50:] = 0
    kinds = ["red", "green", "blue", "alpha"]
    run(tiny.write(tmp_path / "a.tif", np.concatenate([image, seen[None]]), interpretation=kinds))
    run(tiny.write(tmp_path / "m.tif", image, mask=seen), output=str(tmp_path / "p.tif"))
    for name in ("o.tif", "p.tif"):
        assert np.array_equal(tiny.read(tmp_path / name) > 0, seen > 0)


def test_not_a_number_is_a_hole(run, tmp_path):
    image = tiny.smooth(3, 64, 64, dtype="float32")
    image[:, 10:20, 10:20] = np.nan
    run(tiny.write(tmp_path / "i.tif", image, nodata=float("nan")))
    assert np.array_equal(tiny.read(tmp_path / "o.tif") == 0, np.isnan(image[0]))


def test_an_extent_gives_that_part_of_the_whole(run, expected, tmp_path):
    image = tiny.smooth(3, 160, 160)
    path = tiny.write(tmp_path / "i.tif", image)
    run(path, extent="650008,650020,6859975,6859990")
    with rasterio.open(tmp_path / "o.tif") as dataset:
        assert (dataset.width, dataset.height) == (60, 75)
        assert dataset.transform == Affine(0.2, 0, 650008.0, 0, -0.2, 6859990.0)
        assert same(dataset.read(1), expected(image)[50:125, 40:100], 0.9)


def test_a_polygon_in_another_crs_bounds_the_map(run, tmp_path):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 160, 160))
    corners = [(650004.0, 6859996.0), (650028.0, 6859996.0), (650004.0, 6859972.0), (650004.0, 6859996.0)]
    longitudes, latitudes = warp("EPSG:2154", "EPSG:4326", *zip(*corners, strict=True))
    ring = [list(pair) for pair in zip(longitudes, latitudes, strict=True)]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    run(path, area=str(tmp_path / "a.geojson"))
    with rasterio.open(tmp_path / "o.tif") as dataset:
        codes = dataset.read(1)
        rows, columns = np.mgrid[: dataset.height, : dataset.width] + 0.5
        x, y = dataset.transform * (columns, rows)
    depth = 6859996.0 - y + (x - 650004.0)
    assert (codes[depth < 23.7] > 0).all()
    assert (codes[depth > 24.3] == 0).all()
    assert codes.shape == (120, 120)


@pytest.mark.parametrize("pixel", [0.1, 0.4, 0.33])
def test_another_pixel_size_comes_out_on_the_images_grid(run, tmp_path, pixel):
    image = tiny.smooth(3, 101, 77)
    result = run(tiny.write(tmp_path / "i.tif", image, pixel=pixel), window=64)
    with rasterio.open(tmp_path / "o.tif") as dataset:
        assert (dataset.width, dataset.height) == (77, 101)
        assert dataset.transform.a == pixel
        assert (dataset.read(1) > 0).all()
    assert result["pixels"] == 101 * 77


def test_a_coarser_image_is_interpolated_and_answered_at_its_pixels(run, expected, tmp_path):
    image = tiny.smooth(3, 64, 80)
    run(tiny.write(tmp_path / "i.tif", image, pixel=0.4), ground_sampling_distance=0.4)
    finer = np.pad(image.astype(float), [(0, 0), (1, 1), (1, 1)], mode="reflect")
    for axis in (1, 2):
        finer = np.swapaxes(finer, 1, axis)
        before, after = finer[:, :-1], finer[:, 1:]
        steps = np.stack([0.75 * before + 0.25 * after, 0.25 * before + 0.75 * after], axis=2)
        finer = np.swapaxes(steps.reshape(3, -1, finer.shape[2])[:, 1:-1], 1, axis)
    finer = np.rint(finer).astype(np.uint8)
    assert finer.shape == (3, 128, 160)
    assert same(tiny.read(tmp_path / "o.tif"), expected(finer)[1::2, 1::2], 0.99)


def test_a_geographic_and_a_rotated_image(run, expected, tmp_path):
    image = tiny.smooth(3, 64, 96)
    east, north = 0.2 / 111_320 / np.cos(np.radians(48)), 0.2 / 111_320
    run(tiny.write(tmp_path / "g.tif", image, crs="EPSG:4326", transform=Affine(east, 0, 2.3, 0, -north, 48.0)))
    assert same(tiny.read(tmp_path / "o.tif"), expected(image))
    turned = Affine.translation(650000, 6860000) @ Affine.rotation(30) @ Affine.scale(0.2, -0.2)
    run(tiny.write(tmp_path / "r.tif", image, transform=turned), output=str(tmp_path / "p.tif"))
    assert same(tiny.read(tmp_path / "p.tif"), expected(image))
    with rasterio.open(tmp_path / "p.tif") as dataset:
        assert dataset.transform.almost_equals(turned, 1e-6)


def test_several_files_are_one_image(run, expected, tmp_path):
    image = tiny.smooth(3, 96, 160)
    left = tiny.write(tmp_path / "l.tif", image[:, :, :90])
    right = tiny.write(tmp_path / "r.tif", image[:, :, 90:], transform=Affine(0.2, 0, 650018.0, 0, -0.2, 6860000.0))
    run(right, left)
    assert same(tiny.read(tmp_path / "o.tif"), expected(image))


def test_confidence_and_probabilities_are_the_networks(run, tiny_model, tmp_path):
    _, described, made = tiny_model
    image = tiny.smooth(3, 96, 96)
    image[:, :20, :20] = 0
    path = tiny.write(tmp_path / "i.tif", image, nodata=0)
    result = run(path, confidence=str(tmp_path / "c.tif"), probabilities=str(tmp_path / "q.tif"))
    alone = run(path, confidence=str(tmp_path / "c2.tif"), output=str(tmp_path / "o2.tif"))
    assert result["confidence"] == str(tmp_path / "c.tif")
    assert alone["classes"] == result["classes"]
    filled = image.copy()
    filled[:, :20, :20] = np.rint([band.mean for band in described.bands]).reshape(3, 1, 1)
    shares = tiny.softmax(tiny.truth(made, described, filled)) * 100
    valid = tiny.read(tmp_path / "o.tif") > 0
    assert valid.sum() == 96 * 96 - 400
    for name in ("c.tif", "c2.tif"):
        confidence = tiny.read(tmp_path / name)
        assert (confidence[~valid] == 255).all()
        assert np.abs(confidence.astype(float) - shares.max(0))[valid].max() < 0.6
    with rasterio.open(tmp_path / "q.tif") as dataset:
        assert dataset.count == 4
        percent = dataset.read()
    assert (percent[:, ~valid] == 255).all()
    assert np.abs(percent.astype(float) - shares)[:, valid].max() < 0.6


def test_augmentation_is_the_mean_over_the_symmetries(run, tiny_model, tmp_path):
    _, described, made = tiny_model
    image = tiny.smooth(3, 64, 64)
    total = 0
    for quarters in range(4):
        for flip in (False, True):
            turned = np.rot90(image, quarters, (1, 2))
            turned = np.ascontiguousarray(turned[:, :, ::-1] if flip else turned)
            shares = tiny.softmax(tiny.truth(made, described, turned))
            shares = shares[:, :, ::-1] if flip else shares
            total = total + np.rot90(shares, -quarters, (1, 2))
    run(tiny.write(tmp_path / "i.tif", image), augment=True)
    assert same(tiny.read(tmp_path / "o.tif"), tiny.codes_of(total))


def test_blending_has_no_seams_whatever_part_is_asked_for(run, tmp_path, monkeypatch):
    monkeypatch.setattr(window_classifier, "BLENDED_SIDE", 128)
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 400, 430))
    run(path, blend=True)
    run(path, blend=True, window=64, output=str(tmp_path / "small.tif"))
    run(path, blend=True, extent="650037.4,650051.2,6859948,6859959", output=str(tmp_path / "part.tif"))
    whole = tiny.read(tmp_path / "o.tif")
    assert same(whole, tiny.read(tmp_path / "small.tif"))
    assert same(whole[205:260, 187:256], tiny.read(tmp_path / "part.tif"))


def test_a_cancelled_run_goes_on_and_another_request_starts_anew(run, tmp_path, recorder):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 320, 320))
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        run(path, window=64, cancelled=cancelled, reporter=StopAfter(recorder, cancelled, 0.4))
    assert not (tmp_path / "o.tif").exists()
    assert left_behind(tmp_path) == [".o.tif.flair-work"]
    recorder.logs.clear()
    run(path, window=64)
    assert any("Going on" in text for text in recorder.logs)
    assert left_behind(tmp_path) == []
    run(path, window=64, output=str(tmp_path / "p.tif"))
    assert np.array_equal(tiny.read(tmp_path / "o.tif"), tiny.read(tmp_path / "p.tif"))

    cancelled.clear()
    with pytest.raises(Cancelled):
        run(
            path, window=64, output=str(tmp_path / "q.tif"), cancelled=cancelled,
            reporter=StopAfter(recorder, cancelled, 0.4),
        )  # fmt: skip
    recorder.logs.clear()
    run(path, window=96, output=str(tmp_path / "q.tif"))
    assert not any("Going on" in text for text in recorder.logs)
    assert any("anew" in text for text in recorder.logs)


def test_an_existing_output_is_kept_until_it_may_be_replaced(run, tmp_path):
    first = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 64, 64))
    run(first)
    before = (tmp_path / "o.tif").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        run(first)
    assert (tmp_path / "o.tif").read_bytes() == before
    image = tiny.smooth(3, 64, 64, seed=5)
    run(tiny.write(tmp_path / "j.tif", image), overwrite=True)
    assert not np.array_equal(tiny.read(tmp_path / "o.tif"), np.zeros((64, 64)))
    assert (tmp_path / "o.tif").read_bytes() != before


def test_a_damaged_block_is_named_and_nothing_is_left(run, tmp_path):
    # The samples looked at first lie beside it, as the middle of a large image would.
    image = np.random.default_rng(0).integers(1, 255, (3, 640, 640)).astype(np.uint8)
    path = tiny.write(tmp_path / "i.tif", image, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    damage(tmp_path / "i.tif")
    with pytest.raises(InputError, match=r"cannot be read in rows"):
        run(path, window=64, output=str(tmp_path / "x.tif"))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["i.tif"]


def test_a_large_file_of_nothing_is_told_without_a_network(run, tmp_path, monkeypatch):
    monkeypatch.setattr(computing, "load_job_predictor", None)
    path = tmp_path / "empty.tif"
    profile = {"driver": "GTiff", "count": 3, "width": 20000, "height": 20000, "dtype": "uint8", "nodata": 0}
    options = {"tiled": True, "sparse_ok": True, "crs": "EPSG:2154", "transform": Affine(0.2, 0, 0, 0, -0.2, 0)}
    with rasterio.open(path, "w", **profile, **options):
        pass
    with pytest.raises(InputError, match="nothing to classify"):
        run(str(path), crs="EPSG:2154")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["empty.tif"]


def test_an_area_of_nothing_is_told_without_a_network(run, tmp_path, monkeypatch):
    monkeypatch.setattr(computing, "load_job_predictor", None)
    image = tiny.smooth(3, 128, 128)
    image[:, :64] = 0
    path = tiny.write(tmp_path / "i.tif", image, nodata=0)
    with pytest.raises(InputError, match="nothing to classify"):
        run(path, extent="650000,650010,6859990,6860000")


def test_memory_that_runs_out_steps_down_and_says_so_once(run, expected, tmp_path, monkeypatch, recorder):
    from engine.inference.openvino_predictor import OpenVinoPredictor

    whole = OpenVinoPredictor.predict

    def limited(self, images):
        if images.shape[2] * images.shape[3] > 320 * 320:
            raise MemoryError
        return whole(self, images)

    monkeypatch.setattr(OpenVinoPredictor, "predict", limited)
    image = tiny.smooth(3, 512, 384)
    run(tiny.write(tmp_path / "i.tif", image))
    codes = tiny.read(tmp_path / "o.tif")
    assert (codes > 0).all()
    assert same(codes, expected(image), 0.8)
    assert len(recorder.warnings) == 1


def test_memory_that_suffices_for_nothing_leaves_nothing(run, tmp_path, monkeypatch):
    from engine.inference.openvino_predictor import OpenVinoPredictor

    def none(self, images):
        raise MemoryError

    monkeypatch.setattr(OpenVinoPredictor, "predict", none)
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 96, 96))
    with pytest.raises(EngineError, match="does not fit"):
        run(path)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["i.tif"]


@pytest.mark.parametrize(
    "options", [{"margin": 2048}, {"margin": 0}, {"memory": 0.001}, {"threads": 1}, {"batch_size": 3}]
)
def test_extreme_settings_give_the_same_map(run, expected, tmp_path, options):
    image = tiny.smooth(3, 160, 160)
    run(tiny.write(tmp_path / "i.tif", image), **options)
    assert same(tiny.read(tmp_path / "o.tif"), expected(image))
