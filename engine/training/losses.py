"""Losses on integer targets; what is ignored has no part in them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from engine.nomenclature import IGNORE_INDEX
from engine.training.distributed import sum_over_processes, sum_with_gradient, world_size

# Lin et al., Focal Loss for Dense Object Detection, 2017: the value they recommend.
FOCUS = 2.0
_SMOOTH = 1.0


class SegmentationLoss(nn.Module):
    """Cross-entropy or focal loss, with Dice loss on request.

    Over several processes the mean is that of all their pixels, so that it does not matter how patches are dealt out.

    Args:
        name: `cross-entropy` or `focal`, with `+dice` for the mean of either and Dice.
        weights: Weight of each class, shape (classes,); None for 1.
        label_smoothing: Share of a target that is spread over all classes, 0 to 1.
    """

    weights: torch.Tensor | None

    def __init__(self, name: str, weights: torch.Tensor | None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self._focal = name.startswith("focal")
        self._dice = name.endswith("+dice")
        self._smoothing = label_smoothing
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            logits: Shape (N, classes, H, W), float.
            target: Training indices, shape (N, H, W), uint8; 255 is ignored.
        """
        wanted = target.long()
        valid = target != IGNORE_INDEX
        losses = cross_entropy(
            logits, wanted, self.weights, ignore_index=IGNORE_INDEX, reduction="none", label_smoothing=self._smoothing
        )
        if self._focal:
            with torch.no_grad():
                missing = 1 - torch.exp(-cross_entropy(logits, wanted, ignore_index=IGNORE_INDEX, reduction="none"))
            losses = losses * missing**FOCUS
        if self.weights is None:
            amount = valid.sum().float()
        else:
            weight = self.weights[wanted.where(valid, torch.zeros_like(wanted))] * valid
            amount = weight.sum()
            # What weighs nothing has no part in the Dice loss either.
            valid = weight > 0
        total = sum_over_processes(amount)
        # Gradients are averaged over the processes afterwards.
        loss = losses.sum() * world_size() / total.clamp(min=1.0)
        return (loss + self._dice_loss(logits, wanted, valid)) / 2 if self._dice else loss

    def _dice_loss(self, logits: torch.Tensor, wanted: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Return 1 - mean of 2|A and B| / (|A| + |B|) over the classes that occur in the batch (Milletari 2016)."""
        classes = logits.shape[1]
        shares = logits.softmax(1) * valid[:, None]
        index = wanted.where(valid, torch.zeros_like(wanted))
        picked = shares.gather(1, index[:, None])[:, 0]
        flat = index.flatten()
        common = torch.zeros(classes, device=logits.device).scatter_add(0, flat, picked.flatten().float())
        truth = torch.zeros(classes, device=logits.device).scatter_add(0, flat, valid.flatten().float())
        found = shares.sum((0, 2, 3)).float()
        if world_size() > 1:
            common, truth, found = sum_with_gradient(torch.cat([common, truth, found])).chunk(3)
        present = truth > 0
        dice = (2 * common + _SMOOTH) / (truth + found + _SMOOTH)
        return 1 - dice[present].mean() if present.any() else logits.sum() * 0


def class_weights(choice: str | dict[int, float], pixels: torch.Tensor, codes: tuple[int, ...]) -> torch.Tensor | None:
    """Return the weight of each class, shape (classes,), or None for equal ones.

    Balanced weights are (share of the class)^-0.25, so that a pool counts beside a meadow without drowning it; their
    mean over the pixels is 1.

    Args:
        choice: `none`, `balanced`, or weights by class code; codes that are not named weigh 1.
        pixels: Training pixels by class, shape (classes,).
        codes: Code of each class.
    """
    if choice == "none":
        return None
    if isinstance(choice, dict):
        return torch.tensor([float(choice.get(code, 1.0)) for code in codes])
    share = pixels.double() / pixels.sum().clamp(min=1)
    weights = torch.where(pixels > 0, share.clamp(min=1e-3) ** -0.25, torch.ones_like(share))
    return (weights / (weights * share).sum().clamp(min=1e-9)).float()
