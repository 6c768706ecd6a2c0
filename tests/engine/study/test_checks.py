"""Made differences are found, and what is the same is said to be."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.band import Band
from engine.data.official_split import OfficialSplit
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.published import load_published
from engine.models.catalogue import load_catalogue
from engine.models.resolve import ResolvedModel
from engine.nomenclature import Nomenclature
from engine.study.against_published import against_published
from engine.study.checks import data_checks, model_checks, result_checks
from engine.study.labelled_set import open_labelled_set
from tests.engine import tiny
from tests.engine.labelled_patches import write_pair

NAME = "FLAIR-INC_rgb_15cl_resnet34-unet"


def model(**changes):
    entry = load_catalogue()[NAME]
    return ResolvedModel(replace(entry.manifest, **changes), Path("x.pth"), "ab" * 32)


def looked(judged, test):
    matrix = ConfusionMatrix(judged.manifest.nomenclature)
    counts = np.zeros((20, 20), dtype=np.int64)
    counts[0, 0], counts[1, 1] = 50, 50
    matrix.add_matrix(counts)
    return data_checks(judged, test, matrix, "ign")


def verdicts(checks):
    return {item.name: item.verdict for item in checks}


def test_the_published_model_itself():
    found = model_checks(model(), NAME)
    assert verdicts(found) == {
        "Weights": "cannot be told", "Bands": "same", "Normalisation": "same", "Order of classes": "same",
        "Disabled classes": "same",
    }  # fmt: skip
    assert "no published checksum is known" in found[0].text
    assert "ab" * 32 in found[0].text


def test_a_model_that_no_catalogue_knows():
    assert set(verdicts(model_checks(model(), None)).values()) == {"cannot be told"}


@pytest.mark.parametrize(("sha256", "verdict"), [("ab" * 32, "same"), ("CD" * 32, "differs")])
def test_weights_beside_a_published_sum(monkeypatch, sha256, verdict):
    entry = replace(load_catalogue()[NAME], sha256=sha256)
    monkeypatch.setattr("engine.study.checks.load_catalogue", lambda: {NAME: entry})
    assert verdicts(model_checks(model(), NAME))["Weights"] == verdict
    # Converted here from a file with the published sum.
    made = model(provenance={"source_sha256": sha256.lower()})
    assert verdicts(model_checks(made, NAME))["Weights"] == "same"


def test_another_normalisation():
    bands = model().manifest.bands
    found = model_checks(model(bands=(Band("red", 0.0, 1.0), *bands[1:])), NAME)
    assert verdicts(found)["Normalisation"] == "differs"
    assert "red 0 / 1 instead of 105.08 / 52.17" in found[2].text
    assert verdicts(found)["Bands"] == "same"


def test_other_bands():
    bands = model().manifest.bands
    assert verdicts(model_checks(model(bands=bands[::-1]), NAME))["Bands"] == "differs"


def test_another_order_of_classes():
    classes = model().manifest.nomenclature
    swapped = Nomenclature("swapped", (classes.classes[1], classes.classes[0], *classes.classes[2:]))
    found = model_checks(model(nomenclature=swapped), NAME)
    assert verdicts(found)["Order of classes"] == "differs"
    assert "Output 0 is 2 pervious surface, in the published model 1 building" in found[3].text
    shorter = Nomenclature("short", classes.classes[:12])
    assert verdicts(model_checks(model(nomenclature=shorter), NAME))["Order of classes"] == "differs"


def test_other_disabled_classes():
    found = model_checks(model(nomenclature=model().manifest.nomenclature.with_disabled([15, 16, 17])), NAME)
    assert verdicts(found)["Disabled classes"] == "differs"
    assert "other can win in this one only" in found[4].text.lower()


@pytest.fixture
def patches(tmp_path, recorder):
    def made(domains=("D012_2019",), **options):
        lines = []
        for number, domain in enumerate(domains):
            image = options.pop("image", None)
            values = tiny.smooth(3, 32, 32) if image is None else image
            line = write_pair(tmp_path / domain, f"p{number}", values, np.full((32, 32), 1, np.uint8), **options)
            lines.append(",".join(f"{domain}/{part}" for part in line.split(",")))
        (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
        return open_labelled_set(str(tmp_path / "list.csv"), "test", None, recorder, threading.Event())

    return made


def test_patches_as_published(patches):
    found = looked(model(), patches(("D012_2019", "D085_2019")))
    assert verdicts(found) == {
        "Ground sampling distance": "same", "Type of the values": "same", "Held out": "same",
        "Classes in the truth": "differs",
    }  # fmt: skip
    # Two classes of 15, both perfect: 13.33 % by one rule, 100 % by the other.
    assert "this makes -86.67 points" in found[3].text


def test_the_only_domain(patches):
    assert "Their only domain, D012_2019, is a test domain" in looked(model(), patches())[2].text


def test_another_distance(patches):
    found = looked(model(), patches(pixel=0.5))
    assert verdicts(found)["Ground sampling distance"] == "differs"
    assert "0.5 m, but the model is made for 0.2 m" in found[0].text


def test_no_crs_tells_no_distance(patches):
    assert verdicts(looked(model(), patches(crs=None)))["Ground sampling distance"] == "cannot be told"


def test_other_values(patches):
    image = tiny.smooth(3, 32, 32).astype(np.uint16)
    assert verdicts(looked(model(), patches(image=image)))["Type of the values"] == "differs"


def test_patches_that_were_learnt_from(patches):
    found = looked(model(), patches(("D012_2019", "D001_2019", "D004_2021")))
    assert verdicts(found)["Held out"] == "differs"
    assert "D001_2019 is no test or validation domain" in found[2].text
    assert "D004_2021 is for validation" in found[2].text


def test_patches_of_no_domain(patches):
    assert verdicts(looked(model(), patches(("somewhere",))))["Held out"] == "cannot be told"


def test_a_model_judged_by_what_it_learnt(patches):
    test = patches(("somewhere",))
    test = replace(test, split="train", index=replace(test.index, pairs={"train": test.pairs}))
    own = model(provenance={"data": {"name": test.dataset.name}})
    found = looked(own, test)
    assert (found[2].verdict, "learnt from the train patches" in found[2].text) == ("differs", True)


def test_the_definition_and_its_share_of_the_gap(patches):
    matrix = ConfusionMatrix(model().manifest.nomenclature)
    counts = np.zeros((20, 20), dtype=np.int64)
    counts[0, 0], counts[1, 1] = 50, 50
    matrix.add_matrix(counts)
    card, plain, *_ = against_published(NAME, matrix, "ign")
    test = patches()
    found = {item.name: item for item in result_checks(card, test)}
    assert found["Definition of the figures"].verdict == "differs"
    # Two classes of 15, both perfect: 13.33 % by one rule, 100 % by the other.
    assert "By theirs our mean IoU is 100.00 %" in found["Definition of the figures"].text
    assert "makes -86.67 of the -45.68 points" in found["Definition of the figures"].text
    assert found["Test set"].verdict == "differs"
    assert "31,750 patches of 15 domains" in found["Test set"].text
    assert "this is one patch of 1 domain (D012_2019)" in found["Test set"].text
    assert verdicts(result_checks(plain, test))["Definition of the figures"] == "same"


def test_the_sets_that_figures_were_published_on():
    published = load_published()
    assert set(published.sets) <= {item.data for item in published.results}
    assert published.sets["FLAIR 1 test"].domains == len(OfficialSplit.load("flair-1").test)
