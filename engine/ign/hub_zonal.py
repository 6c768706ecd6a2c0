"""The schema of FLAIR-HUB's `config_zonal_detection.yaml`, for aerial images alone."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from engine.data.patch_file import read_header
from engine.errors import RequestError
from engine.ign.bands import NormType, channels_of
from engine.ign.detection import Detection, existing_file, no_table_of_windows, not_needed, output_raster
from engine.ign.schema import Channels, Group, Numbers, Text
from engine.models.architecture import HUB_UPERNET
from engine.nomenclature import SPARE_COLORS, LandCoverClass, Nomenclature, load_nomenclature
from engine.yaml_file import YamlFile

AERIAL: Final = "AERIAL_RGBI"
# Of 19 outputs the last four were trained with a loss weight of 0.
HUB_CLASSES, HUB_LEARNT = 19, 15


class Normalization(Group):
    """Statistics of a modality's channels."""

    type: NormType = "custom"
    means: Numbers = ()
    stds: Numbers = ()


class Inputs(Group):
    """Which modalities the model gets."""

    aerial: bool = Field(False, alias="AERIAL_RGBI")
    historical: bool = Field(False, alias="AERIAL-RLT_PAN")
    elevation: bool = Field(False, alias="DEM_ELEV")
    spot: bool = Field(False, alias="SPOT_RGBI")
    sentinel2: bool = Field(False, alias="SENTINEL2_TS")
    sentinel1_ascending: bool = Field(False, alias="SENTINEL1-ASC_TS")
    sentinel1_descending: bool = Field(False, alias="SENTINEL1-DESC_TS")


class Aerial(Group):
    """The aerial image."""

    input_img_path: Text
    channels: Channels
    normalization: Normalization


class Modalities(Group):
    """Inputs, and a block for each; blocks of modalities that are off are not looked into."""

    inputs: Inputs
    aerial: Aerial | None = Field(None, alias="AERIAL_RGBI")
    historical: Any = Field(None, alias="AERIAL-RLT_PAN")
    elevation: Any = Field(None, alias="DEM_ELEV")
    spot: Any = Field(None, alias="SPOT_RGBI")
    sentinel2: Any = Field(None, alias="SENTINEL2_TS")
    sentinel1_ascending: Any = Field(None, alias="SENTINEL1-ASC_TS")
    sentinel1_descending: Any = Field(None, alias="SENTINEL1-DESC_TS")


class Task(Group):
    """A classification that the model makes."""

    name: Text
    active: bool = True
    class_names: dict[int, Text]


class HubZonal(Group):
    """All keys of the file."""

    output_path: Text
    output_name: Text
    write_dataframe: bool = False
    output_type: Literal["argmax", "class_prob"] = "argmax"
    cog_conversion: bool = False
    model_weights: Text
    use_gpu: bool = True
    batch_size: int = Field(1, ge=1)
    num_worker: int = Field(0, ge=0)
    img_pixels_detection: int = Field(2048, gt=0)
    margin: int = Field(512, ge=0)
    output_px_meters: float = Field(0.2, gt=0)
    monotemp_arch: Text
    multitemp_model_ref_date: Text = ""
    modalities: Modalities
    tasks: list[Task]


def is_hub_zonal(values: dict[str, Any]) -> bool:
    """Return whether a file is FLAIR-HUB's rather than FLAIR-1's."""
    return "modalities" in values or "monotemp_arch" in values


def read_hub_zonal(file: YamlFile) -> Detection:
    """Return what such a file asks for.

    Raises:
        RequestError: It is not written in this schema, or asks for what this engine does not do.
        InputError: The image or the weights are not there.
    """
    conf = file.checked(HubZonal)
    _check_modalities(file, conf.modalities.inputs)
    aerial = conf.modalities.aerial
    if aerial is None:
        raise file.error(("modalities", AERIAL), f"the block '{AERIAL}' is missing.", "Name the image there.")
    task_number = _only_active(file, conf.tasks)
    architecture, encoder = _network(file, conf.monotemp_arch)
    place = ("modalities", AERIAL)
    image = existing_file(file, (*place, "input_img_path"), aerial.input_img_path)
    weights = existing_file(file, ("model_weights",), conf.model_weights)
    header = read_header(image)
    if max(aerial.channels) > header.bands:
        raise file.error(
            (*place, "channels"), f"the image has {header.bands} bands, so there is no band {max(aerial.channels)}."
        )
    norm = aerial.normalization
    channels = channels_of(
        file,
        aerial.channels,
        norm.type,
        norm.means,
        norm.stds,
        header.dtype,
        ((*place, "channels"), (*place, "normalization")),
    )
    task = conf.tasks[task_number]
    warnings = []
    if conf.write_dataframe:
        warnings.append(no_table_of_windows(file))
    if conf.cog_conversion:
        warnings.append(f"{file.where('cog_conversion')}: 'cog_conversion' is not done; the result is a tiled GeoTIFF.")
    bands = ", ".join(f"{name}={number}" for name, number in channels.by_name.items())
    return Detection(
        image=image,
        output=output_raster(file, conf.output_path, conf.output_name),
        weights=weights,
        architecture=architecture,
        encoder=encoder,
        channels=channels,
        nomenclature=_classes(file, task, task_number),
        output_type=conf.output_type,
        side=conf.img_pixels_detection,
        margin=conf.margin,
        batch_size=conf.batch_size,
        gpu=conf.use_gpu,
        ground_sampling_distance=conf.output_px_meters,
        hub=True,
        notes=(
            f"Understood: FLAIR-HUB's zonal file for aerial images alone, {architecture} with {encoder}, bands "
            f"{bands}, task '{task.name}', output '{conf.output_type}'.",
            *not_needed(file, "num_worker", "multitemp_model_ref_date"),
        ),
        warnings=tuple(warnings),
    )


def _check_modalities(file: YamlFile, inputs: Inputs) -> None:
    place = ("modalities", "inputs")
    on = [item.alias or name for name, item in Inputs.model_fields.items() if getattr(inputs, name)]
    others = [name for name in on if name != AERIAL]
    if others:
        raise RequestError(
            f"{file.where(*place, others[0])}: this engine does not read {', '.join(others)}.",
            f"Use a model of aerial images alone, and leave only {AERIAL} on.",
        )
    if not on:
        raise file.error(place, "no input is on.", f"Write '{AERIAL}: True'.")


def _only_active(file: YamlFile, tasks: list[Task]) -> int:
    active = [number for number, task in enumerate(tasks) if task.active]
    if len(active) != 1:
        raise file.error(
            ("tasks",), f"{len(active)} tasks are active; one at a time is possible.", "Set one of them to active."
        )
    return active[0]


def _network(file: YamlFile, text: str) -> tuple[str, str]:
    encoder, _, architecture = text.rpartition("-")
    place = ("monotemp_arch",)
    if not encoder:
        raise file.error(place, f"'{text}' names no encoder and decoder.", "An example: convnextv2_tiny-upernet.")
    if architecture.lower() == "upernet":
        return HUB_UPERNET, f"tu-{encoder}"
    if "swin" in encoder:
        raise file.error(
            place,
            f"'{encoder}' with '{architecture}' takes windows of one size only, which this engine does not do.",
            "Use weights with a UPerNet, or of a ConvNeXt V2 encoder; IGN publishes some.",
        )
    return architecture.lower(), f"tu-{encoder}"


def _classes(file: YamlFile, task: Task, number: int) -> Nomenclature:
    """Return the task's classes, code 1 for index 0; FLAIR's by name keep their colours."""
    indices = sorted(task.class_names)
    if indices != list(range(len(indices))) or not 2 <= len(indices) <= 254:
        raise file.error(
            ("tasks", number, "class_names"), "the classes must be numbered from 0 without a gap.", "Number them anew."
        )
    colours = {item.name: item.color for item in load_nomenclature("flair").classes}
    return Nomenclature(
        task.name,
        tuple(
            LandCoverClass(
                index + 1,
                task.class_names[index] or f"class {index}",
                colours.get(task.class_names[index].replace("_", " ").lower(), SPARE_COLORS[index % len(SPARE_COLORS)]),
                disabled=len(indices) == HUB_CLASSES and index >= HUB_LEARNT,
            )
            for index in indices
        ),
    )
