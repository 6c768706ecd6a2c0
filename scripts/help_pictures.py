"""The pictures in the help of the algorithms, of what each makes of the demo: docs/images/algorithms."""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from PIL import Image, ImageChops

from engine.cache import cache_folder
from scripts.docs_browser import screenshot
from tests.end_to_end.window_runs import run_in_window

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "images" / "algorithms"
INSIDE = ROOT / "scripts" / "help_pictures_in_qgis.py"
WIDTH, LARGEST = 480, 40_000
COLOURS = (128, 64, 32, 16)


class Section(NamedTuple):
    """A section of a report.

    Args:
        page: The report, below what was made.
        heading: Words with which the section begins.
        width, height: What of it is shown, in pixels.
    """

    page: str
    heading: str
    width: int = 640
    height: int = 420


SECTIONS = {
    "train": Section("training.html", "Course of the training", 500, 288),
    "benchmark": Section("benchmark/report.html", "Averages", 620, 250),
}
CATALOGUE = ROOT / "docs" / "reference" / "commands" / "catalogue.md"
# What of a machine does not concern the help.
PRIVATE = re.compile(r"/|^System|platform|\bhome\b")


def help_pictures(demo: Path, folder: Path, display: str) -> list[Path]:
    """Run the algorithms in a QGIS on a display, and return the pictures that were written."""
    made = folder / "made_for_help"
    _, pictures = run_in_window(
        INSIDE, SimpleNamespace(cache=cache_folder()), display, folder / "for_help", name="help", seconds=500,
        image=str(demo / "scene" / "image.tif"), truth=str(demo / "scene" / "labels.tif"),
        polygons=str(demo / "scene" / "labels.gpkg"), model=str(demo / "model.safetensors"),
        patches=str(demo / "patches"), made=str(made), python=str(folder / "engine" / "bin" / "python"),
        inside=str(ROOT / "tests" / "end_to_end" / "inside_qgis"),
    )  # fmt: skip
    (made / "training.html").write_text((demo / "training.html").read_text(encoding="utf-8"), encoding="utf-8")
    for name, section in SECTIONS.items():
        page = made / f"{name}_section.html"
        page.write_text(cut_out(made / section.page, section.heading), encoding="utf-8")
        screenshot(page, pictures / f"{name}.png", section.width, section.height)
    with (made / "problems.csv").open(newline="", encoding="utf-8") as file:
        problems = [[row[1], row[2].rpartition("/")[2]] for row in csv.reader(file)]
    tables = {
        "checkdataset": problems,
        "downloadmodel": [row[:3] for row in catalogue_table("Published models")[:8]],
        "downloaddataset": [row[:2] for row in catalogue_table("Published data sets")],
        "diagnostics": diagnosed(made / "diagnostics.html"),
    }
    for name, rows in tables.items():
        page = made / f"{name}_table.html"
        page.write_text(table_page(rows), encoding="utf-8")
        screenshot(page, pictures / f"{name}.png", 560, 800)
    TARGET.mkdir(parents=True, exist_ok=True)
    return [keep(path) for path in sorted(pictures.glob("*.png"))]


def cut_out(report: Path, heading: str) -> str:
    """Return a page with the style of a report and the section that begins with a heading; all of it without one."""
    text = report.read_text(encoding="utf-8")
    head, body = text.partition("</head>")[0], text.partition("</head>")[2]
    found = re.search(rf"<h2[^>]*>\s*{re.escape(heading)}.*?(?=<h2|</body>)", body, re.DOTALL)
    style = "<style>html,body{background:white;margin:0;padding:0 8px;max-width:none}h2{margin-top:8px}</style>"
    return f"{head}{style}</head><body>{found[0]}</body></html>" if found else text


def catalogue_table(heading: str) -> list[list[str]]:
    """Return the rows of a table in the page of what is published, the names of its columns first."""
    section = CATALOGUE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").replace("`", "").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [rows[0], *rows[2:]]


def diagnosed(page: Path) -> list[list[str]]:
    """Return the lines of a page of diagnostics that say nothing of folders and machine."""
    text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
    lines = [line for line in text.splitlines() if ": " in line and not PRIVATE.search(line)]
    return [["Diagnostics", ""], *(list(line.partition(": ")[::2]) for line in lines[:14])]


def table_page(rows: list[list[str]]) -> str:
    """Return a table as a page."""
    lines = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    style = (
        "body{font:14px 'DejaVu Sans';margin:8px} table{border-collapse:collapse} td{border:1px solid #bbb;padding:5px}"
        "tr:first-child{font-weight:bold;background:#eee}"
    )
    return f"<html><head><meta charset='utf-8'><style>{style}</style></head><body><table>{lines}</table></body></html>"


def keep(path: Path) -> Path:
    """Write a picture in its small form: without margins, narrow, of few colours."""
    with Image.open(path) as picture:
        plain = picture.convert("RGB")
    edge = ImageChops.difference(plain, Image.new("RGB", plain.size, plain.getpixel((0, plain.height - 1)))).getbbox()
    if edge:
        plain = plain.crop((0, 0, plain.width, min(plain.height, edge[3] + 6)))
    if plain.width > WIDTH:
        plain = plain.resize((WIDTH, round(plain.height * WIDTH / plain.width)), Image.Resampling.LANCZOS)
    target = TARGET / path.name
    for colours in COLOURS:
        plain.quantize(colours, kmeans=2, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= LARGEST:
            break
    return target
