"""From class rasters to polygons, areas and change."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.requests.base import Codes, Request


class PolygoniseRequest(Request):
    """Make polygons of a class raster."""

    input: str = Field(description="Class raster.")
    output: str = Field(description="Polygons to write (.gpkg).")
    layer: str | None = Field(None, description="Name of the layer; default: that of the file.")
    minimum_area: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Smallest area in square metres; what is less joins a neighbour."
    )
    outline: Literal["pixels", "simplified", "smooth"] = Field(
        "simplified", description="Borders along the pixels, without their steps, or rounded; all stay shared."
    )
    tolerance: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Metres that a border may move; default: one and a half pixels.",
    )
    leave_out: Codes | None = Field(None, description="Codes of classes that get no polygons, such as 19.")
    confidence: str | None = Field(None, description="Raster of confidence in per cent, for a mean by polygon.")
    nomenclature: str | None = Field(None, description="Nomenclature of the classes; default: the raster's own.")
    crs: str | None = Field(None, description="CRS of a raster that carries none, such as EPSG:2154.")
    memory: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Memory that may be used, in GB; default: what is free."
    )
    overwrite: bool = Field(False, description="Replace an existing file once the new one is complete.")

    @model_validator(mode="after")
    def _check(self) -> PolygoniseRequest:
        if not self.output.lower().endswith(".gpkg"):
            raise ValueError("the output must end in .gpkg")
        return self


class AreaStatisticsRequest(Request):
    """Count hectares and per cent by class, as a whole or by polygons."""

    input: str = Field(description="Class raster.")
    output: str = Field(description="Folder to write: areas.csv, areas.gpkg where there are polygons, report.html.")
    area: str | None = Field(None, description="Vector file whose polygons get a row each; default: the whole raster.")
    area_layer: str | None = Field(None, description="Layer of the vector file; default: its first.")
    area_field: str | None = Field(None, description="Field that names the polygons; default: 'name' or a number.")
    grid: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Side of a grid's cells in metres, in place of polygons."
    )
    nomenclature: str | None = Field(None, description="Nomenclature of the classes; default: the raster's own.")
    crs: str | None = Field(None, description="CRS of a raster that carries none, such as EPSG:2154.")
    overwrite: bool = Field(False, description="Replace earlier statistics once the new ones are complete.")

    @model_validator(mode="after")
    def _check(self) -> AreaStatisticsRequest:
        if self.grid and self.area:
            raise ValueError("grid and area exclude each other")
        if not self.area and (self.area_layer or self.area_field):
            raise ValueError("area_layer and area_field need an area")
        return self


class ChangeRequest(Request):
    """Find what changed between two class rasters."""

    before: str = Field(description="Class raster of the earlier date.")
    after: str = Field(description="Class raster of the later date; its grid is the result's.")
    output: str = Field(description="Folder to write: change.tif, change.csv, report.html.")
    groups: str | None = Field(
        None, description="YAML file that puts classes into groups, such as sealed: [1, 3]; default: sealed soil."
    )
    minimum_area: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Smallest change in square metres; what is less is left out."
    )
    before_confidence: str | None = Field(None, description="Confidence of the earlier raster, in per cent.")
    after_confidence: str | None = Field(None, description="Confidence of the later raster, in per cent.")
    minimum_confidence: float = Field(
        0.0, ge=0, le=100, allow_inf_nan=False, description="Confidence in per cent below which a change is left out."
    )
    area: str | None = Field(None, description="Vector file whose polygons get a matrix each.")
    area_layer: str | None = Field(None, description="Layer of the vector file; default: its first.")
    area_field: str | None = Field(None, description="Field that names the polygons; default: 'name' or a number.")
    nomenclature: str | None = Field(None, description="Nomenclature of the classes; default: the rasters' own.")
    overwrite: bool = Field(False, description="Replace an earlier result once the new one is complete.")

    @model_validator(mode="after")
    def _check(self) -> ChangeRequest:
        if self.minimum_confidence and not (self.before_confidence or self.after_confidence):
            raise ValueError("minimum_confidence needs before_confidence or after_confidence")
        if not self.area and (self.area_layer or self.area_field):
            raise ValueError("area_layer and area_field need an area")
        return self


class RemapClassesRequest(Request):
    """Write a class raster in another nomenclature."""

    input: str = Field(description="Class raster.")
    output: str = Field(description="Class raster to write (.tif).")
    mapping: str = Field(
        description="flair-15, flair-12, hub or cosia; pairs of codes such as 2=1,3=1,default=0; or a YAML file of "
        "such pairs with the new classes. 0 is no data."
    )
    nomenclature: str | None = Field(None, description="Nomenclature of the raster's classes; default: its own.")
    overwrite: bool = Field(False, description="Replace an existing raster once the new one is complete.")

    @model_validator(mode="after")
    def _check(self) -> RemapClassesRequest:
        if not self.output.lower().endswith((".tif", ".tiff")):
            raise ValueError("the output must end in .tif")
        return self
