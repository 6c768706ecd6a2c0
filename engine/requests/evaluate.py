"""From predictions and truth to figures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.requests.base import BandNumbers, Codes, Paths, Request


class EvaluateRequest(Request):
    """Judge a class raster, or a model on a data set, by what is known to be true."""

    prediction: Paths | None = Field(None, description="Class raster to judge; several make one mosaic.")
    truth: Paths | None = Field(None, description="Raster of class codes, or polygons with a class field.")
    output: str = Field(description="Folder to write: metrics.json, confusion.csv, report.html and errors.tif.")
    truth_layer: str | None = Field(None, description="Layer of the polygon file; default: its first with polygons.")
    class_field: str | None = Field(
        None, description="Field of the polygons that holds the class; default: 'code' or 'class'."
    )
    classes: str | None = Field(
        None,
        description="Class names or codes of the truth, each with a code or name of the nomenclature, such as "
        "Wald=7,Haus=1, or a YAML file of such pairs; 0 leaves a class out.",
    )
    nomenclature: str | None = Field(
        None, description="Name of a nomenclature, or a YAML file; default: the prediction's own classes, else flair."
    )
    ignore: Codes | None = Field(
        None, description="Codes of the truth that are not counted, such as 0,19; default: told by the data set."
    )
    definition: Literal["strict", "ign", "ign-present", "challenge12"] = Field(
        "strict", description="What the figures count; they differ by several points, so every report names it."
    )
    area: str | None = Field(None, description="Vector file whose polygons bound the part to judge, with a row each.")
    area_layer: str | None = Field(None, description="Layer of the vector file; default: its first.")
    area_field: str | None = Field(None, description="Field that names the polygons; default: 'name' or a number.")
    image: Paths | None = Field(None, description="Image to show beside the worst places.")
    bands: BandNumbers | None = Field(
        None, description="Band numbers of the image by name, such as red=1,green=2,blue=3; default: told by the file."
    )
    model: str | None = Field(None, description="Model file or catalogue name to judge on a data set.")
    weights: str | None = Field(None, description="Checkpoint on disk for a model of the catalogue.")
    data: str | None = Field(None, description="Folder of a data set, its dataset.yaml, or a CSV of image,mask lines.")
    season: str | None = Field(
        None,
        description="Folder of the patches' satellite images of many dates, for a model that looks at a season: one "
        "GeoTIFF a date with YYYYMMDD in its name, or FLAIR #2's satellite folders (DOMAIN/AREA).",
    )
    centroids: str | None = Field(
        None,
        description="JSON file with each patch's row and column in FLAIR #2's satellite files; default: the one in the "
        "season's folder or beside it.",
    )
    metadata: str | None = Field(
        None,
        description="FLAIR's JSON file of where, when and with which camera each patch was taken, for a model that "
        "learnt from it.",
    )
    split: Literal["train", "val", "test"] = Field("test", description="Part of the data set to judge on.")
    root: str | None = Field(None, description="Folder that the paths in the CSV files start from; default: theirs.")
    predictions: str | None = Field(
        None, description="Folder to write, of the class raster of every patch; with model and data."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: all cores.")
    error_map: bool = Field(True, description="Write a raster of what is right and wrong, for rasters.")
    block: int = Field(512, ge=16, le=2048, description="Side in pixels of the blocks that intervals are drawn from.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the intervals.")
    crs: str | None = Field(None, description="CRS of a prediction that carries none, such as EPSG:2154.")
    nodata: float | None = Field(None, description="Value that means no prediction; default: told by the file.")
    overwrite: bool = Field(False, description="Replace an earlier evaluation once the new one is complete.")

    @model_validator(mode="after")
    def _check(self) -> EvaluateRequest:
        rasters, patches = (self.prediction, self.truth), (self.model, self.data)
        if any(rasters) and any(patches):
            raise ValueError("give prediction and truth, or model and data, not both")
        if not (all(rasters) or all(patches)):
            raise ValueError("give both prediction and truth, or both model and data")
        if not self.area and (self.area_layer or self.area_field):
            raise ValueError("area_layer and area_field need an area")
        idle = ("truth_layer", "class_field", "nomenclature", "area", "image", "bands", "crs", "nodata")
        useless = [name for name in idle if getattr(self, name) is not None]
        if self.predictions and not self.model:
            raise ValueError("predictions has an effect with model and data only")
        seasonal = [name for name in ("season", "centroids", "metadata") if getattr(self, name) is not None]
        if seasonal and not self.model:
            raise ValueError(f"{seasonal[0]} has an effect with model and data only")
        if seasonal and not self.season:
            raise ValueError(f"{seasonal[0]} has an effect with a season only")
        if self.model and useless:
            raise ValueError(f"{useless[0]} has no effect with model and data")
        return self


class BenchmarkRequest(Request):
    """Judge several models on several test sets, beside published figures."""

    POSITIONAL = "study"

    study: str = Field(description="Study to run (.yaml): its models, its test sets and what to compare with.")
    output: str | None = Field(None, description="Folder to write; default: named as the study, beside its file.")
    definition: Literal["strict", "ign", "ign-present", "challenge12"] | None = Field(
        None, description="What the figures count; default: as the study says, else ign, as the published ones do."
    )
    predictions: bool = Field(False, description="Keep the class raster of every patch.")
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: all cores.")
    overwrite: bool = Field(False, description="Start anew instead of going on where an earlier run stopped.")
