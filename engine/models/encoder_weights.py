"""Pretrained weights for the encoder of a network that starts from no model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ModelError
from engine.hub.client import hub_cache, quiet
from engine.hub.reachability import cache_only, why_unreachable
from engine.models.band_filters import RGB, described, filters_by_name, input_layers
from engine.models.changes import TensorChange, summary
from engine.models.checkpoint import load_strictly, read_tensors
from engine.models.model_file import read_header
from engine.models.pickle_scan import check_checkpoint
from engine.models.recognise import CHECKPOINT_SUFFIXES

if TYPE_CHECKING:
    import torch
    from torch import nn

    from engine.events import Reporter

# First words of what stands behind the encoder in classifiers of torchvision, timm and the segmentation library.
CLASSIFIER = {"fc", "_fc", "classifier", "head", "heads", "head_dist", "last_linear", "conv_head", "bn2", "norm"}
# Tables that timm once saved and now computes.
COMPUTED = ("relative_position_index", "attn_mask")


class ImagenetWeightsError(ModelError):
    """The ImageNet weights of an encoder cannot be had."""


def load_encoder_weights(
    network: nn.Module, encoder: str, weights: str, bands: Sequence[str], reporter: Reporter
) -> list[TensorChange]:
    """Put pretrained weights into the encoder of a network.

    They were trained on red, green and blue. The filters of the first layer go by the name of the band: red, green and
    blue keep theirs wherever they stand, infrared starts from red's, all others from the mean. With n bands all filters
    are multiplied by 3 / n, so that the response to an image that is alike in all bands stays the same.

    Args:
        network: New network with an `encoder`; changed in place.
        encoder: Name of the encoder.
        weights: `none`; `imagenet`, which the libraries fetch once and keep in their cache, segmentation-models-pytorch
            in the revision that it names, timm (`tu-` encoders) in the latest; or a `.pth`, `.pt`, `.ckpt` or
            `.safetensors` file with names of torchvision or timm.
        bands: Names of the network's bands, in channel order.
        reporter: Gets one line of what became of the tensors.

    Returns:
        What became of each tensor of the network, and which of the file were left out.

    Raises:
        ModelError: The weights cannot be had, or do not fit the encoder.
    """
    names = list(network.state_dict())
    if weights == "none":
        reporter.log(f"Starting from random weights ({len(names)} tensors).")
        return [TensorChange(name, "new") for name in names]
    part = network.get_submodule("encoder")
    if weights == "imagenet":
        reporter.log(f"Getting the ImageNet weights of {encoder}; the first time they are downloaded.")
        origin, given = f"ImageNet weights of {encoder}", _imagenet(encoder, part)
    else:
        path = Path(weights).expanduser()
        origin, given = path.name, _read(path)
    fitting, left_out = _own_names(given, part.state_dict())
    notes: dict[str, TensorChange] = {}
    if tuple(bands) != RGB:
        for name in input_layers(part, len(bands)):
            if name in fitting:
                fitting[name], notes[name] = _for_bands(f"encoder.{name}", fitting[name], bands, origin)
    fresh = network.state_dict()
    rest = {name: tensor for name, tensor in fresh.items() if not name.startswith("encoder.")}
    load_strictly(network, {**rest, **{f"encoder.{name}": tensor for name, tensor in fitting.items()}}, origin)
    changes = [
        TensorChange(name, "new")
        if name in rest
        else notes.get(name.removeprefix("encoder."), TensorChange(name, "kept"))
        for name in names
    ]
    changes += [TensorChange(name, "left out", "no part of the encoder") for name in left_out]
    reporter.log(f"Starting from {origin}: {summary(changes)}.")
    return changes


def _imagenet(encoder: str, part: nn.Module) -> dict[str, torch.Tensor]:
    from segmentation_models_pytorch.encoders import get_encoder

    # The hub's client would tell of each of its tries, with addresses.
    quiet()
    kind: str | bool = True if encoder.startswith("tu-") else "imagenet"
    # The libraries try for half a minute and more where nothing answers; what lies in the cache needs no answer.
    unreachable = why_unreachable(encoder)
    try:
        with nullcontext() if unreachable is None else cache_only():
            made = get_encoder(encoder, in_channels=3, depth=getattr(part, "_depth", 5), weights=kind)
    except (KeyError, RuntimeError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise ImagenetWeightsError(
            f"There are no ImageNet weights for the encoder '{encoder}': {reason}",
            "Use --encoder-weights none or a file.",
        ) from error
    # Whatever else the network, the hub's client or its cache can run into.
    except Exception as error:
        said = str(error).strip() if unreachable is None else unreachable.message
        reason = said.splitlines()[0] if said else type(error).__name__
        raise ImagenetWeightsError(
            f"The ImageNet weights of '{encoder}' cannot be downloaded: {reason}",
            "Check the connection and the proxy (HTTPS_PROXY). Without one, name a file with weights "
            "(--encoder-weights), take random ones (--encoder-weights none), or copy the hub's cache of a machine that "
            f"has them to '{hub_cache()}'.",
        ) from error
    return dict(made.state_dict())


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ModelError(
            f"The encoder weights '{path}' do not exist.", "Give imagenet, none, or the path of a file with weights."
        )
    if path.suffix not in CHECKPOINT_SUFFIXES:
        raise ModelError(f"'{path.name}' holds no weights.", f"Such files end in {', '.join(CHECKPOINT_SUFFIXES)}.")
    if path.suffix == ".safetensors":
        read_header(path)
    else:
        check_checkpoint(path)
    tensors = read_tensors(path)
    if any(name.startswith("segmentation_head.") for name in tensors):
        raise ModelError(
            f"'{path.name}' holds a whole segmentation network, not the weights of an encoder.",
            "Start from it with --start-from.",
        )
    return tensors


def _own_names(
    given: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return the tensors by the encoder's names, with those it has no name for as they are; and those left out."""
    known = {_plain(name): name for name in own}
    fitting: dict[str, torch.Tensor] = {}
    left_out: list[str] = []
    for name, tensor in given.items():
        target = known.get(_plain(name))
        if target is not None:
            fitting[target] = tensor
        elif name.partition(".")[0] in CLASSIFIER or name.endswith(COMPUTED):
            left_out.append(name)
        else:
            fitting[name] = tensor
    # Counters of batches came later than many published files; nothing reads them.
    for name, tensor in own.items():
        if name.endswith("num_batches_tracked"):
            fitting.setdefault(name, tensor)
    return fitting, left_out


def _plain(name: str) -> str:
    """Return a name without the differences between a classifier and the encoder made of it."""
    name = name.removeprefix("model.")
    # timm flattens the top level: `stages.0.` becomes `stages_0.`. torchvision's first DenseNets wrote `norm.1.`.
    name = re.sub(r"^(\w+?)_(\d+)\.", r"\1.\2.", name)
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name)


def _for_bands(name: str, weight: torch.Tensor, bands: Sequence[str], origin: str) -> tuple[torch.Tensor, TensorChange]:
    if weight.ndim != 4 or weight.shape[1] != len(RGB):
        raise ModelError(
            f"The first layer in '{origin}' ({name}, shape {tuple(weight.shape)}) does not take red, green and blue.",
            "Take weights that were trained on RGB images.",
        )
    filters, sources = filters_by_name(weight, RGB, bands)
    if len(bands) != len(RGB):
        filters = filters * (len(RGB) / len(bands))
    scaled = "" if len(bands) == len(RGB) else f", all times 3/{len(bands)}"
    if sources:
        return filters, TensorChange(name, "widened", described(sources, bands) + scaled)
    return filters, TensorChange(name, "kept", f"filters of {', '.join(bands)}{scaled}")
