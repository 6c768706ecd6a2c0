"""How far the judging of a model by some patches has come, in one file that is written again and again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine import __version__
from engine.models.resolve import ResolvedModel
from engine.rasters.disk import output_error
from engine.study.judge import Judge

_WORDS, _UNITS, _SAMPLE = "standing", "units", "sample"
_READ_ERRORS = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass
class Standing:
    """What is known of the first patches of a list.

    Args:
        key: What was judged, see `pair_key`; another key makes it worthless.
        done: Patches that are counted.
        seconds: Time spent on them.
        peak_memory: Most bytes held meanwhile.
        pixels: Pixels of these patches.
        device: Kind of device, such as `cuda`.
        device_name: What a person calls it.
        parameters: Trained numbers of the model.
        predictions: Whether the class raster of each was written.
        units: Confusion matrices that intervals are drawn from, see `Tally.units`.
        samples: Predicted codes (height, width) of the patches that a report may show, by their numbers.
    """

    key: str
    done: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    pixels: int = 0
    device: str = ""
    device_name: str = ""
    parameters: int = 0
    predictions: bool = False
    units: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    samples: dict[int, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            OutputError: It cannot be written; an earlier one is as it was.
        """
        words = {name: value for name, value in vars(self).items() if name not in ("units", "samples")}
        arrays = {
            _WORDS: np.frombuffer(json.dumps(words).encode(), dtype=np.uint8),
            _UNITS: self.units,
            **{f"{_SAMPLE}{number}": codes for number, codes in self.samples.items()},
        }
        part = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with part.open("wb") as stream:
                np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except OSError as error:
            raise output_error(path, error) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    @staticmethod
    def read(path: Path) -> Standing | None:
        """Return what a file says; None where there is none that can be read."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                words = json.loads(arrays[_WORDS].tobytes())
                samples = {
                    int(name.removeprefix(_SAMPLE)): arrays[name] for name in arrays.files if name.startswith(_SAMPLE)
                }
                return Standing(**words, units=arrays[_UNITS], samples=samples)
        except _READ_ERRORS:
            return None


def pair_key(model: ResolvedModel, judge: Judge, device: str) -> str:
    """Return the SHA-256 of all that decides the counts: weights, description, patches, classes, device, version.

    Args:
        model: The model.
        judge: It, and the patches.
        device: Where it is predicted.
    """
    parts = [
        __version__,
        model.sha256,
        model.manifest.to_json(),
        judge.test.state,
        judge.test.split,
        judge.classes.table.tobytes().hex(),
        judge.channels,
        # A GPU may decide a pixel in a million otherwise than a CPU.
        device.partition(":")[0],
        *([] if judge.season is None else [judge.season.fingerprint]),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
