"""Requests: the one definition of every command's options.

The QGIS algorithms, the YAML files and the command line are all views of these
models. An unknown key is an error that names the key and its nearest valid one.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from engine.errors import RequestError
from engine.recipe import RecipeOptions


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, Path)) else value


def _as_bands(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    for part in value.replace(" ", "").split(","):
        name, separator, number = part.partition("=")
        if not separator or not number.isdigit():
            raise ValueError(f"'{part}' is not name=number; an example: red=1,green=2,blue=3,infrared=4")
        pairs[name] = number
    return pairs


def _as_words(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.replace(",", " ").split() if isinstance(value, str) else value


BandNumbers = Annotated[dict[str, Annotated[int, Field(ge=1)]], BeforeValidator(_as_bands)]
Paths = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
Words = Annotated[list[str], BeforeValidator(_as_words), Field(min_length=1)]
Codes = Annotated[list[Annotated[int, Field(ge=0, le=255)]], BeforeValidator(_as_words)]


class Request(BaseModel):
    """Base of all requests: no unknown keys."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ClassifyRequest(Request):
    """Classify a raster into land-cover classes."""

    model: str = Field(description="Model file (.safetensors, .pth, .ckpt) or the name of a model in the catalogue.")
    weights: str | None = Field(None, description="Checkpoint on disk for a model of the catalogue.")
    input: Paths = Field(description="Image file; several make one mosaic.")
    output: str = Field(description="Class raster to write (.tif), or with sheets the mosaic (.vrt) over them.")
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
        if self.layout == "sheets" and not self.output.lower().endswith(".vrt"):
            raise ValueError("with layout 'sheets' the output must end in .vrt")
        if self.layout == "single" and not self.output.lower().endswith((".tif", ".tiff")):
            raise ValueError("the output must end in .tif")
        for name in ("confidence", "probabilities"):
            value = getattr(self, name)
            if value and not value.lower().endswith((".tif", ".tiff")):
                raise ValueError(f"{name} must end in .tif")
        return self


class ExtractPatchesRequest(Request):
    """Cut an image and its labels into a data set of patches to learn from."""

    image: Paths = Field(description="Image file; several make one mosaic.")
    labels: Paths = Field(description="Polygons with a class field, or a raster of class codes; several are united.")
    output: str = Field(description="Folder of the data set to write.")
    label_layer: str | None = Field(None, description="Layer of the polygon file; default: its first with polygons.")
    class_field: str | None = Field(
        None, description="Field of the polygons that holds the class; default: 'code' or 'class'."
    )
    classes: str | None = Field(
        None,
        description="Your class names or codes, each with a code or name of the nomenclature, such as Wald=7,Haus=1, "
        "or a YAML file of such pairs; 0 leaves a class out. Default: codes or names of the nomenclature itself.",
    )
    nomenclature: str = Field("flair", description="Name of a nomenclature, or a YAML file with classes of your own.")
    bands: BandNumbers | None = Field(
        None, description="Band numbers by name, such as red=1,green=2,blue=3,infrared=4; default: told by the file."
    )
    area: str | None = Field(None, description="Vector file whose polygons bound the part to cut patches from.")
    area_layer: str | None = Field(None, description="Layer of the vector file; default: its first.")
    patch_size: int = Field(512, ge=64, le=4096, multiple_of=32, description="Side of a patch in pixels.")
    overlap: int = Field(0, ge=0, description="Pixels that neighbouring patches share.")
    labelled: float = Field(
        0.1, ge=0, le=1, allow_inf_nan=False, description="Least share of labelled pixels for a patch to be kept."
    )
    val_share: float = Field(0.15, ge=0, lt=1, allow_inf_nan=False, description="Share of patches for validation.")
    test_share: float = Field(0.15, ge=0, lt=1, allow_inf_nan=False, description="Share of patches for testing.")
    block: int | None = Field(
        None, ge=1, description="Side, in patches, of the blocks that are split as a whole; default: by the area."
    )
    seed: int = Field(0, ge=0, description="Seed of the split.")
    crs: str | None = Field(None, description="CRS of an image that carries none, such as EPSG:2154.")
    ground_sampling_distance: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Ground sampling distance of the image in metres, where the file does not tell.",
    )
    nodata: float | None = Field(None, description="Image value that means no data; default: told by the file.")
    overwrite: bool = Field(False, description="Replace an existing data set once the new one is complete.")
    resume: bool = Field(True, description="Go on with an interrupted run of the same request.")

    @model_validator(mode="after")
    def _check(self) -> ExtractPatchesRequest:
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share and test_share leave nothing to learn from")
        if self.overlap >= self.patch_size:
            raise ValueError("overlap must be less than patch_size")
        return self


class TrainRequest(RecipeOptions, Request):
    """Train a network on a data set of patches and write a model file."""

    data: str = Field(description="Folder of a data set, its dataset.yaml, or a folder with train.csv and val.csv.")
    root: str | None = Field(None, description="Folder that the paths in the CSV files start from; default: theirs.")
    output: str = Field(description="Model file to write (.safetensors).")
    preset: str = Field("fine-tune", description="Recipe: fine-tune, quick, flair-inc, flair-2, or a YAML file.")
    start_from: str | None = Field(None, description="Model file, checkpoint or catalogue name whose weights to adapt.")
    weights: str | None = Field(None, description="Checkpoint on disk, when start_from names a catalogue model.")
    bands: Words | None = Field(None, description="Bands to learn from, such as red,green,blue; default: all.")
    ignore: Codes | None = Field(
        None, description="Codes of labels never learnt nor scored, such as 0,19; default: told by the data set."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    devices: int = Field(1, ge=1, le=1024, description="Devices (on a CPU: processes) of each machine to train on.")
    nodes: int = Field(1, ge=1, description="Machines to train on; started by torchrun or SLURM.")
    workers: int | None = Field(None, ge=0, le=256, description="Processes that read patches; default: by the device.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: all cores.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of weights, sampling and augmentation.")
    name: str | None = Field(None, description="Name of the model; default: that of its file.")
    licence: str = Field("", description="Licence of the model, written into its file.")
    report: str | None = Field(None, description="Report to write (.html); default: beside the model file.")
    overwrite: bool = Field(False, description="Replace an existing model file once the new one is complete.")
    resume: bool = Field(True, description="Go on with an interrupted run of the same request.")

    @model_validator(mode="after")
    def _check(self) -> TrainRequest:
        if not self.output.lower().endswith(".safetensors"):
            raise ValueError("the output must end in .safetensors")
        if self.report and not self.report.lower().endswith((".html", ".htm")):
            raise ValueError("report must end in .html")
        return self


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
    split: Literal["train", "val", "test"] = Field("test", description="Part of the data set to judge on.")
    root: str | None = Field(None, description="Folder that the paths in the CSV files start from; default: theirs.")
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
        if self.model and useless:
            raise ValueError(f"{useless[0]} has no effect with model and data")
        return self


class FlairRequest(Request):
    """Train, predict and score as IGN's flair-1-config.yaml says."""

    conf: str = Field(description="IGN's configuration file.")
    published_behaviour: bool = Field(False, description="Predict as IGN's tool: let classes of weight 0 win.")
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: all cores.")
    overwrite: bool = Field(False, description="Replace existing results once the new ones are complete.")


class FlairDetectRequest(Request):
    """Classify a raster as IGN's flair-1-config-detect.yaml says."""

    conf: str = Field(description="IGN's configuration file, of FLAIR-1 or of FLAIR-HUB's zonal detection.")
    published_behaviour: bool = Field(
        False, description="Do as IGN's tool to the bit: its windows, zeros beyond the edge, no class masked."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: all cores.")
    overwrite: bool = Field(False, description="Replace an existing output once the new one is complete.")


class ModelsRequest(Request):
    """List the models of the catalogue, or describe a model file."""

    model: str | None = Field(None, description="Model file or catalogue name to describe; default: list all.")


class DiagnosticsRequest(Request):
    """Report versions, devices and memory of the engine."""


COMMANDS: dict[str, type[Request]] = {
    "extract-patches": ExtractPatchesRequest,
    "train": TrainRequest,
    "classify": ClassifyRequest,
    "evaluate": EvaluateRequest,
    "flair": FlairRequest,
    "flair-detect": FlairDetectRequest,
    "models": ModelsRequest,
    "diagnostics": DiagnosticsRequest,
}


def parse_request(command: str, values: dict[str, Any]) -> Request:
    """Check plain values against a command's request.

    Raises:
        RequestError: The command or a key is unknown, or a value is wrong; the message names it.
    """
    if command not in COMMANDS:
        raise RequestError(f"There is no command '{command}'.", _nearest(command, list(COMMANDS)))
    model = COMMANDS[command]
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _request_error(model, error) from error


def _request_error(model: type[Request], error: ValidationError) -> RequestError:
    problems: list[str] = []
    hints: list[str] = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            problems.append(f"Unknown option '{key}'.")
            hints.append(_nearest(key, list(model.model_fields)))
        elif item["type"] == "missing":
            problems.append(f"The option '{key}' is missing.")
        else:
            text = item["msg"].removeprefix("Value error, ")
            problems.append(f"Option '{key}': {text}." if key else f"{text[:1].upper()}{text[1:]}.")
    return RequestError(" ".join(problems), " ".join(hint for hint in hints if hint))


def _nearest(key: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(key, valid, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Valid ones: {', '.join(sorted(valid))}."
