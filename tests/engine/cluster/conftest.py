from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from engine.commands import classify
from engine.events import SilentReporter
from engine.rasters.tile_store import TileStore
from engine.requests import ClassifyRequest
from tests.engine import tiny

TILES = {"window": 64, "margin": 32, "threads": 1}


@pytest.fixture
def run(tiny_model, tiny_graph, tmp_path, recorder):
    """Run the command with the small model in tiles of 64 pixels; returns its result."""

    def start(*inputs, cancelled=None, reporter=None, **options):
        values = {"model": str(tiny_model[0].path), "input": list(inputs), "output": str(tmp_path / "o.tif")}
        request = ClassifyRequest.model_validate({**values, **TILES, **options})
        return classify.run(request, reporter or recorder, cancelled or threading.Event())

    return start


@pytest.fixture
def image(tmp_path):
    """An image of 24 tiles, of which a few are empty."""
    pixels = tiny.smooth(3, 300, 420)
    pixels[:, :128, :128] = 0
    return tiny.write(tmp_path / "i.tif", pixels, nodata=0)


@pytest.fixture
def alone(run, image, tmp_path):
    """What one process makes of the image: the bytes of the file, and the result."""
    (tmp_path / "alone").mkdir()
    result = run(image, output=str(tmp_path / "alone" / "o.tif"), reporter=SilentReporter())
    return (tmp_path / "alone" / "o.tif").read_bytes(), result


@pytest.fixture
def kept(monkeypatch):
    """Let stores stay when a run is complete."""
    monkeypatch.setattr(TileStore, "remove", TileStore.close)


class At:
    """A reporter that does something when a share is done, once."""

    def __init__(self, recorder, fraction, act):
        self._recorder, self._fraction, self._act = recorder, fraction, act

    def progress(self, fraction, text="", eta=None):
        self._recorder.progress(fraction, text, eta)
        if self._act is not None and fraction >= self._fraction:
            act, self._act = self._act, None
            act()

    def __getattr__(self, name):
        return getattr(self._recorder, name)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Cluster:
    """A scheduler and workers as their own programs, as on servers."""

    def __init__(self, folder, cache, protocol="tcp", variables=None):
        self._folder = folder
        self._environment = tiny.engine_environment(FLAIR_CACHE_DIR=cache, OMP_NUM_THREADS="1", **(variables or {}))
        self._protocol, self._port = protocol, free_port()
        self.address = f"{protocol}://127.0.0.1:{self._port}"
        self._running = []
        self.scheduler = self.start_scheduler()

    def start_scheduler(self):
        options = ["--host", "127.0.0.1", "--port", str(self._port), "--protocol", self._protocol, "--no-dashboard"]
        self.scheduler = self._start("-m", "dask", "scheduler", *options)
        return self.scheduler

    def start_worker(self, **environment):
        options = ["--nthreads", "2", "--no-dashboard", "--no-nanny", "--memory-limit", "0", "--death-timeout", "60"]
        return self._start("-m", "dask", "worker", self.address, *options, **environment)

    def kill(self, process):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self):
        for process in self._running:
            if process.poll() is None:
                self.kill(process)

    def _start(self, *arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**self._environment, **environment},
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running.append(process)
        return process


@pytest.fixture
def cluster(tmp_path_factory, shared_cache):
    started = Cluster(tmp_path_factory.mktemp("cluster"), shared_cache)
    yield started
    started.close()


def wait_for(condition, what, timeout=60.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited {timeout:g} s in vain: {what}"
        time.sleep(0.02)
