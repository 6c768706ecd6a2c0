"""A WMS and WCS on this machine that shows where each pixel lies, with everything that goes wrong on a real line.

Its world has pixels of 0.2 m in EPSG:2154 from WEST, NORTH on: red counts columns, green rows (modulo 200), blue is 7;
heights are rows + columns / 1000.
"""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import rasterio
from affine import Affine
from rasterio.io import MemoryFile

WEST, NORTH, STEP = 700_000.0, 6_600_000.0, 0.2
EXCEPTION = (
    b'<?xml version="1.0"?><ServiceExceptionReport version="1.3.0" xmlns="http://www.opengis.net/ogc">'
    b'<ServiceException code="LayerNotQueryable">The disk of the tiles is on fire.</ServiceException>'
    b"</ServiceExceptionReport>"
)
CAPABILITIES = """<?xml version="1.0"?><WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms">
<Service><Name>WMS</Name><AccessConstraints>Say where it comes from</AccessConstraints>{limit}</Service>
<Capability><Request><GetMap>{formats}</GetMap></Request>
<Layer><CRS>EPSG:2154</CRS><CRS>EPSG:4326</CRS><Layer><Name>ortho</Name></Layer><Layer><Name>dsm</Name></Layer></Layer>
</Capability></WMS_Capabilities>"""


def encode(pixels, driver):
    """Return (bands, height, width) as a PNG, JPEG or GTiff; a fourth band is transparency."""
    count, height, width = pixels.shape
    with MemoryFile() as memory:
        with memory.open(driver=driver, width=width, height=height, count=count, dtype=pixels.dtype) as dataset:
            dataset.write(pixels)
            if count == 4:
                dataset.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue", "alpha")]
        return bytes(memory.getbuffer())


def places(box, width, height):
    """Return columns and rows of the world under the centres of pixels."""
    left, bottom, right, top = box
    transform = Affine((right - left) / width, 0, left, 0, (bottom - top) / height, top)
    xs = transform.c + (np.arange(width) + 0.5) * transform.a
    ys = transform.f + (np.arange(height) + 0.5) * transform.e
    return np.floor((xs - WEST) / STEP).astype(int), np.floor((NORTH - ys) / STEP).astype(int)


def colours(columns, rows):
    red, green = np.meshgrid(columns % 200, rows % 200)
    return np.stack([red, green, np.full_like(red, 7)]).astype(np.uint8)


def heights(columns, rows):
    across, down = np.meshgrid(columns, rows)
    return (down + across / 1000).astype("<f4")


class ServiceServer:
    """Use as a context manager; change the attributes to make things go wrong."""

    def __init__(self):
        self.limit = 64
        self.formats = ("image/png", "image/geotiff", "image/jpeg", "image/x-bil;bits=32")
        # For pieces, in the order in which they come: None for the right answer, else (status, headers, content) or a
        # name of `_fault`.
        self.answers = []
        # The same for every piece, where the list is at its end.
        self.always = None
        self.asked = []
        self.at_once = self.most_at_once = 0
        self.sent = 0
        self.seconds = 0.0
        self.password = ""
        self._mutex = threading.Lock()

    def __enter__(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                server.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()

    def address(self, layers="ortho", kind="wms", **more):
        word = "layers" if kind == "wms" else "coverage"
        rest = "".join(f"&{key}={value}" for key, value in more.items())
        return f"{kind}:http://{self.host}/map?{word}={layers}{rest}"

    @property
    def pieces(self):
        """The questions for pieces."""
        return [item for item in self.asked if item["REQUEST"] in ("GetMap", "GetCoverage")]

    def answer(self, handler):
        query = {key.upper(): value for key, value in parse_qsl(urlsplit(handler.path).query, keep_blank_values=True)}
        query["AUTHORIZATION"] = handler.headers.get("Authorization", "")
        with self._mutex:
            self.asked.append(query)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            of_piece = query["REQUEST"] in ("GetMap", "GetCoverage")
            fault = (self.answers.pop(0) if self.answers else self.always) if of_piece else None
        try:
            time.sleep(self.seconds)
            if not of_piece:
                self._send(handler, 200, {"Content-Type": "text/xml"}, self._capabilities(query))
            elif fault == "drop":
                handler.send_response(200)
                handler.send_header("Content-Length", "10000")
                handler.end_headers()
                handler.wfile.write(b"\x89PNG")
                handler.close_connection = True
            elif fault is not None:
                self._send(handler, *fault)
            else:
                self._send(handler, 200, {"Content-Type": query["FORMAT"]}, self._piece(query))
        except OSError:
            handler.close_connection = True
        finally:
            with self._mutex:
                self.at_once -= 1

    def _send(self, handler, status, headers, content):
        handler.send_response(status)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        self.sent += len(content)

    def _capabilities(self, query):
        if query["SERVICE"] == "WCS":
            return (
                b'<WCS_Capabilities xmlns="http://www.opengis.net/wcs"><ContentMetadata><CoverageOfferingBrief>'
                b"<name>dsm</name></CoverageOfferingBrief></ContentMetadata></WCS_Capabilities>"
            )
        limit = f"<MaxWidth>{self.limit}</MaxWidth><MaxHeight>{self.limit}</MaxHeight>" if self.limit else ""
        formats = "".join(f"<Format>{item}</Format>" for item in self.formats)
        return CAPABILITIES.format(limit=limit, formats=formats).encode()

    def _piece(self, query):
        box = [float(value) for value in query["BBOX"].split(",")]
        columns, rows = places(box, int(query["WIDTH"]), int(query["HEIGHT"]))
        if query["FORMAT"] == "image/x-bil;bits=32":
            return heights(columns, rows).tobytes()
        if query["REQUEST"] == "GetCoverage":
            return encode(heights(columns, rows)[None].astype(np.float32), "GTiff")
        driver = {"image/png": "PNG", "image/jpeg": "JPEG"}.get(query["FORMAT"], "GTiff")
        return encode(colours(columns, rows), driver)


def writing(side=64, transparent=False):
    """Return a picture of black strokes on a white ground, as servers write an error."""
    pixels = np.full((3, side, side), 255, dtype=np.uint8)
    pixels[:, 10:12, 4:40] = 0
    if transparent:
        pixels = np.concatenate([pixels, (pixels[:1] == 0).astype(np.uint8) * 255])
    return encode(pixels, "PNG")
