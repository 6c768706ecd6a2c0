from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from engine.training.distributed import CpuSyncBatchNorm, sum_over_processes, synchronise_on_cpu
from engine.training.losses import SegmentationLoss

LOSSES = (
    ("cross-entropy", None, 0.0),
    ("focal", None, 0.0),
    ("cross-entropy+dice", (0.5, 2.0, 0.0), 0.1),
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 3, padding=1),
        nn.BatchNorm2d(4, momentum=None, affine=False), nn.Conv2d(4, 3, 1),
    ).double()  # fmt: skip


def whole_batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64) * 3 + 1
    target = torch.randint(0, 3, (4, 8, 8), generator=generator).to(torch.uint8)
    # Few labels in the first half of the batch, many in the second: a mean of means would be another one.
    target[:2, 2:] = 255
    # A class that one process does not see.
    target[2:][target[2:] == 1] = 0
    return images, target


def learnt(made, images, target, loss, steps=2):
    """Return gradients and running statistics after some steps that change only the statistics."""
    for _ in range(steps):
        made.zero_grad()
        value = loss(made(images), target)
        value.backward()
    state = {name: buffer.clone() for name, buffer in made.named_buffers()}
    state.update({f"{name} gradient": parameter.grad.clone() for name, parameter in made.named_parameters()})
    return {name.removeprefix("module."): tensor for name, tensor in state.items()} | {"loss": value.detach().clone()}


def settings():
    for name, weights, smoothing in LOSSES:
        yield SegmentationLoss(name, None if weights is None else torch.tensor(weights, dtype=torch.float64), smoothing)


def process(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        images, target = (item[2 * rank : 2 * rank + 2] for item in whole_batch())
        found = []
        for loss in settings():
            made = network()
            synchronise_on_cpu(made)
            found.append(learnt(DistributedDataParallel(made), images, target, loss))
        added = sum_over_processes(torch.tensor([1.0 + rank], requires_grad=True))
        # More pixels than a float counts.
        counted = sum_over_processes(torch.tensor([[2**53 + rank, 1]]))
        torch.save({"found": found, "added": added, "counted": counted}, f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


def test_two_processes_learn_what_one_learns_from_the_whole_batch(tmp_path):
    torch.multiprocessing.spawn(process, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert first["added"] == second["added"] == torch.tensor([3.0])
    assert not first["added"].requires_grad
    assert first["counted"].tolist() == second["counted"].tolist() == [[2**54 + 1, 2]]
    images, target = whole_batch()
    for number, loss in enumerate(settings()):
        expected = learnt(network(), images, target, loss)
        for name, tensor in expected.items():
            if name == "loss":
                continue
            for rank in (first, second):
                found = rank["found"][number][name]
                assert torch.allclose(found, tensor, rtol=1e-6, atol=1e-9), f"{LOSSES[number][0]}, {name}"
        mean = (first["found"][number]["loss"] + second["found"][number]["loss"]) / 2
        assert float(mean) == pytest.approx(float(expected["loss"]), rel=1e-6)


def test_one_process_alone_is_as_without():
    plain, synchronised = network(), network()
    synchronise_on_cpu(synchronised)
    assert [type(item) for item in synchronised].count(CpuSyncBatchNorm) == 2
    images, target = whole_batch()
    loss = SegmentationLoss("cross-entropy", None)
    expected, found = (learnt(made, images, target, loss) for made in (plain, synchronised))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert set(synchronised.state_dict()) == set(plain.state_dict())
    assert torch.equal(synchronised.eval()(images), plain.eval()(images))
