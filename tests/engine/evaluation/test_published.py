"""The published figures agree with themselves, with the catalogue and with the rules that we say they follow."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from engine.evaluation.definitions import DEFINITIONS
from engine.evaluation.published import PUBLISHED, PublishedResult, load_published
from engine.models.catalogue import load_catalogue
from engine.nomenclature import load_nomenclature

PUBLISHED_RESULTS = load_published()
RGBIE = "FLAIR-INC_rgbie_15cl_resnet34-unet"
AVERAGES = ("fscore", "precision", "recall")


def only(model, **choice):
    found = PUBLISHED_RESULTS.of(model, **choice)
    assert len(found) == 1, found
    return found[0]


def reproduced():
    return next(item for item in PUBLISHED_RESULTS.of(RGBIE, source="study, table 3, reproduction") if item.classes)


def mean(result, name, classes):
    return sum(getattr(item, name) for item in result.classes.values()) / classes


def test_the_two_averages_of_one_card_are_one_sum_over_14_and_15_classes():
    card = only(RGBIE, source="card", rule="ign-present")
    assert len(card.classes) == 14
    assert sum(item.iou for item in card.classes.values()) == pytest.approx(820.752, abs=1e-9)
    assert mean(card, "iou", 14) == pytest.approx(card.averages.miou, abs=6e-4)
    assert mean(card, "iou", 15) == pytest.approx(only(RGBIE, source="card", rule="ign").averages.miou, abs=6e-4)
    for name in AVERAGES:
        assert mean(card, name, 14) == pytest.approx(getattr(card.averages, name), abs=6e-4)


def test_the_study_counts_its_two_missing_classes_as_zero():
    study = reproduced()
    assert len(study.classes) == 13
    assert mean(study, "iou", 15) == pytest.approx(study.averages.miou, abs=1e-4)
    for name in AVERAGES:
        assert mean(study, name, 15) == pytest.approx(getattr(study.averages, name), abs=1e-4)
    table = only(RGBIE, source="study, table 2, reproduction").averages
    for name in ("miou", *AVERAGES):
        assert round(getattr(study.averages, name), 2) == getattr(table, name)


def test_derived_averages_over_the_classes_of_both_sides():
    card, study = only(RGBIE, source="card", rule="ign-present"), reproduced()
    shared = [name for name in card.classes if name in study.classes]
    assert len(shared) == 13
    for result, source in ((card, "study, table 3, IGN"), (study, "study, table 3, reproduction")):
        derived = only(RGBIE, source=source, rule="ign-present")
        assert derived.derived == ("miou",)
        assert sum(result.classes[name].iou for name in shared) / 13 == pytest.approx(derived.averages.miou, abs=6e-3)


@pytest.mark.parametrize("side", ["IGN", "reproduction"])
def test_averages_of_table_2(side):
    rows = [item for item in PUBLISHED_RESULTS.results if item.source == f"study, table 2, {side}"]
    models = [item for item in rows if item.model != "average of the five models"]
    assert (len(models), len(rows)) == (5, 6)
    for name in ("miou", *AVERAGES):
        figures = [getattr(item.averages, name) for item in models]
        # The study prints 56.36 for recalls whose mean is 56.376.
        slip = 0.02 if (side, name) == ("reproduction", "recall") else 0.0061
        assert sum(figures) / 5 == pytest.approx(getattr(rows[-1].averages, name), abs=slip), name


def test_fscores_follow_from_precision_and_recall_and_ious_from_fscores():
    checked = 0
    for result in PUBLISHED_RESULTS.results:
        for name, item in result.classes.items():
            if item.fscore and item.precision and item.recall:
                harmonic = 2 * item.precision * item.recall / (item.precision + item.recall)
                assert item.fscore == pytest.approx(harmonic, abs=2e-3), (result.model, name)
                assert item.iou == pytest.approx(100 * item.fscore / (200 - item.fscore), abs=2e-3), name
                checked += 1
    assert checked == 14 + 13 + 2


def test_the_derived_recall_is_the_printed_one_over_fewer_classes():
    model = "FLAIR-INC_rgb_15cl_resnet34-unet"
    over_14, over_15 = only(model, source="card", rule="ign-present"), only(model, source="card", rule="ign")
    assert over_14.derived == ("recall",)
    assert over_15.averages.recall * 15 / 14 == pytest.approx(over_14.averages.recall, abs=6e-3)
    assert over_15.averages.miou * 15 / 14 == pytest.approx(over_14.averages.miou, abs=1e-3)


def test_the_hub_card_averages_its_15_classes():
    card = only("FLAIR-HUB_LC-A_RGB_swinbase-upernet")
    assert len(card.classes) == 15
    assert mean(card, "iou", 15) == pytest.approx(card.averages.miou, abs=0.01)


def test_the_catalogue_says_the_same():
    rules = {"miou_14": "ign-present", "miou_12": "ign-present", "miou_15": "ign", "miou_as_printed": "printed"}
    compared = 0
    for name, entry in load_catalogue().items():
        for key, value in entry.figures.items():
            found = PUBLISHED_RESULTS.of(name, source="card", rule=rules.get(key))
            wanted = "miou" if key in rules else key
            assert value in [getattr(item.averages, wanted) for item in found], (name, key)
            compared += 1
    assert compared >= 18


def test_classes_rules_and_models_are_known():
    names = {item.name for item in load_nomenclature("flair").enabled}
    for result in PUBLISHED_RESULTS.results:
        assert set(result.classes) <= names
        assert result.rule == "printed" or result.rule in DEFINITIONS
        assert set(result.derived) <= set(result.averages.model_dump(exclude_none=True))
        if result.model.startswith("FLAIR-INC"):
            assert result.model in load_catalogue()
    seen = [(item.model, item.source, item.data, item.rule) for item in PUBLISHED_RESULTS.results]
    assert len(set(seen)) == len(seen)


def test_a_misspelt_key_is_no_figure():
    values = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))["results"][0]
    with pytest.raises(ValidationError, match="mIoU"):
        PublishedResult.model_validate({**values, "averages": {"mIoU": 1.0}})
