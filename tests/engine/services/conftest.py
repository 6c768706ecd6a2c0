"""A server of images, a cache of its own, and a way to copy."""

from __future__ import annotations

import pytest
from rasterio.crs import CRS

from engine.acquisition import server as line
from engine.cancellation import Cancellation
from engine.services.address import read_address
from engine.services.copying import ServiceCopy
from engine.services.frame import Frame
from tests.engine.services.service_server import NORTH, STEP, WEST, ServiceServer


class Telling:
    """Remembers what it is told."""

    def __init__(self):
        self.logs, self.warnings, self.shares = [], [], []

    def progress(self, fraction, text="", eta=None):
        self.shares.append(fraction)

    def log(self, text):
        self.logs.append(text)

    def warning(self, text):
        self.warnings.append(text)


@pytest.fixture
def service(monkeypatch, tmp_path):
    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path / "cache"))
    # Pauses as short as a test can bear.
    monkeypatch.setattr(line, "_LONGEST_PAUSE", 0.02)
    with ServiceServer() as server:
        yield server


@pytest.fixture
def telling():
    return Telling()


@pytest.fixture
def copy(service, telling):
    """Copy 150 x 100 pixels, 6 pieces, from column 10 and row 20 of the world; returns the path and the copy."""

    def run(text=None, *, holds="colours", cancelled=None, size=(150, 100), crs=2154):
        frame = Frame(CRS.from_epsg(crs), WEST + 10 * STEP, NORTH - 20 * STEP, STEP, STEP, *size)
        made = ServiceCopy(read_address(text or service.address()), frame, holds, telling, cancelled or Cancellation())
        return made.run(), made

    return run
