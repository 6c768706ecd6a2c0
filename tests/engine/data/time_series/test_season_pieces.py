from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.data.time_series.season_pieces import Piece, SeasonPieces, batch_pieces, turned
from engine.data.time_series.series import TimeSeries
from engine.data.turning import Turn
from tests.engine.data.test_turning import EVERY

RATIO, SIDE, AROUND = 8, 80, 16


def marked(row=1, column=7, dates=3):
    """Return a patch over 10 x 10 satellite pixels, one of them marked in image, target and all dates."""
    image = np.zeros((2, SIDE, SIDE), np.uint8)
    target = np.zeros((SIDE, SIDE), np.uint8)
    place = (slice(row * RATIO, (row + 1) * RATIO), slice(column * RATIO, (column + 1) * RATIO))
    image[(slice(None), *place)], target[place] = 200, 1
    pixels = np.zeros((dates, 4, AROUND, AROUND), np.float32)
    pixels[:, :, 3 + row, 3 + column] = 1
    return Piece(image, target, TimeSeries(pixels, np.arange(dates), np.arange(dates) + 1))


def satellite_mark(series):
    """Return where the mark is in the middle of the series, brought to the image's pixels."""
    inner = series.pixels[:, :, 3:-3, 3:-3]
    return np.kron(inner, np.ones((RATIO, RATIO)))


class Source:
    def __init__(self, *items):
        self.items = items

    def read(self, index):
        return self.items[index]


@pytest.mark.parametrize("turn", EVERY)
def test_a_mark_stays_where_it_is_in_image_target_and_season(turn):
    image, target, series, *_ = turned(marked(), turn)
    assert ((satellite_mark(series) == 1) == (image[0] == 200)).all()
    assert ((image[0] == 200) == (target == 1)).all()
    assert target.sum() == RATIO**2


def test_satellite_not_turned():
    """The published fault: all turns but none take the mark elsewhere."""
    wrong = 0
    for turn in EVERY:
        image, _, series, *_ = turned(marked(), turn, satellite_too=False)
        wrong += int(((satellite_mark(series) == 1) != (image[0] == 200)).any())
    still = sum((turn.of(marked()[1]) == marked()[1]).all() for turn in EVERY)
    assert wrong == len(EVERY) - still == 14


@pytest.mark.parametrize("satellite_too", [True, False])
def test_pieces_stay_together_all_through_an_epoch(satellite_too):
    image, target, series, *_ = marked()
    pieces = SeasonPieces(Source((image, target)), Source(series), 5, satellite_too=satellite_too)
    together = []
    for position in range(24):
        image, target, series, *_ = pieces[0, position, 0]
        together.append(((satellite_mark(series) == 1) == (target == 1)).all())
    assert all(together) is satellite_too
    assert any((pieces[0, 0, 0][1] != pieces[0, position, 0][1]).any() for position in range(24))
    assert (pieces[1, 3, 0][0] == pieces[1, 3, 0][0]).all()


def test_without_turns_a_piece_is_the_patch():
    image, target, series, *_ = marked()
    pieces = SeasonPieces(Source((image, target)), Source(series), 5, quarter_turns=False, flips=False)
    assert all((pieces[0, position, 0][1] == target).all() for position in range(8))


def test_a_batch_takes_series_of_all_lengths():
    batch = batch_pieces([turned(marked(dates=dates), Turn(1)) for dates in (2, 5, 0)])
    assert {name: tuple(values.shape) for name, values in batch.items()} == {
        "image": (3, 2, SIDE, SIDE),
        "target": (3, SIDE, SIDE),
        "series": (3, 5, 4, AROUND, AROUND),
        "days": (3, 5),
        "valid": (3, 5),
    }
    assert batch["image"].dtype == batch["target"].dtype == torch.uint8
    assert batch["valid"].sum(1).tolist() == [2, 5, 0]
