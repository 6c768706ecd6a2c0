"""The table that a change is written to."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.maps.change import Change, Matrix
from engine.maps.zones import Zones
from engine.nomenclature import LandCoverClass
from engine.text_file import write_whole

COLUMNS = ("name", "feature", "from_code", "from", "to_code", "to", "hectares", "percent", "pixels")


def write_change_table(path: Path, change: Change, classes: Sequence[LandCoverClass], zones: Zones | None) -> None:
    """Write one line for each polygon and pair of classes that occurs in it, the whole first; unchanged ones too.

    Columns: name and number of the polygon in its file (empty for the whole), code and name of the class before and
    after, hectares, per cent of what is compared there, pixels.

    Args:
        path: File to write (.csv), UTF-8 with a byte order mark, since spreadsheets ask for it.
        change: The areas.
        classes: The classes, in the order of its matrices.
        zones: The polygons, or None.

    Raises:
        OutputError: It could not be written.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_lines("whole", "", change.whole, classes))
    if zones is not None:
        for number, (name, feature) in enumerate(zip(zones.names, zones.features, strict=True)):
            part = Matrix(change.zones.square_metres[number], change.zones.pixels[number])
            writer.writerows(_lines(name, feature, part, classes))
    write_whole(path, "\ufeff" + stream.getvalue())


def _lines(name: str, feature: int | str, matrix: Matrix, classes: Sequence[LandCoverClass]) -> list[list[object]]:
    hectares = matrix.hectares
    total = float(hectares.sum()) or 1.0
    lines: list[list[object]] = []
    for before, after in np.argwhere(matrix.pixels > 0).tolist():
        old, new, value = classes[before], classes[after], float(hectares[before, after])
        kinds = [old.code, old.name, new.code, new.name]
        figures = [f"{value:.6f}", f"{100 * value / total:.4f}", int(matrix.pixels[before, after])]
        lines.append([name, feature, *kinds, *figures])
    return lines
