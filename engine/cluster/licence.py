"""What a run tells its workers, in a file of the work folder: it is also their licence to write there.

Tasks name only the folder and a key, so that they stay small however many images there are. A worker
that does not see the file, or sees another one, is not where the run is; and once the file is gone,
whatever still computes for the run stops at its next tile.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.inference.predictor import Precision
from engine.rasters.source import RasterSource
from engine.rasters.tile_store import SHARED

_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class SharedGraph:
    """A graph for the CPU that all workers run.

    Args:
        file: Its name in the shared folder.
        precision: Its arithmetic.
        bytes_per_pixel: Working memory per pixel of a window.
        openvino: Version of the library that it was made for.
    """

    file: str
    precision: Precision
    bytes_per_pixel: float
    openvino: str


@dataclass(frozen=True)
class Licence:
    """What workers need to compute tiles of a run, as JSON values.

    Args:
        version: Version of the engine.
        request: The prepared job's request, with absolute paths.
        device: Device that each worker uses.
        threads: CPU threads of each; None for the cores of its computer, divided among the workers there.
        neighbours: How many workers there are on each computer.
        model_sha256: SHA-256 of the model's file.
        image: What the run knows of its image, see `image_facts`.
        graph: Graph to run; None for torch.
        nonce: Tells two runs of the same request apart.
    """

    version: str
    request: dict[str, Any]
    device: str
    threads: int | None
    neighbours: dict[str, int]
    model_sha256: str
    image: dict[str, Any]
    graph: SharedGraph | None
    nonce: str

    @classmethod
    def read(cls, folder: Path, key: str) -> Licence:
        """Read the licence of a run.

        Raises:
            OSError: There is none.
            ValueError: It is not the one that the key belongs to.
        """
        content = licence_path(folder, key).read_bytes()
        if _key(content) != key:
            raise ValueError("the file is not whole")
        values = json.loads(content)
        graph = values.pop("graph")
        return cls(**values, graph=None if graph is None else SharedGraph(**graph))

    def write(self, folder: Path) -> str:
        """Write it into a work folder, take away those of earlier runs, and return its key.

        Raises:
            OSError: It could not be written.
        """
        shared = folder / SHARED
        shared.mkdir(exist_ok=True)
        for old in shared.glob("licence-*"):
            old.unlink(missing_ok=True)
        content = json.dumps(asdict(self)).encode()
        key = _key(content)
        part = shared / f"licence-{key}.part"
        part.write_bytes(content)
        part.replace(licence_path(folder, key))
        return key


def licence_path(folder: Path, key: str) -> Path:
    """Return the file of a licence in a work folder."""
    return folder / SHARED / f"licence-{key}.json"


def new_nonce() -> str:
    """Return what no other run has."""
    return secrets.token_hex(8)


def image_facts(source: RasterSource) -> dict[str, Any]:
    """Return of an image what is the same on all computers that see the same files, as JSON values."""
    facts: dict[str, Any] = json.loads(json.dumps(source.facts()))
    # Copies on the disks of several computers have times of their own.
    facts["inputs"] = [[path, size] for path, size, _ in facts["inputs"]]
    return facts


class Withdrawal(threading.Event):
    """Is set once a run's licence is gone; looks at most once a second.

    Args:
        folder: Work folder.
        key: Key of the licence.
    """

    def __init__(self, folder: Path, key: str) -> None:
        super().__init__()
        self._path = licence_path(folder, key)
        self._looked = float("-inf")

    def is_set(self) -> bool:
        """See `threading.Event`."""
        now = time.monotonic()
        if not super().is_set() and now - self._looked > _LOOK_SECONDS:
            self._looked = now
            if not self._path.exists():
                self.set()
        return super().is_set()


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
