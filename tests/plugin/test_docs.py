"""The pages of the algorithms say what the provider says, and `qgis_process` lines name what it has."""

import importlib
import re
import shlex
import sys

import pytest
from helpers import ROOT
from qgis.core import Qgis, QgsApplication

# the release that the pages are made with
MADE_WITH = (3, 22)


@pytest.fixture
def reference(qgis_app):
    sys.path.insert(0, str(ROOT))
    try:
        yield importlib.import_module("scripts.reference_algorithms")
    finally:
        sys.path.remove(str(ROOT))


def provider():
    return QgsApplication.processingRegistry().providerById("flair")


def committed(reference):
    return {path.name: path.read_text(encoding="utf-8") for path in reference.FOLDER.glob("*.md")}


def test_pages_are_up_to_date(reference):
    made, kept = reference.pages(provider()), committed(reference)
    if (Qgis.QGIS_VERSION_INT // 10000, Qgis.QGIS_VERSION_INT // 100 % 100) != MADE_WITH:
        # texts of types and ranges differ from one release to the next, names do not
        made, kept = reference.names_of(made), reference.names_of(kept)
    wrong = [name for name in sorted({*made, *kept}) if made.get(name) != kept.get(name)]
    assert wrong == [], "run: .venv-qgis/bin/python -m scripts.reference_algorithms"


def test_names_are_read_from_the_pages(reference):
    names = reference.names_of(committed(reference))
    assert "flair:classify" in names["index.md"]
    assert {"INPUT", "OUTPUT", "PIXELS"} <= set(names["classify.md"])


def lines():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"^ *```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if any("qgis_process" in word for word in words) and "run" in words:
                    yield path.relative_to(ROOT).as_posix(), words[words.index("run") + 1 :]


def problem_of(words):
    """Return what is wrong with an algorithm's line, or an empty text."""
    name, *values = words
    if name.endswith(".model3"):
        return "" if (ROOT / name).is_file() else f"{name} does not exist"
    algorithm = QgsApplication.processingRegistry().algorithmById(name)
    if algorithm is None:
        return f"there is no {name}"
    if values[:1] == ["--"]:
        values = values[1:]
    given = dict(value.partition("=")[::2] for value in values)
    known = {item.name(): item for item in algorithm.parameterDefinitions()}
    strange = sorted(set(given) - set(known))
    if strange:
        return f"{name} has no {strange}"
    for key, value in given.items():
        if known[key].type() == "enum" and value not in known[key].options():
            return f"{key} of {name} cannot be {value}"
    return ""


def test_lines_of_qgis_process_are_valid(qgis_app):
    found = list(lines())
    assert len(found) > 15
    wrong = [f"{page}: {problem_of(words)}" for page, words in found if problem_of(words)]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("flair:clasify -- INPUT=a.tif", "there is no"),
        ("flair:classify -- IMAGE=a.tif", "has no"),
        ("flair:classify -- INPUT=a.tif DEVICE=gpu", "cannot be gpu"),
        ("resources/models3/nothing.model3 -- a=b", "does not exist"),
    ],
)
def test_a_wrong_line_is_found(qgis_app, line, problem):
    assert problem in problem_of(line.split())
