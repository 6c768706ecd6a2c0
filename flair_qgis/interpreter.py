"""Finds a Python that may be started from QGIS. `sys.executable` is QGIS itself on Windows and macOS."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Mapping, Optional

from .child_process import group_options

PROBE = "import sys; print('%d.%d' % sys.version_info[:2])"


def interpreter_candidates(
    platform: str = sys.platform,
    prefix: str = sys.prefix,
    base_prefix: str = sys.base_prefix,
    path: Optional[str] = None,
) -> List[Path]:
    """Return where a Python may be, best first; the files need not exist.

    Args:
        platform: As in `sys.platform`.
        prefix: As in `sys.prefix`.
        base_prefix: As in `sys.base_prefix`.
        path: Folders to search; default: the variable PATH.
    """
    found: List[Path] = []
    for folder in (Path(prefix), Path(base_prefix)):
        if platform == "win32":
            found += [folder / "python.exe", folder / "python3.exe"]
        elif platform == "darwin":
            found += [folder / "bin" / "python3"]
        else:
            found += [folder / "bin" / "python3"]
    if platform == "linux":
        for name in ("python3", "python"):
            program = shutil.which(name, path=path)
            if program:
                found.append(Path(program))
    if platform == "darwin":
        # the one in /usr/bin only opens a window that offers to install Xcode
        found = [item for item in found if str(item) != "/usr/bin/python3"]
    return list(dict.fromkeys(found))


def find_interpreter(environment: Mapping[str, str], module: str = "pip") -> Optional[Path]:
    """Return a Python that starts and has a module, or None.

    Args:
        environment: Environment to start it with.
        module: Module that it must be able to import.
    """
    for candidate in interpreter_candidates(path=environment.get("PATH")):
        if candidate.is_file() and _works(candidate, environment, module):
            return candidate
    return None


def _works(candidate: Path, environment: Mapping[str, str], module: str) -> bool:
    try:
        done = subprocess.run(  # a list of arguments, no shell  # nosec B603
            [str(candidate), "-c", f"import {module}; {PROBE}"],
            env=dict(environment),
            cwd=str(candidate.parent),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
            **group_options(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip()[:2] == b"3."
