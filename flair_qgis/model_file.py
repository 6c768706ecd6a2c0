"""What a model file says of itself, read without the engine."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .errors import failure
from .i18n import tr

MANIFEST_KEY = "flair_manifest"
FORMAT = 2
MAX_HEADER_BYTES = 100 * 1024 * 1024


class ModelDescription(NamedTuple):
    """What the plugin needs to know of a model.

    Args:
        name: Name shown to people.
        bands: Band names in order.
        ground_sampling_distance: Metres on the ground per pixel.
        classes: Classes that can win: `code`, `name`, `color`; empty when not known.
        size_mb: Size of the download in MB, 0 when not known.
        licence: Licence of the weights, empty when not known.
        season: Names of the satellite bands of a model that also looks at the season; empty for all others.
    """

    name: str
    bands: Tuple[str, ...]
    ground_sampling_distance: float
    classes: Tuple[Dict[str, Any], ...] = ()
    size_mb: float = 0.0
    licence: str = ""
    season: Tuple[str, ...] = ()


def read_model_file(path: Path) -> Optional[ModelDescription]:
    """Read the description in a model file's header.

    Args:
        path: Model file; only `.safetensors` files carry a description.

    Returns:
        The description, or None for a checkpoint without any.

    Raises:
        QgsProcessingException: The file is missing, damaged or of a later format.
    """
    if not path.is_file():
        raise failure(tr("There is no model file {path}.").format(path=path), tr("Check the path."))
    if path.suffix.lower() != ".safetensors":
        return None
    metadata = _header(path).get("__metadata__")
    text = metadata.get(MANIFEST_KEY) if isinstance(metadata, dict) else None
    return _description(path, text) if isinstance(text, str) else None


def _header(path: Path) -> Dict[str, Any]:
    damaged = failure(
        tr("{name} is not a model file, or it is damaged or cut off.").format(name=path.name), tr("Get the file again.")
    )
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(MAX_HEADER_BYTES, path.stat().st_size - 8):
                raise damaged
            header = json.loads(stream.read(length).decode("utf-8"))
    except OSError as error:
        raise failure(
            tr("The model file {path} cannot be read: {reason}.").format(path=path, reason=error.strerror or error)
        ) from error
    except ValueError as error:
        raise damaged from error
    if not isinstance(header, dict):
        raise damaged
    return header


def _description(path: Path, text: str) -> ModelDescription:
    try:
        values = json.loads(text)
        version = int(values["format"])
        classes: List[Dict[str, Any]] = [
            {"code": int(item["code"]), "name": str(item["name"]), "color": str(item["color"])}
            for item in values["nomenclature"]["classes"]
            if not item.get("disabled")
        ]
        description = ModelDescription(
            name=str(values["name"]),
            bands=tuple(str(band["name"]) for band in values["bands"]),
            ground_sampling_distance=float(values["ground_sampling_distance"]),
            classes=tuple(classes),
            season=tuple(str(band["name"]) for band in (values.get("season") or {}).get("bands", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise failure(
            tr("The description inside the model file {name} is not readable.").format(name=path.name),
            tr("Get the file again."),
        ) from error
    if version > FORMAT:
        raise failure(
            tr("The model file {name} has format {version}; this plugin reads up to {known}.").format(
                name=path.name, version=version, known=FORMAT
            ),
            tr("Update the plugin."),
        )
    return description
