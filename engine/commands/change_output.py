"""What the report of a change shows, from its matrices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import __version__
from engine.maps.change import Change, Pair
from engine.maps.class_map import ClassMap
from engine.maps.groups import Groups
from engine.reports.change_report import Balance, ChangeReport, PolygonChange
from engine.requests import ChangeRequest

Hectares = npt.NDArray[np.float64]
METHOD = (
    "Areas are measured on the WGS 84 ellipsoid, pixel by pixel. Compared is what has a class before and after. "
    "Where a smallest area was asked for, a change is the pixels of one transition that share edges. Most small "
    "changes along borders come from the rasters and not from the ground: where both are right in 90 of 100 pixels, up "
    "to a fifth of all pixels can differ without any change."
)


@dataclass(frozen=True)
class BalanceOf:
    """A balance as a JSON value.

    Args:
        item: The balance.
    """

    item: Balance

    def to_dict(self) -> dict[str, Any]:
        """Return its name and hectares."""
        names = ("before", "after", "gain", "loss", "net")
        return {"name": self.item.name, **{name: round(float(getattr(self.item, name)), 6) for name in names}}


def report_of(
    request: ChangeRequest, before: ClassMap, pair: Pair, change: Change, groups: Groups | None, notes: list[str]
) -> ChangeReport:
    """Return the report of a change.

    Args:
        request: What was asked for.
        before: The earlier raster.
        pair: Both rasters.
        change: What was found.
        groups: Groups of classes, or None.
        notes: Warnings.
    """
    classes, hectares = pair.transitions.classes, change.whole.hectares
    pixels = change.whole.pixels
    present = np.flatnonzero(pixels.sum(axis=0) + pixels.sum(axis=1))
    names = [(classes[place].code, classes[place].name, classes[place].color) for place in present]
    source, older = pair.after.source, before.source
    summary = [
        ("Before", older.files[0].name),
        ("After", source.files[0].name),
        (
            "Pixels",
            f"{source.width} x {source.height} of {abs(source.transform.a):g} units of {pair.after.crs.to_string()}",
        ),
        ("Smallest change", f"{request.minimum_area:g} m\N{SUPERSCRIPT TWO}" if request.minimum_area else "any"),
        ("Least confidence", f"{request.minimum_confidence:g} %" if pair.confidences else "any"),
        ("Groups", ", ".join(groups.names) if groups else "none"),
        ("Version", f"FLAIR land cover {__version__}"),
    ]
    if pair.zones is not None:
        summary.insert(2, ("Area", f"{Path(request.area or '').name}, {len(pair.zones)} polygons"))
    return ChangeReport(
        title=f"{older.files[0].name} \N{RIGHTWARDS ARROW} {source.files[0].name}",
        classes=[_balance(hectares, place, *item) for place, item in zip(present.tolist(), names, strict=True)],
        matrix=hectares[np.ix_(present, present)].tolist(),
        left_out=change.left_out,
        groups=_groups(hectares, groups),
        polygons=_polygons(pair, change, groups),
        summary=summary,
        notes=notes,
        method=METHOD,
        options=request.model_dump(mode="json", exclude={"output", "overwrite"}, exclude_none=True),
    )


def _balance(matrix: Hectares, place: int, code: int | None, name: str, color: str) -> Balance:
    others = np.arange(len(matrix)) != place
    gain, loss = float(matrix[others, place].sum()), float(matrix[place, others].sum())
    return Balance(code, name, color, float(matrix[place].sum()), gain, loss)


def _groups(matrix: Hectares, groups: Groups | None) -> list[Balance]:
    if groups is None:
        return []
    summed = groups.matrix(matrix)
    return [
        _balance(summed, place, None, name, color)
        for place, (name, color) in enumerate(zip(groups.names, groups.colors, strict=True))
    ]


def _polygons(pair: Pair, change: Change, groups: Groups | None) -> list[PolygonChange]:
    if pair.zones is None:
        return []
    hectares, changed = change.zones.hectares, change.zones.changed
    found = []
    for number, name in enumerate(pair.zones.names):
        first = _groups(hectares[number], groups)[:1]
        gain, loss = (first[0].gain, first[0].loss) if first else (None, None)
        found.append(PolygonChange(name, float(hectares[number].sum()), float(changed[number]), gain, loss))
    return found
