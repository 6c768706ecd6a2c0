"""The grid of the image to write."""

from __future__ import annotations

import math
from dataclasses import dataclass

from affine import Affine

from engine.preparation.sources import pixel_metres
from engine.rasters.area import area_from_extent
from engine.rasters.model_grid import ModelGrid
from engine.rasters.source import RasterSource
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow

TILE = 1024


@dataclass(frozen=True)
class Target:
    """The grid to write and its place over the orthophoto.

    Args:
        grid: The grid to write.
        scaled: The orthophoto's grid at the ground sampling distance to write.
        window: The pixels of `scaled` that are written.
    """

    grid: OutputGrid
    scaled: ModelGrid
    window: PixelWindow

    @classmethod
    def of(cls, image: RasterSource, ground_sampling_distance: float | None, extent: str | None) -> Target:
        """Return the grid for an orthophoto.

        Args:
            image: The orthophoto.
            ground_sampling_distance: Metres a pixel to write; None for the orthophoto's own, which also stays where
                it is within 2 % of the one wanted.
            extent: Part to write, as `area_from_extent` reads it; None for all of it.

        Raises:
            RequestError: The extent cannot be read.
            InputError: It lies outside the orthophoto.
        """
        scaled = ModelGrid(image.width, image.height, 1.0, 1.0)
        if ground_sampling_distance is not None:
            scaled = ModelGrid.fit(image.width, image.height, pixel_metres(image), ground_sampling_distance)
        part = PixelWindow(0, 0, image.height, image.width)
        if extent:
            part = area_from_extent(extent, image).window
        window = scaled.to_model(part).intersection(PixelWindow(0, 0, scaled.height, scaled.width))
        transform = image.transform * Affine.scale(1 / scaled.scale_x, 1 / scaled.scale_y)
        whole = OutputGrid(scaled.width, scaled.height, transform, image.crs)
        return cls(whole.part(window), scaled, window)

    def scaled_window(self, window: PixelWindow) -> PixelWindow:
        """Return a window of the output in pixels of `scaled`."""
        return PixelWindow(
            window.row + self.window.row, window.column + self.window.column, window.height, window.width
        )

    def image_window(self, window: PixelWindow) -> PixelWindow:
        """Return the orthophoto's pixels that a window of the output covers, at least one."""
        place = self.scaled_window(window)
        row, column = int(place.row / self.scaled.scale_y), int(place.column / self.scaled.scale_x)
        bottom, right = math.ceil(place.bottom / self.scaled.scale_y), math.ceil(place.right / self.scaled.scale_x)
        return PixelWindow(row, column, max(1, bottom - row), max(1, right - column))

    def tiles(self, side: int = TILE) -> list[PixelWindow]:
        """Return the windows in which the output is made, in rows."""
        grid = self.grid
        return [
            PixelWindow(row, column, min(side, grid.height - row), min(side, grid.width - column))
            for row in range(0, grid.height, side)
            for column in range(0, grid.width, side)
        ]
