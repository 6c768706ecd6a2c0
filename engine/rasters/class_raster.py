"""The class raster: one Cloud Optimized GeoTIFF of class codes with its palette beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.nomenclature import Nomenclature
from engine.rasters.cog import Cancel, Progress, write_cog
from engine.rasters.staged_output import StagedOutput
from engine.rasters.style import Legend, class_aux_xml, class_qml, color_lines
from engine.rasters.tile_store import CLASSES, TileStore
from engine.rasters.virtual_raster import Dressing

SOFTWARE = "FLAIR land cover"


def write_class_raster(
    store: TileStore,
    output: Path,
    nomenclature: Nomenclature,
    tags: Mapping[str, str],
    *,
    overwrite: bool,
    progress: Progress,
    cancelled: Cancel,
) -> None:
    """Write the stored classes as `output` with `.aux.xml` and `.qml` beside it, all of them or none.

    The file is uint8 with nodata 0, a colour table, and overviews by mode down to less than 512 pixels.

    Args:
        store: Finished tiles, with the layer `classes`.
        output: File to write (.tif).
        nomenclature: Classes with names and colours; the palette holds the enabled ones.
        tags: Metadata to keep in the file; TIFFTAG_SOFTWARE is added when it is not among them.
        overwrite: Whether an existing output may be replaced, at the end.
        progress: Called with the share done, 0 to 1.
        cancelled: Asked about ten times a second.

    Raises:
        Cancelled: `cancelled` said so.
        OutputError: The output exists already or could not be written whole.
    """
    with StagedOutput(output, overwrite=overwrite) as staged:
        write_cog(
            staged.path(output.name),
            output,
            store.grid,
            store.layers[CLASSES],
            store.placed(CLASSES),
            class_dressing(nomenclature, tags),
            "mode",
            progress,
            cancelled,
        )
        names = write_companions(staged, output.name, nomenclature)
        staged.commit([*names, output.name], stale=stale_companions(output.name))


def class_dressing(nomenclature: Legend, tags: Mapping[str, str]) -> Dressing:
    """Return what a file of class codes carries besides its pixels."""
    return Dressing(
        tags={"TIFFTAG_SOFTWARE": SOFTWARE, **tags},
        descriptions=("Land cover",),
        color_interpretation="Palette",
        band_lines=color_lines(nomenclature, indent="    "),
    )


def write_companions(staged: StagedOutput, name: str, nomenclature: Legend) -> list[str]:
    """Stage the `.aux.xml` and `.qml` of a class raster and return their names; `name` may hold a folder.

    Raises:
        OutputError: They could not be written.
    """
    names = [f"{name}.aux.xml", str(Path(name).with_suffix(".qml"))]
    staged.write_text(names[0], class_aux_xml(nomenclature))
    staged.write_text(names[1], class_qml(nomenclature))
    return names


def stale_companions(name: str) -> list[str]:
    """Return the companions that an earlier raster of this name may have left and that would spoil a new one."""
    return [f"{name}.ovr", f"{name}.msk"]
