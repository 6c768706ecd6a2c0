"""Outputs in storage: the same files as on disk, whole or not at all, and uploaded once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import numpy as np
import pytest
import rasterio

from engine.commands import area_statistics, change, classify, polygonise, remote_output
from engine.errors import Cancelled, InputError, OutputError
from engine.rasters import folder_lock
from engine.remote_path import gdal_path
from engine.requests import AreaStatisticsRequest, ChangeRequest, ClassifyRequest, PolygoniseRequest
from engine.storage import upload as upload_module
from engine.storage.client import Storage
from engine.storage.upload import upload
from tests.engine import tiny
from tests.engine.storage_server import ACCESS, SECRET, TOKEN

PART = 5 * 1024 * 1024


@pytest.fixture
def make(storage, tiny_model, tiny_graph, tmp_path, recorder):
    """Classify an image on disk into storage."""
    image = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 200, 180))

    def start(key="maps/o.tif", cancelled=None, **options):
        values = {"model": str(tiny_model[0].path), "input": [image], "output": storage.address(key), **options}
        return classify.run(ClassifyRequest.model_validate(values), recorder, cancelled or threading.Event())

    start.image = image
    return start


def work(tmp_path):
    return [item for item in (tmp_path / "work").rglob("*") if item.is_file()]


def test_a_map_is_stored_with_its_companions(make, storage, tmp_path, recorder):
    result = make(confidence=storage.address("maps/c.tif"))
    assert storage.stored() == ["maps/c.qml", "maps/c.tif", "maps/o.qml", "maps/o.tif", "maps/o.tif.aux.xml"]
    assert result["output"] == f"/vsis3/{storage.name}/maps/o.tif"
    assert result["style"] == f"/vsis3/{storage.name}/maps/o.qml"
    assert result["confidence"] == f"/vsis3/{storage.name}/maps/c.tif"
    (tmp_path / "stored.tif").write_bytes(storage.get("maps/o.tif"))
    assert recorder.fractions == sorted(recorder.fractions)
    everything = json.dumps([result, recorder.logs, recorder.warnings]).encode()
    make(output=str(tmp_path / "local.tif"))
    np.testing.assert_array_equal(tiny.read(tmp_path / "stored.tif"), tiny.read(tmp_path / "local.tif"))
    sent = [item.path for item in storage.line.requests if item.method == "PUT"]
    assert sent[-1].endswith("/maps/o.tif")
    assert work(tmp_path) == []
    everything += b"".join(storage.get(key) for key in storage.stored())
    for secret in (ACCESS, SECRET, TOKEN, str(tmp_path)):
        assert secret.encode() not in everything


def test_sheets_are_stored_before_the_mosaic(make, storage):
    make("o.vrt", layout="sheets", sheet_size=20)
    keys = storage.stored()
    assert "o.vrt" in keys
    assert sum(key.startswith("o_sheets/") and key.endswith(".tif") for key in keys) >= 4
    sent = [item.path for item in storage.line.requests if item.method == "PUT"]
    assert sent[-1].endswith("/o.vrt")


def test_what_is_there_stays_unless_it_may_be_replaced(make, storage, tmp_path):
    storage.put_text("maps/o.tif", "old")
    with pytest.raises(OutputError, match=f"The output 's3://{storage.name}/maps/o.tif' exists already"):
        make()
    assert storage.get("maps/o.tif") == b"old"
    make(overwrite=True)
    assert storage.get("maps/o.tif") != b"old"
    assert storage.uploads() == []


def test_a_second_run_after_a_broken_upload_only_uploads(make, storage, recorder, monkeypatch, tmp_path):
    monkeypatch.setattr("engine.storage.client._LONGEST_PAUSE", 0.01)
    storage.line.rule(method="PUT", after=1, status=503)
    with pytest.raises(OutputError, match="cannot serve"):
        make()
    assert "maps/o.tif" not in storage.stored()
    assert any("only uploads them" in text for text in recorder.logs)
    storage.line.rule()
    monkeypatch.setattr(classify, "prepare", None)
    result = make()
    assert "maps/o.tif" in storage.stored()
    assert result["pixels"] == 200 * 180
    assert sum(item.method == "PUT" for item in storage.line.requests) == 2
    assert work(tmp_path) == []


def test_the_work_folder_is_cleared_under_its_lock(make, tmp_path, monkeypatch):
    cleared, remove = [], shutil.rmtree

    def watched(path, **options):
        if Path(path).parent.parent == tmp_path / "work":
            with pytest.raises(filelock.Timeout):
                filelock.FileLock(Path(path).parent / "lock").acquire(timeout=0)
            cleared.append(path)
        remove(path, **options)

    monkeypatch.setattr(folder_lock.shutil, "rmtree", watched)
    make()
    assert [path.name for path in cleared] == ["output"]
    assert list((tmp_path / "work").iterdir()) == []


def test_another_request_is_made_anew(make, storage, monkeypatch):
    monkeypatch.setattr("engine.storage.client._LONGEST_PAUSE", 0.01)
    storage.line.rule(method="PUT", status=503)
    with pytest.raises(OutputError):
        make()
    storage.line.rule()
    make(window=64)
    with rasterio.MemoryFile(storage.get("maps/o.tif")) as memory, memory.open() as file:
        assert "window=64" in file.tags()["FLAIR_OPTIONS"]


def test_storage_that_may_not_be_written_is_told_before_any_work(make, storage, monkeypatch):
    monkeypatch.setattr(classify, "prepare", None)
    storage.line.rule(method="POST", status=403, body="<Error><Code>AccessDenied</Code></Error>")
    with pytest.raises(OutputError, match="is denied"):
        make()
    storage.line.rule()
    with pytest.raises(OutputError, match="There is no bucket 'nowhere'"):
        make(output="s3://nowhere/o.tif")
    with pytest.raises(InputError, match="both input and output"):
        make(input=[storage.address("a.tif")], output=storage.address("a.tif"))


def test_polygons_and_change_are_stored(storage, tmp_path, recorder):
    codes = np.full((1, 40, 50), 7, dtype=np.uint8)
    before = storage.put("before.tif", tiny.write(tmp_path / "before.tif", codes, nodata=0))
    codes[:, :10] = 1
    after = storage.put("after.tif", tiny.write(tmp_path / "after.tif", codes, nodata=0))
    event = threading.Event()
    made = polygonise.run(
        PolygoniseRequest.model_validate({"input": after, "output": storage.address("p/p.gpkg")}), recorder, event
    )
    assert made["polygons"] == 2
    assert made["output"] == gdal_path(storage.address("p/p.gpkg"))
    change.run(
        ChangeRequest.model_validate({"before": before, "after": after, "output": storage.address("change/")}),
        recorder,
        event,
    )
    values = {"input": after, "output": storage.address("areas")}
    area_statistics.run(AreaStatisticsRequest.model_validate(values), recorder, event)
    keys = storage.stored()
    assert {"p/p.gpkg", "p/p.qml", "change/change.tif", "change/report.html", "areas/areas.csv"} <= set(keys)
    with pytest.raises(OutputError, match="exists already"):
        area_statistics.run(AreaStatisticsRequest.model_validate(values), recorder, event)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.tif"
    path.write_bytes(os.urandom(3 * PART + 1000))
    return path


def test_parts_make_the_same_file(storage, large, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.storage.client._LONGEST_PAUSE", 0.01)
    storage.line.rule(every=3, status=503)
    gone = []
    with Storage(OutputError) as server:
        upload(server, large, gdal_path(storage.address("l.tif")), tmp_path / "begun", gone.append, PART)
    assert storage.get("l.tif") == large.read_bytes()
    assert sum(gone) == large.stat().st_size
    assert storage.uploads() == []
    assert any(item.status == 503 for item in storage.line.requests)


def test_a_failed_or_cancelled_upload_leaves_the_old_file_and_no_parts(storage, large, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.storage.client._LONGEST_PAUSE", 0.01)
    storage.put_text("l.tif", "old")
    path = gdal_path(storage.address("l.tif"))
    storage.line.rule(method="PUT", after=1, cut=True)
    with Storage(OutputError) as server, pytest.raises(OutputError, match="breaks off again and again"):
        upload(server, large, path, tmp_path / "begun", lambda size: None, PART)
    storage.line.rule()
    cancelled = threading.Event()
    sent = []

    def stop(size):
        sent.append(size)
        if sum(sent) > 1.5 * PART:
            cancelled.set()

    with Storage(OutputError, cancelled) as server, pytest.raises(Cancelled):
        upload(server, large, path, tmp_path / "begun", stop, PART)
    assert storage.get("l.tif") == b"old"
    assert storage.uploads() == []
    assert not (tmp_path / "begun").exists()


KILLED = """
import sys, threading
from pathlib import Path
from engine.errors import OutputError
from engine.storage.client import Storage
from engine.storage.upload import upload
upload(Storage(OutputError), Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), lambda size: None, int(sys.argv[4]))
"""


def test_a_killed_upload_leaves_the_old_file_and_the_next_run_tidies_up(storage, large, tmp_path):
    storage.put_text("l.tif", "old")
    path, begun = gdal_path(storage.address("l.tif")), tmp_path / "begun"
    storage.line.rule(method="PUT", after=1, wait=30)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(large), path, str(begun), str(PART)])
    deadline = time.monotonic() + 20
    while sum(item.method == "PUT" for item in storage.line.requests) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert storage.get("l.tif") == b"old"
    assert len(storage.uploads()) == 1
    storage.line.rule()
    with Storage(OutputError) as server:
        upload_module.abort_begun(server, begun)
    assert storage.uploads() == []
    assert storage.get("l.tif") == b"old"


def test_the_command_line_shows_no_secret(storage, tiny_model, tiny_graph, tmp_path):
    image = storage.put("i.tif", tiny.write(tmp_path / "i.tif", tiny.smooth(3, 96, 96)))
    output = storage.address("o.tif")
    command = ["--model", str(tiny_model[0].path), "--input", image, "--output", output]
    run = subprocess.run(
        [sys.executable, "-m", "engine", "classify", *command], capture_output=True, timeout=120, check=False
    )
    said = run.stdout + run.stderr
    assert run.returncode == 0, said
    again = subprocess.run(
        [sys.executable, "-m", "engine", "classify", *command], capture_output=True, timeout=120, check=False
    )
    assert again.returncode == 5
    assert f"'{output}' exists already".encode() in again.stderr + again.stdout
    for secret in (ACCESS, SECRET, TOKEN):
        assert secret.encode() not in said + again.stdout + again.stderr
    assert remote_output.VARIABLE == "FLAIR_WORK_DIR"
    assert not [item for item in Path(tmp_path / "work").rglob("*") if item.is_file()]
