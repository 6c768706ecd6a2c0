"""The palette in the three forms in which it travels with a raster.

QGIS takes a `.qml` beside a raster as its style when a person opens it; GDAL and
ArcGIS read category names and the attribute table from `.aux.xml`; every reader
understands the colour table inside the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Protocol

from engine.nomenclature import NODATA, LandCoverClass

# GDAL's numbers: GDALRATFieldType and GDALRATFieldUsage.
_INTEGER, _STRING = 0, 2
_NAME, _VALUE, _RED, _GREEN, _BLUE = 2, 5, 6, 7, 8

# matplotlib's viridis at 0, 25, 50, 75 and 100 %.
_VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Legend(Protocol):
    """What a palette needs to know; a nomenclature is one."""

    @property
    def classes(self) -> tuple[LandCoverClass, ...]:
        """All classes."""

    @property
    def enabled(self) -> tuple[LandCoverClass, ...]:
        """Those that are shown."""

    @property
    def codes(self) -> tuple[int, ...]:
        """Codes of all classes."""


def xml_text(text: str) -> str:
    """Return text as XML holds it, in an element or a quoted attribute."""
    return escape(_NOT_XML.sub("", text), quote=True)


def color_table(nomenclature: Legend) -> list[tuple[int, int, int, int]]:
    """Return red, green, blue and alpha by code, from 0 (nodata, transparent) to the highest code.

    Classes that cannot win have an entry too, since codes must stay positions; all
    codes without a class are transparent.
    """
    table = [(0, 0, 0, 0)] * (max(nomenclature.codes) + 1)
    for item in nomenclature.classes:
        table[item.code] = (*item.rgb, 255)
    return table


def category_names(nomenclature: Legend) -> list[str]:
    """Return the names of the enabled classes by code, from 0; empty where a code has none."""
    enabled = {item.code: item.title for item in nomenclature.enabled}
    return [enabled.get(code, "") for code in range(max(enabled) + 1)]


def class_qml(nomenclature: Legend) -> str:
    """Return a QGIS style: a paletted renderer with exactly the enabled classes, by code."""
    entries = "".join(
        f'        <paletteEntry value="{item.code}" label="{xml_text(item.title)}" color="{item.color}" alpha="255"/>\n'
        for item in _by_code(nomenclature)
    )
    return _qml(
        '    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">\n'
        "      <rasterTransparency/>\n"
        f"      <colorPalette>\n{entries}      </colorPalette>\n"
        "    </rasterrenderer>\n"
    )


def percent_qml(band: int = 1) -> str:
    """Return a QGIS style: one band of 0 to 100 per cent, from dark to light."""
    steps = [round(100 * index / (len(_VIRIDIS) - 1)) for index in range(len(_VIRIDIS))]
    items = "".join(
        f'            <item value="{step}" label="{step} %" color="{color}" alpha="255"/>\n'
        for step, color in zip(steps, _VIRIDIS, strict=True)
    )
    return _qml(
        f'    <rasterrenderer type="singlebandpseudocolor" band="{band}" opacity="1" alphaBand="-1" nodataColor=""'
        ' classificationMin="0" classificationMax="100">\n'
        "      <rasterTransparency/>\n"
        "      <rastershader>\n"
        '        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0"'
        ' minimumValue="0" maximumValue="100" labelPrecision="0">\n'
        f"{items}"
        "        </colorrampshader>\n"
        "      </rastershader>\n"
        "    </rasterrenderer>\n"
    )


def class_aux_xml(nomenclature: Legend) -> str:
    """Return GDAL's `.aux.xml` of a class raster: category names and attribute table, no statistics."""
    fields = (
        ("Value", _INTEGER, _VALUE),
        ("Class", _STRING, _NAME),
        ("Red", _INTEGER, _RED),
        ("Green", _INTEGER, _GREEN),
        ("Blue", _INTEGER, _BLUE),
    )
    lines = ["<PAMDataset>", '  <PAMRasterBand band="1">']
    lines += category_lines(nomenclature, indent="    ")
    lines.append('    <GDALRasterAttributeTable tableType="thematic">')
    lines += [
        f'      <FieldDefn index="{index}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>'
        for index, (name, kind, usage) in enumerate(fields)
    ]
    for index, item in enumerate(_by_code(nomenclature)):
        values: Sequence[object] = (item.code, xml_text(item.title), *item.rgb)
        lines.append(f'      <Row index="{index}">{"".join(f"<F>{value}</F>" for value in values)}</Row>')
    lines += ["    </GDALRasterAttributeTable>", "  </PAMRasterBand>", "</PAMDataset>"]
    return "\n".join(lines) + "\n"


def category_lines(nomenclature: Legend, indent: str) -> list[str]:
    """Return the lines of GDAL's `<CategoryNames>`, the same in `.aux.xml` and in a VRT."""
    names = [f"{indent}  <Category>{xml_text(name)}</Category>" for name in category_names(nomenclature)]
    return [f"{indent}<CategoryNames>", *names, f"{indent}</CategoryNames>"]


def color_lines(nomenclature: Legend, indent: str) -> list[str]:
    """Return the lines of a VRT's `<ColorTable>`."""
    entries = [
        f'{indent}  <Entry c1="{red}" c2="{green}" c3="{blue}" c4="{alpha}"/>'
        for red, green, blue, alpha in color_table(nomenclature)
    ]
    return [f"{indent}<ColorTable>", *entries, f"{indent}</ColorTable>"]


def _by_code(nomenclature: Legend) -> list[LandCoverClass]:
    return sorted((item for item in nomenclature.enabled if item.code != NODATA), key=lambda item: item.code)


def _qml(renderer: str) -> str:
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22.0" styleCategories="Symbology">\n'
        "  <pipe>\n"
        '    <provider><resampling enabled="false" maxOversampling="2"'
        ' zoomedInResamplingMethod="nearestNeighbour" zoomedOutResamplingMethod="nearestNeighbour"/></provider>\n'
        f"{renderer}"
        '    <brightnesscontrast brightness="0" contrast="0" gamma="1"/>\n'
        '    <huesaturation saturation="0" grayscaleMode="0" colorizeOn="0" colorizeStrength="100"/>\n'
        '    <rasterresampler maxOversampling="2"/>\n'
        "  </pipe>\n"
        "  <blendMode>0</blendMode>\n"
        "</qgis>\n"
    )
