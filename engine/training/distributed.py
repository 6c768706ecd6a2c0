"""Several processes that train one network."""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


def process_rank(devices: int = 1) -> int:
    """Return the number of this process among all of a run, 0 for the first or only one; known before they meet.

    torchrun's own number comes first: within SLURM, that of the task is the machine's.

    Args:
        devices: Processes of each machine, where Lightning starts them; any will do to tell the first one.
    """
    environment = os.environ
    if "RANK" in environment:
        return int(environment["RANK"])
    if int(environment.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in environment:
        return int(environment["SLURM_PROCID"])
    return int(environment.get("NODE_RANK", "0")) * devices + int(environment.get("LOCAL_RANK", "0"))


def is_first_process() -> bool:
    """Return whether this is the first or only process of a run; known before the processes meet."""
    return process_rank() == 0


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(value: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over all processes; has no gradient."""
    value = value.detach().clone()
    if world_size() > 1:
        dist.all_reduce(value)
    return value


class _Sum(torch.autograd.Function):
    """The sum over all processes, through which gradients go back to all of them."""

    @staticmethod
    def forward(context: Any, value: torch.Tensor) -> torch.Tensor:
        del context
        return sum_over_processes(value)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        del context
        return sum_over_processes(gradient.contiguous())


def sum_with_gradient(value: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over all processes, whose gradient reaches all of them."""
    result: torch.Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return result


class CpuSyncBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes, for CPUs, which torch's own does not serve."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return normalised images of the same shape (N, C, H, W)."""
        if not self.training or world_size() == 1:
            return super().forward(images)
        values = images.float() if images.dtype.itemsize < 4 else images
        count = values.numel() / values.shape[1]
        sums = torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), values.new_tensor([count])])
        sums = sum_with_gradient(sums)
        total = sums[-1].detach()
        mean, square = (sums[:-1] / total).chunk(2)
        variance = (square - mean.square()).clamp(min=0)
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            with torch.no_grad():
                self.num_batches_tracked += 1
                rate = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean.detach(), rate)
                self.running_var.lerp_(variance.detach() * total / (total - 1).clamp(min=1), rate)
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        result = (values - mean.view(1, -1, 1, 1)) * scale.view(1, -1, 1, 1)
        if self.affine:
            result = result + self.bias.view(1, -1, 1, 1)
        return result.to(images.dtype)


def synchronise_on_cpu(network: nn.Module) -> None:
    """Turn each batch normalisation of a network into one over all processes, in place."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = CpuSyncBatchNorm
