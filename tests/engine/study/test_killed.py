"""A study that is killed in the middle of a model goes on from there, to the same figures."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest

from engine.commands import benchmark
from engine.requests import parse_request
from engine.study.standing import Standing
from tests.engine import tiny
from tests.engine.labelled_patches import write_dataset

PATCHES = 16
# The command as it is, but slow, and written after every patch.
SLOW = """
import sys, time
import engine.study.pair as pair
from engine.cli import main
from engine.inference.openvino_predictor import OpenVinoPredictor
pair.SAVE_SECONDS = 0.0
predict = OpenVinoPredictor.predict
def slowly(self, images):
    time.sleep(0.15)
    return predict(self, images)
OpenVinoPredictor.predict = slowly
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def study(tmp_path, tiny_model, tiny_graph):
    model = tiny_model[0]
    write_dataset(tmp_path, counts=(1, 1, PATCHES), noise=20)
    (tmp_path / "study.yaml").write_text(
        f"name: s\ndefinition: strict\nmodels: [{{name: tiny, model: {model.path}}}]\n"
        "tests: [{name: t, data: data.yaml}]\n"
    )
    return tmp_path / "study.yaml"


def started(study, output, shared_cache):
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, "benchmark", str(study), "--output", str(output), "--device", "cpu"],
        env=tiny.engine_environment(FLAIR_CACHE_DIR=shared_cache, OMP_NUM_THREADS=1),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_killed_run_goes_on(study, tmp_path, shared_cache, recorder):
    values = {"study": str(study), "output": str(tmp_path / "whole"), "device": "cpu"}
    benchmark.run(parse_request("benchmark", values), recorder, threading.Event())
    file = tmp_path / "torn" / "pairs" / "tiny" / "t" / "tally.npz"
    torn = started(study, tmp_path / "torn", shared_cache)
    try:
        until = time.monotonic() + 120
        while (Standing.read(file) or Standing("")).done < 5:
            assert time.monotonic() < until
            assert torn.poll() is None, torn.stdout.read()
            time.sleep(0.02)
    finally:
        torn.kill()
        torn.wait(30)
    done = Standing.read(file).done
    (file.parent / ".tally.npz.1.partial").write_bytes(b"what a killed run was writing")
    assert 5 <= done < PATCHES
    assert not (tmp_path / "torn" / "report.html").exists()
    again = started(study, tmp_path / "torn", shared_cache)
    output, _ = again.communicate(timeout=180)
    assert again.returncode == 0, output
    assert f"{done} of {PATCHES} patches are done already" in output
    figures = [json.loads((tmp_path / name / "benchmark.json").read_text())["results"][0] for name in ("whole", "torn")]
    for key in ("scores", "intervals", "patches"):
        assert figures[0][key] == figures[1][key]
    assert figures[1]["speed"]["patches"] == PATCHES
    files = [(tmp_path / name / "pairs/tiny/t/confusion.csv").read_bytes() for name in ("whole", "torn")]
    assert files[0] == files[1]
    samples = [Standing.read(tmp_path / name / "pairs/tiny/t/tally.npz").samples for name in ("whole", "torn")]
    assert samples[0].keys() == samples[1].keys()
    assert all((samples[0][number] == samples[1][number]).all() for number in samples[0])
    assert not [item for item in file.parent.iterdir() if item.name.startswith(".")]
