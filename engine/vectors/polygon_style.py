"""The legend of class polygons in QGIS."""

from __future__ import annotations

from engine.nomenclature import Nomenclature
from engine.rasters.fill_style import FillCategory, categorised_fill_qml

CLASS_FIELD = "code"


def class_polygons_qml(nomenclature: Nomenclature) -> str:
    """Return a QGIS style: polygons filled in the colour of their class, by the field `code`.

    Their outline has the same colour, so that no seam of background shows between neighbours.
    """
    categories = []
    for item in sorted(nomenclature.enabled, key=lambda item: item.code):
        colour = ",".join(str(value) for value in (*item.rgb, 255))
        categories.append(FillCategory(str(item.code), item.title, colour, colour))
    return categorised_fill_qml(CLASS_FIELD, categories, 0.1, "round")
