"""Import of foreign checkpoints: every tensor matched, or an error that counts and names them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError
from engine.models.architecture import network_of
from engine.models.manifest import Manifest
from engine.models.model_file import is_safetensors

if TYPE_CHECKING:
    import torch
    from torch import nn

# Longest first. IGN's tools wrote `model.seg_model.`, others stripped one part or the other.
PREFIXES = ("module.model.seg_model.", "model.seg_model.", "seg_model.", "module.", "model.")
# The loss's class weights travel in IGN's checkpoints; a network has no use for them.
DROPPED = ("criterion.", "model.criterion.", "loss.")
CONTAINERS = ("state_dict", "model_state_dict", "model")
# FLAIR-HUB keeps encoders by kind of input and decoders by nomenclature; a network of one of each needs neither name.
HUB_ENCODER = "encoders.AERIAL_RGBI.seg_model."
HUB_DECODER = re.compile(r"^main_decoders\.([^.]+)\.seg_model\.")
# What a model with one input never uses: the fusion of several, and a skip from the image itself that a decoder is made
# with and whose step does not exist.
HUB_UNUSED = re.compile(r"^(fusion_handler|main_decoders\.[^.]+\.seg_model\.decoder\.fpn_stages\.4)\.")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors file or of a torch checkpoint, whatever its name, prefixes stripped.

    Args:
        path: Checkpoint; opened with `weights_only=True`.

    Returns:
        Tensors on the CPU by the name the network gives them.

    Raises:
        ModelError: The file is no checkpoint, damaged, or holds no tensors.
    """
    import torch

    if is_safetensors(path):
        from safetensors.torch import load_file as load
    else:

        def load(path: str, device: str) -> Any:
            # By its content: torch goes by the ending of a name.
            with Path(path).open("rb") as stream:
                return torch.load(stream, map_location=device, weights_only=True)

    try:
        content: object = load(str(path), device="cpu")
    except Exception as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"The checkpoint '{path.name}' cannot be opened safely: {first_line}",
            "Get the file again, or ask its author for a .safetensors file.",
        ) from error
    return strip_prefixes(_state_dict(path, content))


def _state_dict(path: Path, content: object) -> dict[str, torch.Tensor]:
    import torch

    while isinstance(content, Mapping):
        inner = next((content[key] for key in CONTAINERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise ModelError(f"'{path.name}' holds no tensors by name.", "Take a checkpoint that holds a state dict.")


def strip_prefixes(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the network's tensors under their own names; those of the loss are left out."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(DROPPED)}
    plain = {name.removeprefix("model."): tensor for name, tensor in kept.items()}
    if any(name.startswith(HUB_ENCODER) for name in plain):
        return _hub_names(plain)
    for prefix in PREFIXES:
        if kept and all(name.startswith(prefix) for name in kept):
            return {name[len(prefix) :]: tensor for name, tensor in kept.items()}
    return kept


def _hub_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    kept = {name: tensor for name, tensor in tensors.items() if not HUB_UNUSED.match(name)}
    tasks = sorted({match[1] for name in kept if (match := HUB_DECODER.match(name))})
    if len(tasks) > 1:
        raise ModelError(
            f"The checkpoint answers for {len(tasks)} nomenclatures at once: {', '.join(tasks)}.",
            "Take a model of one nomenclature.",
        )
    return {
        HUB_DECODER.sub("", f"encoder.{name[len(HUB_ENCODER) :]}" if name.startswith(HUB_ENCODER) else name): tensor
        for name, tensor in kept.items()
    }


def load_strictly(network: nn.Module, tensors: Mapping[str, torch.Tensor], origin: str) -> None:
    """Put tensors into a network, all of them or none.

    Args:
        network: Network that takes them.
        tensors: Tensors by name; renamed where the library knows an older name.
        origin: Name of the file, for the error.

    Raises:
        ModelError: Tensors are missing, left over, misshapen or not finite; counted and named.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    # torch refuses all when one is misshapen; it is to be named beside the missing ones.
    state = {name: tensor for name, tensor in tensors.items() if shapes.get(name) in (None, tuple(tensor.shape))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = network.load_state_dict(state, strict=False)
    given = {**tensors, **state}
    misshapen = [
        f"{name} {tuple(given[name].shape)} instead of {shapes[name]}" for name in result.missing_keys if name in given
    ]
    missing = [name for name in result.missing_keys if name not in given]
    extra = list(result.unexpected_keys)
    problems = [
        _counted(missing, "missing"),
        _counted(extra, "left over"),
        _counted(misshapen, "of another shape"),
    ]
    if any(problems):
        raise ModelError(
            f"The weights in '{origin}' do not fit the network: {'; '.join(p for p in problems if p)}.",
            "Choose the model that these weights belong to (architecture, encoder and number of bands).",
        )
    broken = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise ModelError(
            f"The weights in '{origin}' are not finite: {_counted(broken, 'broken')}.", "Get the file again."
        )


def _counted(names: list[str], what: str) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} tensor{'s' if len(names) > 1 else ''} {what} ({shown})"


def load_network(path: Path, manifest: Manifest) -> nn.Module:
    """Build the network of a manifest with the weights of a file, ready to predict.

    Raises:
        ModelError: The file cannot be opened safely, or does not fit the manifest.
    """
    tensors = read_tensors(path)
    network = network_of(manifest)
    load_strictly(network, tensors, path.name)
    return network.eval()
