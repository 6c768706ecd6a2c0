"""Predicting many patches at once gives what predicting them one by one gives."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from engine.comparison.tally import Comparer
from engine.errors import Cancelled
from engine.inference.load import load_predictor
from engine.inference.predictor import Prediction
from engine.models.model_file import save_model
from engine.models.resolve import resolve_model
from engine.study.judge import MOST_AT_ONCE, appoint, judged_patches, patches_at_once
from engine.study.labelled_set import open_labelled_set
from tests.engine import tiny
from tests.engine.labelled_patches import painted, stripes, write_dataset, write_pair


@pytest.fixture
def judge(tmp_path, recorder):
    data = write_dataset(tmp_path, counts=(1, 1, 5), size=40)
    # One of another size, so that padding differs.
    mask = stripes(30)
    line = write_pair(tmp_path, "small", painted(mask), mask)
    with (tmp_path / "test.csv").open("a") as stream:
        stream.write(line + "\n")
    test = open_labelled_set(str(data), "test", None, recorder, threading.Event())
    described = tiny.manifest()
    comparer = Comparer(described.nomenclature, "strict")
    return appoint(described, test, comparer, classes=None, ignore=None, reporter=recorder)


@pytest.fixture
def predictor(tiny_model, tmp_path, recorder, shared_cache):
    _, described, network = tiny_model
    save_model(tmp_path / "net.safetensors", network, described)
    model = resolve_model(str(tmp_path / "net.safetensors"))
    return load_predictor(model, "cpu", "exact", "codes", (), pixels=1, threads=1, reporter=recorder).predictor


@pytest.mark.parametrize("at_once", [2, 4, 32])
def test_batches_change_nothing(judge, predictor, at_once):
    alone = list(judged_patches(judge, predictor, threading.Event(), pytest.fail))
    together = list(judged_patches(judge, predictor, threading.Event(), pytest.fail, at_once=at_once))
    assert [item.number for item in together] == list(range(6))
    for one, other in zip(alone, together, strict=True):
        assert one.pair == other.pair
        assert (one.pixels == other.pixels).all()
        assert (one.truth == other.truth).all()
        assert (one.predicted == other.predicted).all()
    assert together[-1].predicted.shape == (30, 30)


def test_starting_later_gives_the_rest(judge, predictor):
    whole = list(judged_patches(judge, predictor, threading.Event(), pytest.fail))
    rest = list(judged_patches(judge, predictor, threading.Event(), pytest.fail, start=4, at_once=4))
    assert [item.number for item in rest] == [4, 5]
    assert (rest[0].predicted == whole[4].predicted).all()


class Narrow:
    """A device whose memory holds one patch."""

    device, precision, bytes_per_pixel = "cuda", "exact", 100.0

    def predict(self, images):
        if len(images) > 1:
            raise MemoryError
        return Prediction(codes=np.full(images[:, 0].shape, 7, np.uint8))


def test_memory_that_runs_out_is_told_once(judge):
    told = []
    found = list(judged_patches(judge, Narrow(), threading.Event(), told.append, at_once=4))
    assert len(found) == 6
    assert len(told) == 1


def test_a_gpu_gets_as_many_as_fit(monkeypatch):
    monkeypatch.setattr("engine.inference.memory.cuda_budget", lambda device, limit: 100.0 * 64 * 64 * 7.5)
    assert patches_at_once(Narrow(), (64, 64)) == 7
    assert patches_at_once(Narrow(), (4096, 4096)) == 1
    assert patches_at_once(Narrow(), (32, 32)) == min(30, MOST_AT_ONCE)


def test_cancelling_stops_at_once(judge):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        next(judged_patches(judge, Narrow(), stop, pytest.fail))
