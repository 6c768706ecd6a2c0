"""What is checked and settled before a network is built."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import __version__
from engine.band import Band
from engine.data.band_statistics import measure_bands
from engine.data.dataset import Dataset, open_dataset
from engine.data.patch_index import PatchIndex, index_patches
from engine.data.time_series.season_folder import SeasonFolder
from engine.errors import InputError, RequestError
from engine.events import Reporter
from engine.models.adapt import starting_bands
from engine.models.manifest import ELEVATION_ENCODING, Manifest
from engine.models.resolve import ResolvedModel, resolve_model
from engine.nomenclature import IGNORE_INDEX, Nomenclature
from engine.rasters.ground_sampling import ground_sampling_distance
from engine.recipe import Recipe, chosen
from engine.requests import TrainRequest
from engine.training.presets import load_recipe
from engine.training.season_job import SeasonJob, check_season, prepare_season, season_choices

PACKAGES = ("torch", "pytorch-lightning", "segmentation-models-pytorch")
STRIDE = 32
# Where the progress bar stands when the files are looked at, the bands measured, the season, the libraries loaded.
INDEXED, BANDS, MEASURED, PREPARED = 0.015, 0.017, 0.02, 0.03
# A class with fewer training pixels than this is hardly learnt.
FEW_PIXELS = 1000


@dataclass(frozen=True)
class TrainingJob:
    """Everything that is known before a network is built.

    Args:
        request: The request.
        recipe: Preset and choices together.
        dataset: The data set.
        index: What its files hold.
        origin: Model to start from, or None.
        manifest: What the model file will say, but for its figures.
        channels: Band numbers in the files, in the network's order.
        piece: Side of the pieces learnt from, in pixels.
        season: The patches' seasons, for a network that looks at them.
    """

    request: TrainRequest
    recipe: Recipe
    dataset: Dataset
    index: PatchIndex
    origin: ResolvedModel | None
    manifest: Manifest
    channels: tuple[int, ...]
    piece: int
    season: SeasonJob | None = None

    @property
    def table(self) -> npt.NDArray[np.uint8]:
        """Code to training index, shape (256,), 255 for what is never learnt."""
        return self.manifest.nomenclature.code_to_index

    def class_counts(self, split: str) -> npt.NDArray[np.int64]:
        """Return pixels by patch and class in channel order, shape (patches, classes); ignored ones are left out."""
        codes = list(self.manifest.nomenclature.codes)
        counts = self.index.counts[split][:, codes].copy()
        counts[:, self.table[codes] == IGNORE_INDEX] = 0
        return np.asarray(counts)

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns that whole patches are padded to."""
        height, width = self.index.largest
        return -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE


def prepare(request: TrainRequest, reporter: Reporter, cancelled: threading.Event) -> TrainingJob:
    """Read the data set and settle recipe, bands and classes.

    Raises:
        EngineError: Whatever would make the training fail or mean nothing.
    """
    origin = None
    if request.start_from:
        origin = resolve_model(request.start_from, request.weights, season=True, reporter=reporter, cancelled=cancelled)
    before = origin.manifest if origin else None
    choices = {**season_choices(request, before), **chosen(request)}
    if before is not None:
        # Weights are of use only in the network that they were made for.
        choices = {"architecture": before.architecture, "encoder": before.encoder, **choices}
        if "encoder_weights" in choices and choices["encoder_weights"] != "none":
            raise RequestError(
                "start_from and encoder_weights exclude each other.",
                "Leave --encoder-weights out: the model has its own.",
            )
        choices["encoder_weights"] = "none"
    recipe = load_recipe(request.preset, choices)
    check_season(request, recipe, before)
    satellite = SeasonFolder.open(request.season, request.centroids) if request.season else None
    dataset = open_dataset(request.data, request.root)
    # What is never learnt need not be in the nomenclature.
    looked_at = replace(dataset, ignored=(*dataset.ignored, *(request.ignore or ())))
    index = index_patches(looked_at, reporter, cancelled, INDEXED)
    channels, names = _channels(request, index, origin)
    nomenclature = _classes(request, dataset, index, reporter)
    _check_weights(recipe, nomenclature)
    bands = _statistics(dataset, index, channels, origin, reporter, cancelled)
    distance = _ground_sampling(dataset, index, origin, reporter)
    season = None
    if satellite is not None:
        span = (BANDS, MEASURED)
        season = prepare_season(request, recipe, satellite, index, distance, before, reporter, cancelled, span)
    manifest = Manifest(
        name=request.name or Path(request.output).stem,
        architecture=recipe.architecture,
        encoder=recipe.encoder,
        bands=bands,
        nomenclature=nomenclature,
        ground_sampling_distance=distance,
        elevation=_elevation(names, origin),
        licence=request.licence,
        provenance={
            **_provenance(request, recipe, dataset, index, origin),
            **({} if season is None else {"season": {"name": season.name, "fingerprint": season.fingerprint}}),
        },
        season=season.input if season is not None else None,
    )
    manifest.check()
    piece = _piece(recipe, index, reporter) if season is None else _whole(recipe, index, reporter)
    job = TrainingJob(request, recipe, dataset, index, origin, manifest, channels, piece, season)
    _tell(job, reporter)
    return job


def _channels(
    request: TrainRequest, index: PatchIndex, origin: ResolvedModel | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return band numbers and names: those asked for, else the starting model's where the data has them, else all."""
    wanted = tuple(request.bands or ())
    if not wanted and origin is not None and set(origin.manifest.band_names) <= set(index.bands):
        # The model's bands come first and in its order; what the data has besides is a gain that must be asked for.
        wanted = origin.manifest.band_names
    wanted = wanted or index.bands
    missing = [name for name in wanted if name not in index.bands]
    if missing or len(set(wanted)) != len(wanted):
        raise InputError(
            f"The data set holds the bands {', '.join(index.bands)}, not {', '.join(missing or wanted)}.",
            "Choose among them with --bands, such as --bands red,green,blue.",
        )
    return tuple(index.bands.index(name) + 1 for name in wanted), wanted


def _classes(request: TrainRequest, dataset: Dataset, index: PatchIndex, reporter: Reporter) -> Nomenclature:
    """Return the nomenclature with exactly the classes enabled that occur in the training patches."""
    nomenclature = dataset.nomenclature
    ignored = set(dataset.ignored if request.ignore is None else request.ignore)
    learnt = index.pixels("train")
    enabled = [
        item for item in nomenclature.classes if not item.disabled and item.code not in ignored and learnt[item.code]
    ]
    if not enabled:
        raise InputError(
            "No pixel of the training patches has a class to learn.", "Check the labels, and what --ignore leaves out."
        )
    if len(enabled) == 1:
        raise InputError(
            f"The training patches hold one class only: {enabled[0].name}.",
            "A network needs at least two to tell apart: label something else too.",
        )
    judged = index.pixels("val")
    if not any(judged[item.code] for item in enabled):
        raise InputError(
            "No pixel of the validation patches has a class that is learnt: nothing could say how good the model is.",
            "Extract the patches with another --seed or a greater --val-share.",
        )
    for item in enabled:
        if not judged[item.code]:
            reporter.warning(f"'{item.name}' occurs in no validation patch: nothing says how well it is learnt.")
        if learnt[item.code] < FEW_PIXELS:
            reporter.warning(f"'{item.name}' has {learnt[item.code]} training pixels only and will hardly be learnt.")
    lost = [i for i in nomenclature.classes if judged[i.code] and not i.disabled and not learnt[i.code]]
    for item in lost:
        if item.code not in ignored:
            reporter.warning(f"'{item.name}' occurs in validation patches only, so it is not learnt.")
    return nomenclature.with_disabled({item.code for item in nomenclature.classes} - {item.code for item in enabled})


def _check_weights(recipe: Recipe, nomenclature: Nomenclature) -> None:
    if not isinstance(recipe.class_weights, dict):
        return
    strange = sorted(set(recipe.class_weights) - set(nomenclature.codes))
    if strange:
        raise RequestError(
            f"Class weights are given for codes that are not in the nomenclature: {', '.join(map(str, strange))}.",
            f"'{nomenclature.name}' has the codes {', '.join(map(str, nomenclature.codes))}.",
        )
    if not any(recipe.class_weights.get(item.code, 1.0) for item in nomenclature.enabled):
        raise RequestError("All classes that could be learnt have the weight 0.", "Give some of them a weight.")


def _statistics(
    dataset: Dataset,
    index: PatchIndex,
    channels: tuple[int, ...],
    origin: ResolvedModel | None,
    reporter: Reporter,
    cancelled: threading.Event,
) -> tuple[Band, ...]:
    if dataset.described is not None:
        measured: tuple[Band, ...] = dataset.described.bands
    else:
        span = (INDEXED, BANDS)
        measured = measure_bands(index.pairs["train"], index.bands, index.header, reporter, cancelled, span)
    return starting_bands([measured[number - 1] for number in channels], origin.manifest if origin else None)


def _ground_sampling(dataset: Dataset, index: PatchIndex, origin: ResolvedModel | None, reporter: Reporter) -> float:
    header = index.header
    distance = dataset.ground_sampling_distance
    if distance is None and header.crs is not None and not header.transform.is_identity:
        x, y = ground_sampling_distance(header.crs, header.transform, header.width, header.height, reporter)
        distance = round((x + y) / 2, 4)
    if distance is None:
        distance = origin.manifest.ground_sampling_distance if origin else 0.2
        reporter.warning(f"The images do not tell the size of their pixels; {distance:g} m is assumed.")
    if origin is not None and not 0.5 < distance / origin.manifest.ground_sampling_distance < 2:
        reporter.warning(
            f"The data has {distance:g} m a pixel, the model to start from "
            f"{origin.manifest.ground_sampling_distance:g} m: little of what it knows will be of use."
        )
    return distance


def _elevation(names: tuple[str, ...], origin: ResolvedModel | None) -> str | None:
    if "elevation" not in names:
        return None
    return (origin.manifest.elevation if origin else None) or ELEVATION_ENCODING


def _piece(recipe: Recipe, index: PatchIndex, reporter: Reporter) -> int:
    smallest = min(index.smallest)
    whole = smallest // STRIDE * STRIDE
    if whole < STRIDE:
        raise InputError(
            f"The smallest patch is {index.smallest[1]} x {index.smallest[0]} pixels, less than {STRIDE}.",
            "Extract larger patches.",
        )
    if recipe.crop > whole:
        reporter.log(f"The patches are {smallest} pixels wide: pieces of {whole} are learnt, not of {recipe.crop}.")
    return min(recipe.crop or whole, whole)


def _whole(recipe: Recipe, index: PatchIndex, reporter: Reporter) -> int:
    """Return the side of whole patches: a part of one would have its middle, and so its season, elsewhere."""
    if recipe.crop or recipe.scale > 1:
        reporter.log("With a season, patches are learnt whole: crop and scale have no effect.")
    return min(index.smallest)


def _provenance(
    request: TrainRequest, recipe: Recipe, dataset: Dataset, index: PatchIndex, origin: ResolvedModel | None
) -> dict[str, Any]:
    start = {"model": origin.manifest.name, "sha256": origin.sha256} if origin else recipe.encoder_weights
    if isinstance(start, str) and start not in ("imagenet", "none"):
        start = Path(start).name
    return {
        "engine": __version__,
        "data": {
            "name": dataset.name,
            "fingerprint": index.fingerprint,
            "patches": {split: len(pairs) for split, pairs in index.pairs.items()},
            "pixels": {str(code): int(count) for code, count in enumerate(index.pixels("train").tolist()) if count},
        },
        "preset": request.preset if not request.preset.endswith((".yaml", ".yml")) else Path(request.preset).name,
        "recipe": recipe.model_dump(mode="json", exclude={"encoder_weights"}),
        "start": start,
        "seed": request.seed,
        "versions": {name: version(name) for name in PACKAGES},
    }


def _tell(job: TrainingJob, reporter: Reporter) -> None:
    count = {split: len(pairs) for split, pairs in job.index.pairs.items()}
    classes = ", ".join(item.name for item in job.manifest.nomenclature.enabled)
    reporter.log(
        f"Data set {job.dataset.name}: "
        + ", ".join(f"{number} {split} patches" for split, number in count.items())
        + f"; bands {', '.join(job.manifest.band_names)}; {job.manifest.ground_sampling_distance:.3g} m a pixel."
    )
    reporter.log(f"{len(job.manifest.nomenclature.enabled)} classes to learn: {classes}.")
