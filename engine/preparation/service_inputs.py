"""Products that come from services, as files on the grid of the orthophoto."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace

from engine.errors import RequestError
from engine.events import Reporter
from engine.part_reporter import PartReporter
from engine.preparation.sources import grid_of, pixel_metres
from engine.preparation.target import Target
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow
from engine.requests.inputs import PrepareInputRequest
from engine.services.address import ServiceAddress
from engine.services.frame import Frame, Part, frame_of
from engine.services.inputs import copies, needed, services_among

HEIGHTS = ("dsm", "dtm", "height")
# What the orthophotos have that the models learnt from.
USUAL_DISTANCE = 0.2
# Pixels around heights that interpolation looks at.
_AROUND = 2


class ProductServices:
    """The services among the inputs of a request.

    Args:
        request: What to do.
        options: Names of the options that hold inputs, in the order in which they are copied.
        reporter: Receives progress and facts.
        cancelled: Set to stop; pieces that came are kept.

    Raises:
        RequestError: An address lacks something, a name is not known, no extent says which part is wanted, or the
            output is virtual.
    """

    def __init__(
        self, request: PrepareInputRequest, options: list[str], reporter: Reporter, cancelled: threading.Event
    ) -> None:
        self._request = request
        self._services = {option: services_among(getattr(request, option) or []) for option in options}
        self._reporter, self._cancelled = reporter, cancelled
        self._done = 0
        self.part = Part.of(request.extent, None, None)
        if self._services["rgb"]:
            needed(self.part, self._services["rgb"][0])
        if self and request.output.lower().endswith(".vrt"):
            raise RequestError(
                "An image of services cannot be a virtual raster: their pixels are kept for some days only.",
                "Give an output that ends in .tif.",
            )

    def __bool__(self) -> bool:
        return any(self._services.values())

    def orthophoto(self) -> list[str]:
        """Return files in place of the services of the orthophoto.

        Raises:
            EngineError: See `ServiceCopy.run`.
        """

        def frame(address: ServiceAddress) -> Frame:
            distance = self._request.ground_sampling_distance or address.resolution or address.native or USUAL_DISTANCE
            return frame_of(address, needed(self.part, address), distance)

        return self._copies("rgb", frame)

    def beside(self, option: str, image: RasterSource, target: Target) -> list[str]:
        """Return files in place of the services of a product that is brought onto the orthophoto's grid.

        Images are asked for on its very pixels; heights on pixels of their own size, if that is larger, from the same
        corner on, and as far beyond its edge as holes are filled from.

        Args:
            option: Name of the option.
            image: The orthophoto.
            target: The grid to write.

        Raises:
            EngineError: See `ServiceCopy.run`.
        """
        grid = grid_of(image).part(target.image_window(PixelWindow(0, 0, target.grid.height, target.grid.width)))
        metres = pixel_metres(image)[0]

        def frame(address: ServiceAddress) -> Frame:
            if grid.crs is None:
                raise RequestError("The orthophoto has no CRS, so services cannot be asked for the same place.")
            step = grid.transform
            found = Frame(grid.crs, step.c, step.f, step.a, -step.e, grid.width, grid.height)
            if option not in HEIGHTS:
                return found
            times = max(1.0, (address.resolution or address.native or metres) / metres)
            found = replace(
                found,
                step_x=found.step_x * times,
                step_y=found.step_y * times,
                width=math.ceil(found.width / times),
                height=math.ceil(found.height / times),
            )
            return found.widened(_AROUND + math.ceil(self._request.fill_distance / (metres * times)))

        return self._copies(option, frame)

    def _copies(self, option: str, frame: Callable[[ServiceAddress], Frame]) -> list[str]:
        services = self._services[option]
        total = sum(len(found) for found in self._services.values())
        if not services:
            return []
        part = PartReporter(self._reporter, self._done / total, len(services) / total)
        self._done += len(services)
        return copies(services, frame, option in HEIGHTS, part, self._cancelled)
