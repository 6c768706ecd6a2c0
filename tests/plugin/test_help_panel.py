"""What the help of an algorithm holds: what it does, an example, a picture, inputs, outputs."""

import base64
import re
import shutil
from pathlib import Path

import pytest
import qgis.utils
from helpers import ROOT
from qgis.core import QgsApplication
from qgis.PyQt.QtGui import QImage

from flair_qgis import help_panel, i18n
from flair_qgis.algorithms.base import FlairAlgorithm

LARGEST = 40_000


def algorithms():
    found = QgsApplication.processingRegistry().providerById("flair").algorithms()
    return [item.create() for item in found if isinstance(item, FlairAlgorithm)]


def picture_in(text):
    return QImage.fromData(base64.b64decode(re.search(r'<img src="data:image/png;base64,([^"]+)"', text)[1]))


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setattr(qgis.utils, "iface", object())


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_help_holds_all_that_is_needed(window, monkeypatch, language):
    monkeypatch.setattr(i18n, "language", lambda: language)
    found = algorithms()
    assert len(found) >= 16
    for algorithm in found:
        text = algorithm.shortHelpString()
        first, end, rest = algorithm.help_text().partition("</p>")
        assert text.startswith(f'{first}{end}<p><img src="data:image/png;base64,')
        assert rest in text
        assert f"<code>qgis_process run flair:{algorithm.name()} -- " in text
        for item in [*algorithm.parameterDefinitions(), *algorithm.outputDefinitions()]:
            assert f"<b>{help_panel.escape(item.description())}</b>" in text, (algorithm.name(), item.name())
        assert picture_in(text).width() == help_panel.WIDTH, algorithm.name()
        heading = {"en": "<h3>Outputs</h3>", "fr": "<h3>Sorties</h3>"}[language]
        assert heading in text


def test_pictures_are_small_and_of_algorithms_that_there_are():
    pictures = sorted((ROOT / "docs" / "images" / "algorithms").iterdir())
    assert {path.stem for path in pictures} == {item.name() for item in algorithms()}
    for path in pictures:
        assert path.suffix == ".png"
        assert path.stat().st_size <= LARGEST, path.name
        assert QImage(str(path)).width() <= 480, path.name


def test_without_a_window_the_help_is_the_text_alone():
    for algorithm in algorithms():
        assert algorithm.shortHelpString() == algorithm.help_text()


def test_a_picture_that_is_missing_or_damaged_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(help_panel, "plugin_root", lambda: Path(tmp_path))
    assert help_panel.picture("classify") == ""
    folder = tmp_path.joinpath("a b", *help_panel.PICTURES)
    folder.mkdir(parents=True)
    (folder / "classify.png").write_bytes(b"")
    monkeypatch.setattr(help_panel, "plugin_root", lambda: tmp_path / "a b")
    assert help_panel.picture("classify") == ""
    shutil.copy(ROOT.joinpath(*help_panel.PICTURES, "classify.png"), folder / "change.png")
    assert picture_in(help_panel.picture("change")).width() == help_panel.WIDTH
