"""Classification by several processes: the same map, and sentences where it cannot be."""

from __future__ import annotations

import threading
import time

import pytest

from engine.commands import classify
from engine.errors import DeviceError, RequestError
from engine.requests import ClassifyRequest, parse_request
from tests.engine import tiny


@pytest.fixture
def run(tiny_model, tiny_graph, tmp_path, recorder):
    """Run the command with the small model; returns its result."""

    def start(*inputs, cancelled=None, reporter=None, **options):
        values = {"model": str(tiny_model[0].path), "input": list(inputs), "output": str(tmp_path / "o.tif"), **options}
        request = ClassifyRequest.model_validate(values)
        return classify.run(request, reporter or recorder, cancelled or threading.Event())

    return start


def test_two_workers_make_the_file_that_one_process_makes(run, tmp_path, recorder):
    image = tiny.smooth(3, 300, 420)
    image[:, :140, :140] = 0
    path = tiny.write(tmp_path / "i.tif", image, nodata=0)
    options = {"window": 64, "margin": 32, "threads": 1}
    (tmp_path / "a").mkdir()
    alone = run(path, output=str(tmp_path / "a" / "o.tif"), **options)
    both = run(path, output=str(tmp_path / "o.tif"), workers=2, **options)
    assert (tmp_path / "o.tif").read_bytes() == (tmp_path / "a" / "o.tif").read_bytes()
    assert both["classes"] == alone["classes"]
    assert any("on 2 workers (cpu, exact)" in text for text in recorder.logs)
    assert sorted(item.name for item in tmp_path.iterdir() if "flair-work" in item.name) == []


def test_a_wrong_address_is_told_in_seconds(run, tmp_path):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 64, 64))
    began = time.monotonic()
    with pytest.raises(DeviceError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9\."):
        run(path, scheduler="tcp://127.0.0.1:9")
    assert time.monotonic() - began < 15
    assert sorted(item.name for item in tmp_path.iterdir()) == ["i.tif"]


@pytest.mark.parametrize(
    "options",
    [{"workers": 2, "scheduler": "tcp://a:1"}, {"workers": 0}, {"scheduler": "a:8786"}, {"scheduler": "http://a:1"}],
)
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(RequestError):
        parse_request("classify", {"model": "m.safetensors", "input": "i.tif", "output": "o.tif", **options})
