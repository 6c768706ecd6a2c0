"""Vector files that tests make themselves."""

from __future__ import annotations

import numpy as np
import pyogrio
import shapely

from engine.rasters.polygons import footprint
from engine.rasters.windows import PixelWindow


def write_features(path, shapes, crs="EPSG:2154", layer=None, append=False, kind="Unknown", **fields):
    """Write geometries with fields given as lists by name; None in a list is an empty value. Returns the path."""
    data, masks = [], []
    for values in fields.values():
        empty = np.array([value is None for value in values])
        texts = any(isinstance(value, str) for value in values)
        data.append(np.array([("" if texts else 0) if v is None else v for v in values], object if texts else None))
        masks.append(empty if empty.any() else None)
    pyogrio.raw.write(
        path,
        geometry=np.array([None if shape is None else shapely.to_wkb(shape) for shape in shapes], dtype=object),
        field_data=data,
        field_mask=masks,
        fields=list(fields),
        crs=crs,
        geometry_type=kind,
        layer=layer,
        append=append,
    )
    return str(path)


def box(transform, row, column, height, width):
    """Return the rectangle around whole pixels."""
    return footprint(transform, PixelWindow(row, column, height, width))
