"""The pictures of the documentation, taken from a running QGIS and from reports: docs/images.

    make demo
    .venv/bin/python -m scripts.docs_pictures [--demo demo] [--folder docs/images] [--help-only]

It needs Xvfb, and Chromium for the reports. It takes a QGIS with a profile of its own, opens dialogs, presses Run, and
writes pictures that are small enough to be kept with the sources. `make test-matrix` takes the same ones in each QGIS.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from PIL import Image

from engine.cache import cache_folder
from scripts.docs_browser import screenshot
from scripts.help_pictures import help_pictures
from tests.end_to_end.window_runs import run_in_window

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "images"
INSIDE = ROOT / "scripts" / "docs_pictures_in_qgis.py"
# With photographs in them; the others have few colours.
PHOTOGRAPHS = {"map", "errors", "polygons", "training-report", "evaluation-report", "report-in-qgis"}
REPORT_SIZE = (1000, 900)
COLOURS = 128
QUALITY = 80
LARGEST = 145_000


def main() -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=ROOT / "demo", help="folder that `make demo` made")
    parser.add_argument("--folder", type=Path, default=TARGET, help="elsewhere than there, more pictures are taken")
    parser.add_argument("--help-only", action="store_true", help="only those in the help of the algorithms")
    options = parser.parse_args()
    demo, target = options.demo.resolve(), options.folder.resolve()
    if not (demo / "model.safetensors").is_file():
        print(f"Error: '{demo}' holds no demo: run 'make demo' first.", file=sys.stderr)
        return 1
    target.mkdir(parents=True, exist_ok=True)
    # its name stands in dialogs, and that of no person
    folder = Path(tempfile.gettempdir()) / "flair"
    folder.mkdir()
    try:
        (folder / "demo").symlink_to(demo, target_is_directory=True)
        (folder / "engine").symlink_to(sys.prefix, target_is_directory=True)
        if not options.help_only:
            for path in [
                *from_qgis(folder / "demo", folder, more=target != TARGET),
                *from_reports(folder / "demo", folder),
            ]:
                print(keep(path, target))
        if target == TARGET:
            with Display() as display:
                for path in help_pictures(folder / "demo", folder, display):
                    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")
    finally:
        shutil.rmtree(folder)
    return 0


def from_qgis(demo: Path, folder: Path, *, more: bool) -> list[Path]:
    """Run QGIS on a display that nobody sees, and return its pictures; `more` than the documentation shows."""
    with Display() as display:
        seen, pictures = run_in_window(
            INSIDE, SimpleNamespace(cache=cache_folder()), display, folder, name="docs", seconds=400,
            image=str(demo / "scene" / "image.tif"), truth=str(demo / "scene" / "labels.tif"),
            polygons=str(demo / "scene" / "labels.gpkg"), model=str(demo / "model.safetensors"),
            patches=str(demo / "patches"), made=str(folder / "made"), python=str(folder / "engine" / "bin" / "python"),
            chain=str(ROOT / "resources" / "models3"), more=more,
            inside=str(ROOT / "tests" / "end_to_end" / "inside_qgis"),
        )  # fmt: skip
    failed = [name for name in ("classified", "evaluated", "polygons") if not seen.get(name, {}).get("successful")]
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}: {seen}")
    return sorted(pictures.glob("*.png"))


def from_reports(demo: Path, folder: Path) -> list[Path]:
    """Draw the heads of reports by a browser."""
    drawn = []
    for name, page in (
        ("training-report", demo / "training.html"),
        ("evaluation-report", folder / "made" / "evaluation" / "report.html"),
    ):
        target = folder / f"{name}.png"
        if screenshot(page, target, *REPORT_SIZE):
            drawn.append(target)
    return drawn


def keep(path: Path, folder: Path) -> str:
    """Write a picture in its small form into a folder, and return its name and size."""
    with Image.open(path) as picture:
        plain = picture.convert("RGB")
    if path.stem in PHOTOGRAPHS:
        target = folder / f"{path.stem}.jpg"
        quality = QUALITY
        plain.save(target, quality=quality, optimize=True, progressive=True)
        while target.stat().st_size > LARGEST:
            quality -= 5
            plain.save(target, quality=quality, optimize=True, progressive=True)
    else:
        target = folder / f"{path.stem}.png"
        plain.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    return f"{target.name}: {target.stat().st_size / 1000:.0f} kB, {plain.width} x {plain.height}"


class Display:
    """A display that nobody sees; a context manager that gives its name."""

    def __enter__(self) -> str:
        server = shutil.which("Xvfb")
        if server is None:
            raise SystemExit("Xvfb is not installed: run 'make setup'.")
        reading, writing = os.pipe()
        self._server = subprocess.Popen(
            [server, "-displayfd", str(writing), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"],
            pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading) as pipe:
            return f":{pipe.readline().strip()}"

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait()


if __name__ == "__main__":
    sys.exit(main())
