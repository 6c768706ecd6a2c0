"""From satellite downloads to a season."""

from __future__ import annotations

from pydantic import Field, model_validator

from engine.requests.base import Paths, Request, Words


class PrepareTimeSeriesRequest(Request):
    """Cut Sentinel-2 downloads to the ground of an aerial image: one file a date, as models with a season take them."""

    input: str = Field(
        description="Folder of the downloads, unpacked: one file a date, or one a date and band, also in folders below."
    )
    image: Paths | None = Field(None, description="Aerial image whose ground is wanted; several count together.")
    extent: str | None = Field(
        None, description="Ground wanted, in place of an image: xmin,xmax,ymin,ymax [EPSG:code]."
    )
    output: str = Field(description="Folder to write.")
    margin: float = Field(
        300.0, ge=0, le=100_000, allow_inf_nan=False, description="Metres of surroundings; networks look 256 m far."
    )
    season_bands: Words | None = Field(
        None, description="Satellite bands in their order; default: B02,B03,B04,B05,B06,B07,B08,B8A,B11,B12."
    )
    pixel_size: float = Field(10.0, gt=0, le=1000, allow_inf_nan=False, description="Metres of a satellite pixel.")
    offset: int | None = Field(
        None,
        ge=-10_000,
        le=10_000,
        description="What is added to pixels; default: -1000 where the product's name tells of processing N0400 or "
        "later, else 0.",
    )
    clear_only: bool = Field(True, description="Leave out dates under snow and clouds, and keep masks of the others.")
    monthly: bool = Field(False, description="Write the mean of each month instead of all dates.")
    crs: str | None = Field(None, description="CRS of an image or extent that carries none, such as EPSG:2154.")
    overwrite: bool = Field(False, description="Replace an existing output once the new one is complete.")
    resume: bool = Field(True, description="Go on with an interrupted run of the same request.")

    @model_validator(mode="after")
    def _check(self) -> PrepareTimeSeriesRequest:
        if (self.image is None) == (self.extent is None):
            raise ValueError("give the ground that is wanted, either as image or as extent")
        return self
