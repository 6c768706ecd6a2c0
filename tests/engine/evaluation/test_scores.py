import json
import math

import numpy as np
import pytest
import torch
from sklearn import metrics
from torchmetrics.classification import MulticlassJaccardIndex

from engine.errors import RequestError
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.definitions import DEFINITIONS
from engine.evaluation.scores import score
from engine.nomenclature import LandCoverClass, Nomenclature, load_nomenclature
from tests.engine.tiny import TINY_CLASSES

# IoU in % as printed on IGN's card of the model rgbie_15cl_resnet34-unet; snow has none.
CARD = (
    82.6310, 53.2350, 74.1740, 60.3960, 87.5890, 46.3500, 67.4470, 30.2350, 82.9250, 55.0280, 52.0150, 40.8390, 48.4430,
    39.4450,
)  # fmt: skip


def tiny(rows):
    """Roof, grass, never (disabled), water, road, rest."""
    matrix = ConfusionMatrix(TINY_CLASSES)
    matrix.add_matrix(np.array(rows))
    return matrix


HAND = tiny(
    [
        [6, 2, 1, 0, 0, 1],  # roof: one predicted as the disabled class, one as nothing
        [1, 8, 0, 0, 0, 0],
        [5, 5, 5, 5, 5, 5],  # truth disabled
        [0, 0, 0, 0, 0, 0],  # no water
        [0, 0, 0, 1, 3, 0],
        [7, 7, 7, 7, 7, 7],  # unlabelled
    ]
)


def by_name(scores):
    return {item.name: item for item in scores.classes}


def test_strict_by_hand():
    scores = score(HAND)
    named = by_name(scores)
    assert list(named) == ["roof", "grass", "water", "road"]
    roof, grass, water, road = named.values()
    assert (roof.iou, roof.precision, roof.recall, roof.fscore) == pytest.approx((6 / 11, 6 / 7, 0.6, 12 / 17))
    assert (grass.iou, grass.precision, grass.recall, grass.fscore) == pytest.approx((8 / 11, 0.8, 8 / 9, 16 / 19))
    assert (road.iou, road.precision, road.recall, road.fscore) == pytest.approx((0.75, 1.0, 0.75, 6 / 7))
    assert (roof.truth_pixels, roof.predicted_pixels, roof.present) == (10, 7, True)
    assert (water.predicted_pixels, water.present) == (1, False)
    assert all(math.isnan(value) for value in (water.iou, water.precision, water.recall, water.fscore))
    assert scores.absent == ("water",)
    assert scores.pixels == 23
    assert scores.miou == pytest.approx((6 / 11 + 8 / 11 + 0.75) / 3)
    assert scores.overall_accuracy == pytest.approx(17 / 23)
    assert scores.precision == pytest.approx((6 / 7 + 0.8 + 1) / 3)
    assert scores.recall == pytest.approx((0.6 + 8 / 9 + 0.75) / 3)
    assert scores.fscore == pytest.approx((12 / 17 + 16 / 19 + 6 / 7) / 3)
    expected = (10 * 7 + 9 * 10 + 4 * 3) / 23**2
    assert scores.kappa == pytest.approx((17 / 23 - expected) / (1 - expected))


def test_ign_drops_pixels_predicted_as_disabled_and_counts_absent_classes_as_zero():
    scores = score(HAND, "ign")
    named = by_name(scores)
    assert named["roof"].iou == pytest.approx(6 / 9)
    assert named["roof"].recall == pytest.approx(6 / 8)
    assert (named["water"].iou, named["water"].recall, named["water"].fscore) == (0, 0, 0)
    assert scores.miou == pytest.approx((6 / 9 + 8 / 11 + 0 + 0.75) / 4)
    assert scores.overall_accuracy == pytest.approx(17 / 21)
    assert scores.absent == ("water",)
    assert score(HAND, "ign-present").miou == pytest.approx((6 / 9 + 8 / 11 + 0.75) / 3)


@pytest.mark.parametrize(("definition", "miou"), [("ign", 54.7168), ("ign-present", 58.625), ("strict", 58.625)])
def test_averages_of_the_published_model(definition, miou):
    flair = load_nomenclature("flair")
    channels = [channel for channel, item in zip(flair.enabled_channels, flair.enabled, strict=True)
                if item.name != "snow"]  # fmt: skip
    counts = np.zeros((20, 20), dtype=np.int64)
    # Each class loses one pixel to the next, so that IoU = right / (right + 2): its counterpart is right.
    for place, (channel, iou) in enumerate(zip(channels, CARD, strict=True)):
        counts[channel, channels[(place + 1) % len(channels)]] = 10**9
        counts[channel, channel] = round(2 * 10**9 * iou / (100 - iou))
    matrix = ConfusionMatrix(flair)
    matrix.add_matrix(counts)
    scores = score(matrix, definition)
    assert [100 * item.iou for item in scores.classes if item.present] == pytest.approx(CARD)
    assert 100 * scores.miou == pytest.approx(miou, abs=5e-4)
    assert scores.absent == ("snow",)


def fourteen():
    return Nomenclature(
        "fourteen", tuple(LandCoverClass(code, f"c{code}", "#000000", code > 13) for code in range(1, 15))
    )


def test_challenge_folds_all_from_the_thirteenth_into_one():
    matrix = ConfusionMatrix(fourteen())
    counts = np.zeros((15, 15), dtype=np.int64)
    counts[0, 0], counts[0, 13], counts[0, 14], counts[0, 12] = 5, 1, 1, 1  # c1: three as "other" or nothing
    counts[13, 0], counts[12, 13] = 2, 4  # a disabled class as c1; "other" as another "other" is right
    counts[0, 2] = 1  # c3 is only predicted
    counts[14, 1] = 50  # unlabelled
    matrix.add_matrix(counts)
    scores = score(matrix, "challenge12")
    assert len(scores.classes) == 12
    assert scores.classes[0].iou == pytest.approx(5 / 11)
    assert scores.classes[2].iou == 0
    assert math.isnan(scores.classes[1].iou)
    assert scores.miou == pytest.approx((5 / 11 + 0) / 2)
    assert scores.overall_accuracy == pytest.approx(9 / 15)
    with pytest.raises(RequestError, match="more than 12 classes"):
        score(HAND, "challenge12")


def test_unknown_definitions_are_refused():
    with pytest.raises(RequestError, match="'mine'"):
        score(HAND, "mine")


def test_never_predicting_a_class_costs():
    scores = score(tiny([[5, 0, 0, 0, 0, 0], [5, 0, 0, 0, 0, 0], *[[0] * 6] * 4]))
    grass = by_name(scores)["grass"]
    assert (grass.iou, grass.precision, grass.recall, grass.fscore) == (0, 0, 0, 0)
    assert scores.precision == pytest.approx(0.25)
    assert scores.kappa == pytest.approx(0)


@pytest.mark.parametrize("definition", ["strict", "ign", "ign-present"])
def test_an_empty_matrix_has_no_figures_and_is_valid_json(definition):
    scores = score(ConfusionMatrix(TINY_CLASSES), definition)
    assert math.isnan(scores.overall_accuracy)
    assert math.isnan(scores.kappa)
    assert scores.miou == 0 if definition == "ign" else math.isnan(scores.miou)
    assert scores.absent == ("roof", "grass", "water", "road")
    values = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert values["kappa"] is None
    assert values["classes"][0]["name"] == "roof"


def test_one_class_everywhere():
    one = ConfusionMatrix(Nomenclature("one", (LandCoverClass(1, "roof", "#ff0000"),)))
    one.add_codes(np.ones(4, np.uint8), np.ones(4, np.uint8))
    scores = score(one)
    assert (scores.miou, scores.overall_accuracy) == (1, 1)
    assert math.isnan(scores.kappa)


def test_kappa_survives_more_pixels_than_fit_squared_into_64_bits():
    rows = np.array([[6, 2, 0, 0, 0, 0], [1, 8, 0, 0, 0, 0], *[[0] * 6] * 4])
    assert score(tiny(rows * 10**14)).kappa == pytest.approx(score(tiny(rows)).kappa)


def plain(number):
    return Nomenclature("plain", tuple(LandCoverClass(code, f"c{code}", "#000000") for code in range(1, number + 1)))


@pytest.mark.parametrize("definition", ["strict", "ign", "ign-present"])
def test_agrees_with_sklearn_and_torchmetrics(definition):
    random = np.random.default_rng(5)
    truth = random.integers(0, 7, (3, 64, 64), dtype=np.uint8)
    predicted = np.where(random.random(truth.shape) < 0.6, truth, random.integers(0, 7, truth.shape)).astype(np.uint8)
    matrix = ConfusionMatrix(plain(7))
    matrix.add_indices(truth, predicted)
    flat, found = truth.ravel(), predicted.ravel()
    assert np.array_equal(matrix.counts[:-1, :-1], metrics.confusion_matrix(flat, found))
    scores = score(matrix, definition)
    assert scores.miou == pytest.approx(metrics.jaccard_score(flat, found, average="macro"))
    assert scores.fscore == pytest.approx(metrics.f1_score(flat, found, average="macro"))
    assert scores.precision == pytest.approx(metrics.precision_score(flat, found, average="macro"))
    assert scores.recall == pytest.approx(metrics.recall_score(flat, found, average="macro"))
    assert scores.overall_accuracy == pytest.approx(metrics.accuracy_score(flat, found))
    assert scores.kappa == pytest.approx(metrics.cohen_kappa_score(flat, found))
    jaccard = MulticlassJaccardIndex(num_classes=7, average="none")
    jaccard.update(torch.from_numpy(predicted), torch.from_numpy(truth))
    assert [item.iou for item in scores.classes] == pytest.approx(jaccard.compute().tolist())


def test_strict_agrees_with_sklearn_where_truth_is_ignored_and_classes_are_disabled():
    random = np.random.default_rng(6)
    flair = load_nomenclature("flair")
    truth, predicted = (random.integers(0, 20, 20_000, dtype=np.uint8) for _ in range(2))
    truth[truth == 14] = 0  # no snow
    matrix = ConfusionMatrix(flair)
    matrix.add_codes(truth, predicted)
    counts = np.isin(truth, [item.code for item in flair.enabled])
    there = sorted({item.code for item in flair.enabled} - {14})
    one, other = truth[counts], predicted[counts]
    scores = score(matrix)
    assert scores.absent == ("snow",)
    assert scores.pixels == counts.sum()
    assert scores.miou == pytest.approx(metrics.jaccard_score(one, other, labels=there, average="macro"))
    assert scores.fscore == pytest.approx(metrics.f1_score(one, other, labels=there, average="macro"))
    assert scores.kappa == pytest.approx(metrics.cohen_kappa_score(one, other))
    indices = ConfusionMatrix(flair)
    table = np.append(np.arange(19, dtype=np.uint8), np.uint8(255))
    indices.add_indices(flair.code_to_index[truth], table[predicted.astype(int) - 1])
    assert score(indices).to_dict() == scores.to_dict()


def test_every_definition_says_what_it_does():
    assert next(iter(DEFINITIONS)) == "strict"
    for name, item in DEFINITIONS.items():
        assert item.name == name
        assert item.text.endswith(".")
        assert item.source
