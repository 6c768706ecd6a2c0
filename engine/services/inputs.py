"""Inputs of a command, of which some are services: these become files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from engine.errors import RequestError
from engine.events import Reporter
from engine.part_reporter import PartReporter
from engine.services.address import ServiceAddress, is_service, read_address
from engine.services.copying import Holds, ServiceCopy
from engine.services.frame import Frame, Part, frame_of, round_distance

# Share of the progress bar for copying services.
COPY_PART = 0.3


def services_among(inputs: Sequence[str]) -> list[ServiceAddress]:
    """Return the services that inputs name.

    Raises:
        RequestError: An address lacks something, or a name is not known.
    """
    return [read_address(item) for item in inputs if is_service(item)]


def files_among(inputs: Sequence[str]) -> list[str]:
    """Return the inputs that name no service."""
    return [item for item in inputs if not is_service(item)]


def copies(
    services: Sequence[ServiceAddress],
    frame: Callable[[ServiceAddress], Frame],
    heights: bool,
    reporter: Reporter,
    cancelled: threading.Event,
) -> list[str]:
    """Return a raster on disk for each service.

    Args:
        services: The services.
        frame: Tells which pixels of a service are wanted.
        heights: Whether they are to hold heights; otherwise coverages are taken as they are, and maps as colours.
        reporter: Receives progress and facts.
        cancelled: Set to stop.

    Raises:
        EngineError: See `ServiceCopy.run`.
    """
    found = []
    for number, address in enumerate(services):
        holds: Holds = "heights" if heights else "values" if address.kind == "wcs" or address.heights else "colours"
        part = PartReporter(reporter, number / len(services), 1 / len(services))
        found.append(ServiceCopy(address, frame(address), holds, part, cancelled).run())
    return found


def copied_inputs(
    inputs: Sequence[str],
    part: Part | None,
    distance: float,
    margin: int,
    reporter: Reporter,
    cancelled: threading.Event,
) -> list[str]:
    """Return inputs with files in place of services; those come first, so that files lie on top of them.

    Args:
        inputs: Files and services.
        part: What is wanted of the services; needed where there is one.
        distance: Metres on the ground per pixel, where a service's address does not say it.
        margin: Pixels to ask for around that part.
        reporter: Receives progress and facts.
        cancelled: Set to stop.

    Raises:
        EngineError: The part is missing, or see `ServiceCopy.run`.
    """
    services = services_among(inputs)
    if not services:
        return list(inputs)
    wanted = needed(part, services[0])

    def frame(address: ServiceAddress) -> Frame:
        finest = max(round_distance(distance), address.native or 0.0)
        return frame_of(address, wanted, address.resolution or finest).widened(margin)

    return [*copies(services, frame, False, reporter, cancelled), *files_among(inputs)]


def needed(part: Part | None, address: ServiceAddress) -> Part:
    """Return the part that is wanted of a service.

    Raises:
        RequestError: There is none.
    """
    if part is None:
        raise RequestError(
            f"{address.host} has images without an end: it is not said which part is wanted.",
            "Give --extent, such as 651000,652000,6861000,6862000 [EPSG:2154].",
        )
    return part
