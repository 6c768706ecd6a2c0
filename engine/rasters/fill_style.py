"""Styles of polygons in QGIS: one fill for each value of a field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.rasters.style import xml_text


@dataclass(frozen=True)
class FillCategory:
    """How the polygons of one value look.

    Args:
        value: The field's value.
        label: Its name in the legend.
        fill: Colour as `red,green,blue,alpha`, 0 to 255.
        outline: Colour of the outline, likewise.
    """

    value: str
    label: str
    fill: str
    outline: str


def categorised_fill_qml(field: str, categories: Sequence[FillCategory], width: float, join: str) -> str:
    """Return a QGIS style (QML).

    Args:
        field: Field whose values tell the polygons apart.
        categories: In the order of the legend.
        width: Width of the outlines in millimetres.
        join: How their corners are drawn: `miter`, `round` or `bevel`.
    """
    entries = "".join(
        f'      <category symbol="{number}" value="{xml_text(item.value)}" label="{xml_text(item.label)}" '
        'render="true"/>\n'
        for number, item in enumerate(categories)
    )
    symbols = "".join(_symbol(number, item, width, join) for number, item in enumerate(categories))
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22.0" styleCategories="Symbology">\n'
        f'  <renderer-v2 type="categorizedSymbol" attr="{field}" symbollevels="0" enableorderby="0" forceraster="0">\n'
        f"    <categories>\n{entries}    </categories>\n"
        f"    <symbols>\n{symbols}    </symbols>\n"
        "  </renderer-v2>\n"
        "  <blendMode>0</blendMode>\n"
        "  <featureBlendMode>0</featureBlendMode>\n"
        "  <layerGeometryType>2</layerGeometryType>\n"
        "</qgis>\n"
    )


def _symbol(number: int, category: FillCategory, width: float, join: str) -> str:
    options = {
        "color": category.fill,
        "joinstyle": join,
        "outline_color": category.outline,
        "outline_style": "solid",
        "outline_width": f"{width:g}",
        "outline_width_unit": "MM",
        "style": "solid",
    }
    lines = "".join(
        f'            <Option type="QString" name="{name}" value="{value}"/>\n' for name, value in options.items()
    )
    return (
        f'      <symbol type="fill" name="{number}" alpha="1" clip_to_extent="1" force_rhr="0">\n'
        '        <layer class="SimpleFill" enabled="1" locked="0" pass="0">\n'
        f'          <Option type="Map">\n{lines}          </Option>\n'
        "        </layer>\n"
        "      </symbol>\n"
    )
