import numpy as np
import pytest

from engine.errors import RequestError
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.definitions import DEFINITIONS
from engine.evaluation.scores import score
from engine.evaluation.verdicts import IGNORED, RIGHT, WRONG, verdict_table
from engine.nomenclature import load_nomenclature
from tests.engine.tiny import TINY_CLASSES


def test_strict():
    table = verdict_table(TINY_CLASSES, "strict")
    assert table.shape == (256, 256)
    assert table.dtype == np.uint8
    assert table[7, 7] == RIGHT
    assert table[7, 3] == table[7, 250] == table[7, 0] == table[7, 99] == WRONG
    assert not table[[0, 250, 99, 255]].any()


def test_ign_drops_what_was_predicted_as_nothing_or_as_a_disabled_class():
    table = verdict_table(TINY_CLASSES, "ign")
    assert table[7, 7] == RIGHT
    assert table[7, 3] == WRONG
    assert table[7, 250] == table[7, 0] == table[0, 7] == IGNORED


def test_challenge_folds_the_rest_into_one_class():
    table = verdict_table(load_nomenclature("flair"), "challenge12")
    assert table[13, 19] == table[12, 12] == RIGHT
    assert table[12, 13] == table[13, 12] == table[1, 0] == WRONG
    assert not table[0].any()


@pytest.mark.parametrize("definition", sorted(DEFINITIONS))
def test_the_verdicts_on_random_pixels_give_the_figures(definition):
    flair = load_nomenclature("flair")
    truth, predicted = np.random.default_rng(0).integers(0, 21, (2, 5000)).astype(np.uint8)
    matrix = ConfusionMatrix(flair)
    matrix.add_codes(truth, predicted)
    scores = score(matrix, definition)
    verdicts = verdict_table(flair, definition)[truth, predicted]
    assert (verdicts != IGNORED).sum() == scores.pixels
    assert (verdicts == RIGHT).sum() == round(scores.overall_accuracy * scores.pixels)


def test_a_definition_that_does_not_suit():
    with pytest.raises(RequestError, match="more than 12 classes"):
        verdict_table(TINY_CLASSES, "challenge12")
