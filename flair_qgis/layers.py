"""A QGIS raster layer as something the engine can read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingFeedback,
    QgsProviderRegistry,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsRectangle,
)

from .errors import failure
from .i18n import tr
from .layer_copies import SERVICES
from .layer_rendering import Extract, copy_extract, draws_colours, metres_per_unit
from .progress import Progress


class LayerInput(NamedTuple):
    """A raster layer, taken apart on the main thread so that any thread can go on with it.

    Args:
        name: Name of the layer in QGIS.
        crs: CRS that the layer has in QGIS; may be invalid.
        extent: Extent of the layer in that CRS.
        bands: Number of bands that the engine will see.
        path: What GDAL opens in another process, or None when there is no such thing.
        memory_path: File in GDAL's memory, which only this process can see.
        provider: Copy of the data provider, for layers without a path.
        override_crs: Whether the file's own CRS is absent or another one.
    """

    name: str
    crs: QgsCoordinateReferenceSystem
    extent: QgsRectangle
    bands: int
    path: Optional[str] = None
    memory_path: Optional[str] = None
    provider: Optional[QgsRasterDataProvider] = None
    override_crs: bool = False

    @property
    def needs_extent(self) -> bool:
        """Whether only a part of it can be read, so that somebody has to say which."""
        return self.provider is not None

    @property
    def crs_text(self) -> Optional[str]:
        """The CRS to hand to the engine, or None when the file tells it."""
        return crs_text(self.crs) if self.override_crs else None


def crs_text(crs: QgsCoordinateReferenceSystem) -> Optional[str]:
    """Return a CRS as a code such as EPSG:2154, else as WKT; None when it is not valid."""
    if not crs.isValid():
        return None
    code = crs.authid()
    return code if code and not code.startswith("USER:") else crs.toWkt()


def describe_layer(layer: QgsRasterLayer) -> LayerInput:
    """Take a layer apart. Call it on the main thread.

    Raises:
        QgsProcessingException: The layer is not valid.
    """
    provider = layer.dataProvider()
    if not layer.isValid() or provider is None:
        raise failure(
            tr('The layer "{name}" cannot be read.').format(name=layer.name()),
            tr("Check that its source exists, and add it again."),
        )
    crs, extent = layer.crs(), layer.extent()
    if layer.providerType() != "gdal":
        bands = 3 if draws_colours(provider) else provider.bandCount()
        # What PROJ makes first in another thread does not outlive that thread, and QGIS remembers it all the same: the
        # next thread would measure NaN.
        metres_per_unit(crs, extent.center())
        return LayerInput(layer.name(), crs, extent, bands, provider=provider.clone())
    path = gdal_path(layer)
    override = crs.isValid() and provider.crs() != crs
    if "/vsimem/" in path or path.upper().startswith("MEM:"):
        return LayerInput(layer.name(), crs, extent, provider.bandCount(), memory_path=path, override_crs=override)
    return LayerInput(layer.name(), crs, extent, provider.bandCount(), path=path, override_crs=override)


def gdal_path(layer: QgsRasterLayer) -> str:
    """Return what GDAL opens for a layer of the provider `gdal`.

    Raises:
        QgsProcessingException: Nothing that can be opened was found.
    """
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    path = str(parts.get("path") or "")
    # archives come apart: prefix, the archive and the file inside it
    whole = "{}{}{}".format(parts.get("vsiPrefix") or "", path, parts.get("vsiSuffix") or "")
    bare = layer.source().partition("|")[0]
    candidates = [whole, layer.source(), bare, path]
    if parts.get("layerName"):
        candidates.insert(0, "GPKG:{}:{}".format(path, parts["layerName"]))
    for candidate in candidates:
        if candidate and _opens(candidate):
            return _absolute(candidate)
    raise failure(
        tr('The file behind the layer "{name}" cannot be opened: {path}.').format(name=layer.name(), path=whole),
        tr("Check that it still exists."),
    )


def _opens(path: str) -> bool:
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        return gdal.OpenEx(path, gdal.OF_RASTER) is not None
    except RuntimeError:
        return False  # GDAL raises from QGIS 3.38 on
    finally:
        gdal.PopErrorHandler()


def _absolute(path: str) -> str:
    # the engine has another working folder
    return str(Path(path).resolve()) if Path(path).exists() else path


def readable_path(
    layer: LayerInput,
    extent: Optional[Tuple[QgsRectangle, QgsCoordinateReferenceSystem]],
    ground_sampling_distance: float,
    target: Path,
    feedback: QgsProcessingFeedback,
    progress: Progress,
    margin: int = 0,
) -> str:
    """Return a path that the engine can read, copying the layer to a file where there is none.

    Args:
        layer: The layer.
        extent: Part that is wanted, with its CRS; needed for layers without a file.
        ground_sampling_distance: Metres on the ground per pixel of a copy.
        target: GeoTIFF to write a copy to; copies of services are kept in the profile instead.
        feedback: Where messages are shown and cancelling is asked.
        progress: Where progress is shown.
        margin: Pixels to copy around that part, as far as the layer has them.

    Raises:
        QgsProcessingException: The layer needs an extent, or could not be copied.
    """
    if layer.path is not None:
        return layer.path
    if layer.memory_path is not None:
        return _copy_memory(layer, target)
    if extent is None:
        raise failure(*extent_needed(layer.name))
    box, crs = extent
    extract = Extract.plan(layer.name, layer.provider, layer.crs, box, crs, ground_sampling_distance, margin)
    # what is computed from files may change with them at any moment: it is not kept
    folder = None if layer.provider.name() in SERVICES else target.with_suffix("")
    return str(copy_extract(extract, folder, feedback, progress))


def extent_needed(name: str) -> Tuple[str, str]:
    """Return message and hint for a layer without an end."""
    return (
        tr('The layer "{name}" is not a file: it is drawn by a service, for the part that is asked for.').format(
            name=name
        ),
        tr("Choose an extent or an area."),
    )


def _copy_memory(layer: LayerInput, target: Path) -> str:
    options = ["TILED=YES", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"]
    try:
        copy = gdal.Translate(str(target), layer.memory_path, format="GTiff", creationOptions=options)
    except RuntimeError:
        copy = None
    if copy is None:
        raise failure(
            tr('The layer "{name}" cannot be copied to a file: {reason}.').format(
                name=layer.name, reason=gdal.GetLastErrorMsg() or tr("unknown reason")
            )
        )
    del copy
    return str(target)


def with_crs(path: str, crs: str, target: Path) -> str:
    """Return a description laid over a raster that gives it the CRS somebody chose in QGIS.

    Args:
        path: The raster.
        crs: The CRS as a code or as WKT; see `LayerInput.crs_text`.
        target: File of the description (`.vrt`) to write.

    Raises:
        QgsProcessingException: It cannot be written.
    """
    try:
        described = gdal.Translate(str(target), path, format="VRT", outputSRS=crs)
    except RuntimeError:
        described = None
    if described is None:
        raise failure(
            tr("The temporary file {path} cannot be written.").format(path=target), tr("Check the free disk space.")
        )
    del described
    return str(target)
