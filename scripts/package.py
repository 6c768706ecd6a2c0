"""Build the zip that QGIS installs, from committed files only, and check the plugin repository's rules on it."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "flair_land_cover"
LARGEST = 25 * 1024 * 1024
REQUIRED = ("__init__.py", "metadata.txt", "LICENSE", "flair_qgis/plugin.py", "engine/__main__.py")
FORBIDDEN_PARTS = {"__pycache__", ".git", "__MACOSX", "tests", "benchmarks", ".ci", "demo", ".venv"}


def main() -> int:
    """Write dist/flair_land_cover.VERSION.zip and return the exit code."""
    version = plugin_version()
    target = ROOT / "dist" / f"{FOLDER}.{version}.zip"
    target.parent.mkdir(exist_ok=True)
    # what is not part of the plugin carries export-ignore in .gitattributes
    command = ["git", "archive", "--format=zip", f"--prefix={FOLDER}/", f"--output={target}", "HEAD"]
    subprocess.run(command, cwd=ROOT, check=True)
    problems = problems_of(target)
    for problem in problems:
        print(f"Error: {problem}", file=sys.stderr)
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    if changed:
        print("Note: changes that are not committed are not in the zip.")
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1024:.0f} KiB")
    return 1 if problems else 0


def plugin_version() -> str:
    """Return the version in metadata.txt."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    return parser["general"]["version"]


def problems_of(path: Path) -> list[str]:
    """Return what the plugin repository would object to, one sentence each."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    problems = [f"{FOLDER}/{name} is missing." for name in REQUIRED if f"{FOLDER}/{name}" not in names]
    for name in names:
        parts = PurePosixPath(name).parts
        if parts[0] != FOLDER or ".." in parts or "\\" in name or ":" in name:
            problems.append(f"{name} does not lie in the folder {FOLDER}.")
        if FORBIDDEN_PARTS.intersection(parts[1:-1]) or name.endswith((".pyc", ".so", ".dll", ".exe")):
            problems.append(f"{name} does not belong into a plugin.")
    if path.stat().st_size > LARGEST:
        problems.append(f"The zip has {path.stat().st_size / 1e6:.1f} MB, more than the 25 MB allowed.")
    return problems


if __name__ == "__main__":
    sys.exit(main())
