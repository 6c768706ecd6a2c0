"""What a network needs to know of the satellite images that it looks at beside the aerial one."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.band import Band
from engine.errors import ModelError
from engine.models.utt.design import SatelliteDesign
from engine.models.utt.published_faults import NONE, PublishedFaults


@dataclass(frozen=True)
class SeasonInput:
    """The second input of a network.

    Args:
        bands: Satellite bands in channel order; the network gets (value - mean) / std.
        ground_sampling_distance: Metres on the ground per satellite pixel.
        side: Rows and columns of satellite pixels around the middle of a patch.
        clear_only: Dates under snow and clouds are dropped.
        monthly: Dates are averaged by month.
        metadata: The network also takes where, when and with which camera the aerial image was taken.
        design: Sizes of the satellite branch.
        faults: Faults of the published code that the weights were learnt with.
        patch: Rows and columns of the aerial patches that the network learnt with, in pixels; None where not known.
    """

    bands: tuple[Band, ...]
    ground_sampling_distance: float = 10.24
    side: int = 40
    clear_only: bool = True
    monthly: bool = True
    metadata: bool = False
    design: SatelliteDesign = field(default_factory=SatelliteDesign)
    faults: PublishedFaults = NONE
    patch: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON; of the faults, the names of those that are on."""
        values = {**vars(self), "bands": [vars(band) for band in self.bands], "design": asdict(self.design)}
        values["faults"] = sorted(name for name, on in vars(self.faults).items() if on)
        return values

    @staticmethod
    def from_dict(values: dict[str, Any]) -> SeasonInput:
        """Read what `to_dict` returned.

        Raises:
            KeyError, TypeError, ValueError: A value is missing or not usable.
            ModelError: Sizes do not fit together.
        """
        design: dict[str, Any] = {
            name: tuple(int(width) for width in value) if isinstance(value, list) else int(value)
            for name, value in values["design"].items()
        }
        return SeasonInput(
            bands=tuple(Band(**band) for band in values["bands"]),
            ground_sampling_distance=float(values["ground_sampling_distance"]),
            side=int(values["side"]),
            clear_only=bool(values["clear_only"]),
            monthly=bool(values["monthly"]),
            metadata=bool(values["metadata"]),
            design=SatelliteDesign(**design),
            faults=PublishedFaults(**dict.fromkeys(values["faults"], True)),
            patch=None if values.get("patch") is None else int(values["patch"]),
        )

    def check(self) -> None:
        """Check that the values make sense together.

        Raises:
            ModelError: They do not.
        """
        names = [band.name for band in self.bands]
        if not names or len(set(names)) != len(names):
            raise ModelError(f"A season needs bands with different names, not {names}.")
        for band in self.bands:
            if not (math.isfinite(band.mean) and math.isfinite(band.std) and band.std > 0):
                raise ModelError(
                    f"Satellite band '{band.name}': mean {band.mean} and deviation {band.std} do not work."
                )
        if not (math.isfinite(self.ground_sampling_distance) and self.ground_sampling_distance > 0):
            raise ModelError(f"Satellite pixels of {self.ground_sampling_distance} m are not usable.")
        step = self.design.step
        if self.side < 2 * step or self.side % step:
            raise ModelError(f"{self.side} satellite pixels are not twice or more times {step}.")
