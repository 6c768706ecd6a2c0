"""QGIS 4 is built on Qt 6, whose enumerations have their members in the enumeration alone."""

import ast
import enum
import importlib

import pytest
from helpers import ROOT

SOURCES = [ROOT / "__init__.py", *sorted((ROOT / "flair_qgis").rglob("*.py"))]


def imported(tree):
    """Return what a module imports from QGIS and Qt, by the name it has there."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("qgis", "processing"):
            try:
                module = importlib.import_module(node.module)
            except ModuleNotFoundError:
                continue  # of another version of QGIS
            for alias in node.names:
                found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


def chain(node):
    """Return the names of an attribute's attributes, from the left; empty where it begins with something else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def is_member(owner, value):
    """Whether a value is a member of an enumeration that is not the one it was taken from."""
    kind = type(value)
    return issubclass(kind, (int, enum.Enum)) and kind not in (int, bool) and owner is not kind


def unscoped(source):
    """Return each access to a member of an enumeration that leaves out the enumeration's name."""
    tree = ast.parse(source)
    known = imported(tree)
    found = []
    for node in ast.walk(tree):
        names = chain(node)
        if len(names) < 2 or names[0] not in known:
            continue
        owner = known[names[0]]
        for name in names[1:-1]:
            owner = getattr(owner, name, None)
        value = getattr(owner, names[-1], None)
        if isinstance(owner, type) and is_member(owner, value):
            found.append(f"{node.lineno}: {'.'.join(names)}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_members_are_named_with_their_enumeration(path):
    assert unscoped(path.read_text(encoding="utf-8")) == []


def test_the_check_sees_what_qt6_would_refuse():
    source = (
        "from qgis.core import QgsProcessing, QgsProcessingParameterNumber\n"
        "from qgis.PyQt.QtCore import Qt\n"
        "a = QgsProcessingParameterNumber.Integer\n"
        "b = QgsProcessingParameterNumber.Type.Integer\n"
        "c = Qt.AlignLeft\n"
        "d = Qt.AlignmentFlag.AlignLeft\n"
        "e = QgsProcessing.TypeRaster\n"
    )
    assert [line.split(":")[0] for line in unscoped(source)] == ["3", "5", "7"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_qt6_dropped_is_used(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    dropped = {"QRegExp", "QDesktopWidget", "QTextCodec", "QVariant", "qApp"}
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not names & dropped
    called = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert "exec_" not in called


def called_name(node):
    """Return the last name of what a call calls; empty for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def refused(source):
    """Return what QGIS's own migration script (scripts/pyqt5_to_pyqt6 in its repository) would rewrite or warn of.

    Enumerations are looked at by `unscoped`; this is the rest of its rules.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            modules = {node.module or "", *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Import):
            modules = {alias.name for alias in node.names}
        else:
            modules = set()
        if any(name.startswith("PyQt") or name == "resources_rc" for name in modules):
            found.append(f"{node.lineno}: import")
        if isinstance(node, ast.FunctionDef) and node.name == "exec_":
            found.append(f"{node.lineno}: exec_")
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "activated":
            found.append(f"{node.lineno}: activated[...]")
        if not isinstance(node, ast.Call):
            continue
        name = called_name(node)
        if name == "addAction" and len(node.args) >= 4:
            found.append(f"{node.lineno}: addAction")
        if name == "desktop" and not node.args:
            found.append(f"{node.lineno}: desktop")
        measured = called_name(getattr(node.func, "value", None))
        if name == "width" and measured in ("fontMetrics", "QFontMetrics", "QFontMetricsF"):
            found.append(f"{node.lineno}: width of a text")
        if name == "QDateTime" and (len(node.args) == 8 or [called_name(item) for item in node.args] == ["QDate"]):
            found.append(f"{node.lineno}: QDateTime")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_rules_of_the_migration_script_are_kept(path):
    assert refused(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "from PyQt5.QtCore import Qt",
        "import PyQt5",
        "from . import resources_rc",
        "def exec_(self): pass",
        "box.activated[str].connect(f)",
        "menu.addAction(icon, text, receiver, slot)",
        "app.desktop()",
        "self.fontMetrics().width('a')",
        "QFontMetrics(font).width('a')",
        "QDateTime(2020, 1, 1, 0, 0, 0, 0, spec)",
        "QDateTime(QDate(2020, 1, 1))",
    ],
)
def test_each_of_those_rules_is_seen(line):
    assert refused(line)
    assert not refused(
        "from qgis.PyQt.QtCore import Qt\nmenu.addAction(action)\nQDateTime(QDate(1, 1, 1), QTime(0, 0))\n"
    )
