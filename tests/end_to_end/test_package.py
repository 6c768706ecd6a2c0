"""The zip, installed into an empty profile: what QGIS's plugin manager does with it, then the tests of the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.end_to_end.processes import ROOT, wait_for
from tests.end_to_end.qgis_runs import PLUGIN, Qgis, program
from tests.end_to_end.test_qgis_mistakes import (  # noqa: F401
    out,
    test_missing_image,
    test_too_few_bands,
)
from tests.end_to_end.test_qgis_process import (  # noqa: F401
    test_extent,
    test_gives_the_same_as_the_command_line_and_carries_its_style,
    test_help_describes_every_parameter,
    test_lists_the_plugin_and_its_algorithms,
    test_other_algorithms_run,
)


@pytest.fixture(scope="module")
def archive():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("the zip is made of a git checkout")
    command = [sys.executable, str(ROOT / "scripts" / "package.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = [line.partition(":")[0] for line in done.stdout.splitlines() if ".zip:" in line]
    return ROOT / made[0]


@pytest.fixture(scope="module")
def qgis(archive, material, tmp_path_factory):
    """qgis_process whose plugin comes from the zip and lies in the profile."""
    if program("qgis_process") is None:
        pytest.skip("QGIS is not installed")
    installed = Qgis(tmp_path_factory.mktemp("zip"), None, material.cache)
    plugins = installed.profile / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    with zipfile.ZipFile(archive) as file:
        file.extractall(plugins)
    return installed.enable()


def test_holds_one_folder_under_25_mb_without_tests(archive):
    assert archive.stat().st_size < 25_000_000
    with zipfile.ZipFile(archive) as file:
        names = file.namelist()
        assert file.testzip() is None
    assert {Path(name).parts[0] for name in names} == {PLUGIN}
    for name in (
        "LICENSE",
        "metadata.txt",
        "__init__.py",
        "resources/models.yaml",
        "flair_qgis/i18n/fr/all_algorithms.json",
    ):
        assert f"{PLUGIN}/{name}" in names
    assert not [name for name in names if "/tests/" in name or "__pycache__" in name]


def test_runs_the_engine_that_came_with_it(qgis, material, tmp_path):
    values = {"INPUT": material.large, "MODEL": material.model, "OUTPUT": tmp_path / "map.tif"}
    with qgis.start_classify(**values) as run:
        engine = wait_for(run.engines, "the engine")[0]
        assert engine.environ()["PYTHONPATH"].startswith(str(qgis.profile))
