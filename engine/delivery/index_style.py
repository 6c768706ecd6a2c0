"""How the index of sheets looks in QGIS: one colour a state."""

from __future__ import annotations

from typing import Literal, get_args

from engine.rasters.fill_style import FillCategory, categorised_fill_qml

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
    categories = [FillCategory(state, state, *_COLOURS[state]) for state in STATES]
    return categorised_fill_qml("state", categories, 0.2, "miter")
