"""Copies of services: kept, gone on with, polite; against a server of tiles on this machine."""

import contextlib
import math
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from helpers import HALF, TILE, ZOOM, Feedback
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsProcessingException, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QBuffer, QCoreApplication, QIODevice
from qgis.PyQt.QtGui import QColor, QImage

from flair_qgis import layer_copies, layer_pieces, layer_rendering
from flair_qgis.layer_copies import without_secrets
from flair_qgis.layers import describe_layer, readable_path
from flair_qgis.progress import Progress

# first column and row of 4 x 2 tiles
COLUMN, ROW = 66400, 45100


def picture(column, row):
    image = QImage(256, 256, QImage.Format.Format_RGB32)
    image.fill(QColor(10 + 20 * (column - COLUMN), 50 + 40 * (row - ROW), 200))
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(buffer.data())


class Tiles:
    """A server of tiles; `broken` holds tiles that are missing, `seconds` is the time that each takes."""

    def __init__(self):
        self.asked, self.broken, self.seconds = [], set(), 0.0
        self.at_once = self.most_at_once = 0
        self._mutex = threading.Lock()
        self.pictures = {(x, y): picture(x, y) for x in range(COLUMN, COLUMN + 4) for y in range(ROW, ROW + 2)}

    def __enter__(self):
        tiles = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_GET(self):
                _, x, y = (int(part) for part in self.path.partition("?")[0].strip("/").split("/"))
                with tiles._mutex:
                    tiles.asked.append((x, y))
                    tiles.at_once += 1
                    tiles.most_at_once = max(tiles.most_at_once, tiles.at_once)
                time.sleep(tiles.seconds)
                found = None if (x, y) in tiles.broken else tiles.pictures.get((x, y))
                with tiles._mutex:
                    tiles.at_once -= 1
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Length", str(len(found or b"")))
                # or else QGIS answers from its own cache
                self.send_header("Cache-Control", "no-store")
                # who cancels does not wait for it
                with contextlib.suppress(OSError):
                    self.end_headers()
                    self.wfile.write(found or b"")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()

    def layer(self, secret=""):
        address = f"{self.address}/%7Bz%7D/%7Bx%7D/%7By%7D" + (f"?token%3D{secret}" if secret else "")
        layer = QgsRasterLayer(f"type=xyz&url={address}&zmin=0&zmax={ZOOM}", "tiles", "wms")
        assert layer.isValid()
        return layer


@pytest.fixture
def tiles(monkeypatch):
    # a piece a tile
    monkeypatch.setattr(layer_rendering, "PIECE", 256)
    with Tiles() as server:
        yield server


def mercator():
    # a new one each time: what a CRS keeps for a thread of PROJ's does not outlive the thread
    return QgsCoordinateReferenceSystem("EPSG:3857")


def box():
    left, top = -HALF + COLUMN * TILE, HALF - ROW * TILE
    return QgsRectangle(left, top - 2 * TILE, left + 4 * TILE, top)


def distance():
    """Metres on the ground of a pixel of the tiles."""
    return TILE / 256 * math.sqrt(math.prod(layer_rendering.metres_per_unit(mercator(), box().center())))


def copy(layer, folder, feedback, threaded=True):
    """Copy all tiles as an algorithm does: in a thread, while QGIS's main thread goes on with its events."""
    described, outcome = describe_layer(layer), []

    def work():
        try:
            outcome.append(
                readable_path(
                    described, (box(), mercator()), distance(), folder / "a.tif", feedback, Progress(feedback)
                )
            )
        except QgsProcessingException as error:
            outcome.append(error)

    if threaded:
        thread = threading.Thread(target=work)
        thread.start()
        end = time.monotonic() + 60
        while thread.is_alive() and time.monotonic() < end:
            QCoreApplication.processEvents()
            time.sleep(0.005)
    else:
        work()
    assert outcome, "it did not end"
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def tile_of(pixels, column, row):
    return pixels[:, 256 * row + 128, 256 * column + 128].tolist()


@pytest.mark.parametrize("threaded", [True, False])
def test_a_second_run_asks_nothing_and_finds_the_same_file(tiles, tmp_path, feedback, threaded):
    layer = tiles.layer()
    path = copy(layer, tmp_path, feedback, threaded)
    pixels = gdal.Open(path).ReadAsArray()
    assert pixels.shape == (4, 512, 1024)
    for column in range(4):
        for row in range(2):
            assert tile_of(pixels, column, row) == [10 + 20 * column, 50 + 40 * row, 200, 255]
    asked, stamp = len(tiles.asked), os.stat(path).st_mtime_ns
    assert asked >= 8
    again = copy(tiles.layer("rotated"), tmp_path / "elsewhere", feedback, threaded)
    # another token is the same service; by path and time the engine knows its input again
    assert (again, os.stat(again).st_mtime_ns) == (path, stamp)
    assert len(tiles.asked) == asked
    assert any("8 of 8 pieces" in text for text in feedback.infos)


def test_few_at_once(tiles, tmp_path, feedback):
    tiles.seconds = 0.1
    copy(tiles.layer(), tmp_path, feedback)
    # each piece may touch a tile beside it
    assert 2 <= tiles.most_at_once <= 4 * layer_pieces.AT_ONCE


def test_an_interrupted_copy_goes_on(tiles, tmp_path):
    tiles.seconds = 0.3
    stopped = Feedback(cancel_after=0.9)
    began = time.monotonic()
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        copy(tiles.layer(), tmp_path, stopped)
    assert time.monotonic() - began < 5
    tiles.seconds = 0
    feedback = Feedback()
    path = copy(tiles.layer(), tmp_path, feedback)
    resumed = [text for text in feedback.infos if "from an earlier run" in text]
    assert resumed
    assert 1 <= int(resumed[0].split()[0]) < 8
    assert (gdal.Open(path).ReadAsArray()[3] == 255).all()


def test_a_missing_tile_is_no_data_until_it_is_there(tiles, tmp_path, feedback):
    tiles.broken = {(COLUMN + 1, ROW)}
    path = copy(tiles.layer(), tmp_path, feedback)
    pixels = gdal.Open(path).ReadAsArray()
    assert tile_of(pixels, 1, 0)[3] == 0
    assert (pixels[3] > 0).mean() > 0.8
    assert any("have holes" in text for text in feedback.warnings)
    # it is asked for again, and nothing changes while it is still missing
    stamp, asked = os.stat(path).st_mtime_ns, len(tiles.asked)
    assert copy(tiles.layer(), tmp_path, Feedback()) == path
    assert os.stat(path).st_mtime_ns == stamp
    assert len(tiles.asked) > asked
    tiles.broken = set()
    healed = Feedback()
    assert copy(tiles.layer(), tmp_path, healed) == path
    assert (gdal.Open(path).ReadAsArray()[3] == 255).all()
    assert not healed.warnings


def test_old_copies_go(tiles, tmp_path, feedback, monkeypatch):
    path = Path(copy(tiles.layer(), tmp_path, feedback))
    asked = len(tiles.asked)
    old = time.time() - 8 * 86400
    os.utime(path.with_name("begun"), (old, old))
    assert copy(tiles.layer(), tmp_path, feedback) == str(path)
    assert len(tiles.asked) > asked, "it is asked for again"
    monkeypatch.setattr(layer_copies, "LARGEST_BYTES", 1)
    monkeypatch.setattr(layer_rendering, "PIECE", 512)
    copy(tiles.layer(), tmp_path, feedback)
    assert path.exists(), "used today"
    yesterday = time.time() - 2 * 86400
    os.utime(path.with_name("used"), (yesterday, yesterday))
    monkeypatch.setattr(layer_rendering, "PIECE", 128)
    copy(tiles.layer(), tmp_path, feedback)
    assert not path.exists()


def test_a_service_that_cannot_be_reached(tmp_path, feedback, monkeypatch):
    monkeypatch.setattr(layer_pieces, "ATTEMPTS", 1)
    with Tiles() as server:
        layer = server.layer()
    with pytest.raises(QgsProcessingException, match="shows nothing inside the extent"):
        copy(layer, tmp_path, feedback)


def test_no_secret_is_part_of_a_name():
    plain = "crs=EPSG:2154&format=image/png&layers=a&styles=&url=http://maps.example/ows?map%3Dx"
    secret = (
        "authcfg=abc1234&crs=EPSG:2154&format=image/png&layers=a&password=hidden&styles="
        "&url=http://ann:hidden@maps.example/ows?map%3Dx%26apikey%3Dhidden&username=ann&http-header:X-Token=hidden"
    )
    assert without_secrets(secret) == without_secrets(plain)
    assert "hidden" not in without_secrets(secret)
    assert without_secrets(plain) != without_secrets(plain.replace("layers=a", "layers=b"))


def test_values_keep_type_and_bands(tmp_path):
    kept = layer_copies.Copy(tmp_path, False, [-9999.0])
    part = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    kept.add((0, 0, 4, 3), part)
    path = kept.write_whole("height model", [(0, 0, 4, 3), (4, 0, 4, 3)], (8, 3), (0, 1, 0, 3, 0, -1), "")
    dataset = gdal.Open(str(path))
    values = dataset.ReadAsArray()
    assert values.dtype == np.float32
    assert np.array_equal(values[:, :4], part[0])
    assert (values[:, 4:] == -9999).all()
    assert dataset.GetRasterBand(1).GetNoDataValue() == -9999
