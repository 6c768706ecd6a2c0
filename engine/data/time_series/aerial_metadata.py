"""FLAIR's metadata of aerial patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.data.time_series.super_patch import read_json
from engine.errors import InputError

_SHOWN = 5


@dataclass(frozen=True)
class AerialMetadata:
    """Where, when and with which camera a patch was taken.

    Args:
        x: Metres east of its centre in EPSG:2154.
        y: Metres north.
        altitude: Metres above the sea.
        camera: Name of the camera.
        taken: Local date and time.
    """

    x: float
    y: float
    altitude: float
    camera: str
    taken: datetime


def read_aerial_metadata(path: Path) -> dict[str, AerialMetadata]:
    """Return the metadata of each patch, by name without suffix, such as `IMG_000826`.

    Raises:
        InputError: The file is no such JSON; the first patch without usable metadata is named.
    """
    found = {}
    for name, values in read_json(path).items():
        try:
            found[name] = _metadata(values)
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(
                f"The metadata of '{name}' in '{path.name}' are not usable: {error}.", "Get the file again."
            ) from error
    return found


def metadata_of(images: Sequence[Path], known: Mapping[str, AerialMetadata]) -> list[AerialMetadata]:
    """Return the metadata of patches, by the names of their files.

    Raises:
        InputError: Some have none; the first ones are named.
    """
    missing = [image.stem for image in images if image.stem not in known]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise InputError(
            f"There are no metadata of {len(missing)} of {len(images)} patches: {', '.join(missing[:_SHOWN])}{more}.",
            "Take the file that came with the patches, or leave --metadata out.",
        )
    return [known[image.stem] for image in images]


def _metadata(values: dict[str, Any]) -> AerialMetadata:
    return AerialMetadata(
        float(values["patch_centroid_x"]),
        float(values["patch_centroid_y"]),
        float(values["patch_centroid_z"]),
        str(values["camera"]),
        datetime.strptime(f"{values['date']} {values['time']}", "%Y-%m-%d %Hh%M"),
    )
