"""However a run in qgis_process ends, no process and no half-made file stays behind."""

from __future__ import annotations

import signal
import time

import psutil
import pytest

from tests.end_to_end.processes import PATIENCE, names_in, stored_tiles, wait_for


@pytest.fixture
def running(qgis, material, tmp_path):
    """A long run, some tiles of which are done: (run, output)."""
    output = tmp_path / "map.tif"
    with qgis.start_classify(INPUT=material.large, MODEL=material.model, OUTPUT=output, WINDOW=256) as run:
        wait_for(lambda: stored_tiles(output) > 2 or run.process.poll() is not None, "the first tiles")
        assert run.process.poll() is None, run.stdout + run.stderr
        assert len(run.engines()) >= 1
        yield run, output


def assert_kept_for_later(output):
    """Check that no output appeared, and that what is finished waits for the next run."""
    assert not output.exists()
    assert names_in(output.parent) == [f".{output.name}.flair-work"]


def temporary_files(qgis):
    return [name for name in names_in(qgis.temporary) if name.startswith("flair_")]


def test_interrupt(qgis, running):
    run, output = running
    before = temporary_files(qgis)
    assert before
    began = run.send(signal.SIGINT)
    code = run.wait(20)
    seconds = time.monotonic() - began
    print(f"ended after {seconds:.1f} s")
    assert code != 0
    assert seconds < 2.5 * PATIENCE
    assert run.processes() == []
    assert "Cancelled" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert_kept_for_later(output)
    assert len(temporary_files(qgis)) < len(before)


def test_killed_qgis_leaves_no_engine(running):
    run, output = running
    engines = run.engines()
    run.process.kill()
    _, alive = psutil.wait_procs(engines, timeout=3 * PATIENCE)
    assert alive == []
    assert run.processes() == []
    assert_kept_for_later(output)


def test_killed_engine_is_told_as_that(running):
    run, output = running
    for engine in run.engines():
        engine.kill()
    assert run.wait(20) != 0
    assert "killed by the system" in run.stderr
    assert "memory ran out" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert run.processes() == []
    assert_kept_for_later(output)
