import numpy as np
import pytest
import torch

from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.torch_confusion import _scattered, confusion_counts
from engine.nomenclature import load_nomenclature


@pytest.mark.parametrize("kind", [torch.uint8, torch.int64])
def test_counts_are_those_of_numpy(kind):
    classes = load_nomenclature("flair")
    random = np.random.default_rng(0)
    truth = random.integers(0, 19, (2, 33, 47), dtype=np.uint8)
    truth[random.random(truth.shape) < 0.2] = 255
    predicted = random.integers(0, 22, truth.shape, dtype=np.uint8)
    matrix = ConfusionMatrix(classes)
    matrix.add_indices(truth, predicted)
    counted = confusion_counts(torch.from_numpy(truth).to(kind), torch.from_numpy(predicted).long(), 19)
    assert counted.dtype == torch.int64
    assert np.array_equal(counted.numpy(), matrix.counts)


def test_numbers_outside_the_classes_are_the_rest():
    counted = confusion_counts(torch.tensor([-100, 0, 300]), torch.tensor([1, -1, 2]), 2)
    assert counted.tolist() == [[0, 0, 1], [0, 0, 0], [0, 1, 1]]


def test_scattering_is_counting():
    pairs = torch.randint(0, 9, (1001,))
    assert torch.equal(_scattered(pairs, 9), torch.bincount(pairs, minlength=9))
    assert _scattered(pairs[:0], 9).sum() == 0


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        confusion_counts(torch.zeros(2, 3), torch.zeros(3, 2), 4)
