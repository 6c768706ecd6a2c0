"""A data set appears whole or not at all, and an interrupted run goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from engine.errors import Cancelled, InputError, OutputError
from tests.engine import tiny
from tests.engine.interruptions import left_behind
from tests.engine.patch_sets import HEIGHT, ORIGIN, WIDTH, check, squares


def test_a_damaged_image_leaves_nothing(extract, labels, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (3, HEIGHT, WIDTH)).astype(np.uint8)
    path = tiny.write(tmp_path / "i.tif", noise, compress="deflate", transform=ORIGIN)
    content = bytearray((tmp_path / "i.tif").read_bytes())
    content[200_000:-2000] = bytes(len(content) - 202_000)
    (tmp_path / "i.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"i.tif.*damaged"):
        extract(path, labels[0])
    assert sorted(os.listdir(tmp_path)) == ["i.tif", "labels.tif"]


def test_a_full_disk_leaves_nothing(extract, image, labels, tmp_path, monkeypatch):
    written = []

    def write(path, content):
        written.append(path)
        if len(written) > 20:
            raise OSError(28, os.strerror(28))
        path.write_bytes(content)

    monkeypatch.setattr("engine.extraction.dataset_folder.write_whole", write)
    with pytest.raises(OutputError, match="disk is full"):
        extract(image[0], labels[0])
    assert sorted(os.listdir(tmp_path)) == ["labels.tif", "ortho_2021.tif"]


class StopsAt:
    """A reporter that cancels at a share of the work."""

    def __init__(self, recorder, cancelled, share):
        self._recorder, self._cancelled, self._share = recorder, cancelled, share

    def __getattr__(self, name):
        return getattr(self._recorder, name)

    def progress(self, fraction, text="", eta=None):
        if fraction >= self._share:
            self._cancelled.set()


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_cancelled_and_gone_on_with(extract, image, labels, tmp_path, recorder, share):
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        extract(image[0], labels[0], cancelled=cancelled, reporter=StopsAt(recorder, cancelled, share))
    assert not (tmp_path / "ds").exists()
    assert left_behind(tmp_path) == ([".ds.partial"] if share > 0.3 else [])
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / ".ds.partial").rglob("*.tif")}
    extract(image[0], labels[0])
    assert left_behind(tmp_path) == []
    assert len(check(tmp_path / "ds", image[1], labels[1])) == 48
    for path, changed in done.items():
        kept = tmp_path / "ds" / path.relative_to(tmp_path / ".ds.partial" / "data")
        assert kept.stat().st_mtime_ns == changed
    extract(image[0], labels[0], output=str(tmp_path / "whole"))
    texts = [(tmp_path / name / "dataset.yaml").read_text().split("\n", 2)[2] for name in ("ds", "whole")]
    assert texts[0] == texts[1]


def test_an_existing_data_set_survives_a_run_that_fails(extract, image, labels, tmp_path, recorder):
    extract(image[0], labels[0])
    before = (tmp_path / "ds" / "dataset.yaml").read_bytes()
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        extract(
            image[0], labels[0], overwrite=True, seed=3, cancelled=cancelled,
            reporter=StopsAt(recorder, cancelled, 0.6),
        )  # fmt: skip
    assert (tmp_path / "ds" / "dataset.yaml").read_bytes() == before
    extract(image[0], labels[0], overwrite=True, seed=3)
    assert (tmp_path / "ds" / "dataset.yaml").read_bytes() != before
    assert left_behind(tmp_path) == []


def test_killed_and_gone_on_with_from_the_command_line(image, labels, tmp_path):
    pixels = tiny.smooth(3, 960, 960)
    codes = squares(960, 960)
    paths = tiny.write(tmp_path / "i.tif", pixels), tiny.write(tmp_path / "l.tif", codes[None])
    output = tmp_path / "ds"
    arguments = ["extract-patches", "--image", paths[0], "--labels", paths[1], "--patch-size", "64", "--output", output]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", *map(str, arguments)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=tiny.engine_environment(),
    )  # fmt: skip
    journal = tmp_path / ".ds.partial" / "journal.jsonl"
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None and not (journal.is_file() and journal.stat().st_size):
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not output.exists()
    done = tiny.engine(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Going on with an interrupted run" in done.stderr
    assert "dataset: " in done.stdout
    assert len(check(output, pixels, codes)) == 225
    again = tiny.engine(*arguments)
    assert again.returncode == 5
    assert "exists already" in again.stderr
