from __future__ import annotations

import pytest
import torch

from engine.models.utt.ltae import LTAE, SeriesNorm, day_encoding


def attention(count_padding=False):
    torch.manual_seed(0)
    return LTAE(32, 24, heads=8, width=64, key_width=4, count_padding=count_padding).eval()


def series(items=2, dates=5):
    torch.manual_seed(1)
    return torch.randn(items, dates, 32, 3, 4), torch.randint(-200, 130, (items, dates)).float()


def test_shapes_and_shares():
    maps, days = series()
    answer, shares = attention()(maps, days, torch.ones(2, 5, dtype=torch.bool))
    assert answer.shape == (2, 24, 3, 4)
    assert shares.shape == (2, 8, 5, 3, 4)
    assert torch.allclose(shares.sum(2), torch.ones(2, 8, 3, 4))


def test_a_padded_date_has_no_share_and_changes_nothing():
    maps, days = series()
    valid = torch.tensor([[True, False, True, True, False]] * 2)
    answer, shares = attention()(maps.where(valid[:, :, None, None, None], torch.tensor(0.0)), days, valid)
    alone, _ = attention()(maps[:, [0, 2, 3]], days[:, [0, 2, 3]], torch.ones(2, 3, dtype=torch.bool))
    assert (shares[:, :, [1, 4]] == 0).all()
    assert torch.allclose(answer, alone, atol=1e-5)


def test_the_normalisation_is_that_of_torch_where_nothing_is_padded():
    maps, _ = series(6, 7)
    values = maps[..., 0, 0]
    ours = SeriesNorm(8, 32, count_padding=False)
    torch.nn.init.uniform_(ours.weight)
    torch.nn.init.uniform_(ours.bias)
    known = torch.ones(6, 7, dtype=torch.bool)
    theirs = torch.nn.functional.group_norm(values.transpose(1, 2), 8, ours.weight, ours.bias).transpose(1, 2)
    assert torch.allclose(ours(values, known), theirs, atol=1e-5)


def test_the_normalisation_leaves_padded_dates_out_whatever_they_hold():
    maps, _ = series(6, 7)
    values = maps[..., 0, 0]
    norm = SeriesNorm(8, 32, count_padding=False)
    known = torch.tensor([True, False, True, True, True, False, True]).expand(6, 7)
    garbage = values.where(known[..., None], torch.tensor(1e3))
    alone = norm(values[:, [0, 2, 3, 4, 6]], torch.ones(6, 5, dtype=torch.bool))
    assert torch.allclose(norm(garbage, known)[:, [0, 2, 3, 4, 6]], alone, atol=1e-4)


@pytest.mark.parametrize("width", [4, 16, 17])
def test_days_are_told_apart_by_the_formula_of_the_authors(width):
    days = torch.tensor([[0.0, 1.0, -200.0]])
    encoded = day_encoding(days, width)
    assert encoded.shape == (1, 3, width)
    for place in range(width):
        angle = days[0] / 1000 ** (2 * (place // 2) / width)
        assert torch.allclose(encoded[0, :, place], angle.cos() if place % 2 else angle.sin(), atol=1e-5)


def test_the_day_matters():
    maps, days = series()
    valid = torch.ones(2, 5, dtype=torch.bool)
    assert not torch.allclose(attention()(maps, days, valid)[0], attention()(maps, days + 90, valid)[0], atol=1e-3)
