"""Outputs that appear whole or not at all.

Everything is written into a hidden folder beside the output, on the same disk,
and renamed from there once it is complete. Until then nothing outside that
folder changes, so that an existing output survives every failure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

from engine.errors import OutputError
from engine.rasters.disk import output_error

_SUFFIX = ".partial"
_open_folders: set[Path] = set()


def check_writable(output: Path, *, folder: bool = False) -> None:
    """Check that a file can be created beside an output; leaves nothing behind.

    Args:
        output: The output.
        folder: It is to be a folder, and may be one already.

    Raises:
        OutputError: The folder is missing or not writable, or the output is itself a folder.
    """
    parent = output.absolute().parent
    if not parent.is_dir():
        raise OutputError(f"The output folder '{parent}' does not exist.", "Create it, or choose another.")
    if output.is_dir() and not folder:
        raise OutputError(f"The output '{output}' is a folder.", "Give the name of a file.")
    try:
        with tempfile.TemporaryFile(dir=parent) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise output_error(output.absolute(), error) from error


def check_overwrite(output: Path, *, overwrite: bool) -> None:
    """Check that an output does not exist, or may be replaced.

    Raises:
        OutputError: It exists and `overwrite` is off.
    """
    if not overwrite and os.path.lexists(output):
        raise OutputError(
            f"The output '{output}' exists already.", "Give another name, or allow it to be replaced (--overwrite)."
        )


class StagedOutput:
    """A hidden folder in which an output and its companions are made, and from which they are renamed.

    Used as a context manager: leaving it removes whatever was not committed.

    Args:
        output: The output's final path; its folder must exist.
        overwrite: Whether an existing output may be replaced.

    Raises:
        OutputError: The output exists and may not be replaced, or its folder is not writable.
    """

    def __init__(self, output: Path, *, overwrite: bool) -> None:
        check_overwrite(output, overwrite=overwrite)
        self._output = output.absolute()
        self._overwrite = overwrite
        self._folder = self._output.with_name(f".{output.name}.{os.getpid()}{_SUFFIX}")

    def __enter__(self) -> StagedOutput:
        self._remove_left_behind()
        try:
            self._folder.mkdir()
        except OSError as error:
            raise output_error(self._folder, error) from error
        _open_folders.add(self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _remove_folder(self._folder)
        _open_folders.discard(self._folder)

    def path(self, name: str) -> Path:
        """Return the path under which a file is to be made; `name` is the one it gets beside the output."""
        return self._folder / name

    def write_text(self, name: str, text: str) -> None:
        """Write a small text file, UTF-8 with Unix line ends.

        Raises:
            OutputError: It could not be written.
        """
        try:
            with self.path(name).open("w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except OSError as error:
            raise output_error(self._output, error) from error

    def commit(
        self, names: Sequence[str], *, stale: Sequence[str] = (), elsewhere: Mapping[str, Path] | None = None
    ) -> None:
        """Rename files or folders to their final names, in the order given: the output itself comes last.

        When one cannot be renamed, those before it are put back as they were.

        Args:
            names: Files and folders made under `path`.
            stale: Companions of an earlier output that the new one does not have; removed.
            elsewhere: Where those of `names` lie that were not made under `path`, but on the same disk and flushed to
                it already; they return there when the commit fails.

        Raises:
            OutputError: The output has appeared meanwhile, or a file could not be replaced.
        """
        check_overwrite(self._output, overwrite=self._overwrite)
        backup = self._folder / "replaced"
        places = {name: self._folder / name for name in names} | dict(elsewhere or {})
        moved: list[tuple[Path, Path | None]] = []
        try:
            for name in names:
                if name not in (elsewhere or {}):
                    synchronise(places[name])
            backup.mkdir()
            # From here on the folder may hold the only copy of a file that is being replaced.
            _open_folders.discard(self._folder)
            for name in [*stale, *names[:-1]]:
                target = self._output.with_name(name)
                kept = backup / name if os.path.lexists(target) else None
                if kept is not None:
                    target.rename(kept)
                moved.append((target, kept))
                if name not in stale:
                    places[name].rename(target)
            places[names[-1]].replace(self._output)
        except OSError as error:
            for target, kept in reversed(moved):
                origin = (elsewhere or {}).get(target.name)
                if origin is not None and not origin.exists():
                    with contextlib.suppress(OSError):
                        target.rename(origin)
                _put_back(target, kept)
            raise output_error(self._output, error) from error

    def _remove_left_behind(self) -> None:
        """Remove what runs that were killed left beside this output."""
        start = f".{self._output.name}."
        try:
            names = [item.name for item in self._output.parent.iterdir()]
        except OSError:
            return
        for name in names:
            owner = name[len(start) : -len(_SUFFIX)]
            if not (name.startswith(start) and name.endswith(_SUFFIX) and owner.isdigit()):
                continue
            if int(owner) == os.getpid() or not psutil.pid_exists(int(owner)):
                _remove_folder(self._output.with_name(name))


def discard_staged_outputs() -> None:
    """Remove everything staged by this process; for a caller that ends it at once, also from a signal handler."""
    for folder in list(_open_folders):
        _remove_folder(folder)


def _remove_folder(folder: Path) -> None:
    # A copy that was abandoned may still be creating a file in it: once more is then enough.
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def _put_back(target: Path, kept: Path | None) -> None:
    with contextlib.suppress(OSError):
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        if kept is not None:
            kept.rename(target)


def synchronise(path: Path) -> None:
    """Flush files to the disk: network folders and quotas report a full disk only then."""
    files = [item for item in path.rglob("*") if item.is_file()] if path.is_dir() else [path]
    for file in files:
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
