import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from engine.errors import OutputError
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.definitions import DEFINITIONS
from engine.evaluation.scores import score
from engine.nomenclature import LandCoverClass, Nomenclature, load_nomenclature
from engine.reports.page import write_report
from engine.reports.pictures import class_picture, picture
from engine.reports.training_report import Sample, TrainingReport, render

VOID = {"meta", "img", "br"}
HOSTILE = "<script>alert(1)</script>\"'&"


class Page(HTMLParser):
    """Checks that tags are closed in order, and gathers what is in them."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text, self.attributes = [], [], [], []
        self.rows = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] = " ".join((self.rows[-1][-1] + data).split())


def evaluated(classes, truth, predicted):
    matrix = ConfusionMatrix(classes)
    matrix.add_codes(np.array(truth, dtype=np.uint8), np.array(predicted, dtype=np.uint8))
    reduced = DEFINITIONS["strict"].reduce(matrix)
    return score(matrix).to_dict(), reduced.counts.tolist()


@pytest.fixture
def report():
    flair = load_nomenclature("flair")
    random = np.random.default_rng(0)
    truth = random.choice(np.array([item.code for item in flair.enabled if item.name != "snow"]), (64, 64))
    predicted = np.where(random.random(truth.shape) < 0.7, truth, random.integers(0, 20, truth.shape))
    scores, confusion = evaluated(flair, truth, predicted)
    codes = truth.astype(np.uint8)
    image = picture(random.integers(0, 256, (3, 64, 64), dtype=np.uint8), ["red", "green", "blue"])
    return TrainingReport(
        title="A town",
        summary=[("Data set", "town 2022"), ("Encoder", "resnet34"), ("Device", "CPU")],
        history=[
            {"epoch": epoch, "loss": 2 / epoch, "val_loss": 3 / epoch, "miou": epoch / 10, "learning_rate": 2e-4,
             "seconds": 70.0}
            for epoch in range(1, 6)
        ],
        best_epoch=5,
        scores=scores,
        definition=DEFINITIONS["strict"].text,
        confusion=confusion,
        samples=[Sample(image, class_picture(codes, flair), class_picture(codes, flair), "Patch 1")],
        notes=["Few patches."],
        options={"batch_size": 4, "augmentation": {"flip": True}},
    )  # fmt: skip


def test_page_is_whole_and_needs_nothing_else(report):
    html = render(report)
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert "script" not in page.tags
    assert "link" not in page.tags
    addresses = [value for name, value in page.attributes if name in ("src", "href")]
    assert len(addresses) == 3
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert "url(" not in html
    assert "@import" not in html
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawings) == 2 + 15
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_figures_are_those_given(report):
    page = Page(render(report))
    text = " ".join(" ".join(page.text).split())
    water = next(item for item in report.scores["classes"] if item["name"] == "water")
    figures = [f"{100 * water[name]:.1f}" for name in ("iou", "precision", "recall", "fscore")]
    row = next(row for row in page.rows if row[0].endswith("Water"))
    assert row[2:6] == figures
    assert row[6] == str(water["truth_pixels"])
    snow = next(row for row in page.rows if row[0].endswith("Snow"))
    assert snow[2:6] == ["–"] * 4  # noqa: RUF001
    assert "Absent from the truth: Snow." in text
    assert f"{100 * report.scores['miou']:.1f}" in next(row for row in page.rows if "Mean IoU" in row[0])[0]
    assert ["5 (best)", "0.4000", "0.6000", "50.0", "0.0002", "1 min 10 s"] in page.rows
    assert ["Data set", "town 2022"] in page.rows
    assert ["augmentation.flip", "yes"] in page.rows
    assert "Few patches." in text
    assert "Patch 1" in text
    assert "by the definition “strict”" in text


def test_confusion_matrix_is_shown_in_shares_and_in_pixels(report):
    page = Page(render(report))
    shares, pixels = (row for row in page.rows if row[0].endswith("Greenhouse") and len(row) == 17)
    assert [int(cell.replace("\N{NO-BREAK SPACE}", "")) for cell in pixels[1:]] == report.confusion[14]
    assert int(shares[15]) == round(100 * report.confusion[14][14] / sum(report.confusion[14]))


def test_hostile_names_are_text():
    classes = Nomenclature(HOSTILE, (LandCoverClass(1, HOSTILE, "#ff0000"), LandCoverClass(2, "x", "#00ff00")))
    scores, confusion = evaluated(classes, [1, 1, 2], [1, 2, 2])
    scores["classes"][1]["color"] = "red;}</style><script>"
    scores["absent"] = [HOSTILE]
    html = render(
        TrainingReport(
            HOSTILE,
            summary=[(HOSTILE, HOSTILE)],
            history=[{"epoch": 1, "loss": 1.0}],
            scores=scores,
            definition=HOSTILE,
            confusion=confusion,
            samples=[Sample('" onerror="x', "", "", HOSTILE)],
            notes=[HOSTILE],
            options={HOSTILE: {HOSTILE: HOSTILE}},
        )
    )
    page = Page(html)
    assert "script" not in page.tags
    assert "onerror" not in dict(page.attributes)
    assert HOSTILE in page.text
    assert html.count("</style>") == 1


def test_little_is_enough():
    page = Page(render(TrainingReport("Nothing yet")))
    text = " ".join(page.text)
    assert "No epoch was completed." in text
    assert "was not validated" in text
    assert "svg" not in page.tags


@pytest.mark.parametrize("missing", [None, math.nan])
def test_an_epoch_without_validation(missing):
    history = [{"epoch": 1, "loss": 0.5, "val_loss": missing, "miou": missing, "seconds": None}]
    page = Page(render(TrainingReport("One", history=history, best_epoch=1)))
    assert page.tags.count("svg") == 1
    assert ["1 (best)", "0.5000", "–", "–", "–", ""] in page.rows  # noqa: RUF001


def test_one_class_and_no_pixel():
    classes = Nomenclature("one", (LandCoverClass(1, "roof", "#ff0000"),))
    for truth, shown in (([1, 1], "100.0"), ([0, 0], "–")):  # noqa: RUF001
        scores, confusion = evaluated(classes, truth, [1, 1])
        page = Page(render(TrainingReport("One", scores=scores, confusion=confusion)))
        assert next(row for row in page.rows if row[0] == "Mean, total")[2] == shown
        raw = {**scores, "miou": math.nan, "kappa": math.nan}
        assert "–" in Page(render(TrainingReport("One", scores=raw))).rows[0][5]  # noqa: RUF001


def test_report_is_written_whole_or_not_at_all(tmp_path, report, monkeypatch):
    path = tmp_path / "report.html"
    write_report(path, render(report))
    before = path.read_bytes()
    assert before.decode("utf-8") == render(report)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_report(path, "new")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
