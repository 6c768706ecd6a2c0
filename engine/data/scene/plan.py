"""Where roads, river and parcels lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import shapely
from shapely import affinity

from engine.data.scene.frame import Frame

LandUse = Literal["houses", "fields", "wood", "vineyard", "farm", "heath", "works"]
DECK: tuple[LandUse, ...] = ("houses", "fields", "wood", "vineyard", "farm", "houses", "fields", "heath", "works")
"""Neighbouring parcels draw from one deck, so that every part of the scene has a bit of everything."""

PARCEL = 54.0
"""Side of an ordinary parcel in metres."""


@dataclass(frozen=True)
class Box:
    """A rectangle in plan coordinates, in metres."""

    u0: float
    v0: float
    u1: float
    v1: float

    @property
    def length(self) -> float:
        """Extent along u."""
        return self.u1 - self.u0

    @property
    def width(self) -> float:
        """Extent along v."""
        return self.v1 - self.v0

    @property
    def center(self) -> tuple[float, float]:
        """Its middle."""
        return (self.u0 + self.u1) / 2, (self.v0 + self.v1) / 2

    def inset(self, by: float) -> Box:
        """Return the box made smaller by so many metres on each side."""
        return Box(self.u0 + by, self.v0 + by, self.u1 - by, self.v1 - by)

    def polygon(self) -> Any:
        """Return it as a polygon."""
        return shapely.box(self.u0, self.v0, self.u1, self.v1)

    def cut(self, count: int, along_u: bool) -> list[Box]:
        """Return so many equal strips, side by side along u or along v."""
        edges = np.linspace(self.u0, self.u1, count + 1) if along_u else np.linspace(self.v0, self.v1, count + 1)
        pairs = pairwise(edges.tolist())
        if along_u:
            return [Box(a, self.v0, b, self.v1) for a, b in pairs]
        return [Box(self.u0, a, self.u1, b) for a, b in pairs]


@dataclass
class Plan:
    """The scene's parcels and the lines between them.

    Args:
        parcel: Side of a parcel in metres; smaller than `PARCEL` in a small scene, for variety's sake.
    """

    parcel: float
    parcels: list[tuple[Box, LandUse]] = field(default_factory=list)
    roads: list[Box] = field(default_factory=list)
    tracks: list[Box] = field(default_factory=list)
    hedges: list[Box] = field(default_factory=list)
    river: Any = None


def make_plan(frame: Frame, rng: np.random.Generator) -> Plan:
    """Divide the scene by roads, tracks and hedges into parcels, and lead a river through it."""
    plan = Plan(float(np.clip(np.sqrt(frame.width * frame.height / 16), 16.0, PARCEL)))
    boxes: list[Box] = []
    _divide(Box(*frame.plan_bounds()), plan, boxes, rng, top=True)
    scene = shapely.box(0, -frame.height, frame.width, 0)
    visible = [
        (box, shapely.transform(box.polygon(), frame.to_ground).intersection(scene).area / box.polygon().area)
        for box in boxes
    ]
    # slivers at the edge draw apart from the rest, so that chance does not hide a land use there
    for chosen in ([box for box, share in visible if share > 0.4], [box for box, share in visible if 0 < share <= 0.4]):
        _assign(chosen, plan, frame, rng)
    plan.river = _river(frame, plan, rng)
    return plan


def _assign(boxes: list[Box], plan: Plan, frame: Frame, rng: np.random.Generator) -> None:
    boxes.sort(key=lambda box: float(frame.to_ground(np.array([box.center]))[0, 0]))
    deck: list[LandUse] = []
    for box in boxes:
        if not deck:
            deck = [DECK[index] for index in rng.permutation(len(DECK))]
        plan.parcels.append((box, deck.pop()))


def _divide(box: Box, plan: Plan, boxes: list[Box], rng: np.random.Generator, top: bool = False) -> None:
    longer = max(box.length, box.width)
    if longer < 1.4 * plan.parcel:
        boxes.append(box)
        return
    scale = plan.parcel / PARCEL
    if top or longer > 2.4 * plan.parcel:
        lines, thickness = plan.roads, 9.0
    else:
        choice = rng.random()
        lines, thickness = (plan.tracks, 4.0) if choice < 0.45 else (plan.hedges, 4.5 if choice < 0.8 else 0.0)
    thickness *= max(scale, 0.5)
    share, half = rng.uniform(0.4, 0.6), thickness / 2
    if box.length >= box.width:
        middle = box.u0 + share * box.length
        line = Box(middle - half, box.v0, middle + half, box.v1)
        parts = Box(box.u0, box.v0, line.u0, box.v1), Box(line.u1, box.v0, box.u1, box.v1)
    else:
        middle = box.v0 + share * box.width
        line = Box(box.u0, middle - half, box.u1, middle + half)
        parts = Box(box.u0, box.v0, box.u1, line.v0), Box(box.u0, line.v1, box.u1, box.v1)
    if thickness:
        lines.append(line)
    for part in parts:
        _divide(part, plan, boxes, rng)


def _river(frame: Frame, plan: Plan, rng: np.random.Generator) -> Any:
    """Return the bed where it runs least along roads."""
    scale = plan.parcel / PARCEL
    u0, v0, u1, v1 = frame.plan_bounds()
    u = np.arange(u0, u1 + 4, 4.0)
    first, second, third = rng.uniform(0, 2 * np.pi, 3)
    v = scale * (15 * np.sin(2 * np.pi * u / 230 + first) + 6 * np.sin(2 * np.pi * u / 83 + second))
    half = scale * (5.5 + 1.6 * np.sin(2 * np.pi * u / 61 + third))
    bed = shapely.Polygon(np.vstack([np.column_stack([u, v - half]), np.column_stack([u, v + half])[::-1]]))
    roads = shapely.union_all([road.polygon() for road in plan.roads])
    offsets = (v0 + v1) / 2 + np.linspace(-0.2, 0.2, 31) * (v1 - v0)
    beds = [affinity.translate(bed, yoff=float(offset)) for offset in offsets]
    return min(beds, key=lambda moved: float(moved.intersection(roads).area))
