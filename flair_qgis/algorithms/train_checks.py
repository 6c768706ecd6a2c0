"""What can be known to be wrong before a training starts, and what its free text holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Collection, Dict, List

from ..errors import failure
from ..i18n import tr
from ..model_file import read_model_file
from .extract_checks import is_yaml

DATASET = "dataset.yaml"
LISTS = ("train.csv", "val.csv")


def check_data(path: str) -> None:
    """Check that a folder holds a data set; what a YAML file says is left to the engine.

    Raises:
        QgsProcessingException: It does not exist, or holds none.
    """
    hint = tr('Choose a folder that "Extract training patches" made, or one with train.csv and val.csv.')
    folder = Path(path).expanduser()
    if folder.is_file() and is_yaml(path):
        return
    if not path or not folder.is_dir():
        raise failure(tr("There is no folder {path}.").format(path=path), hint)
    if not (folder / DATASET).is_file() and not all((folder / name).is_file() for name in LISTS):
        raise failure(tr("The folder {path} holds no data set.").format(path=path), hint)


def check_output(value: Any) -> None:
    """Check the name of the model file.

    Args:
        value: Value of the output's parameter; what is no text is known only when it runs.

    Raises:
        QgsProcessingException: It does not end in .safetensors.
    """
    named = isinstance(value, str) and value not in ("", "TEMPORARY_OUTPUT")
    if named and not value.lower().endswith(".safetensors"):
        raise failure(tr("The model file has to end in .safetensors."), tr("Choose another name."))


def check_start(path: str) -> None:
    """Check a model file to start from.

    Args:
        path: The file; empty for none.

    Raises:
        QgsProcessingException: It is missing, damaged or of a later format.
    """
    if path:
        read_model_file(Path(path).expanduser())


def parse_choices(text: str, taken: Collection[str]) -> Dict[str, str]:
    """Return choices of the recipe by name.

    Args:
        text: Pairs such as `crop=256 scale=1.5`, separated by spaces or lines.
        taken: Names of choices that have a parameter of their own.

    Raises:
        QgsProcessingException: A part is no such pair, comes twice, or has a parameter of its own.
    """
    choices: Dict[str, str] = {}
    for part in re.sub(r"\s*=\s*", "=", text).split():
        key, _, value = part.partition("=")
        key = key.lstrip("-").replace("-", "_")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", key) or not value:
            raise failure(
                tr('Further choices: "{part}" is not key=value.').format(part=part),
                tr("An example: crop=256 scale=1.5."),
            )
        if key in taken:
            raise failure(
                tr('Further choices: "{key}" has a parameter of its own.').format(key=key), tr("Set it there.")
            )
        if choices.setdefault(key, value) != value:
            raise failure(tr('Further choices: "{key}" is given twice.').format(key=key), tr("Keep one of the two."))
    return choices


def parse_codes(text: str) -> List[int]:
    """Return class codes.

    Args:
        text: Such as `0,19`.

    Raises:
        QgsProcessingException: A part is no code.
    """
    parts = text.replace(",", " ").replace(";", " ").split()
    for part in parts:
        if not part.isdigit() or int(part) > 255:
            raise failure(
                tr('Classes to ignore: "{part}" is no class code.').format(part=part), tr("An example: 0,19.")
            )
    return [int(part) for part in parts]


def parse_names(text: str) -> List[str]:
    """Return names separated by commas or spaces."""
    return text.replace(",", " ").replace(";", " ").split()
