from __future__ import annotations

import json

import pytest

from engine.errors import OutputError
from engine.training.work_folder import WorkFolder

FINGERPRINT = {"recipe": {"epochs": 3}, "weights": {7: 1.5}, "channels": (1, 2)}


@pytest.fixture
def folder(tmp_path):
    return WorkFolder.beside(tmp_path / "model.safetensors")


def begun(folder, recorder, fingerprint=FINGERPRINT, checkpoint=b"state"):
    folder.begin(fingerprint, recorder)
    folder.checkpoint.write_bytes(checkpoint)
    folder.best.write_bytes(b"best")


def test_the_folder_lies_beside_the_model(tmp_path, folder):
    assert folder.path == tmp_path / "model_training"
    assert (folder.checkpoint, folder.best, folder.logs) == (
        folder.path / "last.ckpt", folder.path / "best.safetensors", folder.path / "logs",
    )  # fmt: skip
    assert not folder.path.exists()


def test_only_an_unfinished_run_of_the_same_kind_goes_on(folder, recorder):
    assert not folder.can_resume(FINGERPRINT)
    folder.begin(FINGERPRINT, recorder)
    assert folder.logs.is_dir()
    assert not folder.can_resume(FINGERPRINT), "there is no checkpoint yet"
    folder.checkpoint.write_bytes(b"state")
    assert not folder.can_resume(FINGERPRINT), "there is no best model yet"
    folder.best.write_bytes(b"best")
    assert folder.can_resume(FINGERPRINT)
    assert not folder.can_resume({**FINGERPRINT, "recipe": {"epochs": 4}})
    folder.finish()
    assert not folder.can_resume(FINGERPRINT)
    assert recorder.warnings == []


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '{"fingerprint": null}'])
def test_a_state_that_cannot_be_read_is_no_reason_to_go_on(folder, recorder, text):
    begun(folder, recorder)
    state = folder.path / "training.json"
    state.unlink()
    if text is not None:
        state.write_text(text)
    assert not folder.can_resume(FINGERPRINT)
    folder.begin(FINGERPRINT, recorder)
    assert (folder.path.with_name("model_training_previous") / "last.ckpt").read_bytes() == b"state"


def test_an_interrupted_run_is_kept_once(folder, recorder):
    begun(folder, recorder, checkpoint=b"first")
    begun(folder, recorder, checkpoint=b"second")
    previous = folder.path.with_name("model_training_previous")
    assert (previous / "last.ckpt").read_bytes() == b"first"
    folder.begin({}, recorder)
    assert (previous / "last.ckpt").read_bytes() == b"second"
    assert (previous / "best.safetensors").read_bytes() == b"best"
    assert not folder.checkpoint.exists()
    assert not folder.best.exists()
    assert len(recorder.warnings) == 2
    assert all("is kept as 'model_training_previous'" in text for text in recorder.warnings)


def test_a_finished_run_is_replaced_without_a_word(folder, recorder):
    begun(folder, recorder)
    (folder.logs / "history.csv").write_text("old")
    (folder.path / "mine.txt").write_text("a person's own")
    folder.finish()
    folder.begin(FINGERPRINT, recorder)
    assert recorder.warnings == []
    assert sorted(item.name for item in folder.path.iterdir()) == ["logs", "mine.txt", "training.json"]
    assert list(folder.logs.iterdir()) == []
    assert json.loads((folder.path / "training.json").read_text())["complete"] is False


def test_a_file_in_its_place_is_named_and_kept(folder, recorder):
    folder.path.write_text("precious")
    with pytest.raises(OutputError, match="model_training' cannot be written"):
        folder.begin(FINGERPRINT, recorder)
    assert folder.path.read_text() == "precious"
