from __future__ import annotations

import threading

import pytest

from engine.commands import models
from engine.errors import EngineError
from engine.requests import ModelsRequest
from tests.engine import tiny


def describe(recorder, name=None):
    return models.run(ModelsRequest(model=name), recorder, threading.Event())


def test_the_catalogue_is_listed(recorder):
    listed = describe(recorder)["models"]
    assert len(listed) == 8 + 9
    for item in listed:
        assert item["name"].startswith(("FLAIR-INC", "FLAIR-HUB"))
        assert item["title"]
        assert item["licence"] == "etalab-2.0"
        assert len(item["classes"]) == 19
        assert 3 <= len(item["bands"]) <= 5


def test_one_model_is_described_by_name_and_by_file(recorder, tmp_path):
    name = "FLAIR-INC_rgbie_15cl_resnet34-unet"
    assert describe(recorder, name)["model"]["bands"][-1] == "elevation"
    path = tiny.header_only(tmp_path / "m.safetensors", tiny.manifest())
    told = describe(recorder, path)["model"]
    assert told["name"] == "tiny"
    assert [item["code"] for item in told["classes"]] == [7, 3, 250, 5, 1]
    assert told["classes"][2]["disabled"] is True
    assert len(told["sha256"]) == 64


def test_what_does_not_describe_itself_is_refused(recorder, tmp_path):
    (tmp_path / "m.pth").write_bytes(b"x")
    (tmp_path / "m.safetensors").write_bytes(b"x")
    for path in (tmp_path / "m.pth", tmp_path / "m.safetensors", tmp_path / "none"):
        with pytest.raises(EngineError) as caught:
            describe(recorder, str(path))
        assert caught.value.exit_code == 4
