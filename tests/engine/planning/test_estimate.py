"""Hours and bytes from rates that are simple enough to reckon by hand."""

from dataclasses import replace

import pytest

from engine.planning.calibration import Calibration
from engine.planning.estimate import Workload, estimate

SPEED = Calibration(
    machine="a machine",
    device="cpu",
    precision="exact",
    model="a model",
    model_sha256="0" * 64,
    options={},
    budget=1e9,
    bytes_per_pixel=100.0,
    start_seconds=5.0,
    computed_pixels_per_second=1000.0,
    finished_pixels_per_second=4000.0,
    store_bytes_per_pixel=0.5,
    output_bytes_per_pixel=0.25,
    read_bytes_per_pixel=3.0,
    tiles=1,
    seconds=1.0,
)
WORK = Workload(tiles=10, pixels=8000, image_pixels=12_000, computed_pixels=10_000)


def test_one_worker():
    needed = estimate(WORK, SPEED, 1)
    assert needed.predict_seconds == pytest.approx(10.0)
    assert needed.finish_seconds == pytest.approx(2.0)
    assert needed.total_seconds == pytest.approx(17.0)
    assert needed.bytes_read == 36_000
    assert (needed.store_bytes, needed.output_bytes, needed.bytes_written) == (4000, 2000, 6000)
    assert needed.disk_bytes == 6600


@pytest.mark.parametrize(("workers", "seconds"), [(2, 5.0), (4, 3.0), (10, 1.0), (1000, 1.0)])
def test_a_tile_is_not_shared(workers, seconds):
    assert estimate(WORK, SPEED, workers).predict_seconds == pytest.approx(seconds)


def test_nothing_takes_only_the_start():
    assert estimate(Workload(0, 0, 0, 0), SPEED, 3).total_seconds == pytest.approx(5.0)


def test_twice_as_fast_takes_half():
    fast = replace(SPEED, computed_pixels_per_second=2000.0)
    assert estimate(WORK, fast, 1).predict_seconds == pytest.approx(5.0)
