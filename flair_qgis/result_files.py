"""Files that a folder of results always holds, under another name where somebody asked for one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Sequence

from qgis.core import QgsProcessing, QgsProcessingContext, QgsProcessingOutputLayerDefinition

from .errors import failure
from .i18n import tr
from .paths import absolute, is_temporary


def named_path(value: Any) -> str:
    """Return the path that somebody gave to an output; empty where it is temporary, left out or not known yet.

    Args:
        value: Value of the output's parameter.
    """
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.staticValue()
    if not isinstance(value, str) or value in ("", QgsProcessing.TEMPORARY_OUTPUT) or is_temporary(value):
        return ""
    return absolute(value)


def check_place(wanted: str, made: Path) -> None:
    """Check that a file may get another name: not one beside its own, in the folder that is replaced as a whole.

    Args:
        wanted: The other name, see `named_path`.
        made: Path that the file has in its folder.

    Raises:
        QgsProcessingException: It may not.
    """
    if not wanted or Path(wanted) == made or made.parent not in Path(wanted).parents:
        return
    raise failure(
        tr("{path} would lie in the folder of results, which is replaced as a whole.").format(path=wanted),
        tr("Choose another folder for it; {name} lies there in any case.").format(name=made.name),
    )


def placed(made: Path, wanted: str, companions: Sequence[str] = ()) -> str:
    """Return where a file lies, after copying it to where somebody wants it.

    Args:
        made: The file in its folder.
        wanted: Its other name; empty, or in the temporary folder, when none was asked for: then it stays.
        companions: What stands in place of the file's suffix, or after it, in the names of files that go with it:
            `.qml`, `.tif.aux.xml`.

    Raises:
        QgsProcessingException: It cannot be written.
    """
    target = Path(named_path(wanted) or made)
    if target == made:
        return str(made)
    try:
        for suffix in companions:
            beside = made.with_name(made.stem + suffix)
            if beside.is_file():
                _copy(beside, target.with_name(target.stem + suffix.replace(made.suffix, target.suffix)))
        _copy(made, target)
    except OSError as error:
        raise failure(
            tr("{path} cannot be written: {reason}.").format(path=target, reason=error.strerror or error),
            tr("Check the folder and the free disk space; the results lie in {folder}.").format(folder=made.parent),
        ) from error
    return str(target)


def load_instead(context: QgsProcessingContext, announced: str, path: str) -> None:
    """Let QGIS load another file than the one it was told of, or none.

    Args:
        context: Where it was told.
        announced: The file it was told of.
        path: The file to load; empty for none.
    """
    if not context.willLoadLayerOnCompletion(announced):
        return
    layers = context.layersToLoadOnCompletion()
    details = layers.pop(announced)
    if path:
        layers[path] = details
    context.setLayersToLoadOnCompletion(layers)


def _copy(source: Path, target: Path) -> None:
    # under its name only once it is whole
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
