"""What is checked and settled of a season before a network is built."""

from __future__ import annotations

import difflib
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.band import Band
from engine.data.pairs import Pair
from engine.data.patch_file import read_header
from engine.data.patch_index import PatchIndex
from engine.data.time_series.aerial_metadata import AerialMetadata, metadata_of, read_aerial_metadata
from engine.data.time_series.season_folder import AREA_PIXEL, SeasonFolder
from engine.data.time_series.season_index import index_seasons
from engine.data.time_series.series import SeasonSource
from engine.data.time_series.square import STRIDE, square_side
from engine.errors import InputError, RequestError
from engine.events import Reporter
from engine.models.adapt import starting_bands
from engine.models.manifest import UTT, Manifest
from engine.models.season_input import SeasonInput
from engine.models.utt.design import SatelliteDesign
from engine.models.utt.published_faults import PublishedFaults
from engine.rasters.ground_sampling import ground_sampling_distance
from engine.recipe import Recipe
from engine.requests import TrainRequest

_LARGEST_PATCH = 4096
# Channels of the attention that each head gets, as published.
_HEAD_WIDTH = 16
# What a U-T&T to start from decides: other values would make another network.
_SETTLED = ("satellite_widths", "satellite_heads", "faults")


@dataclass(frozen=True)
class SeasonJob:
    """The seasons of a data set, and how a network takes them.

    Args:
        input: What the model file will say of them.
        sources: Seasons of the patches by split.
        dates: Number of dates of each patch by split.
        metadata: Numbers of each patch by split, shape (patches, 45); empty for a network that takes none.
        name: Name of their folder.
        fingerprint: Of all files together.
    """

    input: SeasonInput
    sources: Mapping[str, SeasonSource]
    dates: Mapping[str, npt.NDArray[np.int64]]
    metadata: Mapping[str, npt.NDArray[np.float32]]
    name: str
    fingerprint: str

    @property
    def amount(self) -> str:
        """How much of a season the training patches have, such as `7 to 12 months a patch`."""
        low, high = int(self.dates["train"].min()), int(self.dates["train"].max())
        kind = "months" if self.input.monthly else "dates"
        return f"{low if low == high else f'{low} to {high}'} {kind} a patch"


def season_choices(request: TrainRequest, origin: Manifest | None) -> dict[str, Any]:
    """Return the choices of a recipe that follow from a season and from the model to start from.

    Raises:
        RequestError: Another network than U-T&T is asked for, or one that differs from the model to start from.
    """
    if not request.season:
        return {}
    chosen = getattr(request, "architecture", None)
    if chosen not in (None, UTT):
        raise RequestError(
            f"A network '{chosen}' looks at the aerial image alone and has no use for a season.",
            "Leave --architecture out, or --season.",
        )
    choices: dict[str, Any] = {"architecture": UTT}
    if origin is None or origin.season is None:
        return choices
    season = origin.season
    faults = ",".join(sorted(name for name, on in vars(season.faults).items() if on)) or "none"
    known = {
        "satellite_side": season.side,
        "satellite_widths": season.design.encoder_widths,
        "satellite_heads": season.design.heads,
        "clear_dates": season.clear_only,
        "monthly": season.monthly,
        "faults": faults,
    }
    for name in _SETTLED:
        if getattr(request, name, None) is not None:
            raise RequestError(
                f"start_from and {name} exclude each other: the model has its own.",
                f"Leave --{name.replace('_', '-')} out.",
            )
    return {**choices, **known}


def check_season(request: TrainRequest, recipe: Recipe, origin: Manifest | None) -> None:
    """Check that a network with a season gets one.

    Raises:
        RequestError: It gets none.
    """
    if recipe.architecture != UTT or request.season:
        return
    if origin is not None and origin.season is not None:
        raise RequestError(
            f"'{origin.name}' also looks at satellite images of a season, and none is named.",
            "Name the folder of the satellite images with --season, or start from a model of aerial images alone.",
        )
    raise RequestError(
        "U-T&T learns from a season of satellite images beside the aerial ones, and none is named.",
        "Name their folder with --season, or choose a network of aerial images alone, such as --architecture unet.",
    )


def prepare_season(
    request: TrainRequest,
    recipe: Recipe,
    folder: SeasonFolder,
    index: PatchIndex,
    distance: float,
    origin: Manifest | None,
    reporter: Reporter,
    cancelled: threading.Event,
    span: tuple[float, float],
) -> SeasonJob:
    """Settle the second input of a network, and look at the season of every patch.

    Args:
        request: The request.
        recipe: Preset and choices together.
        folder: The satellite images.
        index: The aerial patches.
        distance: Metres on the ground per aerial pixel.
        origin: Description of the model to start from, or None.
        reporter: Receives progress and facts.
        cancelled: Set to stop.
        span: Part of the progress bar that this takes.

    Raises:
        RequestError: Choices do not fit together.
        InputError: Satellite images or metadata are missing, cannot be used, or do not fit the patches.
        ModelError: Sizes of the satellite branch do not fit together.
        Cancelled: `cancelled` was set.
    """
    known = origin.season if origin is not None else None
    names = _bands(request, folder, known)
    side = square_side(index.smallest, index.largest)
    if origin is not None and known is not None:
        ratio = known.ground_sampling_distance / origin.ground_sampling_distance
    elif folder.dates is None:
        ratio = AREA_PIXEL / distance
    else:
        ratio = _fitting_ratio(folder, side, distance, recipe.satellite_side, reporter)
    _check_ground(side, ratio, recipe.satellite_side)
    faults = named_faults(recipe.faults)
    design = known.design if known is not None else _design(recipe)
    pairs = index.pairs
    metadata, digest = _metadata(request, pairs, faults)
    sources = {
        split: folder.of(
            [pair.image for pair in part],
            bands=names,
            ratio=ratio,
            side=recipe.satellite_side,
            clear_only=recipe.clear_dates,
            monthly=recipe.monthly,
        )
        for split, part in pairs.items()
    }
    season = SeasonInput(
        # Their numbers are measured below; whether the rest makes sense is said before thousands of files are read.
        bands=tuple(Band(name, 0.0, 1.0) for name in names),
        ground_sampling_distance=ratio * distance,
        side=recipe.satellite_side,
        clear_only=recipe.clear_dates,
        monthly=recipe.monthly,
        metadata=bool(metadata),
        design=design,
        faults=faults,
        patch=side,
    )
    season.check()
    measured = index_seasons(
        {split: (sources[split], len(pairs[split])) for split in pairs}, names, reporter, cancelled, span
    )
    season = replace(season, bands=starting_bands(measured.bands, known))
    job = SeasonJob(season, sources, measured.dates, metadata, folder.root.name, folder.fingerprint + digest)
    under = round(side / ratio)
    reporter.log(
        f"Season of '{job.name}': bands {', '.join(names)}; {job.amount}, {season.side} x {season.side} pixels of "
        f"{season.ground_sampling_distance:.4g} m around it, {under} x {under} of them under it."
    )
    return job


def named_faults(text: str) -> PublishedFaults:
    """Return the faults of the published code that a text names: `none`, `all`, or names between commas.

    Raises:
        RequestError: There is no such fault.
    """
    words = text.replace(",", " ").split()
    if words in ([], ["none"]):
        return PublishedFaults()
    if words == ["all"]:
        return PublishedFaults.every_one()
    known = [item.name for item in fields(PublishedFaults)]
    for word in words:
        if word not in known:
            close = difflib.get_close_matches(word, known, n=1)
            raise RequestError(
                f"The published U-T&T has no fault '{word}'.",
                f"Did you mean '{close[0]}'?" if close else f"There are: none, all, {', '.join(known)}.",
            )
    return PublishedFaults(**dict.fromkeys(words, True))


def _bands(request: TrainRequest, folder: SeasonFolder, known: SeasonInput | None) -> tuple[str, ...]:
    names = tuple(folder.bands[at] for at in folder.channels(request.season_bands)) if request.season_bands else ()
    if not names and known is not None:
        names = tuple(band.name for band in known.bands)
        folder.channels(names)
    return names or folder.bands


def _fitting_ratio(folder: SeasonFolder, side: int, distance: float, around: int, reporter: Reporter) -> float:
    """Return the aerial pixels per satellite pixel, so that a patch is a whole number of them with a middle."""
    if folder.dates is None:
        return AREA_PIXEL / distance
    header = read_header(folder.dates.files[0][0])
    x, y = ground_sampling_distance(header.crs, header.transform, header.width, header.height, reporter)
    native = (x + y) / 2
    wide = side * distance / native
    # Even as the sides of the surroundings are, so that the patch is in their middle.
    under = max(2, 2 * round(wide / 2))
    if not 0.6 < under / wide < 1.67:
        reporter.warning(
            f"A patch is {wide:.2g} satellite pixels of {native:.3g} m wide; they are brought to {under}, of "
            f"{side * distance / under:.3g} m."
        )
    if under > around:
        raise InputError(
            f"A patch is {under} satellite pixels wide, more than the {around} that are looked at.",
            f"Choose a greater --satellite-side, such as {2 * under}.",
        )
    return side / under


def _check_ground(side: int, ratio: float, around: int) -> None:
    def fits(pixels: int) -> bool:
        ground = pixels / ratio
        rest = around - round(ground)
        return abs(ground - round(ground)) < 1e-6 and round(ground) > 0 and rest >= 0 and rest % 2 == 0

    if not fits(side):
        good = [size for size in range(STRIDE, _LARGEST_PATCH + 1, STRIDE) if fits(size)]
        near = min(good, key=lambda size: abs(size - side), default=None)
        raise InputError(
            f"A patch of {side} pixels is {side / ratio:.4g} satellite pixels wide, which has no place in the middle "
            f"of {around}.",
            f"Take patches of {near} pixels." if near else "Take patches of another size or ground sampling distance.",
        )


def _design(recipe: Recipe) -> SatelliteDesign:
    widths, heads = recipe.satellite_widths, recipe.satellite_heads
    if any(width % heads or width % 4 for width in widths):
        raise RequestError(
            f"Widths of {', '.join(map(str, widths))} channels cannot be dealt out to {heads} attention heads.",
            f"Choose --satellite-widths that are multiples of 4 and of --satellite-heads, such as {4 * heads}.",
        )
    return SatelliteDesign(widths, widths, heads=heads, attention_width=_HEAD_WIDTH * heads)


def _metadata(
    request: TrainRequest, pairs: Mapping[str, Sequence[Pair]], faults: PublishedFaults
) -> tuple[dict[str, npt.NDArray[np.float32]], str]:
    """Return the numbers of each patch by split, and a fingerprint of them."""
    if not request.metadata:
        return {}, ""
    # Loads torch, which is needed for nothing else yet.
    from engine.models.utt.metadata_encoding import encode_metadata

    known = read_aerial_metadata(Path(request.metadata).expanduser())

    def numbers(item: AerialMetadata) -> npt.NDArray[np.float32]:
        return encode_metadata(**vars(item), faults=faults)

    found = {
        split: np.stack([numbers(item) for item in metadata_of([pair.image for pair in part], known)])
        for split, part in pairs.items()
    }
    return found, hashlib.sha256(b"".join(found[split].tobytes() for split in sorted(found))).hexdigest()
