"""What a tile store is for, and whether a later run may go on with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.rasters.virtual_raster import Layer, OutputGrid

FORMAT = 1
NAME = "store.json"


def new_manifest(fingerprint: Mapping[str, Any], grid: OutputGrid, layers: Sequence[Layer]) -> dict[str, Any]:
    """Return the manifest of a new store as JSON gives it back, without a plan."""
    manifest: dict[str, Any] = json.loads(
        json.dumps(
            {
                "format": FORMAT,
                "fingerprint": dict(fingerprint),
                "grid": {
                    "width": grid.width,
                    "height": grid.height,
                    "transform": [float(value) for value in grid.transform.to_gdal()],
                    "crs": None if grid.crs is None else grid.crs.to_wkt(),
                },
                "layers": [asdict(layer) for layer in layers],
                "plan": None,
            }
        )
    )
    return manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest in a store's folder, or None when there is none that can be read."""
    try:
        manifest = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and "plan" in manifest else None


def reason_to_start_anew(
    folder: Path, earlier: dict[str, Any] | None, manifest: dict[str, Any], resume: bool
) -> str | None:
    """Return why what an earlier run left cannot be taken over, or None when it can; empty: nothing is there."""
    if earlier is None:
        return "What an earlier run left is not readable: starting anew." if (folder / "tiles").is_dir() else ""
    if not resume:
        return "What an interrupted run left is dropped, as asked: starting anew."
    if earlier.get("format") != manifest["format"]:
        return "An interrupted run of another version was found: starting anew."
    differing = [
        text
        for key in ("fingerprint", "grid", "layers")
        for text in _differences(earlier.get(key), manifest[key], "" if key == "fingerprint" else key)
    ]
    if not differing:
        return None
    more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
    return f"The interrupted run had other settings ({'; '.join(differing[:3])}{more}): starting anew."


def _differences(old: Any, new: Any, name: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{name} {key}".strip())
    elif old != new:
        yield f"{name}: {_short(old)}, now {_short(new)}"


def _short(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def write_manifest(folder: Path, values: Mapping[str, Any]) -> None:
    """Write the manifest so that it is whole at any moment.

    Raises:
        OSError: It could not be written; an earlier one is then unchanged.
    """
    path = folder / NAME
    new = path.with_name(NAME + ".new")
    try:
        with new.open("w", encoding="utf-8") as stream:
            json.dump(values, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
