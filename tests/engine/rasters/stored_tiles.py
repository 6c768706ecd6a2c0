"""A small store of tiles, and a reporter that keeps what it is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from engine.nomenclature import load_nomenclature
from engine.rasters.tile_store import Layer, OutputGrid, TileStore, work_folder
from engine.rasters.windows import PixelWindow
from engine.resources import ROOT

NOMENCLATURE = load_nomenclature()
CLASSES = Layer("classes", 1, "uint8", 0)
LAMBERT = CRS.from_epsg(2154)


class Reports:
    """Keeps log lines; takes and forgets all other events."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, fraction: float, text: str = "", eta: float | None = None) -> None: ...

    def result(self, values: dict[str, Any]) -> None: ...

    def error(self, kind: str, message: str, hint: str = "") -> None: ...


def grid_of(height: int, width: int, transform: Affine | None = None, crs: CRS | None = LAMBERT) -> OutputGrid:
    north_up = Affine(0.2, 0, 961000, 0, -0.2, 6329000)
    return OutputGrid(width, height, north_up if transform is None else transform, crs)


def open_store(
    output: Path,
    grid: OutputGrid,
    *,
    layers: tuple[Layer, ...] = (CLASSES,),
    fingerprint: dict[str, Any] | None = None,
    resume: bool = True,
    reports: Reports | None = None,
) -> TileStore:
    return TileStore.open(
        work_folder(output), fingerprint or {"model": "m"}, grid, layers, resume=resume, reporter=reports or Reports()
    )


def land_cover(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return patches of enabled codes with some noise and a hole of nodata, shape (height, width)."""
    random = np.random.default_rng(seed)
    codes = np.array([item.code for item in NOMENCLATURE.enabled], dtype=np.uint8)
    patches = random.choice(codes, (height // 16 + 1, width // 16 + 1))
    image = np.kron(patches, np.ones((16, 16), dtype=np.uint8))[:height, :width].copy()
    noise = random.random((height, width)) < 0.05
    image[noise] = random.choice(codes, int(noise.sum()))
    image[height // 3 : height // 2, width // 3 : width // 2] = 0
    return image


def tiles_of(height: int, width: int, side: int) -> list[PixelWindow]:
    return [
        PixelWindow(row, column, min(side, height - row), min(side, width - column))
        for row in range(0, height, side)
        for column in range(0, width, side)
    ]


def cut(image: np.ndarray, tile: PixelWindow) -> np.ndarray:
    return np.ascontiguousarray(image[..., tile.row : tile.bottom, tile.column : tile.right])


def fill(store: TileStore, side: int = 256, **images: np.ndarray) -> None:
    """Store images, by layer, in square tiles."""
    for tile in tiles_of(store.grid.height, store.grid.width, side):
        store.write(tile, {name: cut(image, tile) for name, image in images.items()})


def finish(write: Any, store: TileStore, output: Path, *arguments: Any, **options: Any) -> Any:
    """Call a final writer with the options that a test does not care about."""
    defaults: dict[str, Any] = {"overwrite": False, "progress": lambda share: None, "cancelled": lambda: False}
    return write(store, output, *arguments, **(defaults | options))


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process of its own with these helpers at hand; arguments are in `sys.argv`."""
    start = "import sys\nfrom pathlib import Path\nfrom tests.engine.rasters.stored_tiles import *\n"
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def names_in(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()}
