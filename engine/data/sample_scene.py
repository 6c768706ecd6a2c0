"""Makes a scene to try things on: aerial image, height models and labels of a place that does not exist."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
import shapely
from affine import Affine
from rasterio.features import shapes
from rasterio.windows import Window

from engine.data.scene.frame import Frame
from engine.data.scene.land_use import Builder
from engine.data.scene.painter import PIXEL, POST, SPARE, Scene
from engine.data.scene.plan import make_plan
from engine.data.scene.textures import Textures
from engine.errors import RequestError
from engine.events import Reporter
from engine.nomenclature import NODATA, load_nomenclature

BAND_NAMES = ("red", "green", "blue", "infrared", "elevation")
ORIGIN = (853_000.0, 6_541_000.0)
"""Upper-left corner in EPSG:2154, in metres: a round kilometre."""
CRS = "EPSG:2154"
TILE = 1024


@dataclass(frozen=True)
class SampleScene:
    """Where the files of a scene lie.

    Args:
        image: Red, green, blue, infrared and elevation, uint8, 0.2 m.
        dsm: Surface model in metres, float32, 0.5 m.
        dtm: Terrain model in metres, float32, 0.5 m.
        labels: Class codes, uint8, on the image's grid.
        polygons: The same as polygons with the fields `code` and `class`.
    """

    image: Path
    dsm: Path
    dtm: Path
    labels: Path
    polygons: Path


def write_sample_scene(
    folder: Path, *, width: int, height: int, seed: int = 0, reporter: Reporter | None = None
) -> SampleScene:
    """Write a scene; the same size and seed give the same scene.

    The elevation band is clip(round(5 * max(DSM - DTM, 0)), 0, 255), with both models brought to the image's grid
    bilinearly. The height models reach a metre beyond the image.

    Args:
        folder: Where to write; made when it is missing.
        width: Columns of the image, 0.2 m each.
        height: Rows of the image.
        seed: Another seed, another place.
        reporter: Receiver of progress.

    Raises:
        RequestError: Width or height is below 16.
    """
    if min(width, height) < 16:
        raise RequestError(f"A scene of {width} x {height} pixels is too small.", "16 x 16 is the smallest.")
    folder.mkdir(parents=True, exist_ok=True)
    paths = SampleScene(
        folder / "image.tif", folder / "dsm.tif", folder / "dtm.tif", folder / "labels.tif", folder / "labels.gpkg"
    )
    scene = _compose(width, height, seed)
    _write_image(scene, paths, width, height, reporter)
    _write_heights(scene, paths, width, height)
    if reporter:
        reporter.progress(1.0, "sample scene")
    return paths


def _compose(width: int, height: int, seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    angle = float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.5))
    phases = rng.uniform(0, 2 * np.pi, 8)
    frame = Frame(width * PIXEL, height * PIXEL, angle, (float(phases[6]), float(phases[7])))
    placed = Builder(frame, make_plan(frame, rng), rng).build().on_ground(frame)
    return Scene(frame, placed, Textures.make(rng), phases, seed)


def _tiles(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    for row in range(0, height, TILE):
        for column in range(0, width, TILE):
            yield row, column, min(TILE, height - row), min(TILE, width - column)


def _profile(width: int, height: int, transform: Affine, **values: Any) -> dict[str, Any]:
    return {
        "driver": "GTiff", "width": width, "height": height, "crs": CRS, "transform": transform, "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1, "num_threads": "all_cpus",
        "bigtiff": "if_safer", **values,
    }  # fmt: skip


def _write_image(scene: Scene, paths: SampleScene, width: int, height: int, reporter: Reporter | None) -> None:
    transform = Affine(PIXEL, 0, ORIGIN[0], 0, -PIXEL, ORIGIN[1])
    nomenclature = load_nomenclature("flair")
    image_profile = _profile(width, height, transform, count=5, dtype="uint8", photometric="rgb", alpha="no")
    label_profile = _profile(width, height, transform, count=1, dtype="uint8", nodata=NODATA)
    tiles = list(_tiles(width, height))
    polygons: list[Any] = []
    codes: list[npt.NDArray[np.int32]] = []

    def make(tile: tuple[int, int, int, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], list[Any]]:
        image, labels = scene.paint(*tile)
        corner = transform @ Affine.translation(tile[1], tile[0])
        return image, labels, [(outline["coordinates"], code) for outline, code in shapes(labels, transform=corner)]

    with (
        rasterio.open(paths.image, "w", **image_profile) as image_file,
        rasterio.open(paths.labels, "w", **label_profile) as label_file,
        ThreadPoolExecutor(2) as pool,
    ):
        image_file.descriptions = BAND_NAMES
        label_file.write_colormap(1, {item.code: (*item.rgb, 255) for item in nomenclature.classes})
        label_file.set_band_description(1, "land cover")
        for number, (tile, (image, labels, outlines)) in enumerate(zip(tiles, pool.map(make, tiles), strict=True)):
            window = Window(tile[1], tile[0], tile[3], tile[2])
            image_file.write(image, window=window)
            label_file.write(labels, 1, window=window)
            polygons.extend(shapely.Polygon(rings[0], rings[1:]) for rings, _ in outlines)
            codes.append(np.array([int(code) for _, code in outlines], dtype=np.int32))
            if reporter:
                reporter.progress(0.95 * (number + 1) / len(tiles), "sample scene")
    names = {item.code: item.name for item in nomenclature.classes}
    all_codes = np.concatenate(codes)
    pyogrio.raw.write(
        paths.polygons,
        shapely.to_wkb(np.array(polygons)),
        [all_codes, np.array([names[code] for code in all_codes.tolist()], dtype=object)],
        ["code", "class"],
        layer="labels",
        driver="GPKG",
        geometry_type="Polygon",
        crs=CRS,
    )


def _write_heights(scene: Scene, paths: SampleScene, width: int, height: int) -> None:
    columns = math.ceil(width * PIXEL / POST) + 2 * SPARE
    rows = math.ceil(height * PIXEL / POST) + 2 * SPARE
    transform = Affine(POST, 0, ORIGIN[0] - SPARE * POST, 0, -POST, ORIGIN[1] + SPARE * POST)
    profile = _profile(columns, rows, transform, count=1, dtype="float32", nodata=-9999.0, predictor=3)
    with rasterio.open(paths.dsm, "w", **profile) as dsm, rasterio.open(paths.dtm, "w", **profile) as dtm:
        for tile in _tiles(columns, rows):
            window = Window(tile[1], tile[0], tile[3], tile[2])
            surface, terrain = scene.heights(*tile)
            dsm.write(surface, 1, window=window)
            dtm.write(terrain, 1, window=window)
