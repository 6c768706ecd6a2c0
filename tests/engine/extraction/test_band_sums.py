"""Mean and deviation over patches are those over all their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from engine.extraction.band_sums import BandSums, band_statistics


@pytest.mark.parametrize(("dtype", "offset"), [("uint8", 0), ("uint16", 60_000), ("float32", 1e4), ("float64", 1e8)])
def test_the_same_as_over_all_pixels_at_once(dtype, offset):
    generator = np.random.default_rng(0)
    patches = [(generator.normal(100, 20, (2, 32, 32)).clip(0, 255) + offset).astype(dtype) for _ in range(20)]
    masks = [generator.random((32, 32)) < share for share in np.linspace(0.0, 1.0, 20)]
    found = band_statistics([BandSums.of(p, m) for p, m in zip(patches, masks, strict=True)], ("a", "b"), dtype)
    for band in range(2):
        pixels = np.concatenate([p[band][m] for p, m in zip(patches, masks, strict=True)]).astype(np.float64)
        assert found[band].mean == pytest.approx(pixels.mean(), rel=1e-12)
        assert found[band].std == pytest.approx(pixels.std(), rel=1e-9)
        limits = (0.0, 255.0) if dtype == "uint8" else (pixels.min(), pixels.max())
        assert (found[band].minimum, found[band].maximum) == limits


def test_a_constant_band_has_a_deviation_that_can_be_divided_by():
    found = band_statistics([BandSums.of(np.full((1, 8, 8), 7, np.uint8), np.ones((8, 8), bool))], ("a",), "uint8")
    assert found[0].mean == 7
    assert found[0].std > 0
