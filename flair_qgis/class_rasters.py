"""Class rasters among the layers of QGIS."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional

from osgeo import gdal
from qgis.core import QgsProcessingFeedback, QgsRasterInterface, QgsRasterLayer

from .errors import failure
from .i18n import tr
from .layers import LayerInput, describe_layer, readable_path
from .progress import Progress


def describe_class_raster(layer: Optional[QgsRasterLayer]) -> LayerInput:
    """Take a class raster apart. Call it on the main thread.

    Raises:
        QgsProcessingException: It cannot be read, or holds no classes.
    """
    if layer is None or layer.dataProvider() is None:
        raise failure(tr("The class raster cannot be read."), tr("Check that its source exists."))
    if layer.providerType() != "gdal":
        raise failure(
            tr('The layer "{name}" is a picture drawn by a service: it holds colours, not classes.').format(
                name=layer.name()
            ),
            tr("Choose a raster file of class codes."),
        )
    described = describe_layer(layer)
    provider = layer.dataProvider()
    bands = [number for number in range(1, described.bands + 1) if not _is_alpha(provider, number)]
    if len(bands) != 1:
        raise failure(
            tr('The layer "{name}" has {count} bands: it holds colours or probabilities, not classes.').format(
                name=layer.name(), count=len(bands)
            ),
            tr("Choose a raster of one band that holds codes."),
        )
    return described


@contextmanager
def class_raster_options(
    rasters: Mapping[str, LayerInput], feedback: QgsProcessingFeedback
) -> Iterator[Dict[str, str]]:
    """Give class rasters as options of the engine; what has to be copied for it lasts as long as the context.

    Args:
        rasters: Rasters by parameter; see `describe_class_raster`.
        feedback: Where messages are shown.

    Raises:
        QgsProcessingException: One could not be copied.
    """
    folder = Path(tempfile.mkdtemp(prefix="flair_input_"))
    try:
        options: Dict[str, str] = {}
        for name, described in rasters.items():
            # layers may bear one name
            place = folder / name.lower()
            place.mkdir()
            options[name.lower()] = class_raster_path(described, place, feedback)
        yield options
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def class_raster_path(layer: LayerInput, folder: Path, feedback: QgsProcessingFeedback) -> str:
    """Return a path to a class raster that the engine can read, with the CRS that the layer has in QGIS.

    Args:
        layer: The raster; see `describe_class_raster`.
        folder: Where a copy or a description goes.
        feedback: Where messages are shown.

    Raises:
        QgsProcessingException: It could not be copied.
    """
    name = re.sub(r"[^\w.-]+", "_", layer.name) or "classes"
    path = readable_path(layer, None, 0.0, folder / f"{name}.tif", feedback, Progress(feedback))
    if layer.crs_text is None:
        return path
    # The CRS that somebody chose in QGIS: the engine reads it, and the names of classes, from a description.
    target = folder / f"{name}.vrt"
    try:
        described = gdal.Translate(str(target), path, format="VRT", outputSRS=layer.crs_text)
    except RuntimeError:
        described = None
    if described is None:
        raise failure(
            tr("The temporary file {path} cannot be written.").format(path=target), tr("Check the free disk space.")
        )
    del described
    return str(target)


def _is_alpha(provider: QgsRasterInterface, band: int) -> bool:
    # QGIS and GDAL number interpretations alike; an enumeration of Qt 6 is no integer
    kind = provider.colorInterpretation(band)
    return int(getattr(kind, "value", kind)) == gdal.GCI_AlphaBand
