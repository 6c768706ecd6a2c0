"""Runs Lightning, with batches that fit into the memory there is."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from engine.cancellation import Cancellation
from engine.errors import OutOfMemoryError, RequestError
from engine.events import Reporter
from engine.launch import Launch
from engine.recipe import Recipe
from engine.training.checkpoint_io import WholeCheckpoints
from engine.training.distributed import Started, synchronise_on_cpu
from engine.training.keeper import Keeper
from engine.training.loaders import Share, default_workers, judging_loader, training_loader
from engine.training.losses import SegmentationLoss, class_weights
from engine.training.module import SegmentationModule
from engine.training.preparation import PREPARED, TrainingJob
from engine.training.season_module import SeasonModule, season_loss
from engine.training.watcher import Diverged, Watcher, out_of_memory
from engine.training.work_folder import WorkFolder

# Where the progress bar stands when the last epoch is done; then come the report and the model file.
FITTED = 0.97


@dataclass(frozen=True)
class Hardware:
    """What a training runs on.

    Args:
        device: `cpu`, `mps`, `cuda` or `cuda:N`.
        launch: This process among all that train together.
        workers: Processes that read patches, for each of these.
    """

    device: str
    launch: Launch
    workers: int

    @property
    def processes(self) -> int:
        """Processes that train together."""
        return self.launch.processes

    @staticmethod
    def of(device: str, launch: Launch, workers: int | None) -> Hardware:
        """Return what a training runs on.

        Raises:
            RequestError: There are fewer GPUs on this machine than processes.
        """
        local = launch.local_processes
        if local > 1 and device.startswith("cuda") and torch.cuda.device_count() < local:
            raise RequestError(
                f"{local} processes were started on this machine, but {torch.cuda.device_count()} GPU(s) can be seen.",
                "Start one process a GPU; under SLURM, ask for them with --gpus-per-node, not with --gpus-per-task.",
            )
        return Hardware(device, launch, default_workers(device, local) if workers is None else workers)


def fit(
    job: TrainingJob,
    network: nn.Module,
    frozen: list[str],
    hardware: Hardware,
    folder: WorkFolder,
    reporter: Reporter,
    cancelled: Cancellation,
    *,
    resume: bool,
) -> Keeper:
    """Train a network; what was best lies in the work folder afterwards.

    A batch that does not fit into memory is halved, with twice as many of them a step, and the training goes on from
    its last whole epoch.

    Args:
        job: What to learn, and how.
        network: The network; changed in place.
        frozen: Names of its parameters that stay as they are.
        hardware: Devices and processes.
        folder: Where checkpoints, the best model and logs go.
        reporter: Receives progress and each epoch's figures.
        cancelled: Set to stop.
        resume: Whether to begin with the checkpoint in the folder.

    Returns:
        What was kept: history, the best epoch and its confusion matrix.

    Raises:
        RequestError: The batch cannot be dealt out, or the loss became NaN before any epoch was whole.
        OutOfMemoryError: Not even one patch at a time fits.
        Cancelled: `cancelled` was set.
    """
    recipe = job.recipe
    share = Share.of(recipe, hardware.launch.rank, hardware.processes)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()} if share.micro > 1 else None
    while True:
        try:
            return _fit_once(job, network, frozen, hardware, share, folder, reporter, cancelled, resume=resume)
        except Exception as error:
            if "more than 1 value per channel" in str(error):
                raise RequestError(
                    f"{recipe.architecture} cannot learn from {share.micro} patch at a time: some of its layers would "
                    "see a single value.",
                    "Choose a greater --batch-size or a smaller --accumulate.",
                ) from error
            if not out_of_memory(error):
                raise
            if hardware.processes > 1:
                # The others may have had enough, and wait for this one.
                raise OutOfMemoryError(
                    f"{share.micro} patches at a time do not fit into the memory of {hardware.launch.name}.",
                    f"Use --accumulate {recipe.accumulate * 2}: the same batch in smaller parts.",
                ) from error
            if share.micro == 1 or start is None:
                raise OutOfMemoryError(
                    f"Not even one piece of {job.piece} x {job.piece} pixels at a time fits into memory.",
                    "Choose a smaller --crop, or a smaller --encoder.",
                ) from error
            share = _smaller(share)
            reporter.warning(
                f"The memory ran out: {share.micro} patches at a time from now on, {share.accumulate} times a step."
            )
            resume = folder.checkpoint.is_file()
            if not resume:
                network.load_state_dict(start)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _smaller(share: Share) -> Share:
    micro = next(size for size in range(share.micro // 2, 0, -1) if share.micro % size == 0)
    return replace(share, micro=micro, accumulate=share.accumulate * share.micro // micro)


def _fit_once(
    job: TrainingJob,
    network: nn.Module,
    frozen: list[str],
    hardware: Hardware,
    share: Share,
    folder: WorkFolder,
    reporter: Reporter,
    cancelled: Cancellation,
    *,
    resume: bool,
) -> Keeper:
    _quiet_lightning()
    recipe, device = job.recipe, hardware.device
    nomenclature = job.manifest.nomenclature
    pixels = torch.from_numpy(job.class_counts("train").sum(axis=0))
    loss = SegmentationLoss(
        recipe.loss, class_weights(recipe.class_weights, pixels, nomenclature.codes), recipe.label_smoothing
    )
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if share.processes > 1 and device == "cpu":
        synchronise_on_cpu(network)
    kind = SegmentationModule if job.season is None else SeasonModule
    module = kind(
        network,
        job.manifest,
        recipe.model_copy(update={"accumulate": share.accumulate}),
        loss if job.season is None else season_loss(recipe, loss, pixels, job.manifest),
        frozen,
        job.request.seed,
    )
    keeper = Keeper(folder, job.manifest, recipe.monitor, reporter, cancelled)
    callbacks: list[pl.Callback] = [Watcher(reporter, cancelled, keeper, PREPARED, FITTED), keeper]
    if recipe.patience:
        callbacks.insert(1, _early_stopping(recipe))
    trainer = pl.Trainer(
        **_trainer_options(recipe, hardware, idle=job.season is not None and job.season.input.faults.idle_layers),
        max_epochs=recipe.epochs,
        accumulate_grad_batches=share.accumulate,
        gradient_clip_val=recipe.clip or None,
        callbacks=callbacks,
        logger=TensorBoardLogger(str(folder.logs), name="", version="tensorboard"),
        plugins=[WholeCheckpoints(), Started(hardware.launch)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=50,
    )
    judge = judging_loader(job, "val", share.rank, share.processes, share.micro, hardware.workers, device)
    try:
        trainer.fit(
            module,
            training_loader(job, share, hardware.workers, device),
            judge,
            ckpt_path=folder.checkpoint if resume else None,
        )
    except Diverged as error:
        place = f"in epoch {error.epoch}, batch {error.batch}"
        hint = "A lower --learning-rate, --clip 1 or --precision exact helps."
        if keeper.best is None:
            raise RequestError(f"The loss became NaN {place}, before any epoch was whole.", hint) from error
        reporter.warning(
            f"The loss became NaN {place}; the training ends there, and the best epoch ({keeper.best['epoch']:.0f}) "
            f"is kept. {hint}"
        )
    return keeper


def _trainer_options(recipe: Recipe, hardware: Hardware, *, idle: bool) -> dict[str, Any]:
    kind, _, number = hardware.device.partition(":")
    devices = hardware.launch.local_processes
    single = [int(number)] if number and devices == 1 else devices
    options: dict[str, Any] = {
        "accelerator": {"cuda": "gpu"}.get(kind, kind),
        "devices": single,
        "num_nodes": hardware.launch.nodes,
        "precision": trainer_precision(recipe.precision, kind),
    }
    if hardware.processes > 1:
        options["strategy"] = DDPStrategy(
            process_group_backend="nccl" if kind == "cuda" else "gloo", find_unused_parameters=idle
        )
        options["sync_batchnorm"] = kind == "cuda"
    return options


def trainer_precision(precision: str, kind: str) -> Any:
    """Return Lightning's name of a precision on a kind of device.

    Args:
        precision: `auto`, `exact` or `half`; auto is half where the device computes in 16 bits by itself.
        kind: `cpu`, `cuda` or `mps`.
    """
    if kind == "cpu":
        capabilities = torch.cpu.get_capabilities()
        native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
        return "bf16-mixed" if precision == "half" or (precision == "auto" and native) else "32-true"
    if precision == "exact":
        return "32-true"
    if kind == "mps":
        return "16-mixed" if precision == "half" else "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


def _early_stopping(recipe: Recipe) -> EarlyStopping:
    name, mode = ("val_loss", "min") if recipe.monitor == "loss" else ("val_miou", "max")
    return EarlyStopping(name, patience=recipe.patience, mode=mode, check_finite=False, verbose=False)


def _quiet_lightning() -> None:
    # Advice on how to use Lightning is for developers; what concerns a person is said by the reporter.
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric)\..*")
