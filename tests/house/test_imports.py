"""Arrows run one way: two processes that share no module, and rooms that do not know each other's insides."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

INSIDE_QGIS = {"qgis", "osgeo", "PyQt5", "PyQt6", "processing", "numpy"}
ENGINE_ONLY = {"torch", "torchvision", "rasterio", "pydantic", "yaml", "openvino", "nncf", "safetensors", "shapely"}
ROOMS = {
    "storage": set(),
    "rasters": {"storage"},
    "hub": set(),
    # A name of the catalogue stands for weights that may have to be fetched first.
    "models": {"hub"},
    "data": set(),
    "inference": {"rasters", "models", "data", "services"},
    "cluster": {"rasters", "inference"},
    "vectors": {"rasters"},
    "delivery": {"rasters"},
    "evaluation": set(),
    "reports": set(),
    "extraction": {"rasters", "data", "storage"},
    "acquisition": {"rasters", "data"},
    "services": {"acquisition", "rasters"},
    # The truth is read as labels are: from the same files, with the same words of what is wrong with them.
    "comparison": {"rasters", "extraction", "evaluation", "storage"},
    "maps": {"rasters", "storage"},
    "preparation": {"rasters", "services", "storage"},
    # One date is what a data set's season is made of.
    "seasons": {"rasters", "data"},
    "training": {"rasters", "models", "data", "evaluation"},
    "ign": {"rasters", "models", "data", "evaluation"},
    "study": {"rasters", "models", "data", "inference", "evaluation", "comparison"},
    "planning": {"rasters", "inference"},
    "commands": {
        "delivery",
        "planning",
        "acquisition",
        "rasters",
        "vectors",
        "models",
        "data",
        "inference",
        "evaluation",
        "reports",
        "extraction",
        "comparison",
        "maps",
        "preparation",
        "seasons",
        "services",
        "storage",
        "training",
        "ign",
        "study",
        "cluster",
    },
}
"""Which rooms each room may know."""
SHARED_PACKAGES = {"requests"}
SHARED = {
    "band",
    "band_names",
    "cache",
    "cancellation",
    "errors",
    "events",
    "launch",
    "network",
    "nomenclature",
    "part_reporter",
    "polygon_names",
    "recipe",
    "remote_path",
    "requests",
    "resources",
    "text_file",
    "yaml_file",
}
"""Modules that every room may know, and that know no room."""
ENTRANCES = {"__main__", "cli", "runner"}


def imported(path):
    """Names of all modules that a file imports, also inside functions; relative ones begin with a dot."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            names += [f"{dots}{node.module or alias.name}" for alias in node.names]
            names += [f"{dots}{node.module}.{alias.name}" for alias in node.names if node.module]
    return names


def sources(folder):
    found = sorted(folder.rglob("*.py"))
    assert found, folder
    return found


def tops(path):
    return {name.split(".")[0] for name in imported(path) if not name.startswith(".")}


def test_engine_never_imports_qgis(root):
    forbidden = (INSIDE_QGIS - {"numpy"}) | {"flair_qgis", "sip"}
    wrong = {str(path): tops(path) & forbidden for path in sources(root / "engine")}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_plugin_imports_only_what_qgis_has(root):
    allowed = set(sys.stdlib_module_names) | INSIDE_QGIS
    wrong = {}
    for path in [*sources(root / "flair_qgis"), root / "__init__.py"]:
        names = tops(path) - allowed
        names |= {name for name in imported(path) if name.lstrip(".").split(".")[0] in ENGINE_ONLY | {"engine"}}
        if names:
            wrong[str(path)] = names
    assert wrong == {}


def rooms_known(path):
    return {name.split(".")[1] for name in imported(path) if name.startswith("engine.")}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_knows_only_its_neighbours(root, room):
    folder = root / "engine" / room
    allowed = ROOMS[room] | SHARED | {room, "__version__"}
    wrong = {str(path): rooms_known(path) - allowed for path in sources(folder)}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_every_room_has_its_rule(root):
    rooms = {path.parent.relative_to(root / "engine").parts[0] for path in (root / "engine").glob("*/__init__.py")}
    assert rooms <= set(ROOMS) | SHARED_PACKAGES
    modules = {path.stem for path in (root / "engine").glob("*.py")}
    assert modules <= SHARED | ENTRANCES | {"__init__"}


def shared_files(root, module):
    return sources(root / "engine" / module) if module in SHARED_PACKAGES else [root / "engine" / f"{module}.py"]


@pytest.mark.parametrize("module", sorted(SHARED))
def test_shared_modules_know_no_room(root, module):
    for path in shared_files(root, module):
        assert rooms_known(path) & (set(ROOMS) | ENTRANCES) == set()


def test_requests_are_checked_without_torch(root):
    for module in SHARED | ENTRANCES:
        for path in shared_files(root, module):
            assert not tops(path) & {"torch", "rasterio", "segmentation_models_pytorch"}


def test_commands_begin_without_torch(root):
    # Loading it takes longer than finding out that a folder is wrong, and some commands never need it.
    names = [f"engine.commands.{path.stem}" for path in sources(root / "engine" / "commands")]
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reader_of_imports_sees_those_inside_functions(tmp_path):
    file = tmp_path / "a.py"
    file.write_text("def f():\n    import torch.nn\n    from . import b\n    from engine.rasters import plan\n")
    assert set(imported(file)) == {"torch.nn", ".b", "engine.rasters", "engine.rasters.plan"}
