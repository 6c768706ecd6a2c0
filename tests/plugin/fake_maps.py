"""What the stand-in for the engine makes of class rasters."""

from pathlib import Path

from fake_rasters import CLASSES, write_map


def area_statistics(options):
    from osgeo import ogr, osr

    folder = Path(options["output"])
    folder.mkdir(exist_ok=True)
    (folder / "areas.csv").write_text("name,code,hectares\nwhole,5,1.5\n", encoding="utf-8")
    (folder / "report.html").write_text("fake report", encoding="utf-8")
    polygons = None
    if "area" in options or "grid" in options:
        polygons = str(folder / "areas.gpkg")
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(2154)
        dataset = ogr.GetDriverByName("GPKG").CreateDataSource(polygons)
        layer = dataset.CreateLayer("areas", reference, ogr.wkbMultiPolygon)
        layer.CreateField(ogr.FieldDefn("largest_code", ogr.OFTInteger))
        feature = ogr.Feature(layer.GetLayerDefn())
        feature["largest_code"] = 5
        feature.SetGeometry(ogr.CreateGeometryFromWkt("MULTIPOLYGON (((0 0, 0 1, 1 1, 0 0)))"))
        layer.CreateFeature(feature)
        del feature, layer, dataset
    return {
        "output": str(folder),
        "report": str(folder / "report.html"),
        "table": str(folder / "areas.csv"),
        "polygons": polygons,
        "classes": [{"code": code, "name": name, "color": color, "hectares": 1.5} for code, name, color in CLASSES],
        "hectares": 1.5,
        "seconds": 0.5,
    }


def polygonise(options):
    from osgeo import ogr, osr

    output = Path(options["output"])
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(2154)
    dataset = ogr.GetDriverByName("GPKG").CreateDataSource(str(output))
    layer = dataset.CreateLayer(output.stem, reference, ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("code", ogr.OFTInteger))
    feature = ogr.Feature(layer.GetLayerDefn())
    feature["code"] = 5
    feature.SetGeometry(ogr.CreateGeometryFromWkt("POLYGON ((0 0, 0 1, 1 1, 0 0))"))
    layer.CreateFeature(feature)
    del feature, layer, dataset
    return {
        "output": str(output),
        "style": str(output.with_suffix(".qml")),
        "polygons": 1,
        "classes": [{"code": code, "name": name, "color": color} for code, name, color in CLASSES],
        "seconds": 0.5,
    }


def remap_classes(options):
    return {**write_map({**options, "input": [options["input"]]}), "classes": []}


def change(options):
    folder = Path(options["output"])
    folder.mkdir(exist_ok=True)
    for name in ("change.csv", "report.html", "change.tif.aux.xml"):
        (folder / name).write_text(f"fake {name}", encoding="utf-8")
    made = write_map({"input": [options["after"]], "output": str(folder / "change.tif")})
    return {
        "output": str(folder),
        "raster": made["output"],
        "style": made["style"],
        "table": str(folder / "change.csv"),
        "report": str(folder / "report.html"),
        "compared": 4.0,
        "changed": 0.5,
        "seconds": 0.5,
    }


COMMANDS = {
    "change": change,
    "polygonise": polygonise,
    "remap-classes": remap_classes,
    "area-statistics": area_statistics,
}
