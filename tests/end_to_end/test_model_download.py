"""flair:downloadmodel through qgis_process: from a hub of this machine through the proxy of QGIS, and from a file."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import rasterio

from engine.models.catalogue import find_entry
from tests.end_to_end import rasters
from tests.end_to_end.processes import MINUTES, ROOT
from tests.end_to_end.qgis_runs import Qgis, program
from tests.engine.hub.hub_server import HubServer
from tests.engine.models.small_catalogue import checkpoint

NAME = "FLAIR-INC_rgb_15cl_resnet34-unet"
# a host that only the proxy knows
HUB = "http://hub.invalid"
PROXY = """
[proxy]
proxyEnabled=true
proxyType=HttpProxy
proxyHost=127.0.0.1
proxyPort={port}
"""


@pytest.fixture(scope="module")
def weights():
    return checkpoint(find_entry(NAME).manifest)


@pytest.fixture
def hub(weights):
    with HubServer() as server:
        server.add(f"IGNF/{NAME}", **{f"{NAME}_weights__pth": weights})
        yield server


@contextmanager
def proxy_before(hub, asked):
    """A proxy for plain HTTP that takes the host of HUB for the hub's; yields its port, and notes what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            """Say nothing."""

        def forward(self):
            asked.append(self.path)
            there = urlsplit(self.path)
            line = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
            kept = {key: value for key, value in self.headers.items() if not key.lower().startswith("proxy-")}
            line.request(self.command, there._replace(scheme="", netloc="").geturl(), headers=kept)
            answer = line.getresponse()
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in ("date", "server", "connection"):
                    self.send_header(key, value.replace(hub.address, HUB))
            self.send_header("Connection", "close")
            self.end_headers()
            while part := answer.read(1 << 20):
                self.wfile.write(part)
            self.close_connection = True

        do_GET = do_HEAD = forward  # noqa: N815 - the names that the server looks for

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_through_the_proxy_of_qgis(hub, tmp_path, material):
    if program("qgis_process") is None:
        pytest.skip("QGIS is not installed")
    asked = []
    qgis = Qgis(tmp_path / "qgis", ROOT, tmp_path / "cache").enable()
    # without a proxy that host is nowhere
    environment = {"HF_ENDPOINT": HUB, "HF_HOME": str(tmp_path / "hub")}
    with proxy_before(hub, asked) as port:
        settings = qgis.profile / "profiles" / "default" / "QGIS" / "QGIS3.ini"
        settings.parent.mkdir(parents=True, exist_ok=True)
        with settings.open("a", encoding="utf-8") as file:
            file.write(PROXY.format(port=port))
        answer = qgis.execute("flair:downloadmodel", environment=environment, timeout=3 * MINUTES, MODEL=NAME)
    assert answer.code == 0, answer.text
    assert f"{NAME}: bands red, green, blue, 97.9 MB, licence etalab-2.0." in answer.text
    assert any(address.startswith(HUB) and NAME in address for address in asked)
    made = answer.json["results"]["MODEL_FILE"]
    assert made.startswith(str(tmp_path / "cache"))
    assert rasters.manifest(made)["name"] == NAME
    # the classification finds it by its name, without a line
    part = tmp_path / "part.tif"
    with rasterio.open(material.image) as scene:
        values = scene.read([1, 2, 3], window=rasterio.windows.Window(0, 0, 128, 128))
        rasters.write(part, values, transform=scene.transform, crs=scene.crs)
    answer = qgis.classify(
        environment={"HF_ENDPOINT": "http://127.0.0.1:9"}, INPUT=part, MODEL_NAME=NAME, OUTPUT=tmp_path / "map.tif"
    )
    assert answer.code == 0, answer.text


def test_weights_on_the_disk(qgis, weights, tmp_path):
    file, output = tmp_path / "weights.pth", tmp_path / "mine.safetensors"
    file.write_bytes(weights)
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "FLAIR_CACHE_DIR": str(tmp_path / "cache")}
    answer = qgis.execute(
        "flair:downloadmodel", environment=environment, MODEL=NAME, WEIGHTS=file, OUTPUT=output, timeout=2 * MINUTES
    )
    assert answer.code == 0, answer.text
    assert answer.json["results"]["MODEL_FILE"] == str(output)
    assert [band["name"] for band in rasters.manifest(output)["bands"]] == ["red", "green", "blue"]
    file.write_bytes(b"not weights")
    answer = qgis.execute(
        "flair:downloadmodel", environment=environment, MODEL=NAME, WEIGHTS=file, OUTPUT=tmp_path / "other.safetensors"
    )
    assert answer.code != 0
    assert "Traceback" not in answer.text
    assert not (tmp_path / "other.safetensors").exists()
