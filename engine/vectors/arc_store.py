"""Arcs on disk: their corners, and the lines that are drawn of them. In memory only what a table of them needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine

from engine.rasters.disk import output_error
from engine.vectors.arcs import Arcs
from engine.vectors.faces import ArcTable
from engine.vectors.flat import offsets_of, ranges
from engine.vectors.outlines import Care, Lines, Outline

Integers = npt.NDArray[np.int64]
# Arcs that are drawn at once: GEOS keeps a few hundred bytes for each.
_TOGETHER = 200_000
_TABLE = ("begin", "end", "left", "right", "leaves", "arrives", "shoelace")


class ArcStore:
    """Takes arcs as they are found, and gives them in an order that does not depend on that.

    Args:
        folder: Existing folder for two files.
        width: Columns of the raster.
        outline: How arcs are drawn.
        transform: Pixel to CRS coordinates.
    """

    def __init__(self, folder: Path, width: int, outline: Outline, transform: Affine) -> None:
        self._corners, self._lines = folder / "corners", folder / "lines"
        self._width = width
        self._outline = outline
        self._transform = transform
        self._parts: dict[str, list[npt.NDArray[Any]]] = {
            name: [] for name in (*_TABLE, "corner_counts", "line_counts")
        }
        self._line_points = 0
        for path in (self._corners, self._lines):
            _append(path, np.empty(0, dtype=np.int32))

    def add(self, arcs: Arcs) -> None:
        """Take more arcs.

        Raises:
            OutputError: The disk is full.
        """
        if not len(arcs):
            return
        first, last = arcs.offsets[:-1], arcs.offsets[1:] - 1
        parts: dict[str, npt.NDArray[Any]] = {
            "begin": self._corner(arcs.points[first]),
            "end": self._corner(arcs.points[last]),
            "left": arcs.left,
            "right": arcs.right,
            "leaves": _direction(arcs.points[first + 1] - arcs.points[first]),
            "arrives": _direction(arcs.points[last] - arcs.points[last - 1]),
            "shoelace": arcs.shoelace(),
            "corner_counts": arcs.counts.astype(np.int32),
        }
        for first_arc in range(0, len(arcs), _TOGETHER):
            some = np.arange(first_arc, min(first_arc + _TOGETHER, len(arcs)))
            lines = self._outline.draw(arcs.chosen(some))
            self._parts["line_counts"].append(lines.counts.astype(np.int32))
            self._append_lines(lines)
        for name, values in parts.items():
            self._parts[name].append(values)
        _append(self._corners, arcs.points)

    def _append_lines(self, lines: Lines) -> None:
        _append(self._lines, self._placed(lines.points))
        self._line_points += len(lines.points)

    def _corner(self, points: npt.NDArray[np.int32]) -> Integers:
        return points[:, 1].astype(np.int64) * (self._width + 1) + points[:, 0]

    def _placed(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        t = self._transform
        x = t.a * points[:, 0] + t.b * points[:, 1] + t.c
        y = t.d * points[:, 0] + t.e * points[:, 1] + t.f
        return np.stack([x, y], axis=1)

    @property
    def orientation(self) -> int:
        """1 where outer rings run counterclockwise in the CRS, as on a map whose north is up, else -1."""
        return 1 if self._transform.determinant < 0 else -1

    def finish(self) -> None:
        """Put the arcs in order; none comes any more."""
        whole: dict[str, npt.NDArray[Any]] = {}
        for name in list(self._parts):
            whole[name] = np.concatenate(self._parts.pop(name))
        # No two arcs leave a corner in the same direction.
        order = np.lexsort((whole["leaves"], whole["begin"]))
        self._corner_counts = whole["corner_counts"][order]
        self.counts = whole["line_counts"][order]
        self._corner_starts = offsets_of(whole["corner_counts"])[:-1][order]
        self._starts = offsets_of(whole["line_counts"])[:-1][order]
        self.table = ArcTable(**{name: whole.pop(name)[order] for name in _TABLE})
        self.care = np.full(len(order), Care.FULL, dtype=np.uint8)

    def redraw(self, numbers: Integers) -> None:
        """Draw arcs anew with the care that they have now.

        Raises:
            OutputError: The disk is full.
        """
        for care in np.unique(self.care[numbers]):
            alike = numbers[self.care[numbers] == care]
            for first in range(0, len(alike), _TOGETHER):
                self._redraw_some(alike[first : first + _TOGETHER], Care(care))

    def _redraw_some(self, numbers: Integers, care: Care) -> None:
        counts = self._corner_counts[numbers].astype(np.int64)
        points = np.memmap(self._corners, dtype=np.int32, mode="r").reshape(-1, 2)
        corners = points[ranges(self._corner_starts[numbers], counts)]
        arcs = Arcs(corners, offsets_of(counts), self.table.left[numbers], self.table.right[numbers])
        lines = self._outline.draw(arcs, care)
        self._starts[numbers] = self._line_points + lines.offsets[:-1]
        self.counts[numbers] = lines.counts
        self._append_lines(lines)

    def points(self, numbers: Integers, forward: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float64], Integers]:
        """Return the points of some arcs in the CRS, and how many each has; the last of each is left out.

        Args:
            numbers: Arcs by their place in the table.
            forward: Whether each is walked in its own direction.
        """
        counts = self.counts[numbers].astype(np.int64)
        begin = self._starts[numbers] + np.where(forward, 0, counts - 1)
        index = ranges(begin, counts - 1, ~forward)
        # Opened anew each time, so that pages already read need not stay in memory.
        stored = np.memmap(self._lines, dtype=np.float64, mode="r").reshape(-1, 2)
        return stored[index], counts - 1


def _direction(step: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    sideways = np.where(step[:, 0] > 0, 0, 2)
    return np.where(step[:, 1] == 0, sideways, np.where(step[:, 1] > 0, 1, 3)).astype(np.uint8)


def _append(path: Path, values: npt.NDArray[Any]) -> None:
    try:
        with path.open("ab") as stream:
            np.ascontiguousarray(values).tofile(stream)
    except OSError as error:
        raise output_error(path, error) from error
