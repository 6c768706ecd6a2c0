"""When a model is quantised anew, and when not."""

import numpy as np

from engine.inference import quantise as quantisation
from engine.inference.load import load_predictor
from tests.engine import tiny


def test_a_poor_int8_graph_is_made_anew_for_another_image_but_only_once(tiny_model, recorder, tmp_path, monkeypatch):
    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(quantisation, "agreement", lambda exact, other, images: 0.5)
    model = tiny_model[0]

    def windows(seed: int) -> list[np.ndarray]:
        return [tiny.smooth(3, 64, 64, seed=seed + number)[None] for number in range(5)]

    def quantisations(images: list[np.ndarray]) -> int:
        before = sum("Quantising" in text for text in recorder.logs)
        load_predictor(model, "cpu", "int8", "codes", images, pixels=1, threads=1, reporter=recorder)
        return sum("Quantising" in text for text in recorder.logs) - before

    assert quantisations(windows(0)) == 1
    assert quantisations(windows(0)) == 0
    assert quantisations(windows(100)) == 1
    assert quantisations(windows(100)) == 0
    assert any("changes the class of 50.0%" in text for text in recorder.warnings)
