"""QGIS Server, from Debian's package qgis-server-bin, publishing the scene on this machine."""

from __future__ import annotations

import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from tests.end_to_end.processes import ROOT, Running, engine_environment, wait_for

SCRIPT = ROOT / "tests" / "end_to_end" / "inside_qgis" / "publish.py"


class Published:
    """A server of the scene.

    Args:
        host: Name and port.
        running: Its process, whose log counts what it was asked.
    """

    def __init__(self, host, running):
        self.host = host
        self._running = running

    def wms(self, layer, **more):
        return f"wms:http://{self.host}/?layers={layer}" + _more(more)

    def wcs(self, layer, **more):
        return f"wcs:http://{self.host}/?coverage={layer}" + _more(more)

    def asked(self, word="GetMap"):
        """Return how many questions of a kind came in so far."""
        return self._running.stderr.count(f"REQUEST:{word}") + self._running.stdout.count(f"REQUEST:{word}")


def _more(values):
    return "".join(f"&{key}={value}" for key, value in values.items())


@contextmanager
def published(scene, folder, limit):
    """Start it; skip where it is not installed."""
    server = shutil.which("qgis_mapserver")
    if server is None:
        pytest.skip("QGIS Server (qgis-server-bin) is not installed")
    project = folder / "scene.qgs"
    home = folder / "home"
    home.mkdir(mode=0o700)
    environment = engine_environment(folder, QT_QPA_PLATFORM="offscreen", HOME=home, XDG_RUNTIME_DIR=home)
    environment.pop("PYTHONPATH")
    made = subprocess.run(
        ["/usr/bin/python3", str(SCRIPT), str(scene), str(project), str(limit)],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    logged = {"QGIS_SERVER_LOG_STDERR": "1", "QGIS_SERVER_LOG_LEVEL": "0"}
    with Running([server, "-p", project, host], {**environment, **logged}, folder) as running:
        wait_for(lambda: _answers(host), f"QGIS Server answers; {running.stderr[-300:]}", 30)
        yield Published(host, running)


def _answers(host):
    try:
        with urllib.request.urlopen(f"http://{host}/?SERVICE=WMS&REQUEST=GetCapabilities", timeout=5) as answer:
            return b"<Name>rgb</Name>" in answer.read()
    except (urllib.error.URLError, OSError):
        return False
