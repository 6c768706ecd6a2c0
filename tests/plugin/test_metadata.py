import ast
import configparser
import importlib.util
import re
import sys

from helpers import ROOT
from qgis.core import QgsApplication, QgsProcessingModelAlgorithm

REQUIRED = [
    "name",
    "description",
    "version",
    "qgisMinimumVersion",
    "author",
    "email",
    "about",
    "tracker",
    "repository",
]
FORBIDDEN = {"torch", "rasterio", "pydantic", "engine", "yaml", "shapely", "PyQt5", "PyQt6", "requests"}


def metadata():
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    return dict(parser["general"])


def test_metadata():
    values = metadata()
    assert not [name for name in REQUIRED if not values.get(name)]
    assert values["hasProcessingProvider"] == "yes"
    assert (values["qgisMinimumVersion"], values["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert "/" not in values["author"]
    assert "plugin" not in values["name"].lower()
    assert "External dependency" in values["about"]
    assert (ROOT / values["icon"]).is_file()
    assert "supportsQt6" not in values
    assert re.fullmatch(r"\d+\.\d+\.\d+", values["version"])


def test_licence_is_the_whole_text():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 2, June 1991" in text
    assert len(text) > 17000


def test_plugin_loads_without_a_window(qgis_app):
    """As qgis_process does it."""
    spec = importlib.util.spec_from_file_location(
        "flair_land_cover", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["flair_land_cover"] = module
    spec.loader.exec_module(module)
    plugin = module.classFactory(None)
    registry = QgsApplication.processingRegistry()
    registry.removeProvider("flair")
    try:
        plugin.initProcessing()
        assert registry.providerById("flair").versionInfo() == metadata()["version"]
        names = {item.name() for item in registry.providerById("flair").algorithms()}
        assert {"prepareinput", "train", "classify", "setupengine"} <= names
        plugin.unload()
        assert registry.providerById("flair") is None
    finally:
        from flair_qgis.provider import FlairProvider

        # Python has to keep it: the registry holds a pointer only
        qgis_app.flair_provider = FlairProvider()
        registry.addProvider(qgis_app.flair_provider)


def modules_of_plugin():
    return sorted((ROOT / "flair_qgis").rglob("*.py"))


def test_imports_only_what_qgis_has():
    for path in modules_of_plugin():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [item.name for item in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            assert not [name for name in names if name.partition(".")[0] in FORBIDDEN], path


def test_no_print_and_python_39_syntax():
    for path in modules_of_plugin():
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        calls = [
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        assert "print" not in calls, path


def test_ids_are_stable_and_have_icons_and_help():
    found = QgsApplication.processingRegistry().providerById("flair").algorithms()
    assert {"extractpatches", "train", "classify", "setupengine", "diagnostics"} <= {item.name() for item in found}
    for algorithm in found:
        if isinstance(algorithm, QgsProcessingModelAlgorithm):
            continue
        assert re.fullmatch(r"[a-z]+", algorithm.groupId())
        assert not algorithm.icon().isNull()
        assert len(algorithm.shortHelpString()) > 100
        assert algorithm.shortDescription()
        assert (ROOT / "resources" / "icons" / f"{algorithm.name()}.svg").is_file()
        for parameter in algorithm.parameterDefinitions():
            assert re.fullmatch(r"[A-Z_]+", parameter.name())
