"""The engine's predictors against a plain network of segmentation-models-pytorch."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

from engine.errors import DeviceError, ModelError
from engine.inference import graph as graph_module
from engine.inference import quantise
from engine.inference.graph import cached_graph, export_graph, graph_key
from engine.inference.load import load_predictor
from engine.inference.openvino_predictor import OpenVinoPredictor
from engine.inference.torch_predictor import TorchPredictor
from engine.models.model_file import save_model
from engine.models.resolve import resolve_model
from tests.engine import tiny

NETWORKS = [("unet", "resnet18"), ("fpn", "resnet18"), ("deeplabv3", "resnet18"), ("unet", "mit_b0")]


@pytest.fixture(autouse=True)
def _small_measure(monkeypatch):
    monkeypatch.setattr(graph_module, "MEASURED_SIDE", 64)


def agree(prediction, logits, head):
    """Check a prediction of one window against true logits (K, H, W)."""
    shares = tiny.softmax(logits.astype(np.float64))
    codes = tiny.codes_of(logits)
    if head == "probabilities":
        assert prediction.codes is None
        assert prediction.probabilities.dtype == np.float32
        assert np.abs(prediction.probabilities[0] - shares).max() < 1e-4
        return
    assert prediction.codes.dtype == np.uint8
    assert (prediction.codes[0] == codes).mean() >= 0.9999
    if head == "confidence":
        same = prediction.codes[0] == codes
        assert np.abs(prediction.confidence[0].astype(float) - shares.max(0) * 100)[same].max() <= 0.51
    else:
        assert prediction.confidence is None


@pytest.mark.parametrize(("architecture", "encoder"), NETWORKS)
def test_every_predictor_equals_the_plain_network(shared_cache, tmp_path, recorder, architecture, encoder):
    described = tiny.manifest(architecture=architecture, encoder=encoder)
    made = tiny.network(described)
    # The disabled class would win nearly everywhere if it were let.
    made.segmentation_head[0].bias.data[2] += 100
    path = tmp_path / "m.safetensors"
    save_model(path, made, described)
    model = resolve_model(str(path))
    exported = export_graph(model, recorder)
    # Other sizes than that of the export: nothing of it may be baked into the graph.
    windows = [tiny.smooth(3, 64, 160, seed=1), tiny.smooth(3, 128, 96, seed=2, dtype="float32")]
    logits = [tiny.truth(made, described, window) for window in windows]
    assert 250 not in {code for item in logits for code in np.unique(tiny.codes_of(item))}
    assert len(np.unique(tiny.codes_of(logits[0]))) > 1
    for head in ("codes", "confidence", "probabilities"):
        fast = OpenVinoPredictor(exported.path, described.nomenclature, head=head)
        slow = TorchPredictor(model, "cpu", head=head, reporter=recorder)
        for window, expected in zip(windows, logits, strict=True):
            for predictor in (fast, slow):
                agree(predictor.predict(window[None]), expected, head)


def test_logits_of_the_exported_graph_are_torchs(tiny_model, tiny_graph, recorder):
    import openvino

    _, described, made = tiny_model
    exported = tiny_graph
    window = tiny.smooth(3, 96, 64, dtype="float32")
    expected = tiny.truth(made, described, window)
    compiled = openvino.Core().compile_model(exported.path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    actual = compiled(window[None])[0][0]
    assert actual.shape == expected.shape == (4, 96, 64)
    assert np.abs(actual - expected).max() < 1e-4 * max(1, np.abs(expected).max())


def test_batches_are_predicted_one_by_one_alike(tiny_model, tiny_graph, recorder):
    model, described, _ = tiny_model
    exported = tiny_graph
    batch = np.stack([tiny.smooth(3, 64, 64, seed=seed) for seed in range(3)])
    for predictor in (
        OpenVinoPredictor(exported.path, described.nomenclature),
        TorchPredictor(model, "cpu", reporter=recorder),
    ):
        together = predictor.predict(batch).codes
        assert together.shape == (3, 64, 64)
        alone = np.concatenate([predictor.predict(batch[index : index + 1]).codes for index in range(3)])
        assert (together == alone).mean() > 0.9999


def test_an_answer_is_not_overwritten_by_the_next_one(tiny_model, tiny_graph, recorder):
    _, described, _ = tiny_model
    exported = tiny_graph
    predictor = OpenVinoPredictor(exported.path, described.nomenclature)
    first = predictor.predict(tiny.smooth(3, 64, 64, seed=1)[None]).codes
    kept = first.copy()
    predictor.predict(tiny.smooth(3, 64, 64, seed=9)[None])
    assert np.array_equal(first, kept)


@pytest.fixture
def own_cache(tiny_graph, shared_cache, tmp_path, monkeypatch):
    """A copy of the cache with the graph of `tiny_model` that a test may spoil."""
    shutil.copytree(tiny_graph.path.parent, tmp_path / "graphs" / tiny_graph.key)
    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path))
    return tmp_path / "graphs" / tiny_graph.key


def test_a_cached_graph_is_found_and_a_damaged_one_is_made_anew(tiny_model, own_cache, recorder):
    model = tiny_model[0]
    assert own_cache.name == graph_key(model)
    assert cached_graph(model).path == own_cache / "graph.xml"
    for name, content in (("graph.bin", b"short"), ("graph.json", b"{"), ("graph.xml", None)):
        whole = (own_cache / name).read_bytes()
        (own_cache / name).unlink()
        if content:
            (own_cache / name).write_bytes(content)
        assert cached_graph(model) is None, name
        if content:
            (own_cache / name).write_bytes(whole)
            assert cached_graph(model) is not None, name
    assert export_graph(model, recorder).path.is_file()
    assert [item.name for item in own_cache.parent.iterdir()] == [own_cache.name]


def test_a_graph_that_cannot_be_parsed_is_an_error_for_people(own_cache):
    (own_cache / "graph.xml").write_text("<net>")
    with pytest.raises(ModelError, match="cannot be read"):
        OpenVinoPredictor(own_cache / "graph.xml", tiny.TINY_CLASSES)


def test_another_manifest_or_other_weights_have_another_graph(tiny_model):
    from dataclasses import replace

    model = tiny_model[0]
    disabled = model.manifest.nomenclature.with_disabled([7])
    keys = {
        graph_key(model),
        graph_key(replace(model, sha256="0" * 64)),
        graph_key(replace(model, manifest=replace(model.manifest, nomenclature=disabled))),
    }
    assert len(keys) == 3


def test_a_graph_that_answers_differently_from_torch_is_refused(tiny_model, tiny_graph):
    import openvino

    exported = openvino.Core().read_model(tiny_graph.path)
    _, described, made = tiny_model
    images = tiny.smooth(3, 64, 64, dtype="float32")[None]
    expected = tiny.truth(made, described, images[0])[None]
    assert graph_module._self_test(exported, images, expected, "tiny") >= 0
    for wrong in (expected + 0.01 * np.abs(expected).max(), expected * np.float32("nan")):
        with pytest.raises(ModelError, match=r"deviates from torch|not finite"):
            graph_module._self_test(exported, images, wrong, "tiny")


def test_a_second_start_needs_neither_torch_nor_its_models(tiny_model, tiny_graph):
    model = tiny_model[0]
    program = f"""
import sys
import numpy as np
from engine.events import ConsoleReporter
from engine.inference.load import load_predictor
from engine.models.resolve import resolve_model
loaded = load_predictor(
    resolve_model({str(model.path)!r}), "cpu", "auto", "codes", [], pixels=1, threads=1, reporter=ConsoleReporter()
)
print(loaded.predictor.predict(np.zeros((1, 3, 32, 32), np.uint8)).codes.shape, "torch" in sys.modules,
      "segmentation_models_pytorch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=tiny.engine_environment()
    )
    assert done.stdout.split("\n")[-2] == "(1, 32, 32) False False"


def test_a_network_that_cannot_be_exported_runs_in_torch_and_says_so(tiny_model, recorder, tmp_path, monkeypatch):
    from engine.inference import load

    def fail(model, reporter):
        raise RuntimeError("no such operation")

    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(load, "export_graph", fail)
    model, described, made = tiny_model
    window = tiny.smooth(3, 64, 64)
    loaded = load_predictor(model, "cpu", "auto", "codes", [], pixels=1, threads=None, reporter=recorder)
    assert isinstance(loaded.predictor, TorchPredictor)
    agree(loaded.predictor.predict(window[None]), tiny.truth(made, described, window), "codes")
    assert "torch" in recorder.warnings[0]
    with pytest.raises(DeviceError, match="cannot be quantised"):
        load_predictor(model, "cpu", "int8", "codes", [], pixels=1, threads=None, reporter=recorder)


def test_torch_has_no_int8(tiny_model, recorder):
    with pytest.raises(DeviceError, match="CPU only"):
        TorchPredictor(tiny_model[0], "cpu", precision="int8", reporter=recorder)


def test_running_out_of_memory_is_told_apart_from_other_failures(tiny_model, recorder, monkeypatch):
    import torch

    predictor = TorchPredictor(tiny_model[0], "cpu", reporter=recorder)
    for error in (
        torch.OutOfMemoryError("x"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ):
        monkeypatch.setattr(predictor, "_network", lambda batch, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(MemoryError):
            predictor.predict(np.zeros((1, 3, 32, 32), np.uint8))
    monkeypatch.setattr(predictor, "_network", lambda batch: (_ for _ in ()).throw(RuntimeError("another")))
    with pytest.raises(RuntimeError, match="another"):
        predictor.predict(np.zeros((1, 3, 32, 32), np.uint8))


def test_nothing_is_told_to_anyone(tiny_model):
    """OpenVINO's own reports of its use are off."""
    program = """
import engine.inference.openvino_predictor, nncf, sys
print(sys.modules["openvino_telemetry"], [name for name in sys.modules if name.startswith("openvino_telemetry.")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=tiny.engine_environment()
    )
    assert done.stdout.strip().endswith("None []")


def test_int8_is_made_once_measured_and_kept(tiny_model, own_cache, recorder):
    pytest.importorskip("nncf")
    model, described, made = tiny_model
    samples = [tiny.smooth(3, 64, 64, seed=seed)[None] for seed in range(5)]

    def load():
        return load_predictor(model, "cpu", "int8", "codes", samples, pixels=1, threads=None, reporter=recorder)

    first = load()
    assert first.predictor.precision == "int8"
    assert 0.5 < first.agreement <= 1
    codes = first.predictor.predict(samples[0]).codes[0]
    assert (codes == tiny.codes_of(tiny.truth(made, described, samples[0][0]))).mean() > 0.8
    folders = sorted(item.name for item in own_cache.parent.iterdir())
    assert len(folders) == 2
    said = len([text for text in recorder.logs if text.startswith("Quantising")])
    if first.agreement >= 0.97:
        assert load().agreement == first.agreement
        assert len([text for text in recorder.logs if text.startswith("Quantising")]) == said == 1


def test_a_damaged_int8_graph_is_made_anew(tiny_graph, own_cache, recorder, monkeypatch):
    nncf = pytest.importorskip("nncf")
    monkeypatch.setattr(nncf, "quantize", lambda model, *arguments, **options: model)
    made = quantise.quantise(tiny_graph, [], recorder)
    assert quantise.cached_quantised_graph(tiny_graph) == made
    made.with_suffix(".bin").write_bytes(b"short")
    assert quantise.cached_quantised_graph(tiny_graph) is None
    assert quantise.quantise(tiny_graph, [], recorder) == made
    assert quantise.cached_quantised_graph(tiny_graph) == made
