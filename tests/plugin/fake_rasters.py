"""Maps as the stand-in for the engine makes them."""

import os
import time
from pathlib import Path

CLASSES = [(1, "building", "#db0e9a"), (5, "water", "#1553ae"), (18, "greenhouse", "#9999ff")]


def qml():
    rows = "".join(
        f'<paletteEntry value="{code}" color="{color}" label="{name.capitalize()}" alpha="255"/>'
        for code, name, color in CLASSES
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'><qgis version=\"3.22\"><pipe>"
        '<rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1">'
        f"<colorPalette>{rows}</colorPalette></rasterrenderer></pipe></qgis>"
    )


def write_index(path):
    """Write an index of two sheets, with the style that the engine stores in it."""
    import importlib.util

    from osgeo import ogr, osr

    place = Path(__file__).resolve().parents[2] / "engine" / "delivery" / "index_style.py"
    described = importlib.util.spec_from_file_location("index_style", place)
    style = importlib.util.module_from_spec(described)
    described.loader.exec_module(style)
    path.unlink(missing_ok=True)
    lambert = osr.SpatialReference()
    lambert.ImportFromEPSG(2154)
    dataset = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = dataset.CreateLayer("sheets", lambert, ogr.wkbPolygon, ["GEOMETRY_NAME=geom"])
    layer.CreateField(ogr.FieldDefn("state", ogr.OFTString))
    for number, state in enumerate(("done", "waiting")):
        feature = ogr.Feature(layer.GetLayerDefn())
        feature["state"] = state
        x = 700_000 + number
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON (({x} 0, {x + 1} 0, {x + 1} 1, {x} 1, {x} 0))"))
        layer.CreateFeature(feature)
    styles = dataset.CreateLayer("layer_styles", None, ogr.wkbNone)
    names = ("f_table_catalog", "f_table_schema", "f_table_name", "f_geometry_column", "styleName", "styleQML",
             "styleSLD", "description", "owner", "ui")  # fmt: skip
    for name in names:
        styles.CreateField(ogr.FieldDefn(name, ogr.OFTString))
    default = ogr.FieldDefn("useAsDefault", ogr.OFTInteger)
    default.SetSubType(ogr.OFSTBoolean)
    styles.CreateField(default)
    styles.CreateField(ogr.FieldDefn("update_time", ogr.OFTDateTime))
    feature = ogr.Feature(styles.GetLayerDefn())
    values = dict.fromkeys(names, "")
    values.update(f_table_name="sheets", f_geometry_column="geom", styleName="state", styleQML=style.index_qml())
    for name, value in values.items():
        feature[name] = value
    feature["useAsDefault"] = 1
    feature["update_time"] = "2026/01/01 00:00:00"
    styles.CreateFeature(feature)


def write_map(options):
    from osgeo import gdal

    source = gdal.Open(options["input"][0])
    output = options["output"]
    dataset = gdal.GetDriverByName("GTiff").Create(output, source.RasterXSize, source.RasterYSize, 1, gdal.GDT_Byte)
    dataset.SetGeoTransform(source.GetGeoTransform())
    dataset.SetProjection(source.GetProjection())
    dataset.GetRasterBand(1).Fill(5)
    dataset.GetRasterBand(1).SetNoDataValue(0)
    del dataset
    index = {}
    if options.get("layout") == "sheets":
        path = Path(output).with_name(f"{Path(output).stem}_sheets.gpkg")
        write_index(path)
        index = {"sheets": 2, "index": str(path)}
        # A person sees it come while the run goes on.
        time.sleep(float(os.environ.get("FAKE_ENGINE_SECONDS", "0")))
    style = str(Path(output).with_suffix(".qml"))
    Path(style).write_text(qml(), encoding="utf-8")
    return {
        "output": output,
        "style": style,
        "classes": {"5": source.RasterXSize * source.RasterYSize},
        "pixels": source.RasterXSize * source.RasterYSize,
        "seconds": 0.5,
        "device": "cpu",
        **index,
    }
