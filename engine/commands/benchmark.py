"""Several models on several test sets in one go, beside what was published of them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from engine.commands.benchmark_output import BENCHMARK, write_benchmark
from engine.errors import Cancelled, EngineError, OutputError
from engine.events import Reporter, format_duration
from engine.inference.device import choose_device
from engine.rasters.disk import output_error
from engine.rasters.folder_lock import hold
from engine.rasters.staged_output import check_writable
from engine.requests import BenchmarkRequest
from engine.study.contest import PAIRS, Contest
from engine.study.findings import model_row, pairing_values
from engine.study.study_file import read_study


def run(request: BenchmarkRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Judge every model of a study by every test of it.

    What is done stays in the output folder, so that a run that was stopped, however it was stopped, goes on from there
    when it is started again.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop.

    Returns:
        Paths of folder, report, all results and both tables; `models`: name, test, miou, fscore, precision, recall,
        overall_accuracy (0 to 1, None without a value) and error of each pair; `failed`: those with an error; seconds.

    Raises:
        EngineError: Something is wrong with the study or the output folder, or no model could be judged.
    """
    began = time.monotonic()
    file = read_study(request.study)
    definition = request.definition or file.study.definition
    output = Path(request.output).expanduser().resolve() if request.output else file.output
    device = choose_device(request.device, reporter)
    _open_folder(output)
    with hold(output / PAIRS, output):
        contest = Contest(
            study=file.study,
            definition=definition,
            output=output,
            device=device,
            threads=request.threads,
            predictions=request.predictions,
            anew=request.overwrite,
            reporter=reporter,
            cancelled=cancelled,
        )
        try:
            pairings = contest.run()
        except Cancelled as error:
            raise Cancelled(error.message, "What is done is kept: the same command goes on from there.") from error
        results = [pairing_values(item, definition) for item in pairings]
        reporter.progress(0.98, "Writing the report")
        paths = write_benchmark(file, definition, contest, pairings, results, time.monotonic() - began)
    rows = [model_row(item) for item in results]
    failed = [{"name": row["name"], "test": row["test"], "error": row["error"]} for row in rows if row["error"]]
    _tell(rows, reporter)
    if len(failed) == len(rows):
        first = next(item.error for item in pairings if item.error)
        raise EngineError(
            first.kind,
            f"None of the {len(rows)} evaluations could be made; the first: {first.message}",
            f"{first.hint} The report says it of each: {paths['report']}".strip(),
        )
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {"output": str(output), **paths, "models": rows, "failed": failed, "seconds": round(seconds, 2)}


def _open_folder(output: Path) -> None:
    """Make the output folder, or go on in it.

    Raises:
        OutputError: It is a file, belongs to something else, or cannot be made.
    """
    if os.path.lexists(output) and not output.is_dir():
        raise OutputError(f"The output '{output}' is a file.", "Give the name of a folder.")
    entries = sorted(item.name for item in output.iterdir()) if output.is_dir() else []
    if entries and not {PAIRS, BENCHMARK} & set(entries):
        raise OutputError(
            f"The folder '{output}' holds '{entries[0]}' and no study, so nothing is written into it.",
            "Give the name of a folder that does not exist yet, or of an earlier run of this study.",
        )
    check_writable(output, folder=True)
    try:
        (output / PAIRS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(output, error) from error


def _tell(rows: list[dict[str, Any]], reporter: Reporter) -> None:
    for row in rows:
        where = f"{row['name']} on {row['test']}"
        if row["error"] is None:
            figures = (
                f"{name} {'-' if row[name] is None else f'{100 * row[name]:.2f} %'}" for name in ("miou", "fscore")
            )
            reporter.log(f"{where}: {', '.join(figures)}.")
