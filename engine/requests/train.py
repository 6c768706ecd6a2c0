"""From patches to a model file."""

from __future__ import annotations

from pydantic import Field, model_validator

from engine.recipe import RecipeOptions
from engine.requests.base import Codes, Request, Words


class TrainRequest(RecipeOptions, Request):
    """Train a network on a data set of patches and write a model file."""

    data: str = Field(description="Folder of a data set, its dataset.yaml, or a folder with train.csv and val.csv.")
    root: str | None = Field(None, description="Folder that the paths in the CSV files start from; default: theirs.")
    output: str = Field(description="Model file to write (.safetensors).")
    preset: str = Field("fine-tune", description="Recipe: fine-tune, quick, flair-inc, flair-2, utt, or a YAML file.")
    start_from: str | None = Field(None, description="Model file, checkpoint or catalogue name whose weights to adapt.")
    weights: str | None = Field(None, description="Checkpoint on disk, when start_from names a catalogue model.")
    bands: Words | None = Field(None, description="Bands to learn from, such as red,green,blue; default: all.")
    ignore: Codes | None = Field(
        None, description="Codes of labels never learnt nor scored, such as 0,19; default: told by the data set."
    )
    season: str | None = Field(
        None,
        description="Folder of satellite images of many dates to learn from beside the aerial image: one GeoTIFF a "
        "date with YYYYMMDD in its name, or FLAIR #2's satellite folders (DOMAIN/AREA).",
    )
    season_bands: Words | None = Field(
        None, description="Satellite bands to learn from, such as B02,B03,B04,B08; default: all."
    )
    centroids: str | None = Field(
        None,
        description="JSON file with each patch's row and column in FLAIR #2's satellite files; default: the one in the "
        "season's folder or beside it.",
    )
    metadata: str | None = Field(
        None,
        description="FLAIR's JSON file of where, when and with which camera each patch was taken, to learn from it "
        "too; with a season.",
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
        idle = [name for name in ("season_bands", "centroids", "metadata") if getattr(self, name) is not None]
        if idle and not self.season:
            raise ValueError(f"{idle[0]} has an effect with a season only")
        return self
