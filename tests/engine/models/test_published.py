from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, hf_hub_download

from engine.errors import Cancelled, ModelError, OutputError
from engine.models import conversion
from engine.models.cached import cached_model, cached_path, model_folder
from engine.models.catalogue import find_entry
from engine.models.model_file import file_sha256, read_manifest
from engine.models.published import obtain
from engine.models.resolve import resolve_model
from tests.engine import tiny
from tests.engine.hub.local_hub import local_hub
from tests.engine.models.small_catalogue import FILE, NAME, OTHER, checkpoint, small_catalogue

REPOSITORY = f"IGNF/{NAME}"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with small_catalogue(monkeypatch, tmp_path) as entry, local_hub(monkeypatch, tmp_path) as server:
        server.weights = checkpoint(entry.manifest)
        server.add(REPOSITORY, **{FILE.replace(".", "__"): server.weights})
        yield server


def get(recorder, name=NAME, cancelled=None, told=None, **options):
    progress = lambda done, text, left: (told if told is not None else []).append((done, text))  # noqa: E731
    return obtain(name, progress, recorder, cancelled or threading.Event(), **options)


def test_a_model_is_fetched_converted_and_tested(hub, recorder):
    told = []
    made = get(recorder, told=told)
    assert not made.cached
    assert made.commit == hub.repositories[REPOSITORY].commit
    described = read_manifest(made.path)
    assert described.name == NAME
    assert described.licence == "etalab-2.0"
    assert described.provenance["revision"] == made.commit
    assert described.provenance["file"] == FILE
    assert described.provenance["source_sha256"] == made.source_sha256
    assert described.provenance["repository"] == REPOSITORY
    assert file_sha256(made.path) == made.sha256
    assert any("All 312 tensors" in text or "tensors of" in text for text in recorder.logs)
    assert any("etalab-2.0" in text for text in recorder.logs)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_second_time_nothing_is_asked(hub, recorder):
    first = get(recorder)
    hub.asked.clear()
    second = get(recorder)
    assert second.cached
    assert (second.path, second.sha256, second.commit) == (first.path, first.sha256, first.commit)
    assert hub.asked == []


def test_the_commit_is_remembered_when_the_hub_has_a_newer_one(hub, recorder):
    first = get(recorder)
    hub.add(REPOSITORY, **{FILE.replace(".", "__"): checkpoint(find_entry(NAME).manifest, seed=1)})
    first.path.unlink()
    again = get(recorder)
    assert (again.commit, again.sha256) == (first.commit, first.sha256)
    newer = get(recorder, revision="main")
    assert newer.commit == hub.repositories[REPOSITORY].commit != first.commit
    assert newer.sha256 != first.sha256
    # What was taken last is what the name stands for.
    assert get(recorder).commit == newer.commit


def test_a_damaged_model_file_is_made_anew_without_a_download(hub, recorder):
    first = get(recorder)
    content = bytearray(first.path.read_bytes())
    content[-1] ^= 1
    first.path.write_bytes(content)
    hub.asked.clear()
    assert get(recorder).sha256 == first.sha256
    assert hub.asked == []
    assert any("is damaged" in text for text in recorder.warnings)


def test_a_catalogue_that_says_otherwise_makes_the_file_anew(hub, recorder, monkeypatch, tmp_path):
    get(recorder)
    with small_catalogue(monkeypatch, tmp_path, title="the same"):
        assert get(recorder).cached
    with small_catalogue(monkeypatch, tmp_path, disabled=[19]):
        made = get(recorder)
        assert not made.cached
        assert [item.code for item in read_manifest(made.path).nomenclature.classes if item.disabled] == [19]


def test_a_pinned_revision_and_checksum_hold(hub, recorder, monkeypatch, tmp_path):
    pinned = hub.repositories[REPOSITORY].commit
    hub.add(REPOSITORY, more__md=b"later")
    with small_catalogue(monkeypatch, tmp_path, revision=pinned):
        assert get(recorder).commit == pinned
    latest = hub.repositories[REPOSITORY].commit
    with (
        small_catalogue(monkeypatch, tmp_path, sha256="0" * 64, revision=latest),
        pytest.raises(ModelError, match="not the file that the catalogue means"),
    ):
        get(recorder)


@pytest.mark.parametrize("file", ["anything.bin", "weights.safetensors", "noname"])
def test_weights_by_hand_are_known_by_content(hub, recorder, tmp_path, file):
    path = tmp_path / file
    path.write_bytes(hub.weights)
    made = get(recorder, weights=path)
    assert made.commit == ""
    assert made.source_sha256 == file_sha256(path)
    assert hub.asked == []
    assert get(recorder, weights=path).cached
    assert get(recorder).sha256 == made.sha256


def test_safetensors_by_hand_under_another_ending(hub, recorder, tmp_path):
    from safetensors.torch import save_file

    entry = find_entry(NAME)
    path = tmp_path / "weights.pth"
    save_file({f"model.{k}": v for k, v in tiny.network(entry.manifest).state_dict().items()}, str(path))
    assert not get(recorder, weights=path).cached


def test_weights_of_another_model_say_which(hub, recorder, tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(checkpoint(find_entry(OTHER).manifest))
    with pytest.raises(ModelError, match="do not fit the network") as caught:
        get(recorder, weights=path)
    assert OTHER in caught.value.hint
    assert cached_path(NAME) is None
    assert list(model_folder(NAME).glob("*.safetensors")) == []


def test_what_is_no_checkpoint_is_refused(hub, recorder, tmp_path):
    (tmp_path / "w.pth").write_bytes(b"<html>Sign in</html>" * 100)
    with pytest.raises(ModelError, match="not a torch checkpoint"):
        get(recorder, weights=tmp_path / "w.pth")
    with pytest.raises(ModelError, match="does not exist"):
        get(recorder, weights=tmp_path / "absent.pth")
    hub.add(REPOSITORY, **{FILE.replace(".", "__"): b"version https://git-lfs"})
    with pytest.raises(ModelError, match="not a torch checkpoint"):
        get(recorder)


def test_weights_that_are_not_finite_are_refused(hub, recorder, tmp_path):
    import torch

    state = tiny.network(find_entry(NAME).manifest).state_dict()
    state["segmentation_head.0.weight"][0] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="not finite"):
        get(recorder, weights=tmp_path / "w.pth")


def test_an_unknown_name_finds_its_neighbour(hub, recorder):
    with pytest.raises(ModelError) as caught:
        get(recorder, "small-unnet")
    assert NAME in caught.value.hint


def test_a_full_disk_stops_the_conversion_and_leaves_nothing(hub, recorder, monkeypatch):
    usage = lambda folder: SimpleNamespace(free=1000 if "cache" in str(folder) else 10**12)  # noqa: E731
    monkeypatch.setattr(conversion.shutil, "disk_usage", usage)
    with pytest.raises(OutputError, match="FLAIR_CACHE_DIR"):
        get(recorder)
    assert [path.name for path in model_folder(NAME).iterdir()] == ["lock"]


def test_a_cancelled_download_leaves_no_model(hub, recorder):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        get(recorder, cancelled=cancelled)
    assert cached_model(NAME) is None


def test_a_name_in_a_request_is_fetched_by_itself(hub, recorder):
    model = resolve_model(NAME, reporter=recorder)
    assert model.manifest.name == NAME
    assert model.sha256 == file_sha256(model.path)
    assert any("Downloading" in text and "MB" in text for text in recorder.logs)
    hub.asked.clear()
    # Also where nothing may be fetched.
    assert resolve_model(NAME).path == model.path
    assert hub.asked == []


def test_offline_with_nothing_there_names_all_ways_out(hub, recorder, monkeypatch):
    with pytest.raises(ModelError) as caught:
        resolve_model(NAME)
    said = str(caught.value)
    assert f"models download {NAME}" in said
    assert "--weights" in said
    assert str(model_folder(NAME)) in said
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE") as caught:
        resolve_model(NAME, reporter=recorder)
    said = str(caught.value)
    assert f"models download {NAME}" in said
    assert "--weights" in said
    assert str(model_folder(NAME)) in said


def test_offline_what_another_program_fetched_is_taken(hub, recorder, monkeypatch, tmp_path):
    hf_hub_download(REPOSITORY, FILE, cache_dir=tmp_path / "hub", endpoint=hub.address, token=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.asked.clear()
    model = resolve_model(NAME, reporter=recorder)
    assert model.manifest.provenance["revision"] == hub.repositories[REPOSITORY].commit
    assert hub.asked == []


def test_a_licence_that_differs_is_told_and_stored(hub, recorder):
    hub.repositories[REPOSITORY].licence = "mit"
    made = get(recorder)
    assert any("'mit'" in text for text in recorder.warnings)
    assert read_manifest(made.path).provenance["licence_stated"] == "mit"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"file": "../../x"}'])
def test_a_damaged_note_in_the_cache_is_no_model(hub, text):
    model_folder(NAME).mkdir(parents=True)
    (model_folder(NAME) / "current.json").write_text(text)
    assert cached_model(NAME) is None
    assert cached_path(NAME) is None


def test_a_note_never_names_a_file_elsewhere(hub, recorder):
    made = get(recorder)
    note = model_folder(NAME) / "current.json"
    values = json.loads(note.read_text())
    Path(made.path).rename(model_folder(NAME).parent / "elsewhere.safetensors")
    note.write_text(json.dumps({**values, "file": "../elsewhere.safetensors"}))
    assert cached_model(NAME) is None
