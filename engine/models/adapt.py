"""Weights of one model for a network with other bands and other classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.band import Band
from engine.errors import ModelError
from engine.models.band_filters import described, filters_by_name, input_layers
from engine.models.changes import TensorChange, summary
from engine.models.checkpoint import load_strictly, read_tensors

if TYPE_CHECKING:
    import torch
    from torch import nn

    from engine.events import Reporter
    from engine.models.manifest import Manifest
    from engine.models.resolve import ResolvedModel
    from engine.models.season_input import SeasonInput
    from engine.nomenclature import LandCoverClass, Nomenclature

__all__ = [
    "TensorChange",
    "adapted",
    "check_encoders",
    "rows_by_class",
    "start_from",
    "starting_bands",
    "starting_statistics",
]


def start_from(network: nn.Module, manifest: Manifest, origin: ResolvedModel, reporter: Reporter) -> list[TensorChange]:
    """Put the weights of a model into a new network, which may have other bands and other classes.

    - Filters of the first layer go by the name of the band. Those of bands that both have stay as they are, so that the
      network answers as before where the new bands are at their mean. New bands get copies: whole ones as long as they
      only take the place of bands that are gone, else at the strength of one band among all, because the layers behind
      were trained on the response without them.
    - Rows of the head go by class: one that both have, by code and name, keeps its row wherever it stands; the rows of
      new classes stay random.
    - With another architecture around the same encoder, the encoder is taken and the rest stays random.

    Args:
        network: New network of `manifest`; changed in place.
        manifest: Bands and classes of the new network.
        origin: Model whose weights to take.
        reporter: Gets one line of what became of the tensors.

    Returns:
        What became of each tensor of the network, and which of the file were left out.

    Raises:
        ModelError: The encoders differ, or the file does not hold what its description says.
    """
    before = origin.manifest
    check_encoders(before, manifest)
    changes = adapted(network, manifest, before, read_tensors(origin.path), origin.path.name)
    reporter.log(f"Starting from '{before.name}': {summary(changes)}.")
    return changes


def check_encoders(before: Manifest, manifest: Manifest) -> None:
    """Check that a model can be the start of another.

    Raises:
        ModelError: Their encoders differ.
    """
    if before.encoder != manifest.encoder:
        raise ModelError(
            f"'{before.name}' is {before.architecture} with {before.encoder} and cannot be the start of "
            f"{manifest.architecture} with {manifest.encoder}: the encoders differ.",
            f"Train with --encoder {before.encoder} --architecture {before.architecture}, or start from another model.",
        )


def adapted(
    network: nn.Module, manifest: Manifest, before: Manifest, given: Mapping[str, torch.Tensor], file: str
) -> list[TensorChange]:
    """Put tensors into a new network; see `start_from`.

    Args:
        network: New network of `manifest`; changed in place.
        manifest: Architecture, bands and classes of the new network.
        before: Those of the network that the tensors are from.
        given: Tensors by name.
        file: Name of their file, for errors.

    Returns:
        What became of each tensor of the network, and which of the file were left out.

    Raises:
        ModelError: The tensors are not what the description says.
    """
    fresh = network.state_dict()
    notes: dict[str, TensorChange] = {}
    tensors: dict[str, torch.Tensor] = dict(given)
    left_out: list[TensorChange] = []
    if before.architecture != manifest.architecture:
        reason = f"belongs to {before.architecture}"
        left_out = [
            TensorChange(name, "left out", reason)
            for name in given
            if name not in fresh and not name.startswith("encoder.")
        ]
        tensors = {name: tensor for name, tensor in given.items() if name.startswith("encoder.")}
        for name in fresh:
            if not name.startswith("encoder."):
                tensors[name] = fresh[name]
                notes[name] = TensorChange(name, "new", f"{manifest.architecture} instead of {before.architecture}")
    else:
        for name in _head(network):
            _check(given, name, 0, len(before.nomenclature.classes), file, "classes")
            tensors[name], notes[name] = rows_by_class(
                name, given[name], fresh[name], before.nomenclature, manifest.nomenclature
            )
    if before.band_names != manifest.band_names:
        layers = input_layers(network.get_submodule("encoder"), len(manifest.bands))
        if not layers:
            raise ModelError(
                f"The first layer of {manifest.encoder} is not known, so it cannot be fitted to other bands.",
                f"Train on the bands of '{before.name}': {', '.join(before.band_names)}.",
            )
        for name in (f"encoder.{layer}" for layer in layers):
            _check(given, name, 1, len(before.bands), file, "bands")
            tensors[name], notes[name] = _other_bands(name, given[name], before.band_names, manifest.band_names)
    load_strictly(network, tensors, file)
    return [notes.get(name, TensorChange(name, "kept")) for name in fresh] + left_out


def _check(tensors: Mapping[str, torch.Tensor], name: str, dimension: int, expected: int, file: str, what: str) -> None:
    # A file that belies its description would otherwise be cut to shape without a word.
    shape = tuple(tensors[name].shape) if name in tensors else ()
    if len(shape) <= dimension or shape[dimension] != expected:
        found = f"has shape {shape}" if shape else "is missing"
        raise ModelError(
            f"The weights in '{file}' do not fit their description: {name} {found}, for {expected} {what}.",
            "Choose the model that these weights belong to.",
        )


def _other_bands(
    name: str, weight: torch.Tensor, given: Sequence[str], wanted: Sequence[str]
) -> tuple[torch.Tensor, TensorChange]:
    filters, sources = filters_by_name(weight, given, wanted)
    gone = [band for band in given if band not in wanted]
    if len(sources) > len(gone):
        for index, band in enumerate(wanted):
            if band in sources:
                filters[:, index] /= len(wanted)
    if sources:
        return filters, TensorChange(name, "widened", described(sources, wanted))
    note = f"without {', '.join(gone)}" if gone else "bands in another order"
    return filters, TensorChange(name, "kept", note)


def _head(network: nn.Module) -> list[str]:
    from torch import nn

    head = network.get_submodule("segmentation_head")
    last = [name for name, module in head.named_modules() if isinstance(module, nn.Conv2d)][-1]
    prefix = f"segmentation_head.{last}."
    return [name for name in network.state_dict() if name.startswith(prefix)]


def rows_by_class(
    name: str, given: torch.Tensor, fresh: torch.Tensor, before: Nomenclature, after: Nomenclature
) -> tuple[torch.Tensor, TensorChange]:
    """Return a layer to classes whose rows go by class, and what became of it.

    Args:
        name: Its name.
        given: Weight or bias with a row for each class of `before`.
        fresh: The new network's, whose rows new classes keep.
        before: Classes in order of the given rows.
        after: Classes in order of the new ones.
    """
    rows = {_identity(item): row for row, item in enumerate(before.classes)}
    places = [rows.get(_identity(item)) for item in after.classes]
    made = fresh.clone()
    for row, place in enumerate(places):
        if place is not None:
            made[row] = given[place]
    kept = [place for place in places if place is not None]
    new = [item.name for item, place in zip(after.classes, places, strict=True) if place is None]
    gone = len(rows) - len(kept)
    parts = [f"{len(kept)} classes kept"]
    parts += [f"{len(new)} new ({', '.join(new)})"] if new else []
    parts += [f"{gone} left out"] if gone else []
    note = ", ".join(parts)
    if not kept:
        return made, TensorChange(name, "new", note)
    if new:
        return made, TensorChange(name, "widened", note)
    if gone or kept != sorted(kept):
        return made, TensorChange(name, "kept", note if gone else "classes in another order")
    return given, TensorChange(name, "kept")


def _identity(item: LandCoverClass) -> tuple[int, str]:
    # A code alone means other things in other nomenclatures, and so does a name such as "other".
    return item.code, item.name.strip().casefold()


def starting_bands(measured: Sequence[Band], origin: Manifest | SeasonInput | None) -> tuple[Band, ...]:
    """Return measured bands, with mean and deviation of the model to start from where it knows them.

    Args:
        measured: Bands of the new network, as the data has them.
        origin: What the training starts from, None for nothing; see `starting_statistics`.
    """
    known = {} if origin is None else starting_statistics(origin, [band.name for band in measured])
    return tuple(
        replace(band, mean=known[band.name][0], std=known[band.name][1]) if band.name in known else band
        for band in measured
    )


def starting_statistics(origin: Manifest | SeasonInput, bands: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return mean and deviation of the bands that a model already knows.

    A network goes on learning from the values that it was trained on, so these win over those of the new data.

    Args:
        origin: Description of the model that the training starts from, or of its season.
        bands: Names of the bands of the new network.

    Returns:
        (mean, standard deviation) of the raw values by band name, for the bands that both have.
    """
    known = {band.name: (band.mean, band.std) for band in origin.bands}
    return {name: known[name] for name in bands if name in known}
