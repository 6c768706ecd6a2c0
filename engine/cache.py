"""Where exported graphs and converted models are kept between runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from engine.errors import OutputError

VARIABLE = "FLAIR_CACHE_DIR"


def cache_folder() -> Path:
    """Return the cache folder: `FLAIR_CACHE_DIR`, else the system's place for it. It may not exist yet."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("flair-land-cover", False))


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well, and vanishes otherwise.

    When another process put `target` there meanwhile, that one stays.

    Raises:
        OutputError: The cache cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise OutputError(
            f"The cache folder '{target.parent}' cannot be written: {error.strerror}.",
            f"Set the environment variable {VARIABLE} to a folder that can.",
        ) from error
    try:
        yield staging
        try:
            staging.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
