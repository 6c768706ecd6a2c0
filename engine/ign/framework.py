"""The network that a FLAIR-1 file names, in the present schema or in the older one."""

from __future__ import annotations

from pydantic import Field

from engine.ign.schema import Group, Text
from engine.yaml_file import YamlFile

SMP = "SegmentationModelsPytorch"


class HuggingFace(Group):
    """A network of the transformers library."""

    org_model: Text = ""


class SegmentationModelsPytorch(Group):
    """A network of segmentation-models-pytorch, such as `resnet34_unet`."""

    encoder_decoder: Text = ""


class ModelFramework(Group):
    """Which library's network; the block of the other is left aside."""

    model_provider: Text
    hugging_face: HuggingFace | None = Field(None, alias="HuggingFace")
    segmentation_models_pytorch: SegmentationModelsPytorch | None = Field(None, alias="SegmentationModelsPytorch")


def network_names(
    file: YamlFile, framework: ModelFramework | None, architecture: tuple[str, str], encoder: str
) -> tuple[str, str]:
    """Return architecture and encoder by their names in segmentation-models-pytorch.

    Args:
        file: The file, for errors.
        framework: Its block `model_framework`, None in the older schema.
        architecture: Key of the older schema that names the architecture, and its value.
        encoder: Value of the older schema's key `encoder_name`.

    Raises:
        RequestError: No network is named, or one of another library.
    """
    key, name = architecture
    if framework is None:
        for missing, value in ((key, name), ("encoder_name", encoder)):
            if not value:
                raise file.error(
                    (missing,),
                    f"no network is named: there is neither 'model_framework' nor '{missing}'.",
                    f"Write '{key}: unet' and 'encoder_name: resnet34', for example.",
                )
        return name.lower(), encoder
    if name or encoder:
        other = key if name else "encoder_name"
        raise file.error((other,), f"'model_framework' and '{other}' both name the network.", "Keep one of them.")
    if framework.model_provider == "HuggingFace":
        wanted = framework.hugging_face.org_model if framework.hugging_face else ""
        raise file.error(
            ("model_framework", "HuggingFace"),
            f"the network '{wanted}' is Hugging Face's, which this engine does not build.",
            f"Write 'model_provider: {SMP}' and below it 'encoder_decoder: resnet34_unet', if the weights are such.",
        )
    if framework.model_provider != SMP:
        raise file.error(
            ("model_framework", "model_provider"),
            f"there is no provider '{framework.model_provider}'.",
            f"Write 'model_provider: {SMP}'.",
        )
    block = framework.segmentation_models_pytorch
    encoder, _, name = (block.encoder_decoder if block else "").rpartition("_")
    if not encoder or not name:
        raise file.error(
            ("model_framework", SMP, "encoder_decoder"),
            "'encoder_decoder' must name an encoder and a decoder.",
            "Write 'encoder_decoder: resnet34_unet', for example.",
        )
    return name.lower(), encoder
