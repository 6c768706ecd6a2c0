"""Networks by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from engine.models.manifest import Manifest

HUB_UPERNET = "flair-hub-upernet"
"""The UPerNet of the FLAIR-HUB models; the library's of that name is another network."""

AERIAL = "aerial"
"""The part of U-T&T that is a U-Net."""


def build_network(architecture: str, encoder: str, in_channels: int, classes: int) -> nn.Module:
    """Build an untrained network.

    Args:
        architecture: Name of a segmentation-models-pytorch architecture, or `flair-hub-upernet`.
        encoder: Name of an encoder it knows; `tu-` names are timm's.
        in_channels: Number of input bands.
        classes: Number of output channels.

    Returns:
        A module that maps (N, in_channels, H, W) float to (N, classes, H, W) logits;
        H and W must be multiples of 32.

    Raises:
        ModelError: The pair is not known, or does not fit together.
    """
    import segmentation_models_pytorch as smp

    try:
        if architecture == HUB_UPERNET:
            from engine.models.hub_upernet import HubUPerNet

            return HubUPerNet(encoder, in_channels, classes)
        return smp.create_model(  # type: ignore[no-any-return]
            architecture, encoder_name=encoder, encoder_weights=None, in_channels=in_channels, classes=classes
        )
    except KeyError as error:
        raise ModelError(
            f"There is no network '{architecture}' with encoder '{encoder}': {error.args[0]}",
            "Names are those of segmentation-models-pytorch, such as unet with resnet34.",
        ) from error
    except (ValueError, TypeError, RuntimeError) as error:
        raise ModelError(f"A network '{architecture}' with encoder '{encoder}' cannot be built: {error}.") from error


def aerial_branch(network: nn.Module) -> tuple[nn.Module, str]:
    """Return the part of a network that looks at the aerial image, and what its tensors' names begin with.

    That is the network itself unless it also looks at a season.
    """
    for name, part in network.named_children():
        if name == AERIAL:
            return part, f"{AERIAL}."
    return network, ""


def network_of(manifest: Manifest, satellite_dropout: float = 0.0) -> nn.Module:
    """Build the untrained network that a manifest describes.

    Args:
        manifest: The description.
        satellite_dropout: With a season: share of the items that learn without it, 0 to 1.

    Raises:
        ModelError: It is not known, or its parts do not fit together.
    """
    bands, classes = len(manifest.bands), len(manifest.nomenclature.classes)
    if manifest.season is None:
        return build_network(manifest.architecture, manifest.encoder, bands, classes)
    from engine.models.utt.utt import UTT

    season = manifest.season
    return UTT(
        manifest.encoder,
        bands,
        classes,
        series_channels=len(season.bands),
        metadata=season.metadata,
        pixel_ratio=season.ground_sampling_distance / manifest.ground_sampling_distance,
        satellite_dropout=satellite_dropout,
        satellite=season.design,
        faults=season.faults,
    )
