"""`dataset.yaml`: what a data set of patches says of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.band import Band
from engine.errors import InputError, ModelError
from engine.nomenclature import Nomenclature

FORMAT = 1
FILE_NAME = "dataset.yaml"
SPLITS = ("train", "val", "test")


def checked_codes(values: Any) -> tuple[int, ...]:
    """Return class codes that a file lists.

    Raises:
        TypeError: They are no list of numbers.
        ValueError: One is no code, 0 to 255.
    """
    codes = tuple(int(code) for code in values)
    strange = [code for code in codes if not 0 <= code <= 255]
    if strange:
        raise ValueError(f"{strange[0]} is no class code, 0 to 255")
    return codes


def checked_distance(value: Any) -> float:
    """Return a ground sampling distance that a file gives, in metres.

    Raises:
        TypeError: It is no number.
        ValueError: It is no number over 0.
    """
    distance = float(value)
    if not (math.isfinite(distance) and distance > 0):
        raise ValueError(f"a ground sampling distance of {distance} m is not usable")
    return distance


@dataclass(frozen=True)
class DatasetFile:
    """The content of a `dataset.yaml`.

    Args:
        name: Name shown to people.
        bands: Bands in the order of the image files.
        nomenclature: Classes whose codes the masks hold.
        ground_sampling_distance: Metres on the ground per pixel; None where it is not known.
        patch_size: Side of a patch in pixels.
        ignored: Codes in the masks that are never learnt nor scored.
        pixels: Pixels by split (`train`, `val`, `test`) and class code.
        patches: Patches by split.
        source: Where it comes from: names of images and labels, options, versions.
    """

    name: str
    bands: tuple[Band, ...]
    nomenclature: Nomenclature
    ground_sampling_distance: float | None
    patch_size: int
    ignored: tuple[int, ...] = (0,)
    pixels: dict[str, dict[int, int]] = field(default_factory=dict)
    patches: dict[str, int] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)

    def to_yaml(self) -> str:
        """Return the text of the file."""
        return yaml.safe_dump(
            {
                "format": FORMAT,
                "name": self.name,
                "ground_sampling_distance": self.ground_sampling_distance,
                "patch_size": self.patch_size,
                "bands": [vars(band) for band in self.bands],
                "ignored": list(self.ignored),
                "patches": self.patches,
                "pixels": self.pixels,
                "source": self.source,
                "nomenclature": self.nomenclature.to_dict(),
            },
            sort_keys=False,
            allow_unicode=True,
            width=120,
        )

    @staticmethod
    def read(path: Path) -> DatasetFile:
        """Read a `dataset.yaml`.

        Raises:
            InputError: It is missing, no such file, of a later format, or holds values that make no sense.
        """
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
            if values["format"] > FORMAT:
                raise InputError(
                    f"'{path}' has format {values['format']}; this version reads up to {FORMAT}.", "Update the plugin."
                )
            bands = tuple(
                Band(
                    str(item["name"]),
                    float(item["mean"]),
                    float(item["std"]),
                    float(item.get("minimum", 0.0)),
                    float(item.get("maximum", 255.0)),
                )
                for item in values["bands"]
            )
            distance = values.get("ground_sampling_distance")
            read = DatasetFile(
                name=str(values["name"]),
                bands=bands,
                nomenclature=Nomenclature.from_dict(values["nomenclature"]),
                ground_sampling_distance=None if distance is None else checked_distance(distance),
                patch_size=int(values["patch_size"]),
                ignored=checked_codes(values.get("ignored", [0])),
                pixels={
                    str(split): {int(code): int(count) for code, count in counts.items()}
                    for split, counts in (values.get("pixels") or {}).items()
                },
                patches={str(split): int(count) for split, count in (values.get("patches") or {}).items()},
                source=dict(values.get("source") or {}),
            )
        except OSError as error:
            raise InputError(f"The data set '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}.") from error
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, ModelError) as error:
            raise InputError(
                f"'{path}' does not describe a data set: {error!r}.", "Extract the patches again."
            ) from error
        read.check(path)
        return read

    def check(self, path: Path) -> None:
        """Check that the values make sense together.

        Raises:
            InputError: They do not.
        """
        names = [band.name for band in self.bands]
        if not names or len(set(names)) != len(names):
            raise InputError(f"'{path}' needs bands with different names, not {names}.")
        for band in self.bands:
            if not (math.isfinite(band.mean) and math.isfinite(band.std) and band.std > 0):
                raise InputError(
                    f"'{path}': mean {band.mean} and deviation {band.std} of '{band.name}' are not usable."
                )
