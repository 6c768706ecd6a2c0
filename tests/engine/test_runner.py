"""The engine as a process: it can be stopped at once, goes on where it was, and always says how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from engine import runner
from engine.errors import FaultyResult, InputError
from engine.requests import ModelsRequest
from tests.engine import tiny

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")

# A command that behaves as its "model" option says, run by the real command line.
FAKE = """
import os, sys, time, types
import engine.commands
from engine.cli import main

def run(request, reporter, cancelled):
    how = request.model
    print("noise of a library")
    os.write(1, b"more noise\\n")
    if how.startswith("staged:"):
        from pathlib import Path
        from engine.rasters.staged_output import StagedOutput
        with StagedOutput(Path(how[7:]), overwrite=False) as staged:
            staged.path("half.tif").write_bytes(b"x" * 1000)
            reporter.log("ready")
            time.sleep(60)
    reporter.log("ready")
    if how == "polite":
        while not cancelled.is_set():
            time.sleep(0.01)
        from engine.errors import Cancelled
        raise Cancelled
    if how == "stuck":
        time.sleep(60)
    if how == "fail":
        raise ZeroDivisionError("of all things")
    return {"output": how}

module = types.ModuleType("engine.commands.models")
module.run = run
sys.modules["engine.commands.models"] = module
code = main(sys.argv[1:])
sys.stdout.flush()
os._exit(code)
"""


@contextmanager
def serving(how):
    process = subprocess.Popen(
        [sys.executable, "-c", FAKE, "--request"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=tiny.engine_environment(),
    )
    try:
        process.stdin.write(json.dumps({"command": "models", "options": {"model": how}}) + "\n")
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.wait(10)
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def until_ready(process):
    for line in process.stdout:
        if json.loads(line) == {"event": "log", "text": "ready"}:
            return
    pytest.fail(f"the engine never began: {process.stderr.read()}")


def ended(process, within=2.0):
    """Wait for the end; return the exit code, the events left and the seconds it took."""
    began = time.monotonic()
    code = process.wait(within + 5)
    seconds = time.monotonic() - began
    assert seconds < within
    return code, [json.loads(line) for line in process.stdout]


@pytest.mark.parametrize("how", ["polite", "stuck"])
@pytest.mark.parametrize("means", ["SIGINT", "SIGTERM", "stdin"])
def test_it_ends_within_two_seconds_and_says_so(how, means):
    with serving(how) as process:
        until_ready(process)
        if means == "stdin":
            process.stdin.close()
        else:
            process.send_signal(getattr(signal, means))
        code, events = ended(process)
        assert code == 130
        assert [item["event"] for item in events] == ["error"]
        assert events[0]["kind"] == "cancelled"
        assert "Traceback" not in process.stderr.read()


def test_asking_twice_ends_it_at_once_and_leaves_no_half_output(tmp_path):
    with serving(f"staged:{tmp_path / 'o.tif'}") as process:
        until_ready(process)
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        code, _ = ended(process, 0.6)
        assert code == 130
        assert list(tmp_path.iterdir()) == []


def test_a_stuck_writer_leaves_no_half_output(tmp_path):
    with serving(f"staged:{tmp_path / 'o.tif'}") as process:
        until_ready(process)
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 130
        assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_run_does_not_wait_for_stdin():
    with serving("well") as process:
        until_ready(process)
        code, events = ended(process)
        assert code == 0
        assert events[-1] == {"event": "result", "values": {"output": "well"}}
        assert "noise of a library" in process.stderr.read()


def test_something_unforeseen_is_one_sentence_and_a_traceback_in_the_log():
    with serving("fail") as process:
        until_ready(process)
        code, events = ended(process)
        assert code == 1
        assert events[-1]["kind"] == "internal"
        assert "ZeroDivisionError: of all things" in events[-1]["message"]
        assert "Traceback" in process.stderr.read()


@pytest.fixture
def signals():
    """Put the handlers back that a run in this process replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        (InputError("So.", "Do."), "input", 3),
        (MemoryError(), "memory", 7),
        (KeyboardInterrupt(), "cancelled", 130),
        (SystemExit(0), "internal", 1),
        (ValueError("x"), "internal", 1),
    ],
)
def test_whatever_is_raised_becomes_an_error(monkeypatch, signals, recorder, raised, kind, code):
    def fail(request, reporter, cancelled):
        raise raised

    monkeypatch.setattr("engine.commands.models.run", fail)
    assert runner.run("models", ModelsRequest(), recorder) == code
    assert [item[0] for item in recorder.errors] == [kind]
    assert recorder.results == []


@pytest.mark.parametrize(("result", "code"), [({"wrong": 0}, 0), (FaultyResult(wrong=2), 8)])
def test_a_result_that_found_faults_has_a_code_of_its_own(monkeypatch, signals, recorder, result, code):
    monkeypatch.setattr("engine.commands.models.run", lambda request, reporter, cancelled: result)
    assert runner.run("models", ModelsRequest(), recorder) == code
    assert recorder.results == [result]


def test_the_end_of_whoever_started_it_cancels(monkeypatch, signals, recorder):
    monkeypatch.setattr("engine.commands.models.run", lambda request, reporter, cancelled: cancelled.wait(30) and {})
    over = threading.Event()
    over.set()
    began = time.monotonic()
    runner.run("models", ModelsRequest(), recorder, over)
    assert time.monotonic() - began < 1


# The real job: many small tiles, so that there is time to stop it in the middle.
@pytest.fixture
def job(tiny_model, tiny_graph, tmp_path):
    image = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 480, 480))
    arguments = ["classify", "--model", tiny_model[0].path, "--input", image, "--window", 64, "--threads", 1]

    def command(output):
        return [sys.executable, "-m", "engine", *map(str, arguments), "--output", str(tmp_path / output)]

    return command


@contextmanager
def running(command, journal, tiles=3):
    """Start a job and wait until some tiles are stored."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=tiny.engine_environment()
    )
    try:
        for _ in range(3000):
            if journal.is_file() and len(journal.read_text().splitlines()) >= tiles:
                break
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def complete(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=tiny.engine_environment())


def test_killed_in_the_middle_it_goes_on_to_the_same_pixels(job, tmp_path):
    folder = tmp_path / ".o.tif.flair-work"
    with running(job("o.tif"), folder / "journal.jsonl") as process:
        process.kill()
        assert process.wait(5) == -signal.SIGKILL
    assert folder.is_dir()
    assert not (tmp_path / "o.tif").exists()
    # As if the power had failed in the middle of a line and of a tile.
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write('{"window": [0, 0')
    stored = sorted((folder / "tiles" / "classes").glob("*.tif"))
    stored[0].write_bytes(stored[0].read_bytes()[:-7])
    again = complete(job("o.tif"))
    assert again.returncode == 0, again.stderr
    assert "Going on with an interrupted run" in again.stderr
    assert not folder.exists()
    whole = complete(job("p.tif"))
    assert whole.returncode == 0, whole.stderr
    assert np.array_equal(tiny.read(tmp_path / "o.tif"), tiny.read(tmp_path / "p.tif"))
    assert (tiny.read(tmp_path / "o.tif") > 0).all()


def test_interrupted_it_ends_within_two_seconds_and_keeps_its_tiles(job, tmp_path):
    folder = tmp_path / ".o.tif.flair-work"
    with running(job("o.tif"), folder / "journal.jsonl") as process:
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, told = process.communicate(timeout=10)
        assert time.monotonic() - began < 2
        assert process.returncode == 130
        assert "Cancelled" in told
        assert "Traceback" not in told
    assert not (tmp_path / "o.tif").exists()
    assert folder.is_dir()


def test_a_second_run_of_the_same_output_ends_with_a_sentence(job, tmp_path):
    folder = tmp_path / ".o.tif.flair-work"
    with running(job("o.tif"), folder / "journal.jsonl", tiles=1) as first:
        first.send_signal(signal.SIGSTOP)
        second = complete(job("o.tif"))
        first.send_signal(signal.SIGCONT)
        assert second.returncode == 5
        assert "Another run is writing" in second.stderr
        assert "Traceback" not in second.stderr
        _, told = first.communicate(timeout=60)
        assert first.returncode == 0, told
    assert (tiny.read(tmp_path / "o.tif") > 0).all()
    assert not folder.exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(job, tmp_path):
    import resource

    done = subprocess.run(
        [*job("o.tif"), "--probabilities", str(tmp_path / "q.tif")],
        capture_output=True,
        text=True,
        timeout=120,
        env=tiny.engine_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000)),
    )
    assert done.returncode == 5, done.stderr
    assert "disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(item.name for item in tmp_path.iterdir()) == ["i.tif"]
