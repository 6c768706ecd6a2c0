from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.data.pieces import PatchCache, PatchReader
from engine.data.sampling import SamplingPlan
from engine.training import loaders
from engine.training.loaders import (
    DealtPatches,
    PieceSampler,
    Share,
    default_workers,
    judging_loader,
    patch_reader,
    training_loader,
)
from tests.engine import tiny
from tests.engine.labelled_patches import job_of, write_dataset


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return job_of(write_dataset(folder, (7, 3, 0)), folder / "m.safetensors", bands="blue,red")


def steps_of(plan, processes, micro, accumulate, epoch=2):
    """Return the pieces of each step as sets, over all processes."""
    dealt = []
    for rank in range(processes):
        sampler = PieceSampler(plan, Share(rank, processes, micro, accumulate))
        sampler.set_epoch(epoch)
        pieces = list(sampler)
        assert len(pieces) == len(sampler)
        size = micro * accumulate
        dealt.append([pieces[start : start + size] for start in range(0, len(pieces), size)])
    assert len({len(own) for own in dealt}) == 1
    return [[piece for own in step for piece in own] for step in zip(*dealt, strict=True)]


WAYS = [(p, m, 12 // (p * m)) for p, m in itertools.product((1, 2, 3, 4), (1, 2, 3, 4, 6, 12)) if 12 % (p * m) == 0]


@pytest.mark.parametrize("weights", [None, np.linspace(0.2, 2, 20)], ids=["uniform", "balanced"])
@pytest.mark.parametrize(("processes", "micro", "accumulate"), WAYS)
def test_a_step_learns_from_the_same_pieces_however_they_are_dealt(processes, micro, accumulate, weights):
    plan = SamplingPlan(20, weights, 2, seed=5)
    expected = steps_of(plan, 1, 12, 1)
    found = steps_of(plan, processes, micro, accumulate)
    assert [sorted(step) for step in found] == [sorted(step) for step in expected]
    positions = [position for step in found for _, position, _ in step]
    # 40 pieces make 3 steps of 12; each place of these is dealt once.
    assert sorted(positions) == list(range(36))
    order = plan.order(2)
    assert all(epoch == 2 and patch == order[position] for step in found for epoch, position, patch in step)


def test_a_set_smaller_than_a_step_is_gone_through_more_than_once():
    (step,) = steps_of(SamplingPlan(5, None, 1, seed=0), 2, 3, 2)
    assert sorted(position for _, position, _ in step) == list(range(12))
    seen = np.bincount([patch for _, _, patch in step], minlength=5)
    assert seen.sum() == 12
    assert seen.min() == 2


def test_each_epoch_has_its_order():
    plan = SamplingPlan(12, None, 1, seed=0)
    orders = {tuple(patch for _, _, patch in steps_of(plan, 1, 12, 1, epoch)[0]) for epoch in range(5)}
    assert len(orders) == 5


@pytest.mark.parametrize("patches", [1, 2, 5, 6, 7])
@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_each_patch_is_judged_once(patches, processes):
    dealt = [list(DealtPatches(patches, rank, processes)) for rank in range(processes)]
    assert {len(own) for own in dealt} == {-(-patches // processes)}
    assert len(DealtPatches(patches, 0, processes)) == len(dealt[0])
    flat = [patch for own in dealt for patch in own]
    assert sorted(patch for patch in flat if patch >= 0) == list(range(patches))


def test_the_reader_has_the_jobs_bands_and_classes(job):
    reader = patch_reader(job, "val")
    assert isinstance(reader, PatchReader)
    assert reader.bands == (3, 1)
    assert reader.means == tuple(band.mean for band in job.manifest.bands)
    assert [band.name for band in job.manifest.bands] == ["blue", "red"]
    image, target = reader.read(0)
    pair = job.index.pairs["val"][0]
    assert (image[0] == tiny.read(pair.image, 3)).all()
    assert (image[1] == tiny.read(pair.image, 1)).all()
    assert (target == job.table[tiny.read(pair.mask)]).all()
    # Class 250 in the middle is disabled, and 5 keeps its channel behind it.
    assert set(np.unique(target)) == {0, 1, 3, 4}


def test_batches_to_learn_from(job):
    loader = training_loader(job, Share(0, 1, 4, 1), 0, "cpu")
    batches = list(loader)
    # 7 patches twice make 3 batches of 4.
    assert len(batches) == len(loader) == 3
    for batch in batches:
        assert batch["image"].shape == (4, 2, 32, 32)
        assert batch["target"].shape == (4, 32, 32)
        assert batch["jitter"].shape == (4, 10)
    other = list(training_loader(job, Share(0, 1, 4, 1), 0, "cpu"))
    assert all((a["image"] == b["image"]).all() for a, b in zip(batches, other, strict=True))


def test_batches_to_judge_by(job):
    batches = list(judging_loader(job, "val", 0, 1, 64, 0, "cpu"))
    assert [len(batch["image"]) for batch in batches] == [3]
    shares = [list(judging_loader(job, "val", rank, 2, 2, 0, "cpu")) for rank in range(2)]
    assert [len(own) for own in shares] == [1, 1]
    counted = sum(int((batch["target"] != 255).sum()) for own in shares for batch in own)
    assert counted == int((batches[0]["target"] != 255).sum()) == int(job.class_counts("val").sum())


def test_processes_share_the_memory_for_patches(job, monkeypatch):
    limits = []
    monkeypatch.setattr(loaders, "PatchCache", lambda reader, limit: limits.append(limit) or PatchCache(reader, limit))
    monkeypatch.setattr(loaders.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 8e9}))
    training_loader(job, Share(0, 4, 1, 1), 0, "cpu")
    judging_loader(job, "val", 0, 1, 1, 0, "cpu")
    assert limits == [8e9 * loaders.CACHE_SHARE / 4, 8e9 * loaders.CACHE_SHARE]


def test_workers_by_the_device(monkeypatch):
    monkeypatch.setattr(loaders.torch.multiprocessing, "cpu_count", lambda: 16)
    assert [default_workers("cpu", 1), default_workers("mps", 1)] == [0, 0]
    assert [default_workers("cuda", 1), default_workers("cuda:1", 1), default_workers("cuda", 4)] == [8, 8, 3]
    assert default_workers("cuda", 16) == 2
