"""The schema of `flair-1-config-detect.yaml`, in its present and in its older form."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.data.patch_file import read_header
from engine.ign.bands import NormType, channels_of
from engine.ign.detection import Detection, existing_file, flair_classes, no_table_of_windows, not_needed, output_raster
from engine.ign.framework import ModelFramework, network_names
from engine.ign.schema import Channels, Group, Numbers, Text
from engine.models.catalogue import CatalogueEntry, load_catalogue
from engine.yaml_file import YamlFile


class Normalisation(Group):
    """The one item of `norma_task`."""

    norm_type: NormType
    norm_means: Numbers = ()
    norm_stds: Numbers = ()


class Flair1Detect(Group):
    """All keys of the file; `bands`, `model_name` and `encoder_name` are the older schema's."""

    output_path: Text
    output_name: Text
    input_img_path: Text
    channels: Channels | None = None
    bands: Channels | None = None
    img_pixels_detection: int = Field(512, gt=0)
    margin: int = Field(128, ge=0)
    output_type: Literal["argmax", "class_prob"] = "argmax"
    n_classes: int = Field(19, ge=2, le=254)
    model_weights: Text
    model_framework: ModelFramework | None = None
    model_name: Text = ""
    encoder_name: Text = ""
    batch_size: int = Field(4, ge=1)
    use_gpu: bool = True
    num_worker: int = Field(0, ge=0)
    write_dataframe: bool = False
    norma_task: Annotated[list[Normalisation], Field(min_length=1, max_length=1)]


def read_flair1_detect(file: YamlFile) -> Detection:
    """Return what such a file asks for.

    Raises:
        RequestError: It is not written in this schema, or asks for what cannot be.
        InputError: The image or the weights are not there.
    """
    conf = file.checked(Flair1Detect)
    key = "channels" if conf.channels else "bands"
    numbers = conf.channels or conf.bands
    if numbers is None or (conf.channels and conf.bands):
        both = "both name" if numbers else "do not name"
        raise file.error(("bands",), f"'channels' and 'bands' {both} the bands.", "Write 'channels: [1, 2, 3]'.")
    if conf.img_pixels_detection <= 2 * conf.margin:
        raise file.error(
            ("margin",),
            f"a margin of {conf.margin} leaves nothing of windows of {conf.img_pixels_detection} pixels.",
            "Choose a smaller margin.",
        )
    weights = existing_file(file, ("model_weights",), conf.model_weights)
    image = existing_file(file, ("input_img_path",), conf.input_img_path)
    header = read_header(image)
    if max(numbers) > header.bands:
        raise file.error((key,), f"the image has {header.bands} bands, so there is no band {max(numbers)}.")
    warnings = []
    known = _published_model(weights.name)
    if known is not None and conf.model_framework is not None and conf.model_framework.model_provider == "HuggingFace":
        # The shipped file asks for a Swin network beside the name of U-Net weights.
        architecture, encoder = known.manifest.architecture, known.manifest.encoder
        warnings.append(
            f"{file.where('model_framework')}: 'model_framework' names a Hugging Face network, but '{weights.name}' "
            f"are weights of {architecture} with {encoder}, which is used."
        )
    else:
        architecture, encoder = network_names(
            file, conf.model_framework, ("model_name", conf.model_name), conf.encoder_name
        )
    norm = conf.norma_task[0]
    place = ("norma_task", 0, "norm_means")
    channels = channels_of(
        file, numbers, norm.norm_type, norm.norm_means, norm.norm_stds, header.dtype, ((key,), place)
    )
    disabled = tuple(item.code for item in known.manifest.nomenclature.classes if item.disabled) if known else ()
    if conf.write_dataframe:
        warnings.append(no_table_of_windows(file))
    bands = ", ".join(f"{name}={number}" for name, number in channels.by_name.items())
    return Detection(
        image=image,
        output=output_raster(file, conf.output_path, conf.output_name),
        weights=weights,
        architecture=architecture,
        encoder=encoder,
        channels=channels,
        nomenclature=flair_classes(conf.n_classes, disabled),
        output_type=conf.output_type,
        side=conf.img_pixels_detection,
        margin=conf.margin,
        batch_size=conf.batch_size,
        gpu=conf.use_gpu,
        notes=(
            f"Understood: {architecture} with {encoder}, {conf.n_classes} outputs, bands {bands}, normalisation "
            f"'{norm.norm_type}', output '{conf.output_type}'.",
            *not_needed(file, "num_worker"),
        ),
        warnings=tuple(warnings),
    )


def _published_model(name: str) -> CatalogueEntry | None:
    """Return the catalogue's entry for a file of weights, which bears the model's name."""
    return next((entry for model, entry in load_catalogue().items() if name.startswith(model)), None)
