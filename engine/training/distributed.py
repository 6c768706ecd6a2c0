"""Several processes that train one network."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from torch import nn
from torch._C._distributed_c10d import Store

from engine.launch import Launch

# What the libraries that connect processes say when one of them is gone.
_BROKEN = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "broken pipe")


def join(launch: Launch, store: Store, device: str) -> None:
    """Connect this process to the others that train.

    Args:
        launch: Which of them this is.
        store: Where they tell each other their addresses.
        device: `cpu`, `mps` or `cuda`.
    """
    if device.startswith("cuda"):
        torch.cuda.set_device(launch.local_rank)
    dist.init_process_group(
        "nccl" if device.startswith("cuda") else "gloo", store=store, rank=launch.rank, world_size=launch.processes
    )


def connection_broke(error: BaseException) -> bool:
    """Return whether an error says that another process is gone."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in _BROKEN)


class Started(ClusterEnvironment):
    """Tells Lightning how this process was started, so that it does not guess from the environment.

    Args:
        launch: How.
    """

    def __init__(self, launch: Launch) -> None:
        super().__init__()
        self._launch = launch

    @property
    def creates_processes_externally(self) -> bool:
        """All of them run by now."""
        return True

    @property
    def main_address(self) -> str:
        """Host of the first process."""
        return self._launch.address

    @property
    def main_port(self) -> int:
        """Port of the first process."""
        return self._launch.port

    @staticmethod
    def detect() -> bool:
        """Never by itself."""
        return False

    def world_size(self) -> int:
        """Return the number of all processes."""
        return self._launch.processes

    def set_world_size(self, size: int) -> None:
        """Leave it as it is."""

    def global_rank(self) -> int:
        """Return the number of this process among all."""
        return self._launch.rank

    def set_global_rank(self, rank: int) -> None:
        """Leave it as it is."""

    def local_rank(self) -> int:
        """Return its number on its machine."""
        return self._launch.local_rank

    def node_rank(self) -> int:
        """Return the number of its machine."""
        return self._launch.node


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
        """Return normalised images of the same shape, (N, C, H, W) or (N, C); N may be 0 where others have some."""
        if not self.training or world_size() == 1:
            return super().forward(images)
        values = images.float() if images.dtype.itemsize < 4 else images
        count = values.numel() / values.shape[1]
        around, shape = (0, *range(2, values.ndim)), (1, -1, *(1,) * (values.ndim - 2))
        sums = torch.cat([values.sum(around), values.square().sum(around), values.new_tensor([count])])
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
        result = (values - mean.view(shape)) * scale.view(shape)
        if self.affine:
            result = result + self.bias.view(shape)
        return result.to(images.dtype)

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Take what is not an image too."""


def synchronise_on_cpu(network: nn.Module) -> None:
    """Turn each batch normalisation of a network into one over all processes, in place."""
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = CpuSyncBatchNorm
