"""Outputs in storage: made on disk as any other, and uploaded when they are whole."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine import __version__
from engine.cache import cache_folder
from engine.errors import InputError, OutputError
from engine.events import Reporter
from engine.part_reporter import PartReporter
from engine.rasters.disk import output_error
from engine.rasters.folder_lock import hold, remove_whole
from engine.rasters.input_files import listed_files
from engine.rasters.source import stamp
from engine.remote_path import bucket_and_key, is_remote, shown
from engine.requests import Request
from engine.storage.client import Storage
from engine.storage.upload import abort_begun, check_permission, upload
from engine.text_file import write_whole

VARIABLE = "FLAIR_WORK_DIR"
# Share of the progress bar; the rest is the upload.
_MADE = 0.9
_FINISHED, _SENT, _BEGUN = "finished.json", "sent.txt", "begun.json"
# These say how a result is made, not which.
_NOT_THE_RESULT = {"overwrite", "resume", "memory", "threads", "workers", "scheduler"}

Kind = TypeVar("Kind", bound=Request)
Run = Callable[[Kind, Reporter, threading.Event], dict[str, Any]]


def uploads(*fields: str, folder: bool = False) -> Callable[[Run[Kind]], Run[Kind]]:
    """Let a command write outputs whose address lies in storage.

    The command itself runs with paths on disk, in a folder below FLAIR_WORK_DIR (default: the user's cache). When it
    has ended well, its files are uploaded: companions first, the main output last. A file appears in storage when its
    last byte has arrived. When the upload breaks, the files stay on disk, and the same command only uploads them.

    Args:
        fields: Names of the request's outputs, the main one first.
        folder: Whether these are folders rather than files.
    """

    def decorate(run: Run[Kind]) -> Run[Kind]:
        @functools.wraps(run)
        def wrapped(request: Kind, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
            remote = {name: value for name in fields if is_remote(value := getattr(request, name) or "")}
            if not remote:
                return run(request, reporter, cancelled)
            with Storage(OutputError, cancelled) as storage:
                job = _Job(request, remote, folder, storage)
                job.check()
                return _run(job, run, reporter, cancelled)

        return wrapped

    return decorate


@dataclass(frozen=True)
class _Job:
    """Outputs of a request, by the name of their field, that go to storage."""

    request: Request
    remote: dict[str, str]
    folders: bool
    storage: Storage

    @property
    def folder(self) -> Path:
        """Where the outputs are made; the same for the same addresses."""
        chosen = os.environ.get(VARIABLE)
        root = Path(chosen).expanduser().absolute() if chosen else cache_folder() / "uploads"
        places = json.dumps([self.storage.endpoint.host, sorted(self.remote.values())])
        return root / hashlib.sha256(places.encode()).hexdigest()[:16]

    def local(self, name: str) -> Path:
        """Return where an output is made."""
        return self.folder / name / bucket_and_key(self.remote[name].rstrip("/"))[1].rpartition("/")[2]

    def check(self) -> None:
        """Check that the outputs can be stored and replace nothing that must not be replaced.

        Raises:
            EngineError: They cannot.
        """
        wanted = list(self.remote.values())
        if len({item.rstrip("/") for item in wanted}) < len(wanted):
            raise InputError("Two outputs have the same name.", "Give each its own.")
        given = _texts(self.request.model_dump(exclude=set(self.remote)))
        for path in wanted:
            if not all(bucket_and_key(path)) or (path.endswith("/") and not self.folders):
                raise OutputError(f"'{shown(path)}' names no file.", "Write s3://BUCKET/KEY.")
            if path in given:
                raise InputError(f"'{shown(path)}' is both input and output.", "Give the output another name.")
            if not (self.folders and (self.folder / _SENT).is_file()):
                self.check_overwrite(path)
            check_permission(self.storage, f"{path.rstrip('/')}/.flair" if self.folders else path)

    def check_overwrite(self, path: str) -> None:
        """Check that an output is not there, or may be replaced.

        Raises:
            OutputError: It is there and may not.
        """
        if getattr(self.request, "overwrite", False):
            return
        there = self.storage.names(f"{path.rstrip('/')}/", 1) if self.folders else self.storage.look(path)
        if there:
            raise OutputError(
                f"The output '{shown(path)}' exists already.",
                "Give another name, or allow it to be replaced (--overwrite).",
            )

    def fingerprint(self) -> str:
        """Return what tells this result from others: the options, and the versions of all files that they name."""
        values = self.request.model_dump(exclude=_NOT_THE_RESULT)
        named = sorted(_texts(values) - set(self.remote.values()))
        stamps = [[path, *stamp(path)] for text in named for path in _files_of(text)]
        text = json.dumps([__version__, self.storage.endpoint.host, values, stamps], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def files(self) -> list[tuple[Path, str]]:
        """Return the finished files and where each goes, in the order of their upload."""
        found: list[tuple[Path, str]] = []
        # The main output comes last: when it is there, everything is.
        for name in reversed(self.remote):
            main, target = self.local(name), self.remote[name].rstrip("/")
            top = main if self.folders else main.parent
            inside = [item for item in sorted(top.rglob("*")) if item.is_file() and not _hidden(item, top)]
            inside.sort(key=lambda item: (item == main, item.suffix.lower() == ".html"))
            base = target if self.folders else target.rpartition("/")[0]
            found += [(item, f"{base}/{item.relative_to(top).as_posix()}") for item in inside]
        return found


def _run(job: _Job, run: Run[Any], reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    folder = job.folder
    try:
        for name in job.remote:
            job.local(name).parent.mkdir(parents=True, exist_ok=True)
        lock = hold(folder, folder / job.local(next(iter(job.remote))).name)
    except OSError as error:
        raise output_error(folder / "output", error) from error
    try:
        abort_begun(job.storage, folder / _BEGUN)
        result = _finished(job)
        if result is None:
            result = _made(job, run, PartReporter(reporter, 0.0, _MADE), cancelled)
        else:
            reporter.log("An earlier run has made these outputs: they are only uploaded.")
        try:
            _upload(job, reporter)
        except BaseException:
            reporter.log(f"The finished files are kept in '{folder}': the same command only uploads them.")
            raise
    except BaseException:
        if any(item.is_file() for item in folder.rglob("*") if item != folder / "lock"):
            lock.release()
        else:
            remove_whole(folder, lock)
        raise
    remove_whole(folder, lock)
    reporter.progress(1.0, "Uploaded", 0.0)
    return result


def _made(job: _Job, run: Run[Any], reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    (job.folder / _FINISHED).unlink(missing_ok=True)
    (job.folder / _SENT).unlink(missing_ok=True)
    fingerprint = job.fingerprint()
    # What lies there is of this command's own making.
    local = {name: str(job.local(name)) for name in job.remote} | {"overwrite": True}
    made = run(job.request.model_copy(update=local), reporter, cancelled)
    result: dict[str, Any] = _with_addresses(made, job)
    write_whole(job.folder / _FINISHED, json.dumps({"fingerprint": fingerprint, "result": result}))
    return result


def _finished(job: _Job) -> dict[str, Any] | None:
    """Return the result of an earlier run whose files wait to be uploaded, or None."""
    try:
        values = json.loads((job.folder / _FINISHED).read_text(encoding="utf-8"))
        result: dict[str, Any] = values["result"]
        same = values["fingerprint"] == job.fingerprint()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = same and all(job.local(name).exists() for name in job.remote)
    return result if whole and getattr(job.request, "resume", True) else None


def _upload(job: _Job, reporter: Reporter) -> None:
    done = job.folder / _SENT
    already = set(done.read_text(encoding="utf-8").splitlines()) if done.is_file() else set()
    files = [(file, path) for file, path in job.files() if path not in already]
    total = sum(file.stat().st_size for file, _ in files)
    began, gone = time.monotonic(), 0

    def sent(size: int) -> None:
        nonlocal gone
        gone += size
        share = gone / max(total, 1)
        left = (time.monotonic() - began) * (1 - share) / share if share > 0.02 else None
        text = f"Uploading {gone / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        reporter.progress(min(0.999, _MADE + (1 - _MADE) * share), text, left)

    try:
        with done.open("a", encoding="utf-8") as journal:
            for file, path in files:
                if path in job.remote.values():
                    # It may have come to be there meanwhile.
                    job.check_overwrite(path)
                upload(job.storage, file, path, job.folder / _BEGUN, sent)
                journal.write(f"{path}\n")
                journal.flush()
    except OSError as error:
        raise output_error(job.folder / "output", error) from error


def _with_addresses(values: Any, job: _Job) -> Any:
    """Return a result with addresses in place of the paths on disk."""
    if isinstance(values, dict):
        return {key: _with_addresses(item, job) for key, item in values.items()}
    if isinstance(values, list):
        return [_with_addresses(item, job) for item in values]
    if isinstance(values, str):
        for name, address in job.remote.items():
            main = job.local(name)
            if values == str(main) or values.startswith(str(main) + os.sep):
                return address.rstrip("/") + values[len(str(main)) :].replace(os.sep, "/")
            if not job.folders and values.startswith(str(main.parent) + os.sep):
                return address.rpartition("/")[0] + values[len(str(main.parent)) :].replace(os.sep, "/")
    return values


def _texts(values: Any) -> set[str]:
    if isinstance(values, str):
        return {values}
    inner = values.values() if isinstance(values, dict) else values if isinstance(values, list) else ()
    return {text for item in inner for text in _texts(item)}


def _files_of(text: str) -> list[str]:
    """Return the files that a value names, if it names any: itself, or those of a folder or a list."""
    try:
        return listed_files([text])
    except InputError:
        return [text]


def _hidden(file: Path, top: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(top).parts)
