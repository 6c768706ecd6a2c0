"""The folder of a data set: it appears whole or not at all, and an interrupted run goes on.

In `.<name>.partial/`, beside the data set, lie

- store.json: fingerprint of the run;
- journal.jsonl: one line for each patch that is written: sizes and checksums of its files, and its band sums;
- data/: the data set as it will be;
- replaced/: for a moment, the data set that is being replaced;
- lock: held by the running process.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import filelock

from engine.data.dataset_file import FILE_NAME, SPLITS
from engine.errors import InputError, OutputError
from engine.events import Reporter
from engine.rasters.disk import output_error
from engine.rasters.folder_lock import hold, remove_empty
from engine.rasters.journal import Journal
from engine.rasters.staged_output import check_writable, synchronise
from engine.rasters.store_manifest import FORMAT, read_manifest, reason_to_start_anew, write_manifest
from engine.rasters.tile_file import write_whole

_DOMAIN = re.compile(r"D\d+_.+")


def check_output(output: Path, inputs: Sequence[str], *, overwrite: bool) -> None:
    """Check that a data set can be written, and that nothing else would be lost by that.

    Args:
        output: Absolute path of the data set's folder.
        inputs: Files that are read.
        overwrite: Whether an existing data set may be replaced.

    Raises:
        InputError: A file that is read lies in the folder.
        OutputError: The folder exists already, or cannot be written.
    """
    if not output.name:
        raise OutputError(f"'{output}' cannot be a data set.", "Give the name of a folder that does not exist yet.")
    for path in inputs:
        if not path.startswith("/vsi") and output in Path(path).resolve().parents:
            raise InputError(f"'{path}' lies in the output folder '{output}'.", "Choose another output.")
    if os.path.lexists(output) and not output.is_dir():
        raise OutputError(f"The output '{output}' is a file.", "Give the name of a folder.")
    if output.is_dir() and (entries := sorted(item.name for item in output.iterdir())):
        if not overwrite:
            raise OutputError(
                f"The output folder '{output}' exists already.",
                "Give another name, or allow it to be replaced (--overwrite).",
            )
        known = {FILE_NAME, *(f"{split}.csv" for split in SPLITS)}
        foreign = [name for name in entries if name not in known and not _DOMAIN.fullmatch(name)]
        if foreign or FILE_NAME not in entries:
            what = f"holds '{foreign[0]}'" if foreign else f"has no {FILE_NAME}"
            raise OutputError(
                f"The folder '{output}' {what}, so it is not replaced: it is no data set made here.",
                "Give another name, or move what you want to keep out of it.",
            )
    # Of a name that no folder has, since only what lies around the output is in question.
    check_writable(output, folder=True)


class DatasetFolder:
    """A data set in the making. Made by `open`; `write_patch` is safe to call from several threads."""

    def __init__(self, output: Path, folder: Path, lock: filelock.BaseFileLock, overwrite: bool) -> None:
        self._output = output
        self._folder = folder
        self._data = folder / "data"
        self._lock = lock
        self._overwrite = overwrite
        self._mutex = threading.Lock()
        self._data.mkdir(exist_ok=True)
        self._journal = Journal(folder / "journal.jsonl")
        self.done: dict[str, dict[str, Any]] = self._sound_patches()

    @classmethod
    def open(
        cls, output: Path, fingerprint: Mapping[str, Any], *, overwrite: bool, resume: bool, reporter: Reporter
    ) -> DatasetFolder:
        """Begin a data set, or go on with one that an interrupted run left.

        Args:
            output: Absolute path of the data set's folder; see `check_output`.
            fingerprint: Everything that decides the content, as JSON values. With another one the run starts anew.
            overwrite: Whether an existing data set may be replaced once the new one is complete.
            resume: Whether to go on with what is there.
            reporter: Is told what is taken over, and why it is not.

        Raises:
            OutputError: Another run writes the same data set, or the folder cannot be written.
        """
        folder = _work_folder(output)
        try:
            folder.mkdir(exist_ok=True)
            lock = hold(folder, output)
        except OSError as error:
            raise output_error(folder, error) from error
        try:
            _settle(folder, output)
            manifest = json.loads(
                json.dumps({"format": FORMAT, "fingerprint": fingerprint, "grid": {}, "layers": [], "plan": None})
            )
            earlier = read_manifest(folder)
            reason = reason_to_start_anew(folder, earlier, manifest, resume)
            if earlier is None or reason is not None:
                if reason:
                    reporter.log(reason)
                _clear(folder)
                write_manifest(folder, manifest)
            made = cls(output, folder, lock, overwrite)
        except OSError as error:
            lock.release()
            raise output_error(folder, error) from error
        except BaseException:
            lock.release()
            raise
        if made.done:
            reporter.log(f"Going on with an interrupted run: {len(made.done)} patches are there already.")
        return made

    def write_patch(self, name: str, image: bytes, mask: bytes, facts: Mapping[str, Any]) -> None:
        """Write an image and its mask; once this returns they survive the end of the process.

        Args:
            name: The patch, see `patch_paths`.
            image: Bytes of the image's file.
            mask: Bytes of the mask's file.
            facts: JSON values to be found in `done` by a later run.

        Raises:
            OutputError: The disk is full or the folder cannot be written.
        """
        sums = []
        for path, content in zip(patch_paths(name), (image, mask), strict=True):
            target = self._data / path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_whole(target, content)
                synchronise(target)
            except OSError as error:
                raise output_error(self._output / path, error) from error
            sums.append([len(content), zlib.crc32(content)])
        entry = {"patch": name, "files": sums, **facts}
        with self._mutex:
            try:
                self._journal.append(entry)
            except OSError as error:
                raise output_error(self._folder, error) from error
            self.done[name] = entry

    def commit(self, texts: Mapping[str, str]) -> None:
        """Add small files, and let the data set appear under its name.

        Args:
            texts: Content by file name, in the order in which they are written.

        Raises:
            OutputError: A file cannot be written, or the output has appeared meanwhile.
        """
        check_output(self._output, (), overwrite=self._overwrite)
        replaced = self._folder / "replaced"
        try:
            for name, text in texts.items():
                write_whole(self._data / name, text.encode("utf-8"))
                synchronise(self._data / name)
            if self._output.is_dir():
                self._output.rename(replaced)
            self._data.rename(self._output)
        except OSError as error:
            _settle(self._folder, self._output)
            raise output_error(self._output, error) from error
        self.remove()

    def close(self) -> None:
        """Release the folder; what is written stays for a later run."""
        self._journal.close()
        self._lock.release()

    def remove(self) -> None:
        """Remove what is left of the work folder, and release it."""
        self._journal.close()
        _settle(self._folder, self._output)
        _clear(self._folder)
        remove_empty(self._folder, self._lock)

    def _sound_patches(self) -> dict[str, dict[str, Any]]:
        """Return the lines of the journal whose files are all there, unchanged, by patch."""
        entries = {str(entry.get("patch")): entry for entry in self._journal.entries}
        with ThreadPoolExecutor(4) as pool:
            sound = pool.map(self._is_sound, entries.values())
            return {name: entry for (name, entry), good in zip(entries.items(), sound, strict=True) if good}

    def _is_sound(self, entry: dict[str, Any]) -> bool:
        try:
            for path, (size, crc) in zip(patch_paths(entry["patch"]), entry["files"], strict=True):
                content = (self._data / path).read_bytes()
                if len(content) != size or zlib.crc32(content) != crc:
                    return False
        except (OSError, KeyError, TypeError, ValueError):
            return False
        return True


def patch_paths(name: str) -> tuple[str, str]:
    """Return the paths of image and mask of a patch such as `D001_2021/Z003/000826`, as FLAIR's are."""
    zone, _, number = name.rpartition("/")
    return f"{zone}/img/IMG_{number}.tif", f"{zone}/msk/MSK_{number}.tif"


def _work_folder(output: Path) -> Path:
    return output.with_name(f".{output.name}.partial")


def _settle(folder: Path, output: Path) -> None:
    """Put back a data set whose replacement was interrupted, or remove it when the new one is there."""
    replaced = folder / "replaced"
    if not replaced.is_dir():
        return
    if os.path.lexists(output):
        shutil.rmtree(replaced, ignore_errors=True)
    else:
        replaced.rename(output)


def _clear(folder: Path) -> None:
    """Remove what an earlier run has made, and nothing else."""
    shutil.rmtree(folder / "data", ignore_errors=True)
    for name in ("store.json", "store.json.new", "journal.jsonl"):
        (folder / name).unlink(missing_ok=True)
