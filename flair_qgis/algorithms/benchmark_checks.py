"""What can be known to be wrong before a benchmark starts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Mapping

from ..errors import failure
from ..i18n import tr
from .extract_checks import check_file, is_yaml

VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def check_study(path: str) -> None:
    """Check that a study can be read.

    Args:
        path: Its file; empty where none is chosen.

    Raises:
        QgsProcessingException: None is chosen, it does not exist or is no YAML file.
    """
    if not path:
        raise failure(tr("No study is chosen."), tr("Choose a study file, or a study that comes with the plugin."))
    check_file(path)
    if not is_yaml(path):
        raise failure(tr("{path} is no study: it has to end in .yaml.").format(path=path), tr("Choose another file."))


def check_variables(path: str, given: Mapping[str, str], titles: Mapping[str, str]) -> None:
    """Check that the folders exist that a study leaves open, such as ${FLAIR_DATA}.

    Args:
        path: File of the study.
        given: Folders by variable, besides those of the environment.
        titles: What the dialog calls the parameter of a variable.

    Raises:
        QgsProcessingException: A variable has no value, or a given folder does not exist.
    """
    for folder in given.values():
        if not Path(folder).is_dir():
            raise failure(tr("There is no folder {path}.").format(path=folder), tr("Check the path."))
    for line in Path(path).expanduser().read_text(encoding="utf-8", errors="replace").splitlines():
        text = "" if line.lstrip().startswith("#") else line
        for found in VARIABLE.finditer(text):
            name = found.group(1) or found.group(2)
            if given.get(name) or os.environ.get(name):
                continue
            message = tr("The study needs the folder {variable}, which nobody named.").format(variable=name)
            if name in titles:
                raise failure(message, tr('Choose it as "{title}".').format(title=titles[name]))
            raise failure(message, tr("Set the environment variable, or write the path into a copy of the study."))
