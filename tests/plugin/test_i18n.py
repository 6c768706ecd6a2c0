import ast
import json
import re

from helpers import ROOT
from qgis.core import QgsApplication

from flair_qgis import i18n

PLACEHOLDER = re.compile(r"\{[a-z_]*\}")
TAG = re.compile(r"<[^>]+>")


def texts():
    """Every text that is given to tr() in the plugin."""
    found = set()
    for path in (ROOT / "flair_qgis").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}: tr() needs a plain text"
                found.add(node.args[0].value)
    return found


def french():
    files = sorted((ROOT / "flair_qgis" / "i18n" / "fr").glob("*.json"))
    pairs = [pair for path in files for pair in json.loads(path.read_text(encoding="utf-8")).items()]
    assert len(pairs) == len(dict(pairs)), "a text is translated in two files"
    return dict(pairs)


def test_french_is_complete_and_has_nothing_else():
    assert sorted(texts() - set(french())) == []
    assert sorted(set(french()) - texts()) == []


def test_placeholders_and_tags_are_the_same():
    for english, translated in french().items():
        assert sorted(PLACEHOLDER.findall(english)) == sorted(PLACEHOLDER.findall(translated)), english
        assert sorted(TAG.findall(english)) == sorted(TAG.findall(translated)), english
        assert translated.strip()


def test_language_of_qgis(monkeypatch):
    monkeypatch.setattr(i18n, "language", lambda: "fr")
    algorithm = QgsApplication.processingRegistry().algorithmById("flair:classify").create()
    assert algorithm.displayName() == "Classer l'occupation du sol"
    assert algorithm.group() == "Occupation du sol"
    training = QgsApplication.processingRegistry().algorithmById("flair:train").create()
    assert (training.displayName(), training.group()) == ("Entraîner un modèle", "Entraînement")
    monkeypatch.setattr(i18n, "language", lambda: "de")
    assert i18n.tr("Land cover") == "Land cover"
    assert QgsApplication.processingRegistry().algorithmById("flair:classify").name() == "classify"


def test_tags_stay_a_list(monkeypatch):
    monkeypatch.setattr(i18n, "language", lambda: "fr")
    for algorithm in QgsApplication.processingRegistry().providerById("flair").algorithms():
        assert len(algorithm.tags()) >= 5
