"""From imagery and labels to patches to learn from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.requests.base import BandNumbers, Paths, Request, Words


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


class DatasetDownloadRequest(Request):
    """Download a published data set, or parts of it; goes on where an earlier download stopped."""

    POSITIONAL = "dataset"

    dataset: str = Field(
        "flair-1",
        description="Data set: flair-1, flair-1-toy, flair-2, flair-2-toy, flair-hub, flair-hub-toy, or another of the "
        "sources.",
    )
    output: str = Field(description="Folder to write the data set into; an earlier download there goes on.")
    modalities: Words | None = Field(
        None,
        description="Parts: aerial, labels, metadata, sentinel2, lists and, of flair-hub, elevation, spot, sentinel1, "
        "crops; default: labels, metadata, aerial, lists.",
    )
    splits: Words | None = Field(None, description="Parts of the split: train, val, test; default: all.")
    domains: Words | None = Field(
        None, description="Departments or domains to keep, such as D012 or D012_2019; default: all."
    )
    sources: str | None = Field(None, description="YAML file of addresses in place of the project's own.")
    connections: int = Field(4, ge=1, le=16, description="Pieces that are fetched at once.")
    keep_archives: bool = Field(
        False, description="Fetch the archives whole and keep them after unpacking; needs about twice the space."
    )
    only_size: bool = Field(False, description="Say how large the download is and end.")


class DatasetCheckRequest(Request):
    """Check a data set on disk: pairs, sizes, classes, CRS; write the lists of the official splits."""

    POSITIONAL = "folder"

    folder: str = Field(description="Folder that holds the data set.")
    layout: Literal["auto", "flair-1", "flair-hub"] = Field("auto", description="How the folder is laid out.")
    nomenclature: str = Field("flair", description="Name of a nomenclature, or a YAML file with classes of your own.")
    checksums: bool = Field(
        False, description="Compare every file with the SHA-256 that was measured when it was downloaded."
    )
    lists: bool = Field(False, description="Write train.csv, val.csv and test.csv of the official split.")
    report: str | None = Field(None, description="Table of every problem to write (.csv).")
