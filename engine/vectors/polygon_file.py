"""The GeoPackage of class polygons."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from rasterio.crs import CRS

from engine.rasters.disk import output_error
from engine.rasters.polygons import VECTOR_ERRORS

_WRITE_ERRORS = (*VECTOR_ERRORS, pyogrio.errors.FeatureError, pyogrio.errors.GeometryError, OSError, RuntimeError)
GEOMETRY = "geom"
# What GDAL wrote up to 3.10: that of an older QGIS warns of anything newer.
GEOPACKAGE = "1.2"


class PolygonFile:
    """Writes polygons in parts, and at the end their style.

    Args:
        path: File to create (.gpkg).
        layer: Name of its layer.
        crs: CRS of the polygons.
    """

    def __init__(self, path: Path, layer: str, crs: CRS | None) -> None:
        self._path = path
        self._layer = layer
        self._crs = crs
        self._begun = False

    def write(self, shapes: npt.NDArray[np.object_], fields: dict[str, npt.NDArray[Any]]) -> None:
        """Write some polygons.

        Args:
            shapes: The polygons.
            fields: Values by name of the field; the same fields each time.

        Raises:
            OutputError: They could not be written.
        """
        # The index grows with each part: GDAL can make it afterwards only by SQL, which pyogrio does not pass on.
        options = {} if self._begun else {"SPATIAL_INDEX": "YES", "GEOMETRY_NAME": GEOMETRY}
        self._append(shapely.to_wkb(shapes), fields, self._layer, geometry_type="Polygon", crs=self._wkt(), **options)
        self._begun = True

    def _wkt(self) -> str | None:
        if self._crs is None:
            return None
        code = self._crs.to_epsg()
        return f"EPSG:{code}" if code else str(self._crs.to_wkt())

    def write_style(self, name: str, qml: str) -> None:
        """Write a style of QGIS as the layer's default.

        Raises:
            OutputError: It could not be written.
        """
        text = {
            "f_table_catalog": "",
            "f_table_schema": "",
            "f_table_name": self._layer,
            "f_geometry_column": GEOMETRY,
            "styleName": name,
            "styleQML": qml,
            "styleSLD": "",
            "description": "",
            "owner": "",
            "ui": "",
        }
        fields: dict[str, npt.NDArray[Any]] = {key: np.array([value], dtype=object) for key, value in text.items()}
        fields["useAsDefault"] = np.array([True])
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        fields["update_time"] = np.array([now], dtype="datetime64[ms]")
        self._append(None, fields, "layer_styles")

    def _append(self, geometry: Any, fields: dict[str, npt.NDArray[Any]], layer: str, **options: Any) -> None:
        try:
            pyogrio.raw.write(
                str(self._path),
                geometry,
                list(fields.values()),
                list(fields),
                layer=layer,
                driver="GPKG",
                append=self._path.exists(),
                **(options if self._path.exists() else {"VERSION": GEOPACKAGE, **options}),
            )
        except _WRITE_ERRORS as error:
            raise output_error(self._path, error) from error
