"""A class raster in another nomenclature."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from engine import __version__
from engine.commands.remote_output import uploads
from engine.errors import InputError, OutputError
from engine.events import Reporter, format_duration, timed_progress
from engine.maps.class_map import ClassMap, open_class_map
from engine.maps.class_table import ClassTable, read_class_table
from engine.nomenclature import NODATA, Nomenclature
from engine.rasters.class_codes import check_whole, strange_values
from engine.rasters.class_raster import class_dressing, stale_companions, write_companions
from engine.rasters.cog import write_cog
from engine.rasters.parallel import each
from engine.rasters.reader import RasterReader
from engine.rasters.staged_output import StagedOutput, check_overwrite, check_writable
from engine.rasters.thread_readers import ThreadReaders
from engine.rasters.tile_file import count_codes
from engine.rasters.tile_pile import TilePile
from engine.rasters.virtual_raster import Layer, OutputGrid
from engine.rasters.windows import PixelWindow
from engine.requests import RemapClassesRequest

RECODED = 0.6


@uploads("output")
def run(request: RemapClassesRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Write a class raster in another nomenclature.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; nothing is left behind.

    Returns:
        Paths of output and style; nomenclature (its name), classes that occur (code, name, color, pixels), pixels,
        seconds.

    Raises:
        EngineError: Something is wrong with the request, the input or the disk; a value that the table lacks, too.
    """
    began = time.monotonic()
    output = Path(request.output).expanduser().absolute()
    check_writable(output)
    check_overwrite(output, overwrite=request.overwrite)
    raster = open_class_map(
        request.input, nomenclature=request.nomenclature, crs=None, what="The class raster", reporter=reporter
    )
    table = read_class_table(request.mapping, raster.nomenclature)
    _check(raster, table, output)
    step = timed_progress(reporter)
    with StagedOutput(output, overwrite=request.overwrite) as staged:
        folder = staged.path("tiles")
        folder.mkdir()
        source = raster.source
        grid = OutputGrid(source.width, source.height, source.transform, source.crs)
        pile = TilePile(folder, output, grid, Layer("classes", 1, "uint8", NODATA))
        counts = _recode(raster, table, pile, step, cancelled)
        classes = _with_classes_that_occur(table.target, counts)
        tags = {"FLAIR_VERSION": __version__, "FLAIR_NOMENCLATURE": classes.name}
        write_cog(
            staged.path(output.name),
            output,
            grid,
            pile.layer,
            pile.files,
            class_dressing(classes, tags),
            "mode",
            lambda done: step(RECODED + (1 - RECODED) * done, "Writing the raster"),
            cancelled.is_set,
        )
        names = write_companions(staged, output.name, classes)
        staged.commit([*names, output.name], stale=stale_companions(output.name))
    found = [item for item in classes.classes if counts[item.code]]
    reporter.log("Classes: " + ", ".join(f"{item.code} {item.name} ({counts[item.code]} pixels)" for item in found))
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        "output": str(output),
        "style": str(output.with_suffix(".qml")),
        "nomenclature": classes.name,
        "classes": [
            {"code": item.code, "name": item.name, "color": item.color, "pixels": counts[item.code]} for item in found
        ],
        "pixels": sum(counts.values()),
        "seconds": round(seconds, 2),
    }


def _check(raster: ClassMap, table: ClassTable, output: Path) -> None:
    own = Path(raster.source.files[0].path)
    if own.exists() and output.exists() and own.samefile(output):
        raise OutputError(f"'{output}' is the raster that is read.", "Give another name.")
    if table.source and raster.nomenclature.name != table.source:
        raise InputError(
            f"{raster.what} names its classes otherwise than '{table.source}', which the table '{table.name}' is for.",
            f"Give pairs of codes of your own; or, if it does hold the codes of '{table.source}', say so with "
            f"--nomenclature {table.source}.",
        )


def _recode(raster: ClassMap, table: ClassTable, pile: TilePile, step: Any, cancelled: threading.Event) -> Counter[int]:
    counts: Counter[int] = Counter()
    missing: Counter[int] = Counter()

    def work(tile: PixelWindow) -> tuple[dict[int, int], dict[int, int]]:
        reader: RasterReader = readers.get()
        values, valid = reader.read(tile)
        check_whole(values[0], valid, raster.what)
        codes, lacking = table.recode(values[0], valid)
        if not lacking:
            pile.write(tile, codes)
        return count_codes(codes), lacking

    done, total = 0, raster.source.width * raster.source.height
    with ThreadReaders(raster.source.reader) as readers:
        for tile, (found, lacking) in each(work, raster.tiles(), cancelled):
            counts.update(found)
            missing.update(lacking)
            done += tile.pixels
            step(RECODED * done / total, "Mapping classes")
    if missing:
        raise InputError(
            f"{raster.what} holds codes that the table '{table.name}' lacks: {strange_values(missing, 12)}.",
            "Add them to a table of your own; 'default' gives all others a code, and default=0 leaves them out.",
        )
    if not counts:
        raise InputError(
            f"{raster.what} holds no pixel that the table '{table.name}' gives a class.",
            "Check the raster's nodata value, and the table.",
        )
    return counts


def _with_classes_that_occur(target: Nomenclature, counts: Counter[int]) -> Nomenclature:
    """Return the new classes; those that are disabled, but occur, are shown too."""
    return target.with_disabled(item.code for item in target.classes if item.disabled and not counts[item.code])
