from __future__ import annotations

import pytest
import torch

from engine.errors import ModelError
from engine.inference.season_network import CellFeatures, Lie, SeasonNetwork
from tests.engine import season_files, tiny
from tests.engine.season_files import PATCH


@pytest.fixture(scope="module")
def deployed():
    described = season_files.manifest()
    return SeasonNetwork(season_files.network(described), described).eval()


def cell(known=True, seed=0):
    torch.manual_seed(seed)
    return CellFeatures(torch.randn(16, 8, 8) * known, torch.randn(16) * known, known)


@torch.inference_mode()
def test_a_single_cell_is_given_what_the_network_gives_a_patch(deployed):
    made, one = deployed.network, cell()
    added = deployed.season([[one]], Lie(0, 0, PATCH, PATCH, PATCH))
    for (stage, place), found in zip(made.places.items(), added, strict=True):
        side = PATCH // 2**stage
        expected = made.cropped(one.ground[None], place, (side, side))[0]
        expected = expected + made.collapsed.perceptrons[place](one.summary)[:, None, None]
        assert torch.allclose(found, expected, atol=1e-5)


@torch.inference_mode()
def test_a_window_is_given_its_part_of_a_larger_one(deployed):
    cells = [[cell(seed=3 * row + column) for column in range(3)] for row in range(3)]
    whole = deployed.season(cells, Lie(0, 0, 192, 192, PATCH))
    part = deployed.season(cells, Lie(32, 64, 96, 64, PATCH))
    for stage, (large, small) in enumerate(zip(whole, part, strict=True), 1):
        step = 2**stage
        row, column = 32 // step, 64 // step
        assert torch.allclose(large[:, row : row + 96 // step, column : column + 64 // step], small, atol=1e-5)


@torch.inference_mode()
def test_ground_without_a_date_is_given_nothing(deployed):
    cells = [[cell(), cell(known=False), cell(known=False)]]
    for stage, found in enumerate(deployed.season(cells, Lie(0, 0, PATCH, 3 * PATCH, PATCH)), 1):
        # The summary of the first fades out towards the middle of the second.
        assert found[..., : PATCH // 2**stage].abs().max() > 0
        assert (found[..., (3 * PATCH // 2 + 4) // 2**stage + 1 :] == 0).all()


def test_a_network_of_images_alone_is_none():
    described = tiny.manifest()
    with pytest.raises(ModelError, match="looks at no season"):
        SeasonNetwork(tiny.network(described), described)
