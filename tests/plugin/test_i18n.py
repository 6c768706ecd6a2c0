import ast
import json
import re

from helpers import ROOT
from qgis.core import QgsApplication, QgsProcessingModelAlgorithm

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
    return found | texts_of_chains()


def texts_of_chains():
    """What a person reads of the models for the graphical modeler that come with the plugin."""
    found = set()
    for path in (ROOT / "resources" / "models3").iterdir():
        model = QgsProcessingModelAlgorithm()
        assert model.fromFile(str(path))
        inputs = model.parameterDefinitions()
        found.update(item.description() for item in [*inputs, *model.outputDefinitions()])
        found.update(item.help() for item in inputs)
        found.update(model.helpContent().values())
    return found - {""}


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
    assert algorithm.group() == "3. Occupation du sol"
    training = QgsApplication.processingRegistry().algorithmById("flair:train").create()
    assert (training.displayName(), training.group()) == ("Entraîner un modèle", "2. Entraînement")
    monkeypatch.setattr(i18n, "language", lambda: "de")
    assert i18n.tr("Land cover") == "Land cover"
    assert QgsApplication.processingRegistry().algorithmById("flair:classify").name() == "classify"


def test_chains_speak_it_too(monkeypatch):
    monkeypatch.setattr(i18n, "language", lambda: "fr")
    chain = QgsApplication.processingRegistry().algorithmById("flair:trainonmyarea").create()
    inputs = {item.name(): item for item in chain.parameterDefinitions()}
    assert inputs["labels"].description() == "Polygones étiquetés"
    assert inputs["labels"].help().startswith("Polygones avec la classe dans un de leurs champs.")
    assert inputs["classify:land_cover"].description() == "Occupation du sol"
    assert {item.description() for item in chain.outputDefinitions()} <= set(french().values())
    assert "<h3>Polygones étiquetés</h3>" in chain.shortHelpString()
    assert "Label" not in chain.shortHelpString()


def test_tags_stay_a_list(monkeypatch):
    monkeypatch.setattr(i18n, "language", lambda: "fr")
    for algorithm in QgsApplication.processingRegistry().providerById("flair").algorithms():
        assert len(algorithm.tags()) >= 5
