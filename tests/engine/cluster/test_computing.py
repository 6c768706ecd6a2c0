"""Classification by several processes: the same map whatever happens to them, and sentences where there is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from engine.errors import Cancelled, DeviceError, InputError, RequestError
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.cluster.conftest import TILES, At, wait_for
from tests.engine.interruptions import damage

TILE_COUNT = 24


def worker_processes(process=None):
    """The worker processes that a process has started, and that still run."""
    found = []
    for child in psutil.Process(process).children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.Error:
            continue
    return found


def lines(tmp_path):
    journal = (tmp_path / ".o.tif.flair-work" / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in journal]


def left_behind(tmp_path):
    return sorted(item.name for item in tmp_path.iterdir() if "flair-work" in item.name)


def test_two_workers_make_the_file_that_one_process_makes(run, image, alone, tmp_path, recorder):
    result = run(image, workers=2)
    assert (tmp_path / "o.tif").read_bytes() == alone[0]
    assert {**result, "seconds": 0, "output": "", "style": ""} == {
        **alone[1], "seconds": 0, "output": "", "style": "",
    }  # fmt: skip
    assert any("on 2 workers (cpu, exact)" in text for text in recorder.logs)
    assert recorder.warnings == []
    assert recorder.fractions == sorted(recorder.fractions)
    assert left_behind(tmp_path) == []
    assert worker_processes() == []


def test_int8_is_calibrated_once_and_the_same_on_all_workers(run, image, tmp_path):
    (tmp_path / "a").mkdir()
    first = run(image, workers=2, precision="int8", output=str(tmp_path / "a" / "o.tif"))
    second = run(image, precision="int8")
    assert first["precision"] == second["precision"] == "int8"
    assert first["agreement"] == second["agreement"]
    assert (tmp_path / "a" / "o.tif").read_bytes() == (tmp_path / "o.tif").read_bytes()


def test_a_killed_worker_loses_nothing_and_doubles_nothing(run, image, alone, tmp_path, recorder, kept):
    killed = []

    def kill():
        killed.append(worker_processes()[0])
        killed[0].kill()

    result = run(image, workers=2, reporter=At(recorder, 0.2, kill))
    assert killed
    assert (tmp_path / "o.tif").read_bytes() == alone[0]
    windows = [tuple(line["window"]) for line in lines(tmp_path)]
    assert len(windows) == len(set(windows)) == TILE_COUNT
    assert sum(height * width for _, _, height, width in windows) == 300 * 420
    assert result["pixels"] == sum(sum(line.get("counts", {}).values()) for line in lines(tmp_path))


def test_a_cancelled_run_ends_its_workers_and_goes_on_where_it_was(run, image, alone, tmp_path, recorder, kept):
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        run(image, workers=2, cancelled=cancelled, reporter=At(recorder, 0.3, cancelled.set))
    assert worker_processes() == []
    stored = len(lines(tmp_path))
    done = [line for line in lines(tmp_path) if "files" in line]
    assert done
    assert stored < TILE_COUNT
    tiles = sorted((tmp_path / ".o.tif.flair-work" / "tiles" / "classes").glob("*.tif"))
    row, column, height, width = done[0]["window"]
    damaged = next(tile for tile in tiles if tile.name == f"{row}_{column}_{height}_{width}.tif")
    damaged.write_bytes(damaged.read_bytes()[:-5] + b"wrong")
    recorder.logs.clear()
    run(image, workers=2)
    assert any(f"{stored - 1} tiles are there already" in text for text in recorder.logs)
    assert (tmp_path / "o.tif").read_bytes() == alone[0]


@pytest.mark.parametrize(("interrupted", "expected"), [(True, Cancelled), (False, DeviceError)])
def test_workers_that_end_while_they_start_are_told_of_unless_that_was_wanted(
    run, image, tmp_path, monkeypatch, interrupted, expected
):
    cancelled = threading.Event()

    def failing(**options):
        if interrupted:
            cancelled.set()
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("engine.cluster.local_workers.SpecCluster", failing)
    with pytest.raises(expected) as told:
        run(image, workers=2, device="cpu", cancelled=cancelled)
    assert interrupted or "2 worker processes could not be started: Nanny" in str(told.value)
    assert not list(tmp_path.glob("*o.tif*"))


@pytest.mark.skipif(os.name == "nt", reason="needs signals to groups of processes")
def test_ctrl_c_in_a_terminal_while_workers_start_ends_in_one_sentence(
    tiny_model, tiny_graph, image, tmp_path, shared_cache
):
    options = [f"--{key}={value}" for key, value in TILES.items()]
    command = [sys.executable, "-m", "engine", "classify", "--model", str(tiny_model[0].path), "--input", image]
    command += ["--output", str(tmp_path / "o.tif"), "--workers", "2", *options]
    environment = tiny.engine_environment(FLAIR_CACHE_DIR=shared_cache)
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        wait_for(lambda: worker_processes(process.pid), "the first worker")
        workers = worker_processes(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "Error: Cancelled."
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert not (tmp_path / "o.tif").exists()


def test_a_killed_client_leaves_no_process(tiny_model, tiny_graph, image, tmp_path, shared_cache):
    options = [f"--{key}={value}" for key, value in TILES.items()]
    command = [sys.executable, "-m", "engine", "classify", "--model", str(tiny_model[0].path), "--input", image]
    command += ["--output", str(tmp_path / "o.tif"), "--workers", "2", *options]
    environment = tiny.engine_environment(FLAIR_CACHE_DIR=shared_cache)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        journal = tmp_path / ".o.tif.flair-work" / "journal.jsonl"
        wait_for(lambda: journal.exists() and journal.stat().st_size > 0, "the first tile")
        workers = worker_processes(process.pid)
        assert len(workers) == 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    gone, alive = psutil.wait_procs(workers, timeout=10)
    assert (len(gone), alive) == (2, [])


def test_a_damaged_block_is_told_as_by_one_process(run, tmp_path):
    pixels = np.random.default_rng(0).integers(1, 255, (3, 640, 640)).astype(np.uint8)
    path = tiny.write(tmp_path / "i.tif", pixels, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    damage(tmp_path / "i.tif")
    with pytest.raises(InputError, match=r"cannot be read in rows .* \(said by the worker on '.+'\)\."):
        run(path, workers=2, window=256)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["i.tif"]
    assert worker_processes() == []


def test_a_scheduler_that_is_started_again_is_found_again(run, image, alone, tmp_path, recorder, cluster, kept):
    cluster.start_worker()
    cluster.start_worker()

    def restart():
        cluster.kill(cluster.scheduler)
        cluster.start_scheduler()
        # Workers end with their scheduler; what started them starts them again.
        cluster.start_worker()

    run(image, scheduler=cluster.address, reporter=At(recorder, 0.2, restart))
    assert (tmp_path / "o.tif").read_bytes() == alone[0]
    windows = [tuple(line["window"]) for line in lines(tmp_path)]
    assert len(windows) == len(set(windows)) == TILE_COUNT
    assert [text for text in recorder.warnings if "connection to the scheduler is lost" in text]
    assert any("handed out again" in text for text in recorder.logs)


def test_a_worker_of_another_cache_gets_the_graph_from_the_work_folder(run, image, alone, tmp_path, cluster):
    cluster.start_worker(FLAIR_CACHE_DIR=str(tmp_path / "nothing here"))
    run(image, scheduler=cluster.address)
    assert (tmp_path / "o.tif").read_bytes() == alone[0]
    assert not (tmp_path / "nothing here").exists()


def test_patience_with_a_cluster_without_workers_ends(run, image, tmp_path, cluster, monkeypatch):
    monkeypatch.setenv("FLAIR_CLUSTER_PATIENCE", "1")
    with pytest.raises(DeviceError, match="had no workers for 1 s"):
        run(image, scheduler=cluster.address)
    monkeypatch.setenv("FLAIR_CLUSTER_PATIENCE", "a while")
    with pytest.raises(RequestError, match="a while"):
        run(image, scheduler=cluster.address)
    assert left_behind(tmp_path) == []


def test_a_wrong_address_is_told_in_seconds(run, image, tmp_path):
    began = time.monotonic()
    with pytest.raises(DeviceError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9\."):
        run(image, scheduler="tcp://127.0.0.1:9")
    assert time.monotonic() - began < 15
    assert sorted(item.name for item in tmp_path.iterdir()) == ["i.tif"]


@pytest.mark.parametrize(
    "options",
    [{"workers": 2, "scheduler": "tcp://a:1"}, {"workers": 0}, {"scheduler": "a:8786"}, {"scheduler": "http://a:1"}],
)
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(RequestError):
        parse_request("classify", {"model": "m.safetensors", "input": "i.tif", "output": "o.tif", **options})
