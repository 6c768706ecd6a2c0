"""Polygons of a class raster by GDAL alone: rasterio.features.shapes, written by pyogrio.

    python benchmarks/bare_shapes.py RASTER OUTPUT

No smallest area, no simplification: the bare minimum that any way to polygons includes.
"""

from __future__ import annotations

import sys

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio.features import shapes

BATCH = 20_000


def main(raster: str, output: str) -> None:
    """Make the polygons, and print their number."""
    total = 0
    with rasterio.open(raster) as source:
        polygons, codes = [], []

        def write() -> None:
            pyogrio.raw.write(
                output,
                shapely.to_wkb(np.array(polygons, dtype=object)),
                [np.array(codes, dtype=np.int32)],
                ["code"],
                layer="polygons",
                driver="GPKG",
                geometry_type="Polygon",
                crs=source.crs.to_wkt(),
                append=total > BATCH,
            )
            polygons.clear()
            codes.clear()

        for shape, code in shapes(rasterio.band(source, 1), mask=None, connectivity=4, transform=source.transform):
            if code == 0:
                continue
            polygons.append(shapely.geometry.shape(shape))
            codes.append(int(code))
            total += 1
            if len(polygons) == BATCH:
                write()
        if polygons:
            write()
    print(total)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
