"""What a model file says of itself."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from engine.band import Band
from engine.errors import ModelError
from engine.models.season_input import SeasonInput
from engine.nomenclature import Nomenclature

FORMAT = 2
# What older versions read is written as they know it.
WITHOUT_SEASON = 1
UTT = "utt"
"""The architecture with a season: U-T&T, a U-Net whose encoder is named as any other's."""
ELEVATION_ENCODING = "clip(round(5 * max(DSM - DTM, 0)), 0, 255)"


@dataclass(frozen=True)
class Manifest:
    """All that is needed to use a model's tensors.

    Args:
        name: Name shown to people.
        architecture: Name of a segmentation-models-pytorch architecture, such as `unet`.
        encoder: Name of its encoder, such as `resnet34`.
        bands: Input bands in channel order; the network gets (value - mean) / std.
        nomenclature: Classes in channel order.
        ground_sampling_distance: Metres on the ground per pixel.
        elevation: Formula of the elevation band, None without one.
        licence: Licence of the weights.
        provenance: Where the weights come from: source, data, versions, metrics.
        season: Second input of a network that also looks at satellite images of many dates; None for all others.
    """

    name: str
    architecture: str
    encoder: str
    bands: tuple[Band, ...]
    nomenclature: Nomenclature
    ground_sampling_distance: float = 0.2
    elevation: str | None = None
    licence: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    season: SeasonInput | None = None

    @property
    def band_names(self) -> tuple[str, ...]:
        """Band names in channel order."""
        return tuple(band.name for band in self.bands)

    def to_json(self) -> str:
        """Return the manifest as the JSON text that a model file's header carries."""
        return json.dumps(
            {
                "format": WITHOUT_SEASON if self.season is None else FORMAT,
                "name": self.name,
                "architecture": self.architecture,
                "encoder": self.encoder,
                "bands": [vars(band) for band in self.bands],
                "nomenclature": self.nomenclature.to_dict(),
                "ground_sampling_distance": self.ground_sampling_distance,
                "elevation": self.elevation,
                "licence": self.licence,
                "provenance": self.provenance,
                **({} if self.season is None else {"season": self.season.to_dict()}),
            },
            ensure_ascii=False,
            sort_keys=True,
        )

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Read a manifest.

        Raises:
            ModelError: The text is no manifest, or one of a later format.
        """
        try:
            values = json.loads(text)
            if values["format"] > FORMAT:
                raise ModelError(
                    f"The model file has format {values['format']}; this version reads up to {FORMAT}.",
                    "Update the plugin.",
                )
            manifest = Manifest(
                name=str(values["name"]),
                architecture=str(values["architecture"]),
                encoder=str(values["encoder"]),
                bands=tuple(
                    Band(
                        str(band["name"]),
                        float(band["mean"]),
                        float(band["std"]),
                        float(band.get("minimum", 0.0)),
                        float(band.get("maximum", 255.0)),
                    )
                    for band in values["bands"]
                ),
                nomenclature=Nomenclature.from_dict(values["nomenclature"]),
                ground_sampling_distance=float(values["ground_sampling_distance"]),
                elevation=values.get("elevation"),
                licence=str(values.get("licence", "")),
                provenance=dict(values.get("provenance", {})),
                season=None if values.get("season") is None else SeasonInput.from_dict(values["season"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise ModelError(f"The model file's manifest is not readable: {error!r}.") from error
        manifest.check()
        return manifest

    def check(self) -> None:
        """Check that the values make sense together.

        Raises:
            ModelError: They do not.
        """
        if not self.bands or len(set(self.band_names)) != len(self.bands):
            raise ModelError(f"A model needs bands with different names, not {list(self.band_names)}.")
        for band in self.bands:
            if not (math.isfinite(band.mean) and math.isfinite(band.std) and band.std > 0):
                raise ModelError(f"Band '{band.name}': mean {band.mean} and deviation {band.std} are not usable.")
        if not (math.isfinite(self.ground_sampling_distance) and self.ground_sampling_distance > 0):
            raise ModelError(f"A ground sampling distance of {self.ground_sampling_distance} m is not usable.")
        if (self.season is None) != (self.architecture != UTT):
            raise ModelError(
                f"A network '{self.architecture}' {'needs' if self.season is None else 'has no use for'} a season."
            )
        if self.season is not None:
            self.season.check()
