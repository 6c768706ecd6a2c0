from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import hf_hub_download, try_to_load_from_cache

from engine.errors import Cancelled, EngineError, ModelError, OutputError
from engine.hub import download
from engine.hub.download import fetch
from engine.hub.repository import find_file
from tests.engine.hub.hub_server import TOKEN

REPOSITORY = "IGNF/model"
NAME = "weights.pth"
CONTENT = np.random.default_rng(0).bytes(3_000_000)


def remote(recorder, name=NAME, revision=None, cancelled=None):
    return find_file(REPOSITORY, revision, name, (".pth",), recorder, cancelled or threading.Event())


def fetched(recorder, told=None, cancelled=None):
    cancelled = cancelled or threading.Event()
    progress = lambda done, text, left: (told if told is not None else []).append((done, text, left))  # noqa: E731
    return fetch(remote(recorder, cancelled=cancelled), progress, recorder, cancelled)


@pytest.fixture
def stocked(hub):
    hub.add(REPOSITORY, weights__pth=CONTENT, README__md=b"# Hello")
    return hub


@pytest.mark.parametrize("status", [302, 307])
def test_a_file_arrives_whole_and_where_the_client_finds_it(stocked, recorder, status):
    stocked.redirect = status
    told = []
    path = fetched(recorder, told)
    assert path.read_bytes() == CONTENT
    commit = stocked.repositories[REPOSITORY].commit
    assert str(path) == try_to_load_from_cache(REPOSITORY, NAME, cache_dir=download.hub_cache(), revision=commit)
    assert stocked.sent() == len(CONTENT)
    fractions = [done for done, _, _ in told]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < fractions[-1] == 1.0
    assert any("MB of 3.0 MB" in text for _, text, _ in told)


def test_what_is_there_is_not_fetched_again(stocked, recorder):
    fetched(recorder)
    assert fetched(recorder).read_bytes() == CONTENT
    assert stocked.sent() == len(CONTENT)


def test_what_another_program_fetched_is_taken(stocked, recorder):
    commit = stocked.repositories[REPOSITORY].commit
    hf_hub_download(
        REPOSITORY, NAME, revision=commit, cache_dir=download.hub_cache(), endpoint=stocked.address, token=False
    )
    assert fetched(recorder).read_bytes() == CONTENT
    assert stocked.sent() == len(CONTENT)


def test_bytes_that_arrived_are_not_fetched_twice(stocked, recorder):
    """Seven breaks within one run: nothing is sent again that had arrived."""
    stocked.drops = [1, 300_000, 7, 1_000_001, 0, 16_384, 999_999]
    assert fetched(recorder).read_bytes() == CONTENT
    assert stocked.drops == []
    assert stocked.sent() - len(CONTENT) == 0
    starts = [int(item.range[6:-1]) for item in stocked.asked if item.path.startswith("/content/")]
    assert starts == [0, 1, 300_001, 300_008, 1_300_009, 1_300_009, 1_316_393, 2_316_392]


def test_a_line_that_falls_silent_is_asked_anew(stocked, recorder, monkeypatch):
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.3)
    stocked.stalls = [700_000, 0, 700_001]
    assert fetched(recorder).read_bytes() == CONTENT
    assert stocked.sent() == len(CONTENT)


def test_a_later_run_goes_on(stocked, recorder):
    for kept in (500_000, 1_400_000):
        stocked.drops = [kept, *([0] * 20)]
        with pytest.raises(ModelError, match="breaks off") as caught:
            fetched(recorder)
        assert "are kept" in caught.value.hint
        stocked.drops = []
    assert fetched(recorder).read_bytes() == CONTENT
    assert stocked.sent() == len(CONTENT)
    assert sum("here already" in text for text in recorder.logs) == 2


def test_a_cancelled_run_stops_at_once_and_is_gone_on_with(stocked, recorder):
    stocked.bytes_per_second = 2_000_000
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled, match="MB that arrived are kept"):
        fetched(recorder, cancelled=cancelled)
    assert time.monotonic() - began < 1.2
    stocked.bytes_per_second = 0
    partial = next(download.hub_cache().rglob("*.incomplete")).stat().st_size
    assert 0 < partial < len(CONTENT)
    assert fetched(recorder).read_bytes() == CONTENT
    assert stocked.asked[-2].range == f"bytes={partial}-"


def test_a_server_that_knows_no_ranges_sends_all_again(stocked, recorder):
    stocked.drops = [1_000_000]
    stocked.ignore_range = True
    assert fetched(recorder).read_bytes() == CONTENT
    assert stocked.sent() == len(CONTENT) + 1_000_000


def test_damaged_content_is_fetched_once_more(stocked, recorder):
    stocked.damaged = 1
    assert fetched(recorder).read_bytes() == CONTENT
    assert any("arrived damaged" in text for text in recorder.warnings)


def test_content_that_stays_damaged_is_refused(stocked, recorder):
    stocked.damaged = 9
    with pytest.raises(ModelError, match="SHA-256 differs"):
        fetched(recorder)
    assert not any(path.is_file() for path in download.hub_cache().rglob("blobs/*") if path.suffix != ".lock")


def test_a_damaged_file_in_the_cache_is_replaced(stocked, recorder):
    path = fetched(recorder)
    Path(path).resolve().write_bytes(CONTENT[:-1] + b"x")
    assert fetched(recorder).read_bytes() == CONTENT
    assert any("is damaged" in text for text in recorder.warnings)


def test_a_left_over_that_is_too_long_is_begun_anew(stocked, recorder):
    blobs = download._blobs(remote(recorder))
    blobs.mkdir(parents=True)
    (blobs / f"{remote(recorder).etag}.flair.incomplete").write_bytes(CONTENT + b"more")
    assert fetched(recorder).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["api", "resolve", "content"])
def test_a_busy_server_is_waited_for(stocked, recorder, kind):
    stocked.answers[kind] = [(429, {"Retry-After": "1"}), (503, {})]
    began = time.monotonic()
    assert fetched(recorder).read_bytes() == CONTENT
    assert 1.0 <= time.monotonic() - began < 5.0


def test_who_is_asked_to_wait_for_an_hour_is_told(stocked, recorder):
    stocked.answers["api"] = [(429, {"Retry-After": "3600"})]
    with pytest.raises(ModelError, match="too many requests"):
        fetched(recorder)


def test_a_wait_can_be_cancelled(stocked, recorder):
    stocked.answers["api"] = [(429, {"Retry-After": "30"})]
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        fetched(recorder, cancelled=cancelled)
    assert time.monotonic() - began < 2


def test_a_full_disk_is_seen_before_anything_is_fetched(stocked, recorder, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1_000_000}))
    with pytest.raises(OutputError, match=r"1.0 MB free; 3.0 MB are needed") as caught:
        fetched(recorder)
    assert "HF_HOME" in caught.value.hint
    assert stocked.sent() == 0


def test_a_cache_that_cannot_be_written_names_the_way_out(stocked, recorder, tmp_path):
    (tmp_path / "hub").write_text("no folder")
    with pytest.raises(OutputError) as caught:
        fetched(recorder)
    assert "HF_HOME" in caught.value.hint


def test_the_token_goes_to_the_hub_alone_and_into_no_text(stocked, recorder, monkeypatch, capfd):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    stocked.repositories[REPOSITORY].gated = True
    stocked.drops = [1000]
    told = []
    assert fetched(recorder, told).read_bytes() == CONTENT
    for item in stocked.asked:
        assert (item.authorization == f"Bearer {TOKEN}") == (not item.path.startswith("/content/")), item
    assert TOKEN not in repr((told, recorder.logs, recorder.warnings)) + "".join(capfd.readouterr())
    assert "secret" not in repr((told, recorder.logs, recorder.warnings))


def test_nothing_is_asked_but_what_is_needed(stocked, recorder):
    """No telemetry: the listing, and heads and bodies of the one file."""
    fetched(recorder)
    kinds = {item.path.split("/")[1] for item in stocked.asked}
    assert kinds == {"api", "IGNF", "content"}
    assert all(item.path.startswith("/api/models/IGNF/model/revision/") for item in stocked.asked if "api" in item.path)


def test_two_processes_do_not_fetch_the_same_file(stocked, recorder):
    stocked.bytes_per_second = 6_000_000
    found, errors = [], []

    def one():
        try:
            found.append(fetched(recorder))
        except EngineError as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {path.read_bytes() for path in found} == {CONTENT}
    assert stocked.sent() == len(CONTENT)
