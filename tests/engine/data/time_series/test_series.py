from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from engine.data.time_series.days import days_to_mid_may
from engine.data.time_series.series import TimeSeries, batch_series, clear_dates
from engine.errors import InputError


def series(*places, value=None):
    pixels = (
        np.stack([np.full((2, 4, 4), index if value is None else value, np.float32) for index in range(len(places))])
        if places
        else np.zeros((0, 2, 4, 4), np.float32)
    )
    days = np.array([days_to_mid_may(*place) for place in places], dtype=np.int64)
    return TimeSeries(pixels, days, np.array([month for month, _ in places], dtype=np.int64))


def test_days_count_down_to_the_middle_of_may():
    assert [days_to_mid_may(*place) for place in ((1, 1), (5, 14), (5, 15), (5, 16), (12, 31))] == [134, 1, 0, -1, -230]
    assert days_to_mid_may(2, 29) == days_to_mid_may(3, 1) == (date(2021, 5, 15) - date(2021, 3, 1)).days


@pytest.mark.parametrize("place", [(13, 1), (2, 30), (0, 5), (6, 31)])
def test_days_that_are_none_are_refused(place):
    with pytest.raises(InputError, match="no day"):
        days_to_mid_may(*place)


def test_covered_dates_are_dropped():
    """Half of the area is too much; snow and cloud add up; 59 per cent is no cover."""
    masks = np.zeros((6, 2, 4, 4), np.uint8)
    masks[1, 1, :2] = 60  # half under cloud
    masks[2, 1, :2] = 59
    masks[3, 0, :1] = 100  # a quarter under snow
    masks[4, 0, :1], masks[4, 1, 1:2] = 80, 70  # a quarter each
    masks[5, 0, :1, :3], masks[5, 1, :1] = 60, 60  # 7 of 16
    assert clear_dates(masks).tolist() == [True, False, True, True, False, True]


def test_months_are_averaged_at_their_fifteenth_in_their_order():
    found = series((12, 3), (3, 1), (3, 30), (7, 9), (3, 2)).by_month()
    assert found.months.tolist() == [3, 7, 12]
    assert found.days.tolist() == [days_to_mid_may(month, 15) for month in (3, 7, 12)]
    assert found.pixels[:, 0, 0, 0].tolist() == pytest.approx([(1 + 2 + 4) / 3, 3, 0])
    assert found.pixels.dtype == np.float32


def test_a_year_has_twelve_months_at_most_and_none_has_none():
    assert series(*((month, day) for month in range(1, 13) for day in (1, 15))).by_month().dates == 12
    empty = series().by_month()
    assert empty.dates == 0
    assert empty.pixels.shape == (0, 2, 4, 4)


def test_a_batch_is_as_long_as_its_longest_series():
    pixels, days, valid = batch_series([series((1, 1), value=5), series(), series((3, 1), (4, 1), (5, 1), value=7)])
    assert pixels.shape == (3, 3, 2, 4, 4)
    assert valid.tolist() == [[True, False, False], [False] * 3, [True] * 3]
    assert days.tolist() == [[134, 0, 0], [0, 0, 0], [75, 44, 14]]
    assert (pixels[0, 0] == 5).all()
    assert (pixels[~valid] == 0).all()
    assert (pixels[2] == 7).all()


def test_a_batch_without_any_date_has_length_zero():
    pixels, days, valid = batch_series([series(), series()])
    assert pixels.shape == (2, 0, 2, 4, 4)
    assert days.shape == valid.shape == (2, 0)
