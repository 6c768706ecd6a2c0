from __future__ import annotations

import threading

from engine import __version__
from engine.commands import diagnostics
from engine.models.cached import CachedModel, keep, model_folder
from engine.requests import DiagnosticsRequest


def test_it_says_what_a_helper_asks_first(recorder):
    told = diagnostics.run(DiagnosticsRequest(), recorder, threading.Event())
    assert told["engine"] == __version__
    assert told["devices"][0]["device"] == "cpu"
    assert told["memory_gb"] > 0
    assert told["packages"]["torch"]
    assert told["packages"]["openvino"]
    assert recorder.logs


def test_it_names_the_models_on_this_computer(recorder, tmp_path, monkeypatch):
    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path))
    name, content = "FLAIR-INC_rgb_15cl_resnet34-unet", b"weights"
    assert diagnostics.run(DiagnosticsRequest(), recorder, threading.Event())["models"] == []
    model_folder(name).mkdir(parents=True)
    (model_folder(name) / "m.safetensors").write_bytes(content)
    keep(name, CachedModel("m.safetensors", "", len(content), "", "given"))
    assert diagnostics.run(DiagnosticsRequest(), recorder, threading.Event())["models"] == [name]
    (model_folder(name) / "m.safetensors").write_bytes(content[1:])
    assert diagnostics.run(DiagnosticsRequest(), recorder, threading.Event())["models"] == []
