"""Runs in a QGIS with a window, started by `help_pictures`: runs all algorithms, draws what they make of the demo."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy
import processing
from osgeo import gdal, ogr
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsContrastEnhancement,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsMultiBandColorRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsRendererCategory,
    QgsSingleBandGrayRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QRect, QSize, Qt
from qgis.PyQt.QtGui import QColor, QFont, QImage, QPainter
from qgis.PyQt.QtWidgets import QTextEdit

sys.path.insert(0, json.loads(os.environ["FLAIR_WINDOW_RUN"])["inside"])

from window_driver import RUN, Press, report, start

MADE = Path(RUN["made"])
# pixels: of a picture's width, of the line above each map, between two maps
WIDTH, TITLE, GAP = 480, 22, 6
# metres that a map shows from left to right, and their lower left corner
SIDE, CORNER = 110.0, (853330.0, 6540800.0)
BAND = {"red": 1, "green": 2, "blue": 3, "infrared": 4}
GROUPS = """classes:
  - {code: 1, name: built, color: "#c0392b"}
  - {code: 2, name: bare, color: "#d8c7a0"}
  - {code: 3, name: green, color: "#5d9c59"}
  - {code: 4, name: water, color: "#2e86c1"}
map: {1: 1, 2: 2, 3: 1, 4: 2, 5: 4, 13: 1, 18: 1, default: 3}
"""
SENTINEL_2 = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
SPLITS = {"train": "#ffffff", "val": "#ffd400", "test": "#ff3df2"}


def run(algorithm, **values):
    """Run an algorithm as its dialog does, and return its results."""
    return processing.runAndLoadResults(f"flair:{algorithm}", values)


def layer_of(path):
    """Return the layer of a file that QGIS loaded."""
    return next(item for item in QgsProject.instance().mapLayers().values() if item.source().startswith(str(path)))


def part(side=SIDE, corner=CORNER):
    """Return the square that maps show."""
    return QgsRectangle(corner[0], corner[1], corner[0] + side, corner[1] + side)


def maps(name, *panes, extent=None):
    """Draw maps side by side, each a title and layers from the top one down."""
    count = len(panes)
    extent = extent or part()
    side = (WIDTH - (count - 1) * GAP) // count
    height = round(side * extent.height() / extent.width())
    drawn = QImage(WIDTH, TITLE + height, QImage.Format.Format_RGB32)
    drawn.fill(Qt.GlobalColor.white)
    painter = QPainter(drawn)
    font = QFont("DejaVu Sans")
    font.setPixelSize(13)
    painter.setFont(font)
    for number, (title, layers) in enumerate(panes):
        settings = QgsMapSettings()
        settings.setLayers(layers)
        settings.setDestinationCrs(layers[-1].crs())
        settings.setOutputSize(QSize(side, height))
        settings.setExtent(extent)
        settings.setBackgroundColor(QColor("white"))
        job = QgsMapRendererParallelJob(settings)
        job.start()
        job.waitForFinished()
        left = number * (side + GAP)
        painter.drawText(QRect(left, 0, side, TITLE - 3), Qt.AlignmentFlag.AlignCenter, title)
        painter.drawImage(left, TITLE, job.renderedImage())
    painter.end()
    drawn.save(str(Path(RUN["pictures"]) / f"{name}.png"))


def log(name, values):
    """Run an algorithm by its dialog's button, and draw what its log says."""
    window = processing.createAlgorithmDialog(f"flair:{name}", values)
    window.show()
    window.resize(840, 430)
    report[name] = Press(window).wait()
    window.findChild(QTextEdit, "txtLog").grab().save(str(Path(RUN["pictures"]) / f"{name}.png"))
    window.close()


def gray(path):
    """Return a layer of one band between black and white."""
    layer = QgsRasterLayer(str(path), "gray")
    layer.setRenderer(QgsSingleBandGrayRenderer(layer.dataProvider(), 1))
    layer.setContrastEnhancement(QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum)
    return layer


def outlined(geometries, crs, colors):
    """Return a layer of outlines, in the colours of their names."""
    layer = QgsVectorLayer(f"Polygon?crs={crs.authid()}&field=name:string", "outlines", "memory")
    for geometry, name in geometries:
        feature = QgsFeature(layer.fields())
        feature.setGeometry(geometry)
        feature.setAttributes([name])
        layer.dataProvider().addFeature(feature)
    categories = []
    for name, color in colors.items():
        symbol = QgsFillSymbol.createSimple({"color": "0,0,0,0", "outline_color": color, "outline_width": "0.9"})
        categories.append(QgsRendererCategory(name, symbol, name))
    layer.setRenderer(QgsCategorizedSymbolRenderer("name", categories))
    layer.updateExtents()
    return layer


def images_and_models(image):
    """Prepare an image, fetch and check data."""
    products = {}
    for product, bands in (("rgb", ("red", "green", "blue")), ("irc", ("infrared", "red", "green"))):
        path = MADE / f"{product}.tif"
        gdal.Translate(str(path), RUN["image"], bandList=[BAND[band] for band in bands])
        products[product.upper()] = [str(path)]
    heights = {name: [str(Path(RUN["image"]).with_name(f"{name.lower()}.tif"))] for name in ("DSM", "DTM")}
    run("prepareinput", **products, **heights, OUTPUT=str(MADE / "prepared.tif"), REPORT=str(MADE / "prepared.html"))
    prepared = layer_of(MADE / "prepared.tif")
    surface = gray(heights["DSM"][0])
    infrared = prepared.renderer().clone()
    infrared.setRedBand(4)
    infrared.setGreenBand(1)
    infrared.setBlueBand(2)
    prepared.setRenderer(infrared)
    rgb = QgsRasterLayer(products["RGB"][0], "rgb")
    maps("prepareinput", ("Orthophoto", [rgb]), ("Surface model", [surface]), ("Image of 5 bands", [prepared]))
    faulty = MADE / "patches"
    shutil.copytree(RUN["patches"], faulty)
    masks, pictures = (sorted(faulty.rglob(f"{kind}_*.tif")) for kind in ("MSK", "IMG"))
    masks[0].unlink()
    pictures[3].write_bytes(pictures[3].read_bytes()[:5000])
    shutil.copy(masks[5], masks[6])
    run("checkdataset", FOLDER=str(faulty), REPORT=str(MADE / "problems.csv"))


def season(image):
    """Prepare a season of images made of the aerial one: greener in summer than in spring, and cloudy once."""
    downloads = MADE / "downloads"
    downloads.mkdir()
    box = image.extent().buffered(300)
    bounds = [box.xMinimum(), box.yMaximum(), box.xMaximum(), box.yMinimum()]
    ground = gdal.Warp(
        "", RUN["image"], format="MEM", outputBounds=[bounds[0], bounds[3], bounds[2], bounds[1]], xRes=10, yRes=10,
        resampleAlg="average", outputType=gdal.GDT_Float32,
    )  # fmt: skip
    red, green, blue, infrared = (ground.GetRasterBand(BAND[name]).ReadAsArray() for name in BAND)
    plants = numpy.clip((infrared - red) / numpy.maximum(infrared + red, 1), 0, 1)
    for date, growth, clouds in (("20210415", 0.2, 0), ("20210614", 0.5, 1), ("20210714", 1.0, 0)):
        colours = [blue * (1 - growth * plants), green, red * (1 - growth * plants)]
        bands = [
            numpy.where(green > 0, 15 * band + 200, 0)
            for band in (*colours, red, red, infrared, infrared, infrared, red, red)
        ]
        file = gdal.GetDriverByName("GTiff").Create(
            str(downloads / f"{date}.tif"), ground.RasterXSize, ground.RasterYSize, 11, gdal.GDT_UInt16
        )
        file.SetGeoTransform(ground.GetGeoTransform())
        file.SetProjection(ground.GetProjection())
        for number, (name, values) in enumerate(zip(SENTINEL_2, bands, strict=True), 1):
            file.GetRasterBand(number).WriteArray(values)
            file.GetRasterBand(number).SetDescription(name)
        file.GetRasterBand(11).Fill(9 if clouds else 4)
        file.GetRasterBand(11).SetDescription("SCL")
        del file
    run("preparetimeseries", INPUT=str(downloads), IMAGE=image, OUTPUT=str(MADE / "season"))
    shown = []
    for name, title in (("2021-04-15", "15 April"), ("2021-07-14", "14 July")):
        layer = QgsRasterLayer(str(MADE / "season" / f"{name}.tif"), name)
        drawn = QgsMultiBandColorRenderer(layer.dataProvider(), 3, 2, 1)
        for number, put in (
            (3, "setRedContrastEnhancement"),
            (2, "setGreenContrastEnhancement"),
            (1, "setBlueContrastEnhancement"),
        ):
            stretch = QgsContrastEnhancement(layer.dataProvider().dataType(number))
            stretch.setMinimumValue(200)
            stretch.setMaximumValue(3200)
            stretch.setContrastEnhancementAlgorithm(
                QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
            )
            getattr(drawn, put)(stretch)
        layer.setRenderer(drawn)
        shown.append((title, [layer]))
    maps("preparetimeseries", ("Aerial image", [image]), *shown, extent=image.extent())


def training(image, classes):
    """Extract patches; the training's report is that of the demo."""
    labels = QgsVectorLayer(RUN["polygons"], "labels", "ogr")
    values = {"IMAGE": [RUN["image"]], "LABELS": labels, "PATCH_SIZE": 128, "VAL_SHARE": 0.2, "TEST_SHARE": 0.2}
    run("extractpatches", **values, OUTPUT=str(MADE / "small"), TABLE=str(MADE / "small.html"))
    footprints = []
    for split in SPLITS:
        for line in (MADE / "small" / f"{split}.csv").read_text().splitlines():
            patch = QgsRasterLayer(str(MADE / "small" / line.partition(",")[0]), split)
            if patch.isValid():
                footprints.append((QgsGeometry.fromRect(patch.extent()), split))
    patches = outlined(footprints, image.crs(), SPLITS)
    categories = []
    for item in classes:
        symbol = QgsFillSymbol.createSimple({"color": item.color.name(), "outline_color": "black"})
        categories.append(QgsRendererCategory(int(item.value), symbol, item.label))
    labels.setRenderer(QgsCategorizedSymbolRenderer("code", categories))
    labels.setOpacity(0.7)
    maps("extractpatches", ("Image and polygons", [labels, image]), ("Patches by split", [patches, image]))


def landcover(image):
    """Classify and judge, by one truth and in a study."""
    east = QgsRectangle(image.extent())
    east.setXMinimum(east.center().x())
    run("classify", INPUT=[RUN["image"]], MODEL=RUN["model"], EXTENT=east, OUTPUT=str(MADE / "landcover.tif"))
    result = layer_of(MADE / "landcover.tif")
    maps("classify", ("Aerial image", [image]), ("Land cover", [result]))
    errors = str(MADE / "errors.tif")
    run("evaluate", PREDICTION=result, TRUTH_RASTER=RUN["truth"], OUTPUT=str(MADE / "evaluation"), ERROR_MAP=errors)
    maps("evaluate", ("Land cover", [result]), ("Right and wrong", [layer_of(errors)]))
    study = {
        "name": "ours",
        "samples": 2,
        "models": [{"name": "trained here", "model": RUN["model"]}],
        "tests": [{"name": "our area", "data": RUN["patches"], "split": "val"}],
    }
    path = MADE / "study.yaml"
    path.write_text(json.dumps(study))  # JSON is YAML
    run("benchmark", STUDY=str(path), OUTPUT=str(MADE / "benchmark"))
    return result


def areas(image, result):
    """Styles, nomenclatures, polygons, hectares, changes."""
    maps("applystyle", ("Codes", [gray(MADE / "landcover.tif")]), ("With a legend", [result]))
    table = MADE / "groups.yaml"
    table.write_text(GROUPS)
    run("remapclasses", INPUT=result, TABLE=str(table), OUTPUT=str(MADE / "four.tif"))
    maps("remapclasses", ("15 classes", [result]), ("Built, bare, green, water", [layer_of(MADE / "four.tif")]))
    run("polygonise", INPUT=result, MINIMUM_AREA=15, OUTPUT=str(MADE / "polygons.gpkg"))
    near = part(55.0, (CORNER[0] + 20, CORNER[1] + 20))
    maps("polygonise", ("Pixels", [result]), ("Polygons", [layer_of(MADE / "polygons.gpkg")]), extent=near)
    run("areastatistics", INPUT=result, GRID=32, OUTPUT=str(MADE / "areas"), POLYGONS=str(MADE / "cells.gpkg"))
    cells = layer_of(MADE / "cells.gpkg")
    wide = part(250.0, (853259.0, 6540747.0))
    maps("areastatistics", ("Land cover", [result]), ("Largest class of each cell", [cells]), extent=wide)
    later = MADE / "later.tif"
    built(Path(RUN["truth"]), later)
    run(
        "change",
        BEFORE=RUN["truth"],
        AFTER=str(later),
        OUTPUT=str(MADE / "change"),
        CHANGE_MAP=str(MADE / "changes.tif"),
    )
    before, after = QgsRasterLayer(RUN["truth"], "before"), QgsRasterLayer(str(later), "after")
    for layer in (before, after):
        layer.setRenderer(result.renderer().clone())
    changes = layer_of(MADE / "changes.tif")
    maps("change", ("Before", [before]), ("After", [after]), ("What changed", [changes]))


def built(truth, later):
    """Write a map of a later year: some fields were built on."""
    shutil.copy(truth, later)
    raster = gdal.Open(str(later), gdal.GA_Update)
    source = ogr.Open(RUN["polygons"])
    layer = source.GetLayer(0)
    inside = part()
    layer.SetSpatialFilterRect(inside.xMinimum(), inside.yMinimum(), inside.xMaximum(), inside.yMaximum())
    fields = sorted((f for f in layer if f.GetField("code") in (9, 10, 11)), key=lambda f: -f.GetGeometryRef().Area())
    memory = ogr.GetDriverByName("Memory").CreateDataSource("chosen")
    chosen = memory.CreateLayer("chosen", layer.GetSpatialRef())
    for field in fields[1:4]:
        feature = ogr.Feature(chosen.GetLayerDefn())
        feature.SetGeometry(field.GetGeometryRef().Buffer(-2.0))
        chosen.CreateFeature(feature)
    gdal.RasterizeLayer(raster, [1], chosen, burn_values=[3])
    del raster


def settings():
    """The set-up and the diagnostics."""
    log("setupengine", {"VERIFY_ONLY": True})
    run("diagnostics", OUTPUT=str(MADE / "diagnostics.html"))


def main():
    """Go through all algorithms."""
    MADE.mkdir(parents=True, exist_ok=True)
    os.environ["FLAIR_ENGINE_PYTHON"] = RUN["python"]
    image = QgsRasterLayer(RUN["image"], "Aerial image")
    images_and_models(image)
    season(image)
    result = landcover(image)
    training(image, result.renderer().classes())
    areas(image, result)
    settings()


start(main)
