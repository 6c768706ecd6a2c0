"""What every file of the project has to keep."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

import engine

LONGEST = 450
LONGEST_ON_AVERAGE = 250
TEXT = {".py", ".md", ".txt", ".in", ".toml", ".yaml", ".yml", ".sh", ".json", ".qml", ".cfg", ""}
# Written in pieces, so that this file does not trip over itself.
FORBIDDEN = {
    "a package index by its host": "py" + r"pi\.org|pythonhosted" + r"\.org|download\.pytorch" + r"\.org|registry\.npm",
    "somebody's folder": "/ho" + r"me/\w|/ro" + r"ot/|/Us" + r"ers/\w|/wo" + "rk/",
    "unfinished work": r"\bTO" + r"DO\b|\bFIX" + r"ME\b|\bXX" + r"X\b",
}


@pytest.fixture(scope="module")
def tracked():
    root = Path(__file__).resolve().parents[2]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [root / name for name in listed.stdout.split("\0") if name]
    return [path for path in files if path.is_file()]


def test_no_file_is_too_long(tracked, root):
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in tracked if path.suffix == ".py"}
    code = {path: count for path, count in lines.items() if path.relative_to(root).parts[0] in ("engine", "flair_qgis")}
    assert {str(path.relative_to(root)): count for path, count in lines.items() if count > LONGEST} == {}
    assert sorted(code.values())[len(code) // 2] <= LONGEST_ON_AVERAGE


def test_no_grab_bags(tracked):
    assert [path for path in tracked if path.stem in ("utils", "util", "helpers_misc", "common", "misc")] == []


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_no_file_names(tracked, what):
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in tracked:
        if path.suffix in TEXT and path != Path(__file__):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if pattern.search(line):
                    found.append(f"{path}:{number}: {line.strip()[:100]}")
    assert found == []


def test_one_version_everywhere(root):
    metadata = configparser.ConfigParser()
    metadata.read(root / "metadata.txt", encoding="utf-8")
    assert metadata["general"]["version"] == engine.__version__
    newest = re.search(r"^## (\S+)", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest
    assert newest[1] == engine.__version__


def test_documents_link_to_what_exists(tracked, root):
    broken = []
    for path in tracked:
        if path.suffix == ".md":
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
                if "://" not in target and not (path.parent / target).exists():
                    broken.append(f"{path.relative_to(root)} -> {target}")
    assert broken == []


def test_targets_of_the_readme_exist(root):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    named = set(
        re.findall(r"(?:`|^ {4}|=\S+ )make ([a-z]+)", (root / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert {"demo", "setup"} <= named
    assert [name for name in sorted(named) if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_scripts_are_valid_shell(tracked):
    scripts = [path for path in tracked if path.suffix == ".sh" or path.parts[-2:] == (".ci", "run")]
    assert len(scripts) >= 4
    for path in scripts:
        checked = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
