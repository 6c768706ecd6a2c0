"""From a model and imagery to a map."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.requests.base import BandNumbers, Paths, Request


class ClassifyRequest(Request):
    """Classify a raster into land-cover classes."""

    model: str = Field(description="Model file (.safetensors, .pth, .ckpt) or the name of a model in the catalogue.")
    weights: str | None = Field(None, description="Checkpoint on disk for a model of the catalogue.")
    input: Paths = Field(
        description="Image file, folder of images, list of paths (@list.txt), index of tiles (.gpkg), or service such "
        "as ign:ortho or wms:https://host/a?layers=B; several make one mosaic."
    )
    output: str = Field(description="Class raster to write (.tif), or with sheets the mosaic (.vrt) over them.")
    season: str | None = Field(
        None,
        description="Folder of satellite images, one a date, for a model that also looks at the season; "
        "see prepare-time-series.",
    )
    bands: BandNumbers | None = Field(
        None, description="Band numbers by name, such as red=1,green=2,blue=3,infrared=4; default: told by the file."
    )
    extent: str | None = Field(None, description="Part to classify: xmin,xmax,ymin,ymax [EPSG:code].")
    area: str | None = Field(None, description="Vector file whose polygons bound the part to classify.")
    area_layer: str | None = Field(None, description="Layer of the vector file; default: its first.")
    confidence: str | None = Field(None, description="Raster of the winning class's probability to write, in per cent.")
    probabilities: str | None = Field(
        None, description="Raster of all classes' probabilities to write, one band a class, in per cent."
    )
    layout: Literal["single", "sheets"] = Field("single", description="One file, or kilometric sheets under a VRT.")
    sheet_size: float = Field(1000.0, gt=0, allow_inf_nan=False, description="Side of a sheet in units of the CRS.")
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Literal["auto", "exact", "half", "int8"] = Field(
        "auto", description="auto (exact on CPU, half on GPU), exact (float32), half (16 bits) or int8 (CPU)."
    )
    blend: bool = Field(False, description="Blend overlapping windows with a Hann weight; about 6 times slower.")
    augment: bool = Field(False, description="Average over the 8 symmetries of a window; 8 times slower.")
    window: int | None = Field(None, ge=64, le=8192, description="Side of a core tile in pixels; default: by memory.")
    margin: int | None = Field(None, ge=0, le=2048, description="Context around a core tile in pixels.")
    batch_size: int | None = Field(None, ge=1, le=256, description="Windows predicted at once; default: by memory.")
    memory: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Memory that may be used, in GB; default: what is free."
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; default: all cores.")
    workers: int | None = Field(
        None, ge=1, le=1024, description="Processes that share the work on this computer, one a GPU; default: one."
    )
    scheduler: str | None = Field(
        None,
        pattern=r"^(tcp|tls)://[^/\s]+:\d+$",
        description="Scheduler of a Dask cluster whose workers share the work: tcp://HOST:PORT or tls://HOST:PORT.",
    )
    crs: str | None = Field(None, description="CRS of an image that carries none, such as EPSG:2154.")
    ground_sampling_distance: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Ground sampling distance of the image in metres, where the file does not tell.",
    )
    nodata: float | None = Field(None, description="Image value that means no data; default: told by the file.")
    allow_scale: bool = Field(False, description="Accept a ground sampling distance over 4 times off the model's.")
    allow_range: bool = Field(False, description="Accept band values outside the range the model was trained on.")
    overwrite: bool = Field(False, description="Replace an existing output once the new one is complete.")
    resume: bool = Field(True, description="Go on with an interrupted run of the same request.")

    @model_validator(mode="after")
    def _check(self) -> ClassifyRequest:
        if self.extent and self.area:
            raise ValueError("extent and area exclude each other")
        if self.workers and self.scheduler:
            raise ValueError("workers and scheduler exclude each other: a cluster brings its own workers")
        if self.layout == "sheets" and not self.output.lower().endswith(".vrt"):
            raise ValueError("with layout 'sheets' the output must end in .vrt")
        if self.layout == "single" and not self.output.lower().endswith((".tif", ".tiff")):
            raise ValueError("the output must end in .tif")
        for name in ("confidence", "probabilities"):
            value = getattr(self, name)
            if value and not value.lower().endswith((".tif", ".tiff")):
                raise ValueError(f"{name} must end in .tif")
        return self
