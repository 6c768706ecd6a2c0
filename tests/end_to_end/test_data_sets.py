"""Data sets through qgis_process: downloaded from a server of this machine, gone on with, and checked."""

from __future__ import annotations

import csv
import signal

import pytest

from tests.end_to_end.processes import wait_for
from tests.engine.acquisition.archive_server import ArchiveServer
from tests.engine.acquisition.flair_archives import DOMAINS, PER_DOMAIN, files, make_archives, sources


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flair")
    make_archives(folder / "content", folder / "served")
    return folder


@pytest.fixture
def server(packed):
    with ArchiveServer(packed / "served") as server:
        yield server


@pytest.fixture
def values(server, tmp_path):
    return {"SOURCES": sources(tmp_path / "s.yaml", server.url), "OUTPUT": tmp_path / "set"}


def test_download_and_check(qgis, packed, server, values, tmp_path):
    size = qgis.execute("flair:downloaddataset", ONLY_SIZE="true", **values)
    assert size.code == 0, size.text
    assert not (tmp_path / "set").exists()
    assert size.json["results"]["BYTES"] > 0
    answer = qgis.execute("flair:downloaddataset", **values)
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    assert results["OUTPUT"] == str(tmp_path / "set")
    assert results["BYTES"] == size.json["results"]["BYTES"]
    got, wanted = files(tmp_path / "set"), files(packed / "content")
    assert {name: got[name] for name in wanted} == wanted
    assert results["FILES"] == len(got)
    checked = qgis.execute("flair:checkdataset", FOLDER=tmp_path / "set", CHECKSUMS="true")
    assert checked.code == 0, checked.text
    assert checked.json["results"]["PATCHES"] == len(DOMAINS) * PER_DOMAIN
    assert checked.json["results"]["PROBLEMS"] == 0
    next((tmp_path / "set").rglob("MSK_*.tif")).unlink()
    report = tmp_path / "problems.csv"
    checked = qgis.execute("flair:checkdataset", FOLDER=tmp_path / "set", REPORT=report)
    assert checked.code == 0, checked.text
    assert checked.json["results"]["PROBLEMS"] == 1
    with report.open() as file:
        assert len(list(csv.DictReader(file))) >= 1


def test_interrupted_download_goes_on(qgis, packed, server, values, tmp_path):
    server.rate = 20_000
    with qgis.start_algorithm("flair:downloaddataset", **values) as running:
        wait_for(lambda: server.total > 20_000 or running.process.poll() is not None, "the first bytes", 60)
        assert running.process.poll() is None, running.stdout + running.stderr
        running.send(signal.SIGINT)
        assert running.wait(20) != 0
        assert "goes on from there" in running.stdout + running.stderr
    server.rate = 0
    answer = qgis.execute("flair:downloaddataset", **values)
    assert answer.code == 0, answer.text
    got, wanted = files(tmp_path / "set"), files(packed / "content")
    assert {name: got[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"MODALITIES": "arial"}, "'arial'"),
        ({"SPLITS": "validation"}, "'validation'"),
        ({"DATASET": "flair-9"}, "Incorrect parameter value for DATASET"),
        ({"DATASET_NAME": "flair-9"}, "'flair-9'"),
        ({"OUTPUT": "TEMPORARY_OUTPUT"}, "does not belong into the temporary folder"),
    ],
)
def test_mistakes_are_said_in_a_sentence(qgis, values, changes, message):
    answer = qgis.execute("flair:downloaddataset", **{**values, **changes})
    assert answer.code != 0
    assert message in answer.text
    assert "Traceback" not in answer.text
