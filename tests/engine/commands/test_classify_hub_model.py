"""A published model by its name alone: downloaded, converted, and a map in FLAIR's codes."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
import torch

from engine.commands import classify
from engine.requests import ClassifyRequest
from tests.engine import tiny
from tests.engine.hub.local_hub import local_hub
from tests.engine.models.hub_checkpoint import hub_state
from tests.engine.models.small_catalogue import NAME, small_catalogue

# Written down once more: output channel -> code, and the channels that never win.
CODES = np.array([1, 18, 13, 3, 2, 4, 5, 14, 10, 11, 12, 9, 7, 6, 8, 15, 17, 16, 19], dtype=np.uint8)
DISABLED = [15, 16, 17, 18]
MEANS, STDS = (106.59, 105.66, 111.35), (39.78, 52.23, 45.62)


@pytest.mark.parametrize("encoder", ["tu-convnextv2_atto", "tu-swin_tiny_patch4_window7_224"])
def test_a_map_from_a_name(monkeypatch, tmp_path, recorder, encoder):
    changes = {"family": "hub", "encoder": encoder, "bands": ["infrared", "red", "green"], "size_mb": 20.0}
    with (
        small_catalogue(monkeypatch, tmp_path, without=["architecture"], **changes) as entry,
        local_hub(monkeypatch, tmp_path) as hub,
    ):
        network = tiny.network(entry.manifest, 5)
        with torch.no_grad():
            # Disabled classes would win nearly everywhere.
            network.segmentation_head[0].bias[DISABLED] += 5
            network.segmentation_head[0].weight *= 4
        stream = io.BytesIO()
        torch.save(hub_state(network), stream)
        hub.add(f"IGNF/{NAME}", **{f"{NAME}__safetensors": stream.getvalue()})

        image = tiny.smooth(4, 100, 140, seed=3)
        source = tiny.write(tmp_path / "rgbi.tif", image)
        output = tmp_path / "map.tif"
        request = ClassifyRequest(
            input=[source], model=NAME, output=str(output), bands={"red": 1, "green": 2, "blue": 3, "infrared": 4},
            device="cpu",
        )  # fmt: skip
        result = classify.run(request, recorder, threading.Event())

    given = tiny.mirrored(image[[3, 0, 1]], -100 % 32, -140 % 32).astype(np.float32)
    mean, std = (np.array(values, dtype=np.float32).reshape(3, 1, 1) for values in (MEANS, STDS))
    with torch.inference_mode():
        logits = network(torch.from_numpy((given - mean) / std)[None])[0, :, :100, :140].numpy()
    logits[DISABLED] = -np.inf
    expected = CODES[logits.argmax(0)]
    best = np.sort(logits, 0)
    clear = best[-1] - best[-2] > 1e-3
    found = tiny.read(output)
    assert len(np.unique(expected)) >= 2
    assert clear.mean() > 0.9
    assert (found == expected)[clear].all()
    assert result["device"] == "cpu"
    assert any("Downloading" in text for text in recorder.logs)
    # OpenVINO took the network; nothing fell back to torch.
    assert not any("cannot be exported" in text for text in recorder.warnings)
