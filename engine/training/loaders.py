"""What feeds the network: which patches come in which batch, on which process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from torch.utils.data import DataLoader, Sampler, default_collate

from engine.data.jitter import Jitter
from engine.data.pieces import PatchCache, PatchReader, TrainingPieces, WholePatches
from engine.data.sampling import SamplingPlan, balanced_weights
from engine.data.time_series.season_pieces import (
    SeasonCache,
    SeasonPieces,
    WholeSeasonPatches,
    batch_pieces,
)
from engine.data.time_series.series import SeasonSource
from engine.errors import RequestError
from engine.recipe import Recipe
from engine.training.preparation import TrainingJob
from engine.training.season_job import SeasonJob

# Of the memory that is free, what patches that were read may take.
CACHE_SHARE = 0.25
# Whole patches are larger than pieces and need no gradients: about as much memory.
JUDGED_AT_ONCE = 4


@dataclass(frozen=True)
class Share:
    """Which part of a batch a process gets.

    Args:
        rank: Number of the process, from 0.
        processes: Number of all processes.
        micro: Patches that a process learns from at once.
        accumulate: Batches that make one step.
    """

    rank: int
    processes: int
    micro: int
    accumulate: int

    @staticmethod
    def of(recipe: Recipe, rank: int, processes: int) -> Share:
        """Return the part of a recipe's batch that one of the processes gets.

        Raises:
            RequestError: The batch cannot be dealt out evenly.
        """
        parts = recipe.accumulate * processes
        if recipe.batch_size % parts:
            raise RequestError(
                f"A batch of {recipe.batch_size} patches cannot be dealt out evenly to {processes} processes in "
                f"{recipe.accumulate} parts.",
                f"Choose a --batch-size that is a multiple of {parts}.",
            )
        return Share(rank, processes, recipe.batch_size // parts, recipe.accumulate)

    @property
    def step(self) -> int:
        """Patches of a step, over all processes and accumulated batches."""
        return self.processes * self.micro * self.accumulate


class PieceSampler(Sampler[tuple[int, int, int]]):
    """Deals out the pieces of an epoch: which process gets a piece changes nothing in what is learnt.

    Args:
        plan: Order of the patches.
        share: This process's part.
    """

    def __init__(self, plan: SamplingPlan, share: Share) -> None:
        self._plan = plan
        self._share = share
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls it."""
        self._epoch = epoch

    @property
    def steps(self) -> int:
        """Steps of an epoch; what is left over would make a smaller one and is not learnt from this time."""
        return max(1, self._plan.length // self._share.step)

    def __len__(self) -> int:
        return self.steps * self._share.micro * self._share.accumulate

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        share = self._share
        # A set smaller than a step is gone through more than once.
        order = np.resize(self._plan.order(self._epoch), self.steps * share.step)
        for start in range(share.rank * share.micro, len(order), share.processes * share.micro):
            for position in range(start, start + share.micro):
                yield self._epoch, position, int(order[position])


class DealtPatches(Sampler[int]):
    """Deals out whole patches, the same number to each process; -1 where there is none left.

    Args:
        patches: Number of patches.
        rank: Number of the process, from 0.
        processes: Number of all processes.
    """

    def __init__(self, patches: int, rank: int, processes: int) -> None:
        self._patches, self._rank, self._processes = patches, rank, processes

    def __len__(self) -> int:
        return -(-self._patches // self._processes)

    def __iter__(self) -> Iterator[int]:
        for number in range(len(self)):
            patch = number * self._processes + self._rank
            yield patch if patch < self._patches else -1


def patch_reader(job: TrainingJob, split: str) -> PatchReader:
    """Return the reader of a split's patches."""
    return PatchReader(
        pairs=job.index.pairs[split],
        bands=job.channels,
        table=job.table,
        means=tuple(band.mean for band in job.manifest.bands),
        nodata=job.index.header.nodata,
    )


def training_loader(job: TrainingJob, share: Share, workers: int, device: str) -> DataLoader[Any]:
    """Return the batches to learn from, for this process."""
    counts = job.class_counts("train")
    weights = balanced_weights(counts) if job.recipe.sampling == "balanced" else None
    plan = SamplingPlan(len(counts), weights, job.recipe.repeats, job.request.seed)
    source, jitter = _source(job, "train", workers, share.processes), Jitter(job.recipe, job.manifest.band_names)
    pieces: Any
    if job.season is None:
        pieces = TrainingPieces(source, job.recipe, job.piece, jitter, job.request.seed, counts.sum(axis=0))
    else:
        pieces = SeasonPieces(
            source,
            _seasons(job.season, "train", workers, share.processes),
            job.request.seed,
            quarter_turns=job.recipe.quarter_turns,
            flips=job.recipe.flips,
            satellite_too=not job.season.input.faults.satellite_not_turned,
            jitter=jitter,
            metadata=job.season.metadata.get("train"),
        )
    return DataLoader(
        pieces,
        batch_size=share.micro,
        sampler=PieceSampler(plan, share),
        drop_last=True,
        collate_fn=None if job.season is None else batch_pieces,
        **_options(workers, device),
    )


def judging_loader(
    job: TrainingJob, split: str, rank: int, processes: int, micro: int, workers: int, device: str
) -> DataLoader[Any]:
    """Return the whole patches of a split, for this process."""
    return DataLoader(
        judged_patches(job, split, workers, processes),
        batch_size=min(micro, JUDGED_AT_ONCE),
        sampler=DealtPatches(len(job.index.pairs[split]), rank, processes),
        collate_fn=None if job.season is None else batch_pieces,
        **_options(workers, device),
    )


def judged_patches(job: TrainingJob, split: str, workers: int = 0, processes: int = 1) -> Any:
    """Return the whole patches of a split, by number."""
    source = _source(job, split, workers, processes)
    if job.season is None:
        return WholePatches(source, *job.padded)
    seasons = _seasons(job.season, split, workers, processes)
    return WholeSeasonPatches(source, seasons, job.season.metadata.get(split))


def judged_batch(job: TrainingJob, patches: Any, number: int) -> dict[str, torch.Tensor]:
    """Return one of the patches as a batch."""
    collate = default_collate if job.season is None else batch_pieces
    batch: dict[str, torch.Tensor] = collate([patches[number]])
    return batch


def _source(job: TrainingJob, split: str, workers: int, processes: int) -> PatchCache | PatchReader:
    reader = patch_reader(job, split)
    if workers:
        # Each worker process would keep a store of its own.
        return reader
    return PatchCache(reader, psutil.virtual_memory().available * CACHE_SHARE / processes)


def _seasons(season: SeasonJob, split: str, workers: int, processes: int) -> SeasonSource:
    if workers:
        return season.sources[split]
    return SeasonCache(season.sources[split], psutil.virtual_memory().available * CACHE_SHARE / processes)


def _options(workers: int, device: str) -> dict[str, Any]:
    options: dict[str, Any] = {"num_workers": workers, "pin_memory": device.startswith("cuda")}
    if workers:
        # Forking a process whose threads hold GDAL's or torch's locks can hang it.
        options.update(persistent_workers=True, prefetch_factor=4, multiprocessing_context="spawn")
    return options


def default_workers(device: str, processes: int) -> int:
    """Return how many processes read patches: none on a CPU, whose cores are busy with the network."""
    if not device.startswith("cuda"):
        return 0
    return max(2, min(8, (torch.multiprocessing.cpu_count() - 1) // max(1, processes)))
