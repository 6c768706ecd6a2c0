"""Train a network on a data set of patches and write a model file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from engine.cancellation import Cancellation
from engine.errors import OutputError
from engine.events import Reporter, SilentReporter, format_duration
from engine.inference.device import choose_device
from engine.rasters.disk import output_error
from engine.rasters.staged_output import check_overwrite, check_writable
from engine.requests import TrainRequest
from engine.text_file import write_whole
from engine.training.distributed import is_first_process
from engine.training.preparation import MEASURED, TrainingJob, prepare
from engine.training.work_folder import WorkFolder

if TYPE_CHECKING:
    from engine.models.changes import TensorChange
    from engine.training.keeper import Keeper


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
    first = is_first_process()
    if not first:
        reporter = SilentReporter()
    stop = cancelled if isinstance(cancelled, Cancellation) else Cancellation()
    output = Path(request.output).expanduser().absolute()
    report = Path(request.report).expanduser().absolute() if request.report else output.with_suffix(".html")
    if first:
        _check_outputs(output, report, request.overwrite)
    device = choose_device(request.device, reporter)
    job = prepare(request, reporter, stop)
    folder = WorkFolder.beside(output)
    fingerprint = _fingerprint(job)
    resume = request.resume and folder.can_resume(fingerprint)
    if resume:
        reporter.log(f"Going on with the training that was interrupted, from '{folder.checkpoint}'.")
    elif first:
        folder.begin(fingerprint, reporter)
    try:
        keeper, arithmetic = _train(job, device, folder, reporter, stop, resume=resume)
    except BaseException:
        if first and not resume:
            folder.remove_unless_begun()
        raise
    if not first:
        return {}
    values = _finish(job, keeper, folder, output, report, device, arithmetic, reporter, stop, time.monotonic() - began)
    reporter.progress(1.0, f"Done in {format_duration(values['seconds'])}", 0.0)
    return values


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
    }


def _train(
    job: TrainingJob, device: str, folder: WorkFolder, reporter: Reporter, cancelled: Cancellation, *, resume: bool
) -> tuple[Keeper, bool]:
    """Train; return what was kept, and whether 16 bits were used."""
    reporter.progress(MEASURED, "Loading the libraries")
    import torch

    from engine.models.freeze import freeze
    from engine.models.initial import build_initial_network
    from engine.training.fit import Hardware, fit, trainer_precision

    request = job.request
    hardware = Hardware.of(device, request.devices, request.nodes, request.workers)
    torch.set_num_threads(request.threads or max(1, (torch.get_num_threads() if device == "cpu" else 4)))
    if device.startswith("cuda"):
        torch.backends.cudnn.benchmark = True
    if hardware.processes > 1:
        _prepare_further_processes(request, folder)
    network, changes = build_initial_network(
        job.manifest,
        encoder_weights=job.recipe.encoder_weights,
        origin=job.origin,
        seed=request.seed,
        # A checkpoint takes the place of what is built here.
        reporter=SilentReporter() if resume else reporter,
    )
    if is_first_process() and not resume:
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


def _prepare_further_processes(request: TrainRequest, folder: WorkFolder) -> None:
    """Let Lightning start this program again for the other processes also when its request came on stdin."""
    if "--request" not in sys.argv:
        return
    path = folder.path / "request.yaml"
    try:
        path.write_text(yaml.safe_dump(request.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    except OSError as error:
        raise output_error(path, error) from error
    sys.argv[1:] = ["train", "--config", str(path)]


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
