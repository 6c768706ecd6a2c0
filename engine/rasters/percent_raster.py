"""Confidence and class probabilities, in per cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.nomenclature import Nomenclature
from engine.rasters.class_raster import SOFTWARE, stale_companions
from engine.rasters.cog import Cancel, Progress, write_cog
from engine.rasters.staged_output import StagedOutput
from engine.rasters.style import percent_qml
from engine.rasters.tile_store import TileStore
from engine.rasters.virtual_raster import Dressing, Layer

PERCENT_NODATA = 255
CONFIDENCE = "confidence"
PROBABILITIES = "probabilities"


def confidence_layer() -> Layer:
    """Return the layer of the winning class's probability: uint8, 0 to 100 per cent, nodata 255."""
    return Layer(CONFIDENCE, 1, "uint8", PERCENT_NODATA)


def probabilities_layer(nomenclature: Nomenclature) -> Layer:
    """Return the layer of all enabled classes' probabilities, one band each in channel order."""
    return Layer(PROBABILITIES, len(nomenclature.enabled), "uint8", PERCENT_NODATA)


def write_confidence_raster(
    store: TileStore,
    output: Path,
    tags: Mapping[str, str],
    *,
    overwrite: bool,
    progress: Progress,
    cancelled: Cancel,
) -> None:
    """Write the stored confidence as a Cloud Optimized GeoTIFF with a `.qml` beside it.

    Args and Raises are those of `write_class_raster`; the store must have the layer `confidence`.
    """
    _write(store, CONFIDENCE, output, ["Confidence (%)"], tags, overwrite, progress, cancelled)


def write_probabilities_raster(
    store: TileStore,
    output: Path,
    nomenclature: Nomenclature,
    tags: Mapping[str, str],
    *,
    overwrite: bool,
    progress: Progress,
    cancelled: Cancel,
) -> None:
    """Write the stored probabilities as a Cloud Optimized GeoTIFF, bands named after the enabled classes.

    Args and Raises are those of `write_class_raster`; the store must have the layer `probabilities`. The `.qml`
    beside it shows the first class.
    """
    names = [item.title for item in nomenclature.enabled]
    _write(store, PROBABILITIES, output, names, tags, overwrite, progress, cancelled)


def _write(
    store: TileStore,
    layer: str,
    output: Path,
    names: Sequence[str],
    tags: Mapping[str, str],
    overwrite: bool,
    progress: Progress,
    cancelled: Cancel,
) -> None:
    dressing = Dressing(tags={"TIFFTAG_SOFTWARE": SOFTWARE, **tags}, descriptions=names)
    style = output.with_suffix(".qml").name
    with StagedOutput(output, overwrite=overwrite) as staged:
        write_cog(
            staged.path(output.name),
            output,
            store.grid,
            store.layers[layer],
            store.placed(layer),
            dressing,
            "average",
            progress,
            cancelled,
        )
        staged.write_text(style, percent_qml())
        # Statistics that QGIS has left beside an earlier raster would stretch the new one wrongly.
        staged.commit([style, output.name], stale=[f"{output.name}.aux.xml", *stale_companions(output.name)])
