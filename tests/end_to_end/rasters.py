"""Making rasters, and looking at results."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import rasterio
from affine import Affine

from engine.nomenclature import load_nomenclature

FLAIR = load_nomenclature("flair")
CODES = {item.code for item in FLAIR.enabled}
# What the scene shows. A model knows no class that its patches never showed, and its maps have no such colour.
SCENE = CODES - {14}


def read(path, band=1):
    with rasterio.open(path) as dataset:
        return dataset.read(band)


def read_all(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def write(path, array, *, transform, crs="EPSG:2154", nodata=None, names=True):
    """Write (bands, height, width) as GeoTIFF with the names of the scene's bands."""
    with rasterio.open(
        path, "w", driver="GTiff", count=array.shape[0], height=array.shape[1], width=array.shape[2],
        dtype=array.dtype, crs=crs, transform=transform, nodata=nodata, tiled=True,
    ) as dataset:  # fmt: skip
        dataset.write(array)
        if names:
            dataset.descriptions = ("red", "green", "blue", "infrared", "elevation")[: array.shape[0]]
    return str(path)


def cut(source, path, column, row, width, height):
    """Write a part of a raster as a file of its own, where it lies."""
    with rasterio.open(source) as dataset:
        window = rasterio.windows.Window(column, row, width, height)
        return write(
            path, dataset.read(window=window), transform=dataset.window_transform(window), crs=dataset.crs,
            nodata=dataset.nodata,
        )  # fmt: skip


def repeated(source, path, columns, rows, *, size=None):
    """Write a VRT that lays a raster out several times; with `size` (width, height) the rest of it is empty."""
    with rasterio.open(source) as dataset:
        width, height, count = dataset.width, dataset.height, dataset.count
        crs, transform, names = dataset.crs, dataset.transform, dataset.descriptions
    full = size or (columns * width, rows * height)
    root = ElementTree.Element("VRTDataset", rasterXSize=str(full[0]), rasterYSize=str(full[1]))
    ElementTree.SubElement(root, "SRS").text = crs.to_wkt()
    ElementTree.SubElement(root, "GeoTransform").text = ", ".join(map(repr, transform.to_gdal()))
    for band in range(1, count + 1):
        element = ElementTree.SubElement(root, "VRTRasterBand", dataType="Byte", band=str(band))
        ElementTree.SubElement(element, "Description").text = names[band - 1]
        if size:
            ElementTree.SubElement(element, "NoDataValue").text = "0"
        for row in range(rows):
            for column in range(columns):
                part = ElementTree.SubElement(element, "SimpleSource")
                ElementTree.SubElement(part, "SourceFilename", relativeToVRT="0").text = str(source)
                ElementTree.SubElement(part, "SourceBand").text = str(band)
                here = {"xSize": str(width), "ySize": str(height)}
                ElementTree.SubElement(part, "SrcRect", xOff="0", yOff="0", **here)
                ElementTree.SubElement(part, "DstRect", xOff=str(column * width), yOff=str(row * height), **here)
    ElementTree.ElementTree(root).write(path)
    return str(path)


def manifest(model):
    """Return what a model file says of itself."""
    with Path(model).open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return json.loads(header["__metadata__"]["flair_manifest"])


def learnt(model):
    """Return the codes of the classes that a model can tell."""
    return {item["code"] for item in manifest(model)["nomenclature"]["classes"] if not item["disabled"]}


def assert_is_class_raster(path, *, width, height, transform, crs="EPSG:2154", codes=SCENE):
    """Check georeferencing, palette, names, nodata, layout and style of a class raster; return its pixels."""
    with rasterio.open(path) as dataset:
        assert (dataset.count, dataset.width, dataset.height) == (1, width, height)
        assert dataset.dtypes == ("uint8",)
        assert dataset.nodata == 0
        assert dataset.crs == rasterio.crs.CRS.from_user_input(crs)
        assert dataset.transform.almost_equals(Affine(*transform[:6]), 1e-9)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"]
        palette = dataset.colormap(1)
        for item in FLAIR.enabled:
            if item.code not in codes:
                continue
            assert palette[item.code][:3] == item.rgb, item.name
        assert dataset.tags()["FLAIR_MODEL"]
        assert len(dataset.tags()["FLAIR_MODEL_SHA256"]) == 64
        pixels = dataset.read(1)
    assert set(np.unique(pixels).tolist()) <= codes | {0}
    assert style_classes(Path(path).with_suffix(".qml")) == expected_classes(codes)
    return pixels


def expected_classes(codes=SCENE):
    """Return code, colour and lower-case name of what a legend must hold."""
    return [(item.code, item.color.lower(), item.name.lower()) for item in FLAIR.enabled if item.code in codes]


def style_classes(qml):
    entries = ElementTree.parse(qml).getroot().iter("paletteEntry")
    return [(int(item.get("value")), item.get("color").lower(), item.get("label").lower()) for item in entries]
