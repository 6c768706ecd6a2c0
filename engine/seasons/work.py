"""Where a series is made, out of sight, and from where an interrupted run goes on."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock

from engine.errors import OutputError
from engine.rasters.disk import output_error
from engine.rasters.folder_lock import hold, remove_whole
from engine.rasters.tile_store import work_folder
from engine.seasons.date_image import DateFacts

_REQUEST, _SERIES, _FACTS = "request.json", "series", "facts"


class SeriesWork:
    """A work folder beside the output.

    Args:
        output: Folder that is to appear.
        fingerprint: What the run depends on, as JSON values: another one begins anew.
        resume: Go on with what is there.

    Raises:
        OutputError: The folder cannot be made, or another run holds it.
    """

    def __init__(self, output: Path, fingerprint: Any, *, resume: bool) -> None:
        self.folder = work_folder(output)
        self.series = self.folder / _SERIES
        self.resumed = False
        text = json.dumps(fingerprint, sort_keys=True)
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock: filelock.BaseFileLock = hold(self.folder, output)
            known = self.folder / _REQUEST
            self.resumed = resume and known.is_file() and known.read_text(encoding="utf-8") == text
            if not self.resumed:
                for name in (_SERIES, _FACTS):
                    shutil.rmtree(self.folder / name, ignore_errors=True)
            self.series.mkdir(exist_ok=True)
            (self.folder / _FACTS).mkdir(exist_ok=True)
            known.write_text(text, encoding="utf-8")
        except OutputError:
            raise
        except OSError as error:
            raise output_error(output, error) from error

    def facts(self, name: str) -> DateFacts | None:
        """Return what is known of a date that is done, by the name of its image."""
        try:
            return DateFacts(**json.loads((self.folder / _FACTS / f"{name}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, name: str, facts: DateFacts) -> None:
        """Remember that a date is done.

        Raises:
            OutputError: It cannot be written.
        """
        path = self.folder / _FACTS / f"{name}.json"
        try:
            staged = path.with_suffix(".new")
            staged.write_text(json.dumps(asdict(facts)), encoding="utf-8")
            staged.replace(path)
        except OSError as error:
            raise output_error(path, error) from error

    @property
    def begun(self) -> bool:
        """Whether any date is done."""
        return any((self.folder / _FACTS).glob("*.json"))

    def close(self) -> None:
        """Let go of the folder, and leave it where it is."""
        self._lock.release()

    def remove(self) -> None:
        """Remove the folder."""
        remove_whole(self.folder, self._lock)
