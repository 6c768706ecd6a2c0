"""The seasons of labelled patches, for models that look at one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.data.time_series.aerial_metadata import AerialMetadata, metadata_of, read_aerial_metadata
from engine.data.time_series.season_folder import SeasonFolder
from engine.data.time_series.series import SeasonSource
from engine.data.time_series.sources import AreaSeasons
from engine.data.time_series.square import square_side
from engine.errors import InputError
from engine.models.manifest import Manifest
from engine.study.labelled_set import LabelledSet


@dataclass(frozen=True)
class NamedSeason:
    """What a person names for a set of patches.

    Args:
        folder: Satellite images; None where none are named.
        metadata: Aerial metadata by patch; None where none are named.
    """

    folder: SeasonFolder | None = None
    metadata: Mapping[str, AerialMetadata] | None = None

    @staticmethod
    def open(season: str | None, centroids: str | None, metadata: str | None) -> NamedSeason:
        """Open what is named.

        Raises:
            InputError: It cannot be used.
        """
        return NamedSeason(
            SeasonFolder.open(season, centroids) if season else None,
            read_aerial_metadata(Path(metadata).expanduser()) if metadata else None,
        )


@dataclass(frozen=True)
class PatchSeason:
    """The second input of a model, for all patches of a set.

    Args:
        source: Their seasons.
        metadata: Their metadata as numbers, shape (patches, 45); None for a model that takes none.
        fingerprint: Of the files, and of the metadata.
    """

    source: SeasonSource
    metadata: npt.NDArray[np.float32] | None
    fingerprint: str


def season_of(manifest: Manifest, test: LabelledSet, named: NamedSeason) -> PatchSeason | None:
    """Return what a model needs beside the patches; None for one that looks at them alone.

    Raises:
        InputError: It needs satellite images or metadata that are not named or do not fit, or patches of one size.
    """
    season = manifest.season
    if season is None:
        return None
    if named.folder is None:
        raise needs_season(manifest)
    if season.metadata and named.metadata is None:
        raise InputError(
            f"'{manifest.name}' also learnt from where, when and with which camera its patches were taken.",
            "Name the JSON file of the patches' metadata with --metadata.",
        )
    square_side(test.index.smallest, test.index.largest)
    images = [pair.image for pair in test.pairs]
    source = named.folder.of(
        images,
        bands=[band.name for band in season.bands],
        ratio=season.ground_sampling_distance / manifest.ground_sampling_distance,
        side=season.side,
        clear_only=season.clear_only,
        monthly=season.monthly,
    )
    numbers = None
    if season.metadata and named.metadata is not None:
        # Loads torch, which checks have no use for.
        from engine.models.utt.metadata_encoding import encode_metadata

        found = metadata_of(images, named.metadata)
        numbers = np.stack([encode_metadata(**vars(item), faults=season.faults) for item in found])
    _check_areas(named.folder, images)
    digest = "" if numbers is None else hashlib.sha256(numbers.tobytes()).hexdigest()
    return PatchSeason(source, numbers, named.folder.fingerprint + digest)


def needs_season(manifest: Manifest) -> InputError:
    """Return what is said where a model's season is not named."""
    return InputError(
        f"'{manifest.name}' also looks at satellite images of a season, and none are named.",
        "Name the folder of the patches' satellite images with --season.",
    )


def _check_areas(folder: SeasonFolder, images: Sequence[Path]) -> None:
    """Look for the files of all patches, before an hour of predicting ends at one that has none."""
    if folder.dates is None:
        AreaSeasons(tuple(images), folder.root, folder.centroids).check()
