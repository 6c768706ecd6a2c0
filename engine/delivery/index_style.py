"""How the index of sheets looks in QGIS: one colour a state."""

from __future__ import annotations

from typing import Literal, get_args

State = Literal["waiting", "running", "done", "empty", "failed"]
STATES: tuple[State, ...] = get_args(State)

# Fill and outline; grey to blue to green is told apart with any colour vision, red is set off by its outline.
_COLOURS: dict[State, tuple[str, str]] = {
    "waiting": ("200,200,200,60", "150,150,150,255"),
    "running": ("66,133,214,150", "25,80,150,255"),
    "done": ("76,175,80,110", "40,110,45,255"),
    "empty": ("255,255,255,0", "190,190,190,255"),
    "failed": ("214,40,40,170", "110,0,0,255"),
}


def index_qml() -> str:
    """Return a QGIS style: sheets filled in the colour of their state, by the field `state`."""
    categories = "".join(
        f'      <category symbol="{number}" value="{state}" label="{state}" render="true"/>\n'
        for number, state in enumerate(STATES)
    )
    symbols = "".join(_symbol(number, *_COLOURS[state]) for number, state in enumerate(STATES))
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22.0" styleCategories="Symbology">\n'
        '  <renderer-v2 type="categorizedSymbol" attr="state" symbollevels="0" enableorderby="0" forceraster="0">\n'
        f"    <categories>\n{categories}    </categories>\n"
        f"    <symbols>\n{symbols}    </symbols>\n"
        "  </renderer-v2>\n"
        "  <blendMode>0</blendMode>\n"
        "  <featureBlendMode>0</featureBlendMode>\n"
        "  <layerGeometryType>2</layerGeometryType>\n"
        "</qgis>\n"
    )


def _symbol(number: int, fill: str, outline: str) -> str:
    options = {
        "color": fill,
        "joinstyle": "miter",
        "outline_color": outline,
        "outline_style": "solid",
        "outline_width": "0.2",
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
