from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from engine.models.utt.metadata_encoding import WIDTH, encode_metadata
from engine.models.utt.published_faults import PublishedFaults

PLACE = {"x": 650_000.0, "y": 6_860_000.0, "altitude": 120.0, "camera": "UCE-M3-f100-s06"}
NOON = datetime(2020, 7, 14, 12, 30)


def encoded(faults=PublishedFaults(), **changes):  # noqa: B008
    return encode_metadata(**{**PLACE, "taken": NOON, **changes}, faults=faults)


def test_places_of_the_numbers():
    values = encoded()
    assert values.shape == (WIDTH,) == (45,)
    assert values.dtype == np.float32
    assert values[32] == pytest.approx(120 / 3164.91, rel=1e-5)
    assert values[33:39].tolist() == [1, 0, 0, 0, 1, 0]
    assert ((values[39:] >= 0) & (values[39:] <= 1)).all()


@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({"x": 660_000.0}, range(16)),
        ({"y": 6_870_000.0}, range(16, 32)),
        ({"altitude": 900.0}, [32]),
        ({"camera": "DMC-III"}, [33, 34]),
        ({"camera": ""}, [33]),
        ({"taken": NOON.replace(year=2019)}, [36, 37]),
        ({"taken": NOON.replace(year=2024)}, [37]),
        ({"taken": NOON.replace(month=4)}, [39, 40]),
        ({"taken": NOON.replace(day=2)}, [41, 42]),
        ({"taken": NOON.replace(hour=9)}, [43, 44]),
    ],
)
def test_an_encoding_varies_with_what_it_encodes_and_nothing_else(change, places):
    moved = np.flatnonzero(np.abs(encoded() - encoded(**change)) > 1e-3)
    assert moved.size
    assert set(moved.tolist()) <= set(places)


def test_all_months_differ():
    months = np.array([encoded(taken=NOON.replace(month=month))[39:41] for month in range(1, 13)])
    distance = np.linalg.norm(months[:, None] - months[None], axis=-1) + np.eye(12)
    assert distance.min() > 0.2


def test_constant_month():
    months = np.array(
        [
            encoded(PublishedFaults(constant_month=True), taken=NOON.replace(month=month))[39:41]
            for month in range(1, 13)
        ]
    )
    assert np.ptp(months, axis=0).max() < 1e-6
    # Sine -0.5 and cosine 0.866, brought to 0 to 1.
    assert months[0] == pytest.approx([0.25, 0.9330127])


def test_flat_position():
    far = {"x": 1_200_000.0, "y": 6_100_000.0}
    flat = PublishedFaults(flat_position=True)
    assert np.abs(encoded(flat)[:32] - encoded(flat, **far)[:32]).max() < 0.01
    assert np.abs(encoded()[:32] - encoded(**far)[:32]).max() > 0.5
    # Sines of x / 1e8 and of its hundredths and less, as in the published code.
    assert encoded(flat)[:3] == pytest.approx([np.sin(0.0065), np.cos(0.0065), np.sin(0.00065)], abs=1e-7)
