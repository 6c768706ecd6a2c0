"""The command line: killed, interrupted, with a full disk. Nothing is lost, nothing half-made appears."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from tests.end_to_end import rasters
from tests.end_to_end.processes import PATIENCE, names_in, stored_tiles, wait_for

# Small tiles, so that there are many moments at which a run can be cut off.
SMALL = {"window": 96, "margin": 32}
LIMIT = "import os, resource, sys; n = int(sys.argv[1]); resource.setrlimit(resource.RLIMIT_FSIZE, (n, n));"


def test_killed_again_and_again_gives_the_same(material, tmp_path):
    plain, output = tmp_path / "plain.tif", tmp_path / "map.tif"
    material.classify(input=material.image, output=plain, confidence=tmp_path / "plain_confidence.tif", **SMALL)
    options = {"input": material.image, "output": output, "confidence": tmp_path / "confidence.tif", **SMALL}
    moments = random.Random(7)
    kills = 0
    for _ in range(4):
        before = stored_tiles(output)
        with material.start(**options) as run:
            wait_for(lambda: stored_tiles(output) > before or run.process.poll() is not None, "a tile")  # noqa: B023
            time.sleep(moments.uniform(0, 0.25))
            if run.process.poll() is None:
                run.kill()
                kills += 1
        if output.exists():
            break
    assert kills >= 2
    log = material.classify(**options, overwrite=True).text
    assert "Going on with an interrupted run" in log
    assert np.array_equal(rasters.read(output), rasters.read(plain))
    assert np.array_equal(rasters.read(tmp_path / "confidence.tif"), rasters.read(tmp_path / "plain_confidence.tif"))
    assert not [name for name in names_in(tmp_path) if name.startswith(".")]


def is_being_written(folder):
    return any(name.endswith(".partial") for name in names_in(folder))


def test_killed_while_the_output_is_written(material, tmp_path):
    # the earlier output is the old one or the new one, never something else
    output = tmp_path / "map.tif"
    material.classify(input=material.image, output=output, extent="853000,853100,6540940,6541000")
    old = output.read_bytes()
    for pause in (0.0, 0.05, 0.15):
        with material.start(input=material.image, output=output, overwrite=True, **SMALL) as run:
            wait_for(lambda: is_being_written(tmp_path) or run.process.poll() is not None, "the output")
            time.sleep(pause)
            if run.process.poll() is None:
                run.kill()
        found = output.read_bytes()
        if found != old:
            assert rasters.read(output).shape == (512, 768)
            break
        rasters.read(output)
    material.classify(input=material.image, output=output, overwrite=True, **SMALL)
    assert rasters.read(output).shape == (512, 768)
    assert not [name for name in names_in(tmp_path) if name.startswith(".")]


def test_other_options_start_anew_and_say_so(material, tmp_path):
    output = tmp_path / "map.tif"
    with material.start(input=material.image, output=output, **SMALL) as run:
        wait_for(lambda: stored_tiles(output) > 2, "the first tiles")
        run.kill()
    log = material.classify(input=material.image, output=output, window=128, margin=32).text
    assert "anew" in log or "again" in log, log
    assert "Going on" not in log
    material.classify(input=material.image, output=tmp_path / "plain.tif", window=128, margin=32)
    assert np.array_equal(rasters.read(output), rasters.read(tmp_path / "plain.tif"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl_c", "terminate"])
def test_stops_within_two_seconds(material, tmp_path, number):
    output = tmp_path / "map.tif"
    with material.start(input=material.large, output=output, window=256) as run:
        wait_for(lambda: stored_tiles(output) > 1, "the first tiles")
        began = run.send(number)
        code = run.wait(20)
        seconds = time.monotonic() - began
        print(f"ended after {seconds:.1f} s")
        assert code == 130
        assert seconds < 2.5 * PATIENCE
        assert "Traceback" not in run.stderr
        assert "Cancelled" in run.stderr
        assert run.processes() == []
    assert not output.exists()
    assert names_in(tmp_path) == [f".{output.name}.flair-work"]


def test_stopped_before_the_first_tile_leaves_nothing(material, tmp_path):
    with material.start(input=material.large, output=tmp_path / "map.tif") as run:
        wait_for(lambda: "5120" in run.stderr or "x 2560" in run.stderr, "the image to be read")
        run.send(signal.SIGINT)
        assert run.wait(20) == 130
    assert names_in(tmp_path) == []


def test_full_disk_by_a_limit_on_file_sizes(material, tmp_path):
    output = tmp_path / "map.tif"
    material.classify(input=material.image, output=output, extent="853000,853040,6540980,6541000")
    before = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}
    # room for the tiles, not for the map
    code = LIMIT + "os.execv(sys.argv[2], sys.argv[2:])"
    wrapper = [sys.executable, "-c", code, 9000]
    options = {"input": material.image, "output": output, "overwrite": True, **SMALL}
    with material.start(wrapper=wrapper, **options) as run:
        assert run.wait(120) == 5
        assert "Traceback" not in run.stderr
        assert "Error: " in run.stderr
        print(run.stderr.splitlines()[-1])
    assert {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)} == before


@contextmanager
def small_disk(folder, size):
    """Mount a disk of a few bytes on a folder, where that is allowed."""
    folder.mkdir()
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


# One tile is small, the file made of it is not.
@pytest.mark.parametrize(("size", "tiles"), [("40k", SMALL), ("100k", {})], ids=["tiles", "map"])
def test_full_disk(material, tmp_path, size, tiles):
    with small_disk(tmp_path / "disk", size) as disk:
        output = disk / "map.tif"
        output.write_bytes(b"what was there before")
        answer = material.classify(code=5, input=material.image, output=output, overwrite=True, **tiles)
        print(answer.stderr.splitlines()[-1])
        assert "disk" in answer.stderr.splitlines()[-1]
        assert "Traceback" not in answer.text
        assert output.read_bytes() == b"what was there before"
        assert names_in(disk) == ["map.tif"]
    # the same run is sound where there is room
    material.classify(input=material.image, output=tmp_path / "fits.tif", **tiles)
