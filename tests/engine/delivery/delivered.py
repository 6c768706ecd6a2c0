"""A run of sheets over an image that is there already, in place of one that is predicted."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from engine.delivery.sheet_index import index_path
from engine.delivery.sheet_run import SheetRun
from engine.rasters.sheets import SheetGrid
from engine.rasters.tile_store import TileStore
from engine.rasters.windows import PixelWindow
from tests.engine.rasters.stored_tiles import NOMENCLATURE, Reports, cut, grid_of, open_store, tiles_of

# 4 m a pixel: sheets of 1000 m are 250 pixels; the grid begins 2 m beside a pixel edge of them.
TRANSFORM = Affine(4, 0, 960_602, 0, -4, 6_329_398)
SIDE = 128


@dataclass(frozen=True)
class Stored:
    window: PixelWindow
    seconds: float = 2.0
    worker: str = "here"


class Delivery:
    """Stores the tiles of an image one by one and lets the run of sheets know."""

    def __init__(self, output: Path, image: np.ndarray, size: float = 1000, **tags: str) -> None:
        self.output, self.image = output, image
        self.grid = grid_of(*image.shape, TRANSFORM)
        self.reports = Reports()
        self.cancelled = threading.Event()
        self.tiles = [tile for tile in tiles_of(*image.shape, SIDE) if cut(image, tile).any()]
        self.store: TileStore = open_store(output, self.grid, reports=self.reports)
        self.run = SheetRun(
            store=self.store,
            output=output,
            grid=SheetGrid(self.grid, size, output.stem),
            sheet_size=size,
            within=lambda window: [tile for tile in self.tiles if tile.intersection(window).pixels],
            nomenclature=NOMENCLATURE,
            tags=tags,
            reporter=self.reports,
            cancelled=self.cancelled,
        )

    def predict(self, count: int | None = None, **told: Any) -> None:
        """Store the next tiles that are missing."""
        for tile in [tile for tile in self.tiles if tile not in self.store][:count]:
            self.store.write(tile, {"classes": cut(self.image, tile)})
            self.run.stored(Stored(tile, **told))

    def finish(self, **options: Any) -> dict[str, Any]:
        result = self.run.finish(**{"overwrite": False, "progress": lambda share: None, **options})
        self.store.remove()
        return result

    def stop(self, error: BaseException) -> None:
        self.run.abandon(error, kept=True)
        self.store.close()


def index_of(output: Path) -> dict[str, dict[str, Any]]:
    """Return the lines of the index, by sheet.

    Not through GDAL: two copies of SQLite in one process take each other's locks away.
    """
    with closing(sqlite3.connect(index_path(output))) as database:
        database.row_factory = sqlite3.Row
        return {line["name"]: dict(line) for line in database.execute("SELECT * FROM sheets")}
