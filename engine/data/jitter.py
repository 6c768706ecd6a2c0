"""Changes of light, season and sensor, drawn per patch and applied to a batch on its device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

from engine.recipe import Recipe

# Bands that show light; an elevation does not change with the weather.
_MEASURED = frozenset({"elevation"})
_GAMMA_FLOOR = 1.0 / 255.0


@dataclass(frozen=True)
class Jitter:
    """Radiometric changes of a recipe for images of given bands.

    Args:
        recipe: Strengths.
        bands: Band names in channel order.
    """

    recipe: Recipe
    bands: tuple[str, ...]

    @property
    def width(self) -> int:
        """Numbers drawn per patch: six for all bands, then shift and gain of each."""
        return 6 + 2 * len(self.bands)

    @property
    def active(self) -> bool:
        """Whether anything changes at all."""
        r = self.recipe
        return any((r.brightness, r.contrast, r.band_shift, r.band_gain, r.saturation, r.gamma, r.blur, r.noise))

    def draw(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Return the numbers of one patch, shape (width,)."""
        r = self.recipe
        normal = rng.standard_normal(self.width).clip(-2.5, 2.5)
        values = np.empty(self.width, dtype=np.float32)
        values[0] = r.brightness * normal[0]
        values[1] = np.exp(r.contrast * normal[1])
        values[2] = np.exp(r.saturation * normal[2])
        values[3] = np.exp(r.gamma * normal[3])
        values[4] = rng.uniform(0.5, 1.2) if rng.random() < r.blur else 0.0
        values[5] = r.noise * rng.random()
        count = len(self.bands)
        values[6 : 6 + count] = r.band_shift * normal[6 : 6 + count]
        values[6 + count :] = np.exp(r.band_gain * normal[6 + count :])
        for index, name in enumerate(self.bands):
            if name in _MEASURED:
                values[6 + index], values[6 + count + index] = 0.0, 1.0
        return values

    def apply(
        self, images: torch.Tensor, drawn: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, low: torch.Tensor,
        high: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Return normalised images with their changes.

        Args:
            images: Raw values, float, shape (N, C, H, W).
            drawn: What `draw` returned for each, shape (N, width).
            mean: Means of the bands, shape (1, C, 1, 1).
            std: Deviations of the bands, shape (1, C, 1, 1).
            low: Least values of the bands, shape (1, C, 1, 1).
            high: Greatest values of the bands, shape (1, C, 1, 1).

        Returns:
            (value - mean) / std after the changes, shape (N, C, H, W).
        """
        import torch

        count = len(self.bands)
        light = torch.tensor([name not in _MEASURED for name in self.bands], device=images.device)
        brightness, contrast, saturation, gamma = (drawn[:, i].view(-1, 1, 1, 1) for i in range(4))
        shift = drawn[:, 6 : 6 + count].view(-1, count, 1, 1)
        gain = drawn[:, 6 + count :].view(-1, count, 1, 1)
        values = images
        if self.recipe.gamma:
            # A band that is the same everywhere has no span.
            span = (high - low).clamp(min=1e-6)
            share = ((values - low) / span).clamp(_GAMMA_FLOOR, 1.0)
            values = torch.where(light.view(1, -1, 1, 1), share.pow(gamma) * span + low, values)
        values = (values - mean) / std
        if light.any():
            changed = values[:, light] if not light.all() else values
            if self.recipe.saturation:
                grey = changed.mean(1, keepdim=True)
                changed = grey + (changed - grey) * saturation
            centre = changed.mean((2, 3), keepdim=True)
            changed = (changed - centre) * (contrast * gain[:, light]) + centre + brightness + shift[:, light]
            values = (
                changed if light.all() else values.masked_scatter(light.view(1, -1, 1, 1).expand_as(values), changed)
            )
        if self.recipe.blur:
            values = _blurred(values, drawn[:, 4])
        if self.recipe.noise:
            values = values + torch.randn_like(values) * drawn[:, 5].view(-1, 1, 1, 1)
        return values


def _blurred(values: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return images blurred by a Gaussian of 5 x 5 pixels whose sigma in pixels is given by image; 0 leaves as is."""
    import torch
    from torch.nn.functional import conv2d, pad

    chosen = torch.nonzero(sigma > 0).flatten()
    if not len(chosen):
        return values
    part = values[chosen]
    n, c, h, w = part.shape
    steps = torch.arange(-2, 3, device=values.device, dtype=values.dtype)
    line = torch.exp(-(steps**2) / (2 * sigma[chosen].view(-1, 1) ** 2))
    line = (line / line.sum(1, keepdim=True)).repeat_interleave(c, 0)
    flat = pad(part.reshape(1, n * c, h, w), (2, 2, 2, 2), mode="replicate")
    flat = conv2d(flat, line.view(n * c, 1, 5, 1), groups=n * c)
    flat = conv2d(flat, line.view(n * c, 1, 1, 5), groups=n * c)
    result = values.clone()
    result[chosen] = flat.view(n, c, h, w)
    return result
