"""Maps as the stand-in for the engine makes them."""

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
    style = str(Path(output).with_suffix(".qml"))
    Path(style).write_text(qml(), encoding="utf-8")
    return {
        "output": output,
        "style": style,
        "classes": {"5": source.RasterXSize * source.RasterYSize},
        "pixels": source.RasterXSize * source.RasterYSize,
        "seconds": 0.5,
        "device": "cpu",
    }
