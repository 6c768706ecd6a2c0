"""Names and bands of the models in the catalogue.

QGIS's Python has no YAML reader everywhere. The plugin needs few keys of `resources/models.yaml`, each on a line of its
own; a test compares what is read here with what a full reader finds.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Dict, Optional

from .model_file import ModelDescription
from .paths import resources

DEFAULT_GROUND_SAMPLING_DISTANCE = 0.2

_NAME = re.compile(r"^  ([^\s#:][^:]*):\s*$")
_VALUE = re.compile(r"^    (bands|ground_sampling_distance):\s*(.+?)\s*$")
_DEFAULT = re.compile(r"^  ground_sampling_distance:\s*([0-9.]+)")


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
    distance = DEFAULT_GROUND_SAMPLING_DISTANCE
    section, name = "", ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(r"^[a-z_]+:", line):
            section, name = line.partition(":")[0], ""
        elif section == "defaults" and _DEFAULT.match(line):
            distance = float(_DEFAULT.match(line).group(1))
        elif section == "models" and _NAME.match(line):
            name = _NAME.match(line).group(1).strip("\"' ")
            models[name] = ModelDescription(name, (), distance)
        elif section == "models" and name and _VALUE.match(line):
            key, value = _VALUE.match(line).groups()
            if key == "bands":
                bands = tuple(part.strip("\"' ") for part in value.strip("[]").split(",") if part.strip())
                models[name] = models[name]._replace(bands=bands)
            else:
                models[name] = models[name]._replace(ground_sampling_distance=float(value))
    return models
