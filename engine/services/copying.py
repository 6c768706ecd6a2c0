"""A part of a service as a raster on disk: asked for in pieces, a few at once, once only."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal

from engine.acquisition.server import Server
from engine.acquisition.sizes import readable
from engine.cancellation import Either
from engine.errors import Cancelled, InputError
from engine.events import Reporter
from engine.rasters.disk import output_error
from engine.rasters.windows import PixelWindow
from engine.services.address import ServiceAddress
from engine.services.answers import read_answer
from engine.services.capabilities import Plan, ask
from engine.services.copy_folder import DAYS, CopyFolder
from engine.services.frame import Frame
from engine.services.questions import piece
from engine.services.whole import write_virtual

# As many as a browser would, and few for a public service.
AT_ONCE = 3
Holds = Literal["colours", "values", "heights"]
# Bytes of an answer: uncompressed numbers of 64 bits in many bands, and what a format adds.
_BYTES_PER_PIXEL, _MORE_BYTES = 64, 1 << 20
_POLL_SECONDS = 0.2


@dataclass
class ServiceCopy:
    """A part of a service, to be copied; `run` may be called once.

    Args:
        address: The service.
        frame: The pixels wanted.
        holds: What it is to show: colours, numbers as they are, or heights.
        reporter: Receives progress and facts.
        cancelled: Set to stop; pieces that came are kept.

    Attributes:
        asked: Questions that were put in this run.
        received: Bytes that came.
    """

    address: ServiceAddress
    frame: Frame
    holds: Holds
    reporter: Reporter
    cancelled: threading.Event
    asked: int = 0
    received: int = 0
    _kind: tuple[int, str] | None = None
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @property
    def values(self) -> bool:
        """Whether numbers are wanted as they are."""
        return self.holds != "colours"

    def run(self) -> str:
        """Fetch what is not there yet, and return the path of the raster.

        Raises:
            InputError: The service cannot be reached, answers with an error, or shows nothing there.
            OutputError: The cache cannot be written.
            Cancelled: `cancelled` was set.
        """
        address = self.address
        what = {
            "address": address.shown,
            "version": address.version,
            "styles": address.styles,
            "format": address.format,
            "nodata": address.nodata,
            "values": self.values,
            "frame": self.frame.to_json(),
        }
        folder = CopyFolder.of(what)
        # Its own, since one piece that fails ends the others.
        stop = Either(self.cancelled)
        with Server(self.reporter, stop) as server:
            plan = folder.plan()
            if plan is None:
                self.reporter.progress(0.0, f"Asking {address.host}")
                plan = ask(server, address, self.frame, self.values)
                self.asked += 1
                folder.begin(plan)
            pieces = list(self.frame.pieces(plan.side))
            missing = [window for window in pieces if not folder.has(window)]
            self._say(plan, pieces, missing)
            if missing:
                self._fetch(server, stop, folder, plan, pieces, missing)
        return self._whole(folder, plan, pieces)

    def _say(self, plan: Plan, pieces: Sequence[PixelWindow], missing: Sequence[PixelWindow]) -> None:
        frame, address = self.frame, self.address
        size = f"{frame.width} x {frame.height} pixels in {frame.crs_name}"
        if not missing:
            self.reporter.log(
                f"{address.shown}: {size}, from the cache; what is kept is asked for again after {DAYS} days."
            )
            return
        there = len(pieces) - len(missing)
        kept = f"; {there} are there from an earlier run" if there else ""
        self.reporter.log(f"{address.shown}: {size}, {plan.format}, {_pieces(len(pieces))}{kept}.")
        terms = address.licence or plan.constraints
        if terms:
            self.reporter.log(f"{address.host} says of the use of its data: {terms}")

    def _fetch(
        self,
        server: Server,
        stop: threading.Event,
        folder: CopyFolder,
        plan: Plan,
        pieces: Sequence[PixelWindow],
        missing: Sequence[PixelWindow],
    ) -> None:
        began = time.monotonic()
        there = len(pieces) - len(missing)
        done = 0
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="service") as pool:
            waiting = {pool.submit(self._piece, server, folder, plan, window) for window in missing}
            try:
                while waiting:
                    ready, waiting = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
                    if stop.is_set():
                        raise Cancelled
                    for future in ready:
                        future.result()
                        done += 1
                    spent = time.monotonic() - began
                    self.reporter.progress(
                        (there + done) / len(pieces),
                        f"Fetching images from {self.address.host}: piece {there + done} of {len(pieces)}",
                        spent / done * (len(missing) - done) if done else None,
                    )
            except BaseException:
                stop.set()
                _forget(waiting)
                if done:
                    self.reporter.log("The pieces that came are kept: the same command goes on from there.")
                raise
        self.reporter.log(f"{self.address.host}: {_pieces(done)}, {readable(self.received)}.")

    def _piece(self, server: Server, folder: CopyFolder, plan: Plan, window: PixelWindow) -> None:
        url = piece(self.address, self.frame, window, plan.format)
        answer = server.question(url, window.pixels * _BYTES_PER_PIXEL + _MORE_BYTES)
        with self._mutex:
            self.asked += 1
            self.received += len(answer.content)
        found = read_answer(self.address, window, plan.format, self.values, answer)
        if self.holds == "heights" and found.pixels is not None and found.pixels.dtype == "uint8":
            raise InputError(
                f"{self.address.host} answers with a picture of the heights, not with the heights.",
                "Give format=image/x-bil;bits=32 or image/geotiff in the address, or take them from a service of "
                "coverages, wcs:https://...?coverage=NAME.",
            )
        if found.pixels is not None:
            self._check_kind((len(found.pixels), str(found.pixels.dtype)))
        folder.add(window, found)

    def _check_kind(self, kind: tuple[int, str]) -> None:
        with self._mutex:
            first = self._kind = self._kind or kind
        if first != kind:
            raise InputError(
                f"{self.address.host} answers with pixels of one kind here ({first[0]} bands, {first[1]}), of another "
                f"there ({kind[0]} bands, {kind[1]}).",
                "Name a format in the address, such as &format=image/geotiff.",
            )

    def _whole(self, folder: CopyFolder, plan: Plan, pieces: Sequence[PixelWindow]) -> str:
        reasons = folder.reasons()
        found = [(window, file) for window in pieces if (file := folder.file(window)).is_file()]
        host = self.address.host
        if not found:
            drawn = reasons["drawn"] == len(pieces)
            raise InputError(
                f"{host} answers with pictures that are no imagery: one colour, with writing on it."
                if drawn
                else f"{host} shows nothing inside the extent: all pieces are missing or blank.",
                f"Check the extent and the layer '{self.address.layers}'; open the address in a browser to see it."
                if drawn
                else "Check the extent; some services have images at certain scales, or in certain places, only.",
            )
        texts = {
            "missing": "no image on the server",
            "blank": "blank",
            "drawn": "one colour with writing on it, not imagery",
        }
        for reason, count in sorted(reasons.items()):
            self.reporter.warning(
                f"{count} of {_pieces(len(pieces))} from {host}: {texts.get(reason, 'nothing')}; this becomes no data."
            )
        name = re.sub(r"[^\w.-]+", "_", self.address.layers)[:60] or "service"
        path = folder.path / f"{name}.vrt"
        about = {"FLAIR_SERVICE": self.address.shown}
        if self.address.licence or plan.constraints:
            about["FLAIR_LICENCE"] = self.address.licence or plan.constraints
        try:
            write_virtual(path, self.frame.grid, found, not self.values, about)
        except OSError as error:
            raise output_error(path, error) from error
        return str(path)


def _pieces(count: int) -> str:
    return "1 piece" if count == 1 else f"{count} pieces"


def _forget(waiting: set[Future[None]]) -> None:
    for future in waiting:
        future.cancel()
