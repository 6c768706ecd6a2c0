"""Checks a data set on disk, and writes the lists of its official split."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.data.checksums import compare_checksum, read_checksums
from engine.data.dataset_file import FILE_NAME, DatasetFile
from engine.data.folder_check import FolderCheck, Problem, check_folder, in_parallel
from engine.data.patch_folder import PatchFolder, find_patches
from engine.data.split_lists import write_lists
from engine.errors import FaultyResult, InputError
from engine.events import Reporter, format_duration
from engine.nomenclature import NODATA, Nomenclature, resolve_nomenclature
from engine.rasters.staged_output import check_writable
from engine.requests import DatasetCheckRequest
from engine.text_file import write_whole

# FLAIR-HUB counts its 19 classes from 0, in an order of its own.
_HUB_CODES = range(19)
_OFFICIAL = "flair-1"
# As many problems as a person reads; the rest is counted, and stands in the report.
_SHOWN = 10


def run(request: DatasetCheckRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Check a data set.

    Args:
        request: What to check.
        reporter: Receives progress and what was found.
        cancelled: Set to stop.

    Returns:
        Folder, layout, patches, sound ones, problems and notes by kind, pixels by class code, lists, report, seconds;
        a `FaultyResult` where something is wrong.

    Raises:
        EngineError: The folder holds no patches, or a list or the report cannot be written.
    """
    began = time.monotonic()
    folder = Path(request.folder).expanduser().resolve()
    report = Path(request.report).expanduser().absolute() if request.report else None
    if report is not None:
        check_writable(report)
    reporter.progress(0.0, "Looking for images and masks")
    found = find_patches(folder, request.layout)
    if not (found.pairs or found.images_alone or found.masks_alone):
        raise InputError(
            f"There are no patches in '{folder}'.",
            "Images are found as IMG_*.tif or *_AERIAL_RGBI_*.tif, masks as MSK_*.tif or *_AERIAL_LABEL-COSIA_*.tif.",
        )
    noted = read_checksums(folder) if request.checksums else []
    nomenclature = _nomenclature(request, folder)
    codes = _HUB_CODES if found.layout == "flair-hub" else {NODATA, *nomenclature.codes}
    share = len(found.pairs) / max(len(found.pairs) + len(noted), 1)

    def tell(done: int, left: float | None) -> None:
        text = f"Looking at the patches, {done} of {len(found.pairs)}"
        reporter.progress(0.99 * share * done / len(found.pairs), text, left)

    checked = check_folder(found, codes, tell, cancelled)
    problems = [*checked.problems, *_wrong_sums(noted, share, reporter, cancelled)]
    _say(found, problems, folder, reporter)
    if report is not None:
        write_whole(report, _table(problems, folder))
    lists = _lists(checked, found, folder, reporter) if request.lists else {}
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    wrong = sum(not problem.note for problem in problems)
    values = {
        "folder": request.folder,
        "layout": found.layout,
        "patches": len(found.pairs),
        "sound": len(checked.sound),
        "wrong": wrong,
        "problems": dict(Counter(problem.kind for problem in problems if not problem.note)),
        "notes": dict(Counter(problem.kind for problem in problems if problem.note)),
        "pixels": {code: int(count) for code, count in enumerate(checked.pixels) if count},
        "lists": lists,
        "report": request.report,
        "seconds": round(seconds, 2),
    }
    return FaultyResult(values) if wrong else values


def _nomenclature(request: DatasetCheckRequest, folder: Path) -> Nomenclature:
    if request.nomenclature == "flair" and (folder / FILE_NAME).is_file():
        return DatasetFile.read(folder / FILE_NAME).nomenclature
    return resolve_nomenclature(request.nomenclature)


def _wrong_sums(
    noted: Sequence[tuple[Path, str]], share: float, reporter: Reporter, cancelled: threading.Event
) -> list[Problem]:
    def tell(done: int, left: float | None) -> None:
        text = f"Comparing checksums, {done} of {len(noted)}"
        reporter.progress(0.99 * (share + (1 - share) * done / len(noted)), text, left)

    return [problem for problem in in_parallel(compare_checksum, noted, tell, cancelled) if problem is not None]


def _say(found: PatchFolder, problems: Sequence[Problem], folder: Path, reporter: Reporter) -> None:
    reporter.log(f"{len(found.pairs)} pairs of image and mask ({found.layout}).")
    wrong = [problem for problem in problems if not problem.note]
    for problem in wrong[:_SHOWN]:
        reporter.warning(f"{problem.kind}: {_relative(problem.file, folder)}{_tail(problem.detail)}")
    if len(wrong) > _SHOWN:
        reporter.warning(f"and {len(wrong) - _SHOWN} more problems")
    for kind, count in Counter(problem.kind for problem in wrong).items():
        reporter.log(f"{kind}: {count}")
    for kind, count in Counter(problem.kind for problem in problems if problem.note).items():
        detail = next(problem.detail for problem in problems if problem.kind == kind)
        reporter.log(f"Note, {kind}: {detail or count}")
    if not wrong:
        reporter.log("Nothing is wrong.")


def _tail(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _table(problems: Sequence[Problem], folder: Path) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("severity", "problem", "file", "detail"))
    for problem in problems:
        writer.writerow(
            ("note" if problem.note else "error", problem.kind, _relative(problem.file, folder), problem.detail)
        )
    return stream.getvalue()


def _lists(checked: FolderCheck, found: PatchFolder, folder: Path, reporter: Reporter) -> dict[str, int]:
    if found.layout == "flair-hub":
        raise InputError(
            "FLAIR-HUB's official splits are by patch, in its GLOBAL_ALL_MTD_SPLIT.gpkg: no lists are written.",
            "Leave --lists out.",
        )
    left = len(found.pairs) - len(checked.sound)
    if left:
        reporter.warning(f"{left} pairs with something wrong are left out of the lists.")
    return write_lists(checked.sound, folder, _OFFICIAL, reporter)
