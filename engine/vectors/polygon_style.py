"""The legend of class polygons in QGIS."""

from __future__ import annotations

from engine.nomenclature import Nomenclature
from engine.rasters.style import xml_text

CLASS_FIELD = "code"


def class_polygons_qml(nomenclature: Nomenclature) -> str:
    """Return a QGIS style: polygons filled in the colour of their class, by the field `code`.

    Their outline has the same colour, so that no seam of background shows between neighbours.
    """
    classes = sorted(nomenclature.enabled, key=lambda item: item.code)
    categories = "".join(
        f'      <category symbol="{index}" value="{item.code}" label="{xml_text(item.title)}" render="true"/>\n'
        for index, item in enumerate(classes)
    )
    symbols = "".join(_symbol(index, item.rgb) for index, item in enumerate(classes))
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22.0" styleCategories="Symbology">\n'
        f'  <renderer-v2 type="categorizedSymbol" attr="{CLASS_FIELD}" symbollevels="0" enableorderby="0" '
        'forceraster="0">\n'
        f"    <categories>\n{categories}    </categories>\n"
        f"    <symbols>\n{symbols}    </symbols>\n"
        "  </renderer-v2>\n"
        "  <blendMode>0</blendMode>\n"
        "  <featureBlendMode>0</featureBlendMode>\n"
        "  <layerGeometryType>2</layerGeometryType>\n"
        "</qgis>\n"
    )


def _symbol(index: int, rgb: tuple[int, int, int]) -> str:
    color = ",".join(str(value) for value in (*rgb, 255))
    options = {
        "color": color,
        "joinstyle": "round",
        "outline_color": color,
        "outline_style": "solid",
        "outline_width": "0.1",
        "outline_width_unit": "MM",
        "style": "solid",
    }
    lines = "".join(
        f'            <Option type="QString" name="{name}" value="{value}"/>\n' for name, value in options.items()
    )
    return (
        f'      <symbol type="fill" name="{index}" alpha="1" clip_to_extent="1" force_rhr="0">\n'
        '        <layer class="SimpleFill" enabled="1" locked="0" pass="0">\n'
        f'          <Option type="Map">\n{lines}          </Option>\n'
        "        </layer>\n"
        "      </symbol>\n"
    )
