"""Pairs of an image and its mask, as CSV files list them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from engine.errors import InputError

RASTER_SUFFIXES = (".tif", ".tiff", ".png", ".jp2", ".vrt", ".img")


@dataclass(frozen=True)
class Pair:
    """An image and the mask that says what its pixels are.

    Args:
        image: Raster of shape (bands, height, width).
        mask: Raster of class codes of shape (height, width).
    """

    image: Path
    mask: Path


def read_pairs(path: Path, root: Path | None = None) -> tuple[Pair, ...]:
    """Read a CSV of image,mask pairs.

    A first line that names no rasters is a header. Columns after the second, empty lines and lines that begin with
    `#` are left out; the separator is a comma, a semicolon or a tab.

    Args:
        path: The CSV file.
        root: Folder that relative paths start from; default: the CSV's own.

    Raises:
        InputError: The file cannot be read, is empty, or a line has less than two columns; the first is named.
    """
    base = root or path.parent
    pairs: list[Pair] = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"The list '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not a text file in UTF-8.", "Save the list as CSV in UTF-8.") from error
    lines = [
        (number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip() and not line.startswith("#")
    ]
    separator = _separator(lines[0][1]) if lines else ","
    for place, (number, line) in enumerate(lines):
        names = _cells(line, separator)
        if place == 0 and not any(name.lower().endswith(RASTER_SUFFIXES) for name in names):
            continue
        if len(names) < 2 or not names[0] or not names[1]:
            raise InputError(
                f"Line {number} of '{path.name}' is no pair of an image and a mask: {line[:100]!r}.",
                "Each line needs two paths, separated by a comma.",
            )
        pairs.append(Pair(_place(names[0], base), _place(names[1], base)))
    if not pairs:
        raise InputError(f"'{path}' lists no patches.", "Each line needs two paths, image and mask.")
    return tuple(pairs)


def write_pairs(pairs: list[tuple[str, str]]) -> str:
    """Return the text of a CSV of image,mask pairs, without a header, as FLAIR's lists are."""
    return "".join(f"{image},{mask}\n" for image, mask in pairs)


def _separator(line: str) -> str:
    return next((mark for mark in (",", ";", "\t") if mark in line), ",")


def _cells(line: str, separator: str) -> list[str]:
    try:
        # Line by line, so that a quotation mark that is never closed does not swallow the lines after it.
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
    except csv.Error:
        return []


def _place(name: str, base: Path) -> Path:
    # Lists made on Windows name folders with backslashes.
    path = Path(PureWindowsPath(name).as_posix()) if "\\" in name and "/" not in name else Path(name)
    # A name may begin with ~ and mean no one's home.
    return base / (path.expanduser() if path.parts[:1] == ("~",) else path)
