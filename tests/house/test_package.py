"""The zip that QGIS installs, by the rules of the plugin repository."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def package(request):
    path = request.config.rootpath / "scripts" / "package.py"
    spec = importlib.util.spec_from_file_location("package", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def archive(package, tmp_path_factory):
    target = tmp_path_factory.mktemp("package") / "plugin.zip"
    made = subprocess.run(
        ["git", "archive", "--format=zip", f"--prefix={package.FOLDER}/", f"--output={target}", "HEAD"],
        cwd=package.ROOT,
        check=False,
    )
    if made.returncode:
        pytest.skip("not a git checkout")
    return target


def test_zip_keeps_the_rules(package, archive):
    assert package.FOLDER.isidentifier()
    assert package.problems_of(archive) == []


@pytest.fixture(scope="module")
def unpacked(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder / "flair_land_cover"


def secrets(folder):
    """What detect-secrets takes for a secret below a folder: pairs of a file's name and a hash."""
    command = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", "."]
    looked = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    found = json.loads(looked.stdout)["results"].values()
    return {(item["filename"], item["hashed_secret"]) for items in found for item in items}


def test_no_secrets_but_the_known_false_alarms(unpacked):
    """The plugin repository refuses an upload in which detect-secrets finds anything that this file does not list."""
    listed = json.loads((unpacked / ".secrets.baseline").read_text(encoding="utf-8"))["results"].values()
    known = {(item["filename"], item["hashed_secret"]) for items in listed for item in items}
    assert {item for item in secrets(unpacked) if item[0] != ".secrets.baseline"} == known


def test_a_secret_would_be_found(tmp_path):
    (tmp_path / "a.py").write_text('password = "' + "hunter2-" * 3 + '"\n')
    assert [name for name, _ in secrets(tmp_path)] == ["a.py"]


def test_the_repository_finds_nothing_to_say_about_style(unpacked):
    """As it looks at uploads: lines of 120 characters; a formatter's spaces and breaks are no faults."""
    command = [sys.executable, "-m", "flake8", "--max-line-length", "120", "--extend-ignore", "E203,W503", "."]
    looked = subprocess.run(command, cwd=unpacked, capture_output=True, text=True, check=False)
    assert looked.returncode == 0, looked.stdout[-2000:]


def test_engine_runs_from_the_unpacked_zip(unpacked):
    answer = subprocess.run(
        [sys.executable, "-m", "engine", "--help"], cwd=unpacked, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "classify" in answer.stdout
    for needed in (
        "resources/requirements/engine.txt",
        "resources/requirements/uv.txt",
        "resources/models.yaml",
        "resources/models3/train_on_my_area.model3",
        "docs/images/algorithms/classify.png",
    ):
        assert (unpacked / needed).is_file(), needed
    # of the documentation, only what the help in QGIS shows
    assert {path.parent.name for path in (unpacked / "docs").rglob("*") if path.is_file()} == {"algorithms"}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("flair_land_cover/engine/__pycache__/a.pyc", "does not belong"),
        ("flair_land_cover/tests/test_a.py", "does not belong"),
        ("flair_land_cover/lib.so", "does not belong"),
        ("other/a.py", "does not lie in the folder"),
        ("flair_land_cover/../a.py", "does not lie in the folder"),
    ],
)
def test_what_breaks_the_rules_is_told(package, tmp_path, name, complaint):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as file:
        for needed in package.REQUIRED:
            file.writestr(f"flair_land_cover/{needed}", "")
        file.writestr(name, "")
    problems = package.problems_of(path)
    assert len(problems) == 1
    assert complaint in problems[0]


def test_a_missing_licence_is_told(package, tmp_path):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("flair_land_cover/metadata.txt", "")
    assert "flair_land_cover/LICENSE is missing." in package.problems_of(path)
