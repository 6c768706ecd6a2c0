"""From products as they are delivered to one image as a model expects it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from engine.requests.base import BandNumbers, Paths, Request


def _as_pair(value: object) -> object:
    return [part for part in value.replace(",", " ").split() if part] if isinstance(value, str) else value


Pair = Annotated[
    list[Annotated[float, Field(allow_inf_nan=False)]], BeforeValidator(_as_pair), Field(min_length=2, max_length=2)
]


class PrepareInputRequest(Request):
    """Make one image of an orthophoto, infrared and heights, as a model expects it."""

    rgb: Paths = Field(
        description="Orthophoto with red, green and blue; files, folders of tiles, or services such as ign:ortho."
    )
    irc: Paths | None = Field(
        None,
        description="Colour-infrared orthophoto with near infrared, red, green; files, folders or services (ign:irc).",
    )
    nir: Paths | None = Field(None, description="Near infrared alone; files or folders.")
    dsm: Paths | None = Field(None, description="Digital surface model; files, folders or services (ign:dsm).")
    dtm: Paths | None = Field(None, description="Digital terrain model; files, folders or services (ign:dtm).")
    height: Paths | None = Field(None, description="Height above ground, in place of dsm and dtm; files or folders.")
    bands: BandNumbers | None = Field(
        None, description="Band numbers in rgb, such as red=1,green=2,blue=3; default: told by the file."
    )
    infrared_band: int | None = Field(
        None, ge=1, description="Number of the band of irc or nir that holds infrared; default: told by the file, or 1."
    )
    height_unit: Literal["auto", "metre", "foot"] = Field(
        "auto", description="Unit of the heights; auto: what the files say, else metres."
    )
    output: str = Field(description="Image to write: GeoTIFF (.tif), or .vrt where nothing has to be computed.")
    ground_sampling_distance: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Ground sampling distance to write, in metres; default: the image's.",
    )
    extent: str | None = Field(None, description="Part to write: xmin,xmax,ymin,ymax [EPSG:code].")
    fill_distance: float = Field(
        5.0, ge=0, le=100, allow_inf_nan=False, description="Metres over which holes in the heights are filled."
    )
    percentiles: Pair | None = Field(
        None, description="Percentiles of the image that become 0 and 255, for imagery of 16 bits; default: 0.5,99.5."
    )
    value_range: Pair | None = Field(None, description="Values of the image that become 0 and 255, such as 0,4095.")
    crs: str | None = Field(None, description="CRS of inputs that carry none, such as EPSG:2154.")
    nodata: float | None = Field(None, description="Image value that means no data; default: told by the file.")
    allow_mismatch: bool = Field(
        False, description="Warn of infrared or heights that the checks find wrong, instead of refusing them."
    )
    report: str | None = Field(None, description="Report of the checks to write (.html); default: beside the output.")
    overwrite: bool = Field(False, description="Replace an existing output once the new one is complete.")
    resume: bool = Field(True, description="Go on with an interrupted run of the same request.")

    @model_validator(mode="after")
    def _check(self) -> PrepareInputRequest:
        if self.irc and self.nir:
            raise ValueError("irc and nir exclude each other")
        if self.height and (self.dsm or self.dtm):
            raise ValueError("height stands in place of dsm and dtm")
        if bool(self.dsm) != bool(self.dtm):
            raise ValueError("dsm and dtm belong together: the band is the height of one above the other")
        if self.infrared_band and not (self.irc or self.nir):
            raise ValueError("infrared_band is a band of irc or nir: give one of them")
        unknown = set(self.bands or ()) - {"red", "green", "blue"}
        if unknown:
            raise ValueError(f"bands names red, green and blue, not {', '.join(sorted(unknown))}")
        if self.percentiles and not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise ValueError("percentiles must be two numbers from 0 to 100, low,high")
        if self.percentiles and self.value_range:
            raise ValueError("percentiles and value_range exclude each other")
        for name in ("percentiles", "value_range"):
            pair = getattr(self, name)
            if pair and pair[0] >= pair[1]:
                raise ValueError(f"{name} must be given as low,high")
        if not self.output.lower().endswith((".tif", ".tiff", ".vrt")):
            raise ValueError("the output must end in .tif or .vrt")
        if self.report and not self.report.lower().endswith((".html", ".htm")):
            raise ValueError("report must end in .html")
        return self
