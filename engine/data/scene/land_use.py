"""Fills the parcels: houses with gardens, fields, woods, vineyards, farms, heath, works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.ops import substring

from engine.data.scene import materials as m
from engine.data.scene.frame import Frame
from engine.data.scene.materials import Material
from engine.data.scene.plan import PARCEL, Box, LandUse, Plan
from engine.data.scene.things import Things

GROUND, STRIP, RIVER, LINE, ROAD, YARD, LOW, ROOF, ON_ROOF, TREE = (float(rank) * 2 for rank in range(10))
"""Ranks: what lies deeper is painted first."""

Points = npt.NDArray[np.float64]


class Builder:
    """Places things parcel by parcel.

    Args:
        frame: The scene's coordinates.
        plan: Its parcels and lines.
        rng: Source of all chance.
    """

    def __init__(self, frame: Frame, plan: Plan, rng: np.random.Generator) -> None:
        self.plan, self.rng = plan, rng
        self.scale = plan.parcel / PARCEL
        self.things = Things(rng)
        self._blocked: list[Any] = [plan.river.buffer(2.0 * self.scale)]
        self._fields = 0
        self.things.add(m.MEADOW, Box(*frame.plan_bounds()).polygon(), rank=GROUND, color=0)

    def build(self) -> Things:
        """Return everything in the scene."""
        self._lines()
        fill: dict[LandUse, Callable[[Box], None]] = {
            "houses": self._houses,
            "fields": self._field_strips,
            "wood": self._wood,
            "vineyard": self._vineyard,
            "farm": self._farm,
            "heath": self._heath,
            "works": self._works,
        }
        for box, use in self.plan.parcels:
            del self._blocked[1:]  # all but the river: a parcel's things stay within it
            fill[use](box)
        return self.things

    def _lines(self) -> None:
        rng, things = self.rng, self.things
        things.add(m.RIVER, self.plan.river, rank=RIVER)
        bank = self.plan.river.buffer(3.5 * self.scale).exterior
        spots = [bank.interpolate(t) for t in np.arange(0, bank.length, 5.0 * max(self.scale, 0.4))]
        centers = np.array([(p.x, p.y) for p in spots]) + rng.normal(0, 1.2, (len(spots), 2))
        kept = rng.random(len(centers))
        self._trees(centers[kept < 0.3], m.DECIDUOUS, 2.6, 9.0, free=False)
        self._bushes(centers[kept > 0.55])
        for box in self.plan.roads:
            half = min(box.length, box.width) / 3.2
            line = _axis(box)
            things.add(m.ASPHALT, line.buffer(half, cap_style="flat"), rank=ROAD, color=0)
            things.add(m.ASPHALT, line.buffer(half * 0.97, cap_style="flat"), rank=ROAD + 0.1)
            for start in np.arange(0, line.length, 9.0):
                dash = substring(line, start, start + 3.0)
                things.add(m.ROAD_MARK, dash.buffer(0.17, cap_style="flat"), rank=ROAD + 0.2)
            self._cars(line, half)
            self._avenue(box)
        for box in self.plan.tracks:
            half = min(box.length, box.width) / 2 * 0.75
            things.add(m.TRACK, _axis(box).buffer(half, cap_style="flat"), rank=LINE)
        for box in self.plan.hedges:
            self._hedge(_axis(box), min(box.length, box.width) / 3)

    def _avenue(self, box: Box) -> None:
        if self.rng.random() < 0.6:
            return
        line = _axis(box).parallel_offset(min(box.length, box.width) / 2 - 0.5)
        spots = np.array([line.interpolate(t).coords[0] for t in np.arange(4, line.length - 4, 11.0)])
        if len(spots):
            self._trees(spots.reshape(-1, 2), m.DECIDUOUS, 2.6, 8.0)

    def _cars(self, line: Any, half: float) -> None:
        for start in np.arange(10, line.length - 10, 24.0):
            if self.rng.random() < 0.35:
                car = substring(line, start, start + 4.3).parallel_offset(half / 2, self._side())
                self.things.add(m.CAR, car.buffer(0.9, cap_style="flat"), rank=ROAD + 0.3, height=1.3)

    def _side(self) -> str:
        return "left" if self.rng.random() < 0.5 else "right"

    def _hedge(self, line: Any, half: float) -> None:
        steps = np.arange(0, line.length, 0.8 * half)
        bushes = [line.interpolate(step).buffer(half * self.rng.uniform(0.7, 1.3), quad_segs=3) for step in steps]
        ragged = shapely.union_all(bushes).difference(self._blocked[0])
        self.things.add(m.HEDGE, ragged, rank=LOW, height=2.2)
        spots = [line.interpolate(t).coords[0] for t in np.arange(3, line.length, 13.0) if self.rng.random() < 0.45]
        if spots:
            self._trees(np.array(spots), m.DECIDUOUS, 2.8, 8.0)

    def _shuffled(self, *kinds: Material) -> list[Material]:
        return [kinds[index] for index in self.rng.permutation(len(kinds))]

    # Plants

    def _free(self, centers: Points, distance: float) -> Points:
        """Return the points that are away from water, roofs, yards and pools."""
        if not len(centers):
            return centers
        tree = shapely.STRtree(self._blocked)
        hit = np.unique(tree.query(shapely.points(centers).astype(object), predicate="dwithin", distance=distance)[0])
        return np.delete(centers, hit, axis=0)

    def _trees(self, centers: Points, material: Material, radius: float, height: float, free: bool = True) -> None:
        centers = self._free(centers, 0.4 * radius) if free else centers
        size = np.clip(self.rng.normal(1, 0.2, len(centers)), 0.55, 1.6)
        self.things.add_round(material, centers, radius * size, height * size, rank=TREE)

    def _bushes(self, centers: Points) -> None:
        centers = self._free(centers, 0.3)
        size = self.rng.uniform(0.5, 1.9, len(centers))
        self.things.add_round(m.BRUSH, centers, size, 0.6 + 0.9 * size, rank=LOW)

    def _scatter(self, box: Box, spacing: float, spread: float = 0.32) -> Points:
        """Return points about `spacing` apart all over a box, of shape (n, 2)."""
        u, v = np.meshgrid(
            np.arange(box.u0 + spacing / 2, box.u1, spacing), np.arange(box.v0 + spacing / 2, box.v1, spacing)
        )
        points = np.column_stack([u.ravel(), v.ravel()])
        return points + self.rng.normal(0, spread * spacing, points.shape)

    def _blob(self, center: tuple[float, float], radius: float) -> Any:
        """Return a round, smooth, irregular outline."""
        t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        r = np.full_like(t, radius)
        for order in (2, 3, 5):
            r += radius * self.rng.normal(0, 0.25 / order) * np.cos(order * t + self.rng.uniform(0, 6.3))
        stretch = self.rng.uniform(0.7, 1.2)
        return shapely.Polygon(np.column_stack([center[0] + r * np.cos(t), center[1] + stretch * r * np.sin(t)]))

    # Parcels

    def _field_strips(self, box: Box) -> None:
        kinds = (m.GREEN_CROP, m.PLOWED, m.MEADOW, m.RIPE_CROP, m.BARE_SOIL, m.MAIZE)
        along_u = box.length > box.width
        strips = box.cut(int(self.rng.integers(2, 4)), along_u)
        for strip in strips:
            kind = kinds[self._fields % len(kinds)]
            self._fields += 1
            angle = (np.pi / 2 if along_u else 0.0) + self.rng.normal(0, 0.03)
            height = {m.MAIZE: 2.1, m.GREEN_CROP: 0.5, m.RIPE_CROP: 0.8}.get(kind, 0.0)
            self.things.add(kind, strip.inset(0.35).polygon(), rank=STRIP, angle=angle, height=height)

    def _vineyard(self, box: Box) -> None:
        along_u = box.length > box.width
        parts = box.cut(2, along_u)
        for part, kind in zip(parts, self._shuffled(m.VINES_ON_SOIL, m.VINES_ON_GRASS), strict=True):
            angle = self.rng.choice([0.0, np.pi / 2]) + self.rng.normal(0, 0.05)
            self.things.add(kind, part.inset(1.6 * self.scale).polygon(), rank=STRIP, angle=angle, height=1.5)
        if self.rng.random() < 0.5:
            self._trees(np.array([[box.u0 + 1.5, box.v0 + 1.5]]), m.DECIDUOUS, 3.0, 8.0)

    def _wood(self, box: Box) -> None:
        stands = box.cut(2, box.length >= box.width)
        self.rng.shuffle(stands)
        self._stand(stands[0], m.CONIFER, m.DECIDUOUS, m.CONIFER_FLOOR, spacing=3.9, height=15.0)
        self._stand(stands[1], m.DECIDUOUS, m.CONIFER, m.DECIDUOUS_FLOOR, spacing=5.0, height=12.0)
        edge = box.inset(1.8 * self.scale).polygon().exterior
        spots = np.array([edge.interpolate(t).coords[0] for t in np.arange(0, edge.length, 2.2)])
        self._bushes(spots[self.rng.random(len(spots)) < 0.55] + self.rng.normal(0, 0.6, 2))

    def _stand(
        self, box: Box, kind: Material, other: Material, floor: Material, *, spacing: float, height: float
    ) -> None:
        outline = box.inset(1.5 * self.scale).polygon().buffer(-4 * self.scale).buffer(4 * self.scale)
        self.things.add(floor, outline, rank=STRIP + 0.1)
        centers = self._scatter(box.inset(2.0 * self.scale), spacing, 0.27)
        chance = self.rng.random(len(centers))
        self._trees(centers[chance < 0.9], kind, spacing * 0.62, height)
        self._trees(centers[chance > 0.95], other, spacing * 0.55, 12.0)

    def _heath(self, box: Box) -> None:
        rng = self.rng
        self.things.add(m.MEADOW, box.polygon(), rank=STRIP, color=int(rng.integers(2, 5)))
        reach = min(box.length, box.width)
        pond_at = (box.u0 + 0.3 * box.length, box.v0 + rng.uniform(0.3, 0.7) * box.width)
        pond = self._blob(pond_at, 0.2 * reach)
        self.things.add(m.POND, pond, rank=RIVER)
        self._blocked.append(pond)
        for _ in range(4):
            at = box.u0 + rng.uniform(0.45, 0.95) * box.length, box.v0 + rng.uniform(0.08, 0.92) * box.width
            self.things.add(m.BRUSH_GROUND, self._blob(at, 0.13 * reach), rank=STRIP + 0.2, height=0.8)
            count = max(4, int(0.11 * reach**2 / 7))
            self._bushes(np.array(at) + rng.normal(0, 0.1 * reach, (count, 2)))
        some = self._scatter(box.inset(2.0), 9.0 * max(self.scale, 0.5))
        self._trees(some[rng.random(len(some)) < 0.16], m.DECIDUOUS, 2.8, 8.0)
        self._trees(some[rng.random(len(some)) < 0.06], m.CONIFER, 2.2, 9.0)

    def _houses(self, box: Box) -> None:
        along_u = box.length >= box.width
        deep = 2 if min(box.length, box.width) > 40 else 1
        for row, half in enumerate(box.cut(deep, not along_u)):
            count = max(1, round((half.length if along_u else half.width) / 21.0))
            for plot in half.cut(count, along_u):
                self._house(plot, along_u, front=row == 0)

    def _house(self, plot: Box, along_u: bool, front: bool) -> None:
        rng, things = self.rng, self.things
        things.add(m.LAWN, plot.polygon(), rank=STRIP)
        free = plot.inset(1.5 * max(self.scale, 0.5))
        side = min(free.length, free.width)
        half_length = min(rng.uniform(5.0, 7.5), 0.36 * side)
        half_width = half_length * rng.uniform(0.6, 0.8)
        depth = (0.3 if front else 0.7) + rng.normal(0, 0.03)
        u = free.u0 + (0.45 + rng.normal(0, 0.04) if along_u else depth) * free.length
        v = free.v0 + (depth if along_u else 0.45 + rng.normal(0, 0.04)) * free.width
        angle = (0.0 if along_u else np.pi / 2) + (np.pi / 2 if rng.random() < 0.25 else 0) + rng.normal(0, 0.06)
        roof = (m.TILE_ROOF, m.TILE_ROOF, m.HIP_ROOF, m.SLATE_ROOF)[rng.integers(4)]
        if not self._building(roof, (u, v), angle, half_length, half_width, rng.uniform(3.0, 5.5)):
            return
        street = free.v0 if front else free.v1
        if not along_u:
            street = free.u0 if front else free.u1
        reach = (u + half_length + 2.2, v) if along_u else (u, v + half_length + 2.2)
        end = (reach[0], street) if along_u else (street, reach[1])
        drive = shapely.LineString([reach, end]).buffer(1.5, cap_style="square")
        self._yard((m.PAVING, m.GRAVEL, m.ASPHALT)[rng.integers(3)], drive)
        garden = 1.0 if front else -1.0
        back = (u, v + garden * (half_width + 1.8)) if along_u else (u + garden * (half_width + 1.8), v)
        self._yard(m.PAVING if rng.random() < 0.6 else m.GRAVEL, _rectangle(back, angle, half_length * 0.6, 1.8))
        if rng.random() < 0.75:
            away = half_width + 6.8
            for aside in (-1.5, 3.5, -5.0):
                pool = (u + aside, v + garden * away) if along_u else (u + garden * away, v + aside)
                if self._pool(pool, angle, free):
                    break
        if rng.random() < 0.35:
            shed = (free.u0 + 2.0, free.v1 - 2.0) if front else (free.u0 + 2.0, free.v0 + 2.0)
            self._building(m.FLAT_ROOF, shed, 0.0, 1.9, 1.5, 2.3)
        for line in _sides(plot.inset(0.6)):
            if rng.random() < 0.45:
                self.things.add(m.HEDGE, shapely.LineString(line).buffer(0.65, cap_style="flat"), rank=LOW, height=1.7)
        spots = self._scatter(free, 6.5)
        self._trees(spots[rng.random(len(spots)) < 0.26], m.DECIDUOUS, 2.1, 6.0)
        self._trees(spots[rng.random(len(spots)) < 0.05], m.CONIFER, 1.7, 8.0)

    def _building(
        self, roof: Material, at: tuple[float, float], angle: float, length: float, width: float, height: float
    ) -> bool:
        """Add a building unless water is in its way; half sizes, all in metres."""
        outline = _rectangle(at, angle, length, width)
        if shapely.STRtree(self._blocked).query(outline, predicate="intersects").size:
            return False
        common: dict[str, Any] = {"angle": angle, "size": (length, width), "center": at, "height": height}
        self.things.add(roof, outline, rank=ROOF, **common)
        self._blocked.append(outline)
        if roof in (m.TILE_ROOF, m.HIP_ROOF) and length > 5 and self.rng.random() < 0.3:
            # the same relief as the roof it lies on
            panel = _rectangle(_moved(at, angle, 0.0, -0.5 * width), angle, 0.5 * length, 0.3 * width)
            look = Material(1, m.SOLAR_PANEL.colors, 0.05, 0.03, 0.0, 0.0, roof.shape, 1.0, 0.18)
            self.things.add(look, panel, rank=ON_ROOF, **common)
        if roof is m.TILE_ROOF and length > 4 and self.rng.random() < 0.4:
            wing = _moved(at, angle, 0.55 * length, width)
            self.things.add(
                roof, _rectangle(wing, angle + np.pi / 2, 0.8 * width, 0.4 * length), rank=ROOF - 0.1,
                angle=angle + np.pi / 2, size=(0.8 * width, 0.4 * length), center=wing, height=height - 0.4,
            )  # fmt: skip
        return True

    def _yard(self, material: Material, outline: Any) -> None:
        self.things.add(material, outline, rank=YARD)
        self._blocked.append(outline)

    def _pool(self, at: tuple[float, float], angle: float, within: Box) -> bool:
        length, width = self.rng.uniform(3.4, 5.0), self.rng.uniform(1.8, 2.6)
        pool = _rectangle(at, angle, length, width)
        if self.rng.random() < 0.35:
            pool = self._blob(at, 2.9)
        rim = pool.buffer(1.1, join_style="mitre")
        if not within.polygon().contains(rim):
            return False
        if shapely.STRtree(self._blocked).query(pool, predicate="intersects").size:
            return False
        self._yard(m.PAVING, rim)
        self.things.add(m.POOL, pool, rank=YARD + 0.5)
        return True

    def _farm(self, box: Box) -> None:
        rng = self.rng
        along_u = box.length >= box.width
        left, right = box.cut(2, along_u)
        self._yard(m.GRAVEL, left.inset(1.0).polygon())
        self._blocked.pop()  # barns stand in the yard
        self.things.add(m.BARE_SOIL, right.inset(0.5).polygon(), rank=STRIP)
        angle = np.pi / 2 if along_u else 0.0
        long, short = (left.width, left.length) if along_u else (left.length, left.width)
        roof = m.METAL_ROOF if rng.random() < 0.7 else m.TILE_ROOF
        shifted = _moved(left.center, angle, -0.2 * long, 0.0)
        self._building(roof, shifted, angle, 0.2 * long, min(0.3 * short, 9.0), 5.0)
        if long > 30:
            silo = _moved(left.center, angle, 0.2 * long, -0.2 * short)
            self.things.add(m.FLAT_ROOF, shapely.Point(silo).buffer(2.6), rank=ROOF, height=9.0)
            self._blocked.append(shapely.Point(silo).buffer(2.6))
            self._trees(np.array([_moved(left.center, angle, 0.32 * long, 0.25 * short)]), m.DECIDUOUS, 3.8, 11.0)
        long, short = (right.width, right.length) if along_u else (right.length, right.width)
        count = max(1, int(short / 11.0))
        for number in range(count):
            offset = (number + 0.5 - count / 2) * short / count
            at = _moved(right.center, angle, rng.normal(0, 1.0), offset)
            self._building(m.GREENHOUSE, at, angle, 0.41 * long, min(4.2, 0.4 * short / count), 2.4)

    def _works(self, box: Box) -> None:
        rng = self.rng
        along_u = box.length >= box.width
        lot, site = box.cut(2, along_u)
        self._yard(m.ASPHALT, lot.inset(1.2).polygon())
        self._blocked.pop()
        self.things.add(m.BARE_SOIL, site.inset(1.0).polygon(), rank=STRIP)
        angle = 0.0 if lot.length >= lot.width else np.pi / 2
        long, short = max(lot.length, lot.width), min(lot.length, lot.width)
        hall = _moved(lot.center, angle, -0.16 * long, 0.0)
        self._building(m.FLAT_ROOF, hall, angle, 0.25 * long, 0.36 * short, 7.0)
        for row in (-0.28, 0.28):
            for number in range(int(0.3 * long / 2.8)):
                if rng.random() < 0.65:
                    at = _moved(lot.center, angle, 0.16 * long + 2.8 * number, row * short)
                    self.things.add(m.CAR, _rectangle(at, angle, 0.9, 2.1), rank=ROOF, height=1.4)
        heaps = self._scatter(site.inset(4.0 * self.scale), 10.0)
        heaps = self._free(heaps[rng.random(len(heaps)) < 0.3], 3.0)
        self.things.add_round(m.SOIL_HEAP, heaps, rng.uniform(1.5, 3.5, len(heaps)), np.full(len(heaps), 2.2), rank=LOW)
        self.things.add(m.GRAVEL, self._blob(site.center, 0.2 * min(site.length, site.width)), rank=STRIP + 0.2)
        long, short = max(site.length, site.width), min(site.length, site.width)
        angle = 0.0 if site.length >= site.width else np.pi / 2
        self._building(m.METAL_ROOF, _moved(site.center, angle, -0.28 * long, 0.22 * short), angle, 5.0, 3.2, 3.5)
        edge = box.inset(0.3).polygon().exterior
        spots = np.array([edge.interpolate(t).coords[0] for t in np.arange(0, edge.length, 8.0)])
        self._trees(spots[rng.random(len(spots)) < 0.3], m.DECIDUOUS, 2.2, 6.5)


def _axis(box: Box) -> Any:
    u, v = box.center
    if box.length >= box.width:
        return shapely.LineString([(box.u0 - 4, v), (box.u1 + 4, v)])
    return shapely.LineString([(u, box.v0 - 4), (u, box.v1 + 4)])


def _sides(box: Box) -> list[list[tuple[float, float]]]:
    a, b, c, d = (box.u0, box.v0), (box.u1, box.v0), (box.u1, box.v1), (box.u0, box.v1)
    return [[a, b], [b, c], [c, d], [d, a]]


def _moved(at: tuple[float, float], angle: float, along: float, across: float) -> tuple[float, float]:
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return at[0] + along * cos - across * sin, at[1] + along * sin + across * cos


def _rectangle(at: tuple[float, float], angle: float, length: float, width: float) -> Any:
    corners = ((-length, -width), (length, -width), (length, width), (-length, width))
    return shapely.Polygon([_moved(at, angle, *corner) for corner in corners])
