import numpy as np
import pytest

from engine.evaluation.bootstrap import bootstrap
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.definitions import DEFINITIONS
from engine.evaluation.scores import score
from engine.nomenclature import load_nomenclature
from engine.reports.evaluation_report import MOST_POLYGONS, EvaluationReport, WorstPlace, render
from tests.engine.reports.test_training_report import HOSTILE, Page

FLAIR = load_nomenclature("flair")
DOT = "data:image/png;base64,AAAA"


def report(**changes):
    rng = np.random.default_rng(0)
    matrices = []
    for _ in range(12):
        matrix = ConfusionMatrix(FLAIR)
        truth = rng.choice([1, 3, 7], 400).astype(np.uint8)
        matrix.add_codes(truth, np.where(rng.random(400) < 0.8, truth, 7).astype(np.uint8))
        matrices.append(matrix.counts)
    whole = ConfusionMatrix(FLAIR)
    whole.add_matrix(np.sum(matrices, axis=0))
    rule = DEFINITIONS["strict"]
    scores = score(whole).to_dict()
    values = {
        "title": "map.tif",
        "scores": scores,
        "definition": rule.text,
        "source": rule.source,
        "confusion": rule.reduce(whole).counts[: len(scores["classes"])].tolist(),
        "intervals": bootstrap(np.stack(matrices), FLAIR, "strict", 0).to_dict(),
        "drawn_from": "12 blocks of 512 x 512 pixels",
        "verdicts": [{"code": 1, "name": "right", "color": "#a6dba0"}],
        **changes,
    }
    return EvaluationReport(**values)


def test_figures_with_their_definition_and_intervals():
    made = report()
    page = Page(render(made))
    text = " ".join(" ".join(page.text).split())
    assert "“strict”" in text
    assert "12 blocks of 512 x 512 pixels are drawn anew" in text
    assert f"{100 * made.scores['miou']:.1f}" in text
    low, high = made.intervals["miou"]
    assert f"{100 * low:.1f} to {100 * high:.1f}" in text
    row = next(row for row in page.rows if row and row[0].endswith("Building"))
    low, high = made.intervals["iou"]["1"]
    assert row[3] == f"{100 * low:.1f} to {100 * high:.1f}"
    assert len(row) == 9
    assert next(row for row in page.rows if row and row[0].endswith("Water"))[3] == ""
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_without_intervals_there_is_no_column_for_them():
    page = Page(render(report(intervals=None)))
    assert len(next(row for row in page.rows if row and row[0].endswith("Building"))) == 8
    assert "drawn anew" not in " ".join(page.text)


def test_the_palette_and_the_worst_places():
    html = render(report(worst=[WorstPlace(DOT, DOT, DOT, "here: 4 of 9")]))
    assert "background: #db0e9a" in html
    assert "background: #a6dba0" in html
    assert "here: 4 of 9" in html
    assert 'alt="Image"' not in html
    assert 'alt="Image"' in render(report(worst=[WorstPlace(DOT, DOT, DOT, "", DOT), WorstPlace(DOT, DOT, DOT, "")]))


def test_polygons():
    row = {"name": HOSTILE, "pixels": 5, "miou": 0.5, "overall_accuracy": 0.25, "fscore": None, "kappa": None}
    page = Page(render(report(polygons=[row])))
    assert [row[1:] for row in page.rows if row and row[0] == HOSTILE] == [["50.0", "25.0", "\u2013", "\u2013", "5"]]
    html = render(report(polygons=[row] * (MOST_POLYGONS + 7)))
    assert "7 more polygons" in html


def test_hostile_texts_stay_texts():
    page = Page(
        render(
            report(
                title=HOSTILE,
                notes=[HOSTILE],
                summary=[(HOSTILE, HOSTILE)],
                drawn_from=HOSTILE,
                worst=[WorstPlace('" onerror="x', "", "", HOSTILE)],
                options={HOSTILE: HOSTILE},
            )
        )
    )
    assert "script" not in page.tags
    assert "onerror" not in dict(page.attributes)


def test_a_matrix_that_does_not_fit():
    with pytest.raises(ValueError, match="confusion matrix"):
        render(report(confusion=[[1]]))
