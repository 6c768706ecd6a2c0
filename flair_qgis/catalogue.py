"""Names, bands, sizes and licences of the models in the catalogue, and names of the published data sets.

QGIS's Python has no YAML reader everywhere. The plugin needs few keys of `resources/models.yaml` and
`resources/datasets.yaml`, each on a line of its own; a test compares what is read here with what a full reader finds.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Dict, List, Optional

from .model_file import ModelDescription
from .paths import resources

DEFAULT_GROUND_SAMPLING_DISTANCE = 0.2

_NAME = re.compile(r"^  ([^\s#:][^:]*):\s*$")
_VALUE = re.compile(r"^    (bands|ground_sampling_distance|size_mb|licence):\s*(.+?)\s*$")
_DEFAULT = re.compile(r"^  (ground_sampling_distance|licence):\s*(.+?)\s*$")


@cache
def catalogue(path: Optional[Path] = None) -> Dict[str, ModelDescription]:
    """Return the models of the catalogue by name, in its order; empty when the file is missing.

    Args:
        path: Catalogue file; default: the one that ships with the plugin.
    """
    path = path or resources() / "models.yaml"
    if not path.is_file():
        return {}
    models: Dict[str, ModelDescription] = {}
    default = ModelDescription("", (), DEFAULT_GROUND_SAMPLING_DISTANCE)
    section, name = "", ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(r"^[a-z_]+:", line):
            section, name = line.partition(":")[0], ""
        elif section == "defaults" and _DEFAULT.match(line):
            default = _with(default, *_DEFAULT.match(line).groups())
        elif section == "models" and _NAME.match(line):
            name = _NAME.match(line).group(1).strip("\"' ")
            models[name] = default._replace(name=name)
        elif section == "models" and name and _VALUE.match(line):
            models[name] = _with(models[name], *_VALUE.match(line).groups())
    return models


@cache
def data_sets(path: Optional[Path] = None) -> List[str]:
    """Return the names of the published data sets, in the order of their file; none when it is missing.

    Args:
        path: File of sources; default: the one that ships with the plugin.
    """
    path = path or resources() / "datasets.yaml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return re.findall(r"^([a-z][a-z0-9-]*):\s*$", text, re.MULTILINE)


def _with(model: ModelDescription, key: str, value: str) -> ModelDescription:
    if key == "bands":
        return model._replace(bands=tuple(part.strip("\"' ") for part in value.strip("[]").split(",") if part.strip()))
    if key == "licence":
        return model._replace(licence=value.strip("\"' "))
    return model._replace(**{key: float(value)})
