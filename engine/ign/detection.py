"""What a file for classifying a raster asks for, whichever of IGN's schemas it is written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.errors import InputError
from engine.ign.bands import Channels
from engine.models.manifest import ELEVATION_ENCODING, Manifest
from engine.nomenclature import SPARE_COLORS, LandCoverClass, Nomenclature, load_nomenclature
from engine.yaml_file import Place, YamlFile

FLAIR_DISTANCE = 0.2


@dataclass(frozen=True)
class Detection:
    """A raster to classify.

    Args:
        image: The raster.
        output: The raster to write.
        weights: Checkpoint.
        architecture: Name in segmentation-models-pytorch.
        encoder: Name of its encoder.
        channels: Bands that the network gets.
        nomenclature: Classes in the order of the outputs; code 1 is index 0.
        output_type: argmax: one band of indices from 0; class_prob: one band of 0 to 255 an output.
        side: Side of the published tool's windows in pixels, margins included.
        margin: Their margin in pixels.
        batch_size: Windows at once.
        gpu: Whether a GPU may be used.
        ground_sampling_distance: Metres a pixel that the network was trained on.
        hub: Whether the file is FLAIR-HUB's.
        notes: What was understood, in sentences.
        warnings: What is not done, in sentences.
    """

    image: Path
    output: Path
    weights: Path
    architecture: str
    encoder: str
    channels: Channels
    nomenclature: Nomenclature
    output_type: Literal["argmax", "class_prob"]
    side: int
    margin: int
    batch_size: int
    gpu: bool
    ground_sampling_distance: float = FLAIR_DISTANCE
    hub: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def manifest(self) -> Manifest:
        """Return what the weights are, as this project's model files say it."""
        names = [band.name for band in self.channels.bands]
        return Manifest(
            name=self.weights.stem,
            architecture=self.architecture,
            encoder=self.encoder,
            bands=self.channels.bands,
            nomenclature=self.nomenclature,
            ground_sampling_distance=self.ground_sampling_distance,
            elevation=ELEVATION_ENCODING if "elevation" in names else None,
        )


def existing_file(file: YamlFile, place: Place, text: str) -> Path:
    """Return a file that a key names; a relative path starts from the working folder, or from the YAML file's.

    Raises:
        RequestError: The key is empty.
        InputError: There is no such file.
    """
    if not text:
        raise file.error(place, f"'{place[-1]}' is empty.", "Give the path of a file.")
    path = Path(text).expanduser()
    for candidate in (path, file.path.parent / path):
        if candidate.is_file():
            return candidate
    raise InputError(f"{file.where(*place)}: '{place[-1]}' names '{text}', which does not exist.", "Check the path.")


def output_raster(file: YamlFile, folder: str, name: str) -> Path:
    """Return the raster to write, and make its folder as IGN's tools do.

    Raises:
        RequestError: Folder or name is empty, or the name leads elsewhere.
    """
    for key, value in (("output_path", folder), ("output_name", name)):
        if not value:
            raise file.error((key,), f"'{key}' is empty.", "Say where the result is to go.")
    if Path(name).name != name:
        raise file.error(("output_name",), f"'output_name' is a name, not a path: '{name}'.", "Use 'output_path' too.")
    place = Path(folder).expanduser()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file.error(("output_path",), f"the folder '{folder}' cannot be made: {error.strerror}.") from error
    return place / f"{name.removesuffix('.tif')}.tif"


def no_table_of_windows(file: YamlFile) -> str:
    """Return what is said where a file asks for `write_dataframe`."""
    return f"{file.where('write_dataframe')}: 'write_dataframe' is not done; no table of windows is needed to go on."


def not_needed(file: YamlFile, *keys: str) -> tuple[str, ...]:
    """Return what is said of keys that have nothing to decide here, if the file holds any."""
    given = [key for key in keys if key in file.values]
    return (f"Not needed: {', '.join(given)}.",) if given else ()


def flair_classes(count: int, disabled: tuple[int, ...] = ()) -> Nomenclature:
    """Return FLAIR's classes for a number of outputs, which a file without class names does not tell.

    Args:
        count: Outputs; 19 are FLAIR's, 13 its first twelve and "other", any other number gets numbers as names.
        disabled: Codes that never win.
    """
    flair = load_nomenclature("flair")
    if count == len(flair.classes):
        return flair.with_disabled(disabled) if disabled else flair
    if count == 13:
        other = LandCoverClass(13, "other", "#000000")
        return Nomenclature("flair, 13 classes", (*flair.classes[:12], other))
    if count == 12:
        return Nomenclature("flair, 12 classes", flair.classes[:12])
    return Nomenclature(
        f"{count} classes",
        tuple(
            LandCoverClass(code, f"class {code}", SPARE_COLORS[(code - 1) % len(SPARE_COLORS)])
            for code in range(1, count + 1)
        ),
    )
