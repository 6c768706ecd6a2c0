"""A plan counts what the classification will do, and takes its rates from a short run of it."""

import json
import threading

import pyogrio
import pytest
import shapely

from engine.commands import classify, plan
from engine.errors import Cancelled, InputError, OutputError, RequestError
from engine.requests import ClassifyRequest, parse_request
from tests.engine import tiny

WINDOW = {"window": 128, "margin": 32}


@pytest.fixture
def run(tiny_model, tiny_graph, recorder, tmp_path, monkeypatch):
    """Plan with the small model; whatever lies in the temporary folder afterwards is a fault."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setattr(plan, "SCENE_SIDE", 512)

    def start(cancelled=None, **options):
        request = parse_request("plan", {"model": str(tiny_model[0].path), "seconds": 0.2, **options})
        try:
            return plan.run(request, recorder, cancelled or threading.Event())
        finally:
            assert list(scratch.iterdir()) == []

    return start


def test_tiles_and_pixels_are_those_of_the_run(run, tiny_model, tmp_path, recorder):
    image = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 700, 500))
    made = run(input=[image], **WINDOW)["plan"]
    request = ClassifyRequest(
        model=str(tiny_model[0].path), input=[image], output=str(tmp_path / "o.tif"), device="cpu", **WINDOW
    )
    done = classify.run(request, recorder, threading.Event())
    assert made["pixels"] == 700 * 500 == done["pixels"]
    assert made["computed_pixels"] / made["pixels"] == pytest.approx(done["computed_ratio"], abs=1e-4)
    assert made["computed_pixels"] == made["image_pixels"]
    assert made["total_seconds"] >= made["predict_seconds"] + made["finish_seconds"] > 0


def test_sizes_come_from_what_was_written(run, tmp_path):
    image = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 512, 512))
    alone = run(input=[image], **WINDOW)
    more = run(input=[image], confidence=True, probabilities=True, **WINDOW)
    assert 0 < alone["plan"]["store_bytes"] < more["plan"]["store_bytes"]
    assert 0 < alone["plan"]["output_bytes"] < more["plan"]["output_bytes"]
    assert more["calibration"]["options"]["layers"] == ["classes", "confidence", "probabilities"]


def test_an_area_without_an_image(run):
    made = run(square_kilometres=1.0, **WINDOW)["plan"]
    assert made["pixels"] == 5000 * 5000  # the model sees 0.2 m a pixel
    assert made["computed_pixels"] > made["pixels"]


def test_another_ground_sampling_distance(run):
    made = run(square_kilometres=1.0, ground_sampling_distance=0.4, **WINDOW)["plan"]
    assert made["pixels"] == 2500 * 2500
    assert made["computed_pixels"] == pytest.approx(4 * made["image_pixels"], rel=0.01)


def test_polygons_leave_tiles_out(run, tmp_path):
    image = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 1024, 1024))
    whole = run(input=[image], **WINDOW)["plan"]
    with tiny.rasterio.open(image) as dataset:
        left, _, right, top = dataset.bounds
        crs = dataset.crs.to_string()
    corner = shapely.box(left, top - (right - left) / 10, left + (right - left) / 10, top)
    pyogrio.raw.write(
        tmp_path / "a.gpkg",
        geometry=tiny.np.array([shapely.to_wkb(corner)], dtype=object),
        field_data=[],
        fields=[],
        geometry_type="Polygon",
        crs=crs,
    )
    part = run(input=[image], area=str(tmp_path / "a.gpkg"), **WINDOW)["plan"]
    assert 0 < part["tiles"] < whole["tiles"] / 4


def test_a_calibration_is_carried_elsewhere(run, tmp_path, recorder):
    saved = tmp_path / "c.json"
    first = run(square_kilometres=1.0, output=str(saved), **WINDOW)
    assert json.loads(saved.read_text())["calibration"] == first["calibration"]
    recorder.logs.clear()
    ten = run(square_kilometres=10.0, workers=5, calibration=str(saved), **WINDOW)
    assert not any("Measured" in text and "windows" in text for text in recorder.logs)
    assert ten["calibration"] == first["calibration"]
    assert ten["plan"]["predict_seconds"] == pytest.approx(2 * first["plan"]["predict_seconds"], rel=0.05)


def test_a_calibration_of_other_options_is_told(run, tmp_path, recorder):
    saved = tmp_path / "c.json"
    run(square_kilometres=0.1, output=str(saved), **WINDOW)
    run(square_kilometres=0.1, calibration=str(saved), augment=True, **WINDOW)
    assert any("other options" in text for text in recorder.warnings)


def test_it_stops_at_once(run):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        run(cancelled=cancelled, square_kilometres=1.0)


def test_an_output_stays(run, tmp_path):
    saved = tmp_path / "c.json"
    saved.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        run(square_kilometres=1.0, output=str(saved))
    assert saved.read_text() == "mine"


def test_a_service_is_refused(run):
    with pytest.raises(InputError, match="copied first"):
        run(input=["ign:ortho"], extent="0,1,0,1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either an image"),
        ({"input": ["a.tif"], "square_kilometres": 1}, "either an image"),
        ({"square_kilometres": 1, "extent": "0,1,0,1"}, "belong to an image"),
        ({"square_kilometres": -1}, "square_kilometres"),
        ({"square_kilometres": 1, "output": "plan.txt"}, ".json"),
    ],
)
def test_requests_that_make_no_sense(options, said):
    with pytest.raises(RequestError, match=said):
        parse_request("plan", {"model": "m.safetensors", **options})
