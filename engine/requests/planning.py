"""What a large run will take, before it begins."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.requests.base import BandNumbers, Paths, Request
from engine.requests.classify import ClassifyRequest


class PlanRequest(Request):
    """Tell how long a classification takes and what it needs, from a short calibration on this machine."""

    model: str = Field(description="Model file (.safetensors, .pth, .ckpt) or the name of a model in the catalogue.")
    weights: str | None = Field(None, description="Checkpoint on disk for a model of the catalogue.")
    input: Paths | None = Field(None, description="Image to classify; several make one mosaic.")
    season: str | None = Field(
        None, description="Folder of satellite images, one a date, for a model that also looks at the season."
    )
    bands: BandNumbers | None = Field(
        None, description="Band numbers by name, such as red=1,green=2,blue=3,infrared=4; default: told by the file."
    )
    extent: str | None = Field(None, description="Part to classify: xmin,xmax,ymin,ymax [EPSG:code].")
    area: str | None = Field(None, description="Vector file whose polygons bound the part to classify.")
    area_layer: str | None = Field(None, description="Layer of the vector file; default: its first.")
    square_kilometres: float | None = Field(
        None, gt=0, le=1e9, allow_inf_nan=False, description="Size of the area, where there is no image yet."
    )
    ground_sampling_distance: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Ground sampling distance of the image in metres; default: told by the file, else the model's.",
    )
    confidence: bool = Field(False, description="Count the raster of the winning class's probability in.")
    probabilities: bool = Field(False, description="Count the raster of all classes' probabilities in.")
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Literal["auto", "exact", "half", "int8"] = Field(
        "auto", description="auto (exact on CPU, half on GPU), exact (float32), half (16 bits) or int8 (CPU)."
    )
    blend: bool = Field(False, description="Blend overlapping windows with a Hann weight.")
    augment: bool = Field(False, description="Average over the 8 symmetries of a window.")
    window: int | None = Field(None, ge=64, le=8192, description="Side of a core tile in pixels; default: by memory.")
    margin: int | None = Field(None, ge=0, le=2048, description="Context around a core tile in pixels.")
    memory: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Memory that may be used, in GB; default: what is free."
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; default: all cores.")
    workers: int = Field(1, ge=1, le=100_000, description="Workers that will share the work, each as fast as this one.")
    seconds: float = Field(60.0, gt=0, le=3600, allow_inf_nan=False, description="Seconds to calibrate for.")
    calibration: str | None = Field(
        None, description="What an earlier call, perhaps on another machine, wrote; nothing is measured then."
    )
    output: str | None = Field(None, description="File to write the calibration and the plan to (.json).")
    crs: str | None = Field(None, description="CRS of an image that carries none, such as EPSG:2154.")
    nodata: float | None = Field(None, description="Image value that means no data; default: told by the file.")
    allow_scale: bool = Field(False, description="Accept a ground sampling distance over 4 times off the model's.")
    allow_range: bool = Field(False, description="Accept band values outside the range the model was trained on.")
    overwrite: bool = Field(False, description="Replace an existing output.")

    @model_validator(mode="after")
    def _check(self) -> PlanRequest:
        if (self.input is None) == (self.square_kilometres is None):
            raise ValueError("give either an image (input) or the size of the area (square_kilometres)")
        if self.input is None and (self.extent or self.area or self.season):
            raise ValueError("extent, area and season belong to an image: give input, or square_kilometres alone")
        if self.extent and self.area:
            raise ValueError("extent and area exclude each other")
        if self.output and not self.output.lower().endswith(".json"):
            raise ValueError("the output must end in .json")
        return self

    def classification(self, images: list[str], folder: str) -> ClassifyRequest:
        """Return the classification that is planned.

        Args:
            images: What it reads.
            folder: Where its outputs would lie.
        """
        shared = set(ClassifyRequest.model_fields) & set(PlanRequest.model_fields)
        values = self.model_dump(include=shared - {"input", "output", "confidence", "probabilities", "workers"})
        return ClassifyRequest(
            **values,
            input=images,
            output=f"{folder}/map.tif",
            confidence=f"{folder}/confidence.tif" if self.confidence else None,
            probabilities=f"{folder}/probabilities.tif" if self.probabilities else None,
            resume=False,
        )
