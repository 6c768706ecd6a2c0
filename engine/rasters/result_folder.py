"""A folder of results that appears whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError, OutputError
from engine.rasters.disk import output_error
from engine.rasters.staged_output import StagedOutput, check_writable


@dataclass(frozen=True)
class FolderKind:
    """What a command writes into its folder; a folder with anything else in it is never replaced.

    Args:
        noun: What the folder holds, in the singular, such as "evaluation".
        files: Names of all files that may lie in it. QGIS writes statistics of its own into the `.aux.xml` beside a
            raster; list it too.
        pattern: Regular expression of further names, where their number depends on the input; empty for none.
    """

    noun: str
    files: frozenset[str]
    pattern: str = ""

    def check(self, output: Path, inputs: Sequence[str], *, overwrite: bool) -> None:
        """Check that the folder can be written, and that nothing else would be lost by that.

        Args:
            output: Absolute path of the folder.
            inputs: Files that are read.
            overwrite: Whether earlier results may be replaced.

        Raises:
            InputError: A file that is read lies in the folder.
            OutputError: The folder exists already, holds other files, or cannot be written.
        """
        if not output.name:
            raise OutputError(f"'{output}' cannot be the output.", "Give the name of a folder that does not exist yet.")
        if os.path.lexists(output) and not output.is_dir():
            raise OutputError(f"The output '{output}' is a file.", "Give the name of a folder.")
        for path in inputs:
            if not path.startswith("/vsi") and output in Path(path).expanduser().resolve().parents:
                raise InputError(f"'{path}' lies in the output folder '{output}'.", "Choose another output.")
        entries = sorted(item.name for item in output.iterdir()) if output.is_dir() else []
        if entries and not overwrite:
            raise OutputError(
                f"The output folder '{output}' exists already.",
                "Give another name, or allow it to be replaced (--overwrite).",
            )
        foreign = [name for name in entries if name not in self.files and not re.fullmatch(self.pattern, name)]
        if foreign:
            raise OutputError(
                f"The folder '{output}' holds '{foreign[0]}', so it is not replaced: it is no {self.noun} made here.",
                "Give another name, or move what you want to keep out of it.",
            )
        # Of a name that no folder has, since only what lies around the output is in question.
        check_writable(output, folder=True)

    @contextmanager
    def staged(self, output: Path, *, overwrite: bool) -> Iterator[ResultFolder]:
        """Let a folder be filled out of sight, and let it appear under its name when all went well.

        Args:
            output: Absolute path of the folder; see `check`.
            overwrite: Whether earlier results may be replaced.

        Raises:
            OutputError: The folder has appeared meanwhile, or could not be written.
        """
        with StagedOutput(output, overwrite=True) as staged:
            folder = ResultFolder(output, staged.path(output.name), staged.path(f"{output.name}.work"))
            try:
                folder.path.mkdir()
                folder.work.mkdir()
            except OSError as error:
                raise output_error(output, error) from error
            yield folder
            self.check(output, (), overwrite=overwrite)
            staged.commit([output.name], stale=[output.name] if output.is_dir() else [])


class ResultFolder:
    """A folder in the making; made by `FolderKind.staged`.

    Args:
        output: The folder's final path.
        path: Where its files are written.
        work: For files that are needed on the way only.
    """

    def __init__(self, output: Path, path: Path, work: Path) -> None:
        self.output, self.path, self.work = output, path, work
