"""Train a network on a data set of patches and write a model file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import __version__
from engine.cancellation import Cancellation
from engine.errors import EngineError, InputError, OutputError, RequestError
from engine.events import Reporter, SilentReporter, format_duration
from engine.inference.device import choose_device
from engine.launch import Launch, current_launch
from engine.rasters.disk import output_error
from engine.rasters.staged_output import check_overwrite, check_writable
from engine.requests import TrainRequest
from engine.text_file import write_whole
from engine.training.further_processes import start_further_processes
from engine.training.preparation import MEASURED, TrainingJob, prepare
from engine.training.work_folder import WorkFolder

if TYPE_CHECKING:
    from engine.models.changes import TensorChange
    from engine.training.keeper import Keeper
    from engine.training.meeting import Meeting


def run(request: TrainRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Train a network.

    Args:
        request: What to do.
        reporter: Receives progress, each epoch's figures and warnings.
        cancelled: Set to stop; the best model so far and the last whole epoch are kept in the work folder.

    Returns:
        Paths of model, report and work folder; best epoch and its figures; seconds.

    Raises:
        EngineError: Something is wrong with the request, the data, the starting model, the device or the disk.
    """
    began = time.monotonic()
    stop = cancelled if isinstance(cancelled, Cancellation) else Cancellation()
    launch = _launch(request, stop)
    if launch.rank:
        reporter = SilentReporter()
    meeting = _meeting(launch, stop) if launch.processes > 1 else None
    output = Path(request.output).expanduser().absolute()
    report = Path(request.report).expanduser().absolute() if request.report else output.with_suffix(".html")
    folder = WorkFolder.beside(output)
    try:
        if launch.rank == 0:
            _check_outputs(output, report, request.overwrite)
        device = choose_device(request.device, reporter)
        job = prepare(request, reporter, stop)
        if meeting:
            _check_share(job, device, launch)
    except EngineError as error:
        raise meeting.refuse(error) if meeting else error from error
    resume = _begin(job, folder, reporter, meeting)
    try:
        keeper, arithmetic = _train(job, device, launch, folder, reporter, stop, meeting, resume=resume)
    except BaseException as error:
        if launch.rank == 0 and not resume:
            folder.remove_unless_begun()
        if meeting:
            raise meeting.end(error) from error
        raise
    if launch.rank:
        return {}
    values = _finish(job, keeper, folder, output, report, device, arithmetic, reporter, stop, time.monotonic() - began)
    reporter.progress(1.0, f"Done in {format_duration(values['seconds'])}", 0.0)
    return values


def _launch(request: TrainRequest, cancelled: Cancellation) -> Launch:
    """Return this process's place among all, and start the others where nobody did."""
    launch = current_launch()
    if launch.starter:
        for option, wanted, there in (
            ("devices", request.devices, launch.local_processes),
            ("nodes", request.nodes, launch.nodes),
        ):
            if wanted not in (1, there):
                raise RequestError(
                    f"{wanted} {option} are asked for, but {launch.starter} started processes for {there}.",
                    f"Leave --{option} out: it follows from how the training is started.",
                )
        return launch
    if request.nodes > 1:
        raise RequestError(
            f"{request.nodes} machines cannot be reached from here: this is a single process.",
            "Start the training with torchrun on each of them, or with srun of SLURM.",
        )
    return start_further_processes(request, cancelled) if request.devices > 1 else launch


def _meeting(launch: Launch, cancelled: Cancellation) -> Meeting:
    from engine.training.meeting import meet

    return meet(launch, cancelled)


def _check_share(job: TrainingJob, device: str, launch: Launch) -> None:
    from engine.training.fit import Hardware
    from engine.training.loaders import Share

    Share.of(job.recipe, launch.rank, launch.processes)
    Hardware.of(device, launch, None)


def _begin(job: TrainingJob, folder: WorkFolder, reporter: Reporter, meeting: Meeting | None) -> bool:
    """Return whether the training goes on from a checkpoint; all processes follow the first."""
    fingerprint = _fingerprint(job)

    def decide() -> dict[str, Any]:
        resume = (job.request.resume or _restarted()) and folder.can_resume(fingerprint)
        if resume:
            reporter.log(f"Going on with the training that was interrupted, from '{folder.checkpoint}'.")
        else:
            folder.begin(fingerprint, reporter)
        return {"resume": resume}

    if meeting is None:
        return bool(decide()["resume"])
    # Statistics may differ in the last digit between kinds of processors: those of the first process are used.
    options = {key: value for key, value in fingerprint.items() if key not in ("data", "manifest")}
    found = {"data": fingerprint["data"], "options": json.loads(json.dumps(options)), "version": __version__}
    resume = bool(meeting.settle(found, decide)["resume"])
    if resume and not folder.checkpoint.is_file():
        raise meeting.end(
            InputError(
                f"'{folder.checkpoint}' cannot be seen from this machine.",
                "Write the model into a folder that all machines share.",
            )
        )
    return resume


def _restarted() -> bool:
    """Return whether torchrun or SLURM started the same run again: `--no-resume` was said of the first time."""
    return any(int(os.environ.get(name) or 0) for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def _check_outputs(output: Path, report: Path, overwrite: bool) -> None:
    for path in (output, report):
        check_writable(path)
    check_overwrite(output, overwrite=overwrite)


def _fingerprint(job: TrainingJob) -> dict[str, Any]:
    """Return what makes a run another one, as JSON values; devices and processes do not."""
    manifest = replace(job.manifest, provenance={}, licence="", name="")
    return {
        "recipe": json.loads(job.recipe.fingerprint()),
        "data": job.index.fingerprint,
        "manifest": hashlib.sha256(manifest.to_json().encode()).hexdigest(),
        "origin": job.origin.sha256 if job.origin else None,
        "channels": list(job.channels),
        "piece": job.piece,
        "seed": job.request.seed,
        **({} if job.season is None else {"season": job.season.fingerprint}),
    }


def _train(
    job: TrainingJob,
    device: str,
    launch: Launch,
    folder: WorkFolder,
    reporter: Reporter,
    cancelled: Cancellation,
    meeting: Meeting | None,
    *,
    resume: bool,
) -> tuple[Keeper, bool]:
    """Train; return what was kept, and whether 16 bits were used."""
    reporter.progress(MEASURED, "Loading the libraries")
    import torch

    from engine.models.freeze import freeze
    from engine.models.initial import build_initial_network
    from engine.training.fit import Hardware, fit, trainer_precision

    request = job.request
    hardware = Hardware.of(device, launch, request.workers)
    torch.set_num_threads(request.threads or _threads(device, launch))
    if device.startswith("cuda"):
        torch.backends.cudnn.benchmark = True
    if meeting:
        from engine.training.distributed import join

        join(launch, meeting.store, device)
    network, changes = build_initial_network(
        job.manifest,
        encoder_weights=job.recipe.encoder_weights,
        origin=job.origin,
        seed=request.seed,
        # A checkpoint takes the place of what is built here.
        reporter=SilentReporter() if resume else reporter,
        satellite_dropout=job.recipe.satellite_dropout,
    )
    if launch.rank == 0 and not resume:
        _write_changes(changes, folder.logs / "tensors.csv")
    frozen = freeze(network, job.recipe.freeze)
    if frozen:
        reporter.log(f"{len(frozen)} tensors of the encoder stay as they are.")
    still = [change.name for change in changes if change.what == "widened" and change.name in frozen]
    if still:
        reporter.warning(f"{', '.join(still)} was made for other bands and is frozen: the new bands stay guesses.")
    precision = trainer_precision(job.recipe.precision, device.partition(":")[0])
    where = f"{hardware.processes} x {device}" if hardware.processes > 1 else device
    reporter.log(f"{job.recipe.architecture} with {job.recipe.encoder} learns on {where} ({precision}).")
    keeper = fit(job, network, frozen, hardware, folder, reporter, cancelled, resume=resume)
    return keeper, precision != "32-true"


def _write_changes(changes: list[TensorChange], path: Path) -> None:
    """Write where each tensor of the network began."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["tensor", "start", "note"])
    writer.writerows([item.name, item.what, item.note] for item in changes)
    write_whole(path, text.getvalue())


def _threads(device: str, launch: Launch) -> int:
    import torch

    if device != "cpu":
        return 4
    # Whoever set it shared the cores out already; torchrun does.
    sharing = 1 if "OMP_NUM_THREADS" in os.environ else launch.local_processes
    return max(1, torch.get_num_threads() // sharing)


def _finish(
    job: TrainingJob,
    keeper: Keeper,
    folder: WorkFolder,
    output: Path,
    report: Path,
    device: str,
    half: bool,
    reporter: Reporter,
    cancelled: Cancellation,
    seconds: float,
) -> dict[str, Any]:
    """Judge the best model, write the report and put the model file into its place."""
    from engine.commands.training_report import report_training

    if keeper.best is None:
        raise OutputError("No epoch could be judged, so there is no best model.", "Look at the log for the reason.")
    figures = report_training(job, keeper, folder, report, device, half, seconds, reporter, cancelled)
    _put_in_place(folder.best, output)
    folder.finish()
    best = keeper.best
    return {
        "output": str(output),
        "report": str(report),
        "folder": str(folder.path),
        "epoch": int(best["epoch"]),
        "epochs": len(keeper.history),
        "miou": round(best["miou"], 5),
        "loss": round(best["val_loss"], 5),
        **{key: round(value, 5) for key, value in figures.items() if not math.isnan(value)},
        "seconds": round(seconds, 2),
    }


def _put_in_place(best: Path, output: Path) -> None:
    """Copy the best model to its final name, whole or not at all."""
    partial = output.with_name(f".{output.name}.partial")
    try:
        shutil.copyfile(best, partial)
        partial.replace(output)
    except OSError as error:
        raise output_error(output, error) from error
    finally:
        partial.unlink(missing_ok=True)
