"""A worker's answers: plain values, and errors that name what is wrong and where."""

from __future__ import annotations

import json
import platform
import shutil
import threading
from dataclasses import replace

import pytest
from distributed.scheduler import KilledWorker

from engine import __version__
from engine.cluster import worker
from engine.cluster.dask_tasks import _failure
from engine.cluster.licence import Licence, Withdrawal, image_facts, licence_path
from engine.cluster.link import raise_error
from engine.errors import Cancelled, EngineError, InputError, ModelError, OutputError
from engine.events import SilentReporter
from engine.inference.classification_job import prepare
from engine.inference.job_tiles import cut, open_store
from engine.requests import ClassifyRequest


@pytest.fixture
def given(tiny_model, image, tmp_path):
    """A store with the licence of a run that computes in torch: its folder, the licence, its tiles."""
    values = {"model": str(tiny_model[0].path), "input": [image], "output": str(tmp_path / "o.tif"), "window": 64}
    request = ClassifyRequest.model_validate({**values, "margin": 32})
    job = prepare(request, SilentReporter(), threading.Event(), device="cpu")
    store = open_store(job, SilentReporter())
    tiles = [worker.tile_values(tile) for tile in cut(job, store, 300.0, 1e9)]
    licence = Licence(
        version=__version__,
        request=request.model_dump(mode="json"),
        device="cpu",
        threads=1,
        neighbours={platform.node(): 1},
        model_sha256=job.model.sha256,
        image=image_facts(job.source),
        graph=None,
        nonce="once",
    )
    yield store.folder, licence, tiles
    store.close()


def error_of(answer):
    with pytest.raises(EngineError) as caught:
        raise_error(answer)
    return caught.value


def test_a_worker_computes_tiles_and_answers_in_plain_values(given):
    folder, licence, tiles = given
    key = licence.write(folder)
    facts = worker.load(str(folder), key)
    assert facts["precision"] == "exact"
    assert facts["bytes_per_pixel"] > 0
    answer = worker.classify_tiles(str(folder), key, tiles[-2:], 1)
    assert json.loads(json.dumps(answer)) is not None
    assert [item["entry"]["window"] for item in answer["done"]] == [tile[:4] for tile in tiles[-2:]]
    for item in answer["done"]:
        row, column, height, width = item["entry"]["window"]
        size = (folder / "tiles" / "classes" / f"{row}_{column}_{height}_{width}.tif").stat().st_size
        assert item["entry"]["files"]["classes"][1] == size
        assert sum(item["entry"]["counts"].values()) == height * width


def test_a_folder_that_the_worker_does_not_see_is_named_with_the_computer(given, tmp_path):
    folder, licence, _ = given
    key = licence.write(folder)
    error = error_of(worker.load(str(tmp_path / "elsewhere"), key))
    assert isinstance(error, OutputError)
    assert str(tmp_path / "elsewhere") in error.message
    assert platform.node() in error.message
    licence_path(folder, key).write_text("{}")
    assert "is not what the worker sees" in error_of(worker.load(str(folder), key)).message


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        ({"version": "0.0.1"}, EngineError, "this run version 0.0.1"),
        ({"model_sha256": "0" * 64}, ModelError, "is not the one that the run was started with"),
    ],
)
def test_another_version_or_model_is_refused(given, change, kind, sentence):
    folder, licence, _ = given
    error = error_of(worker.load(str(folder), replace(licence, **change).write(folder)))
    assert isinstance(error, kind)
    assert sentence in error.message
    assert platform.node() in error.message


def test_an_image_that_is_another_or_missing_is_named(given, image):
    folder, licence, _ = given
    facts = json.loads(json.dumps(licence.image))
    facts["inputs"][0][1] += 1
    error = error_of(worker.load(str(folder), replace(licence, image=facts).write(folder)))
    assert isinstance(error, InputError)
    assert image in error.message
    moved = replace(licence, request={**licence.request, "input": ["/no/such/image.tif"]})
    error = error_of(worker.load(str(folder), moved.write(folder)))
    assert isinstance(error, InputError)
    assert "/no/such/image.tif" in error.message


def test_a_model_that_is_missing_is_named(given):
    folder, licence, _ = given
    moved = replace(licence, request={**licence.request, "model": "/no/such/model.safetensors"})
    error = error_of(worker.load(str(folder), moved.write(folder)))
    assert isinstance(error, ModelError)
    assert "/no/such/model.safetensors" in error.message


def test_without_its_licence_a_worker_writes_nothing_more(given):
    folder, licence, tiles = given
    key = licence.write(folder)
    worker.load(str(folder), key)
    licence_path(folder, key).unlink()
    assert Withdrawal(folder, key).is_set()
    answer = worker.classify_tiles(str(folder), key, tiles, 1)
    assert isinstance(error_of(answer), Cancelled)
    assert list((folder / "tiles" / "classes").iterdir()) == []


def test_a_new_licence_takes_the_place_of_the_old_one(given):
    folder, licence, _ = given
    old = licence.write(folder)
    new = replace(licence, nonce="twice").write(folder)
    assert old != new
    assert not licence_path(folder, old).exists()
    assert Licence.read(folder, new).nonce == "twice"


def test_what_is_unforeseen_is_told_and_logged(given, capfd):
    folder, licence, tiles = given
    key = licence.write(folder)
    error = error_of(worker.classify_tiles(str(folder), key, [[*tiles[-1][:7], "wide"]], 1))
    assert error.kind == "internal"
    assert "Traceback" in capfd.readouterr().err


def test_a_folder_that_vanishes_is_told_as_such(given):
    folder, licence, tiles = given
    key = licence.write(folder)
    worker.load(str(folder), key)
    shutil.rmtree(folder / "tiles")
    assert isinstance(error_of(worker.classify_tiles(str(folder), key, tiles[-1:], 1)), OutputError)


def test_tiles_over_which_workers_die_are_named(given):
    tiles = [worker._tile(values) for values in given[2][-2:]]

    class Dead:
        def exception(self, timeout):
            return KilledWorker("tiles-1", None, 3)

    error = _failure(Dead(), tiles)
    first, last = tiles[0].core, tiles[1].core
    assert error.message.startswith("4 worker processes died")
    assert f"rows {first.row} to {first.bottom - 1} and columns {first.column} to {last.right - 1}" in error.message
