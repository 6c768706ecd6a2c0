"""Which patches an epoch learns from, in which order: a function of the seed and the epoch alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# A class twice as rare is seen 1.4 times as often: the full inverse would show little but the rarest.
RARITY_POWER = 0.5
# No patch is drawn over so many times its fair share, or a single pool would be learnt by heart.
LARGEST_BOOST = 8.0


@dataclass(frozen=True)
class SamplingPlan:
    """Draws of patches.

    Args:
        weights: Weight of each patch, shape (patches,); None visits each once.
        repeats: How often an epoch draws as many pieces as there are patches.
        seed: Seed of all draws.
    """

    patches: int
    weights: npt.NDArray[np.float64] | None
    repeats: int
    seed: int

    @property
    def length(self) -> int:
        """Pieces of an epoch."""
        return self.patches * self.repeats

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """Return the patch of each piece of an epoch, shape (length,)."""
        rng = np.random.default_rng((self.seed, epoch, 0x5A))
        if self.weights is None:
            return np.concatenate([rng.permutation(self.patches) for _ in range(self.repeats)])
        # Systematic sampling: a patch is drawn as often as its weight says, to within one, instead of at the mercy of
        # independent draws.
        steps = (np.arange(self.length) + rng.random()) / self.length
        drawn = np.searchsorted(np.cumsum(self.weights / self.weights.sum()), steps).clip(0, self.patches - 1)
        return rng.permutation(drawn.astype(np.int64))


def class_rarity(pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return how much more often than its share each class ought to be seen: (1 / share)^RARITY_POWER, 0 for none.

    Args:
        pixels: Pixels by class, shape (classes,).
    """
    share = pixels / max(1, pixels.sum())
    return np.where(pixels > 0, np.maximum(share, 1e-6) ** -RARITY_POWER, 0.0)


def balanced_weights(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the weight of each patch, greater the more of rare classes it holds; the mean is 1.

    Args:
        counts: Pixels by patch and class, shape (patches, classes); ignored pixels are not counted.
    """
    rarity = class_rarity(counts.sum(axis=0))
    labelled = counts.sum(axis=1)
    weights = (counts @ rarity) / np.maximum(1, labelled)
    if not weights.any():
        return np.ones(len(counts))
    weights = weights / weights[labelled > 0].mean()
    weights = np.clip(weights, 0.0, LARGEST_BOOST)
    return np.asarray(weights / weights.mean())
