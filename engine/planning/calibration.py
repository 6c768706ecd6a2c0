"""What a machine does with a model, measured: the part of a plan that can be carried from one machine to another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from engine.errors import InputError

FORMAT = 1


@dataclass(frozen=True)
class Calibration:
    """Rates and sizes of one model on one device.

    Args:
        machine: Processor or GPU, as its system calls it.
        device: `cpu`, `cuda:0`, ...
        precision: `exact`, `half` or `int8`.
        model: Name of the model.
        model_sha256: Checksum of its file.
        options: What else decides the speed: `blend`, `augment`, layers.
        budget: Bytes that predictions may take there.
        bytes_per_pixel: Working memory of the network per pixel of a window.
        start_seconds: From the command to the first window.
        computed_pixels_per_second: Pixels of windows, margins included, read, predicted and stored in a second.
        finished_pixels_per_second: Pixels of the output written in a second, once all tiles are there.
        store_bytes_per_pixel: Bytes of finished tiles per pixel of the output.
        output_bytes_per_pixel: Bytes of the outputs per pixel.
        read_bytes_per_pixel: Bytes of the image's file per pixel of it.
        tiles: Tiles measured.
        seconds: Time that they took.
    """

    machine: str
    device: str
    precision: str
    model: str
    model_sha256: str
    options: dict[str, Any]
    budget: float
    bytes_per_pixel: float
    start_seconds: float
    computed_pixels_per_second: float
    finished_pixels_per_second: float
    store_bytes_per_pixel: float
    output_bytes_per_pixel: float
    read_bytes_per_pixel: float
    tiles: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"format": FORMAT, **asdict(self)}


def read_calibration(path: Path) -> Calibration:
    """Read what `plan --output` wrote.

    Raises:
        InputError: There is no such file, or it is something else.
    """
    hint = "Give the file that `plan --output FILE.json` wrote."
    try:
        values = json.loads(path.read_text(encoding="utf-8"))["calibration"]
        if values.pop("format") != FORMAT:
            raise InputError(f"'{path}' was written by another version.", "Calibrate again.")
        known = Calibration(**{field.name: values[field.name] for field in fields(Calibration)})
        rates = (known.computed_pixels_per_second, known.finished_pixels_per_second, known.budget)
        if not all(isinstance(rate, int | float) and rate > 0 for rate in (*rates, known.bytes_per_pixel)):
            raise ValueError("a rate is not a positive number")
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.", hint) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"'{path}' holds no calibration.", hint) from error
    return known
