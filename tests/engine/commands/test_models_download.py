from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from engine.commands import models, models_download
from engine.errors import ModelError, OutputError
from engine.models.catalogue import find_entry
from engine.models.model_file import file_sha256, read_manifest
from engine.requests import ModelsDownloadRequest, ModelsRequest
from tests.engine import tiny
from tests.engine.hub.hub_server import HubServer
from tests.engine.hub.local_hub import local_hub
from tests.engine.models.small_catalogue import FILE, NAME, checkpoint, small_catalogue


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with small_catalogue(monkeypatch, tmp_path) as entry, local_hub(monkeypatch, tmp_path) as server:
        server.add(f"IGNF/{NAME}", **{FILE.replace(".", "__"): checkpoint(entry.manifest)})
        yield server


def run(recorder, **options):
    return models_download.run(ModelsDownloadRequest(**{"model": NAME, **options}), recorder, threading.Event())


def test_the_result_says_what_lies_where(hub, recorder, tmp_path):
    first = run(recorder)
    assert set(first) == {"model", "name", "licence", "sha256", "revision", "bytes", "cached", "seconds"}
    assert first["cached"] is False
    assert first["sha256"] == file_sha256(tmp_path.__class__(first["model"]))
    assert first["bytes"] == os.path.getsize(first["model"])
    assert recorder.fractions[-1] == 1.0
    assert recorder.fractions == sorted(recorder.fractions)
    second = run(recorder)
    assert second["cached"] is True
    assert {**second, "cached": False, "seconds": 0} == {**first, "seconds": 0}


def test_a_copy_is_put_where_it_is_wanted(hub, recorder, tmp_path):
    output = tmp_path / "mine.safetensors"
    made = run(recorder, output=str(output))
    assert made["model"] == str(output)
    assert file_sha256(output) == made["sha256"]
    assert read_manifest(output).name == NAME
    with pytest.raises(OutputError, match="exists already"):
        run(recorder, output=str(output))
    assert run(recorder, output=str(output), overwrite=True)["cached"] is True
    assert sorted(path.name for path in tmp_path.glob("*mine*")) == ["mine.safetensors"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"model": "small-unnet"}, ModelError, "small-unnet"),
        ({"output": "model.tif"}, OutputError, "safetensors"),
        ({"output": "nowhere/model.safetensors"}, OutputError, "does not exist"),
        ({"weights": "nowhere.pth"}, ModelError, "does not exist"),
        ({"revision": "v9"}, ModelError, "no revision 'v9'"),
    ],
)
def test_bad_requests_are_sentences(hub, recorder, options, error, text):
    with pytest.raises(error, match=text) as caught:
        run(recorder, **options)
    assert caught.value.hint


def test_the_list_says_what_is_there(hub, recorder):
    def cached():
        listed = models.run(ModelsRequest(), recorder, threading.Event())["models"]
        return {item["name"]: item["cached"] for item in listed}

    assert not any(cached().values())
    made = run(recorder)
    assert cached()[NAME] == made["model"]
    assert any(NAME in text and "on this computer" in text for text in recorder.logs)
    described = models.run(ModelsRequest(model=NAME), recorder, threading.Event())["model"]
    assert described["cached"] == made["model"]


PUBLISHED = "FLAIR-INC_rgb_15cl_resnet34-unet"


def test_the_command_survives_a_killed_run(tmp_path):
    """The real command against a hub that breaks off and is slow; killed in the middle, it goes on from there."""
    content = checkpoint(find_entry(PUBLISHED).manifest)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tiny.ROOT),
        "FLAIR_CACHE_DIR": str(tmp_path / "cache"),
        "HF_HOME": str(tmp_path / "home"),
        "NO_PROXY": "*",
        "HF_HUB_OFFLINE": "0",
    }
    command = [sys.executable, "-m", "engine", "models", "download", PUBLISHED]
    with HubServer() as server:
        environment["HF_ENDPOINT"] = server.address
        server.add(f"IGNF/{PUBLISHED}", **{f"{PUBLISHED}_weights__pth": content})
        server.drops = [10_000_000]
        server.bytes_per_second = 30_000_000
        running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        while server.sent() < 40_000_000:
            time.sleep(0.02)
            assert running.poll() is None
        running.send_signal(signal.SIGKILL)
        running.wait()
        arrived = next((tmp_path / "home").rglob("*.incomplete")).stat().st_size
        assert arrived > 30_000_000
        server.bytes_per_second = 0
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "here already" in done.stderr
        assert "etalab-2.0" in done.stderr
        assert f"name: {PUBLISHED}" in done.stdout
        assert server.asked[-2].range == f"bytes={arrived}-"
        before = len(server.asked)
        again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert "lies ready" in again.stderr
        assert len(server.asked) == before
