"""Creates and verifies the engine's Python environment under the user's profile.

It is made in a new folder, verified there, and takes the old one's place last: a set-up that fails or is cancelled
leaves a working engine as it was.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from qgis.core import QgsProcessingException, QgsProcessingFeedback

from .child_environment import scrubbed_environment
from .engine_process import run_engine
from .errors import failure
from .i18n import tr
from .interpreter import find_interpreter
from .paths import managed_folder, resources, without_user
from .progress import Progress
from .proxy import proxy_variables
from .settings import environment_python, managed_environment
from .setup_log import SetupLog

# "locked" is the release of torch in the lock file, checked by its hash; the others are builds that uv chooses
BACKENDS = ("locked", "auto", "cpu", "cu126", "cu128", "cu130")
PYTHON_VERSIONS = ">=3.10,<3.15"
DISK_GB = 8.0
DISK_CPU_GB = 3.0
STALE_SECONDS = 24 * 3600
_BELONGS_TO_TORCH = re.compile(r"^(torch|torchvision|triton|nvidia-|cuda-)")


def verify(python: Path, feedback: QgsProcessingFeedback, progress: Optional[Progress] = None) -> Dict[str, Any]:
    """Start the engine and return its diagnostics.

    Raises:
        QgsProcessingException: It does not start, or a package is missing.
    """
    return run_engine(python, "diagnostics", {}, feedback, progress)


def disk_needed(backend: str, platform: str = sys.platform) -> float:
    """Return the free disk space that a set-up needs, in GB."""
    # only on Linux does the locked release carry CUDA
    small = backend == "cpu" or (backend == "locked" and platform != "linux")
    return DISK_CPU_GB if small else DISK_GB


def check_disk(folder: Path, needed: float) -> None:
    """Check the free disk space.

    Args:
        folder: Folder that will be filled; must exist.
        needed: Free space in GB.

    Raises:
        QgsProcessingException: There is less.
    """
    free = shutil.disk_usage(str(folder)).free / 1e9
    if free < needed:
        raise failure(
            tr("The engine needs {needed} GB of disk space, and {free} GB are free in {folder}.").format(
                needed=f"{needed:.0f}", free=f"{free:.1f}", folder=without_user(str(folder))
            ),
            tr(
                "Free some space, choose the backend cpu, or name an environment elsewhere in the option Engine Python."
            ),
        )


def split_requirements(text: str) -> Tuple[str, List[str]]:
    """Split a lock file into what does not depend on the build of torch, and the pins of torch itself.

    Args:
        text: Requirements with hashes, one entry over several lines.

    Returns:
        The requirements without torch and the libraries that come with it; torch and torchvision as `name==version`.
    """
    kept: List[str] = []
    pins: List[str] = []
    keep = True
    for line in text.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            keep = not _BELONGS_TO_TORCH.match(line)
            pin = re.match(r"^(torch|torchvision)==[^\s;]+", line)
            if pin:
                pins.append(pin.group(0))
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n", list(dict.fromkeys(pins))


class EnvironmentBuilder:
    """Builds the managed environment.

    Args:
        backend: One of `BACKENDS`.
        feedback: Where progress and messages are shown, and where cancelling is asked.
        root: Folder under which everything lies; default: the managed folder in the profile.
    """

    def __init__(self, backend: str, feedback: QgsProcessingFeedback, root: Optional[Path] = None) -> None:
        self._backend = backend
        self._feedback = feedback
        self._root = root or managed_folder()
        self._target = self._root / managed_environment().name
        self._new = self._root / f"engine.new-{os.getpid()}"
        self._environment = self._variables()

    @property
    def log_path(self) -> Path:
        """The log file of the last set-up."""
        return self._root / "setup.log"

    def build(self) -> Tuple[Path, Dict[str, Any]]:
        """Build and verify the environment, then put it in place.

        Returns:
            The interpreter and the engine's diagnostics.

        Raises:
            QgsProcessingException: A step failed or was cancelled; an older environment is as it was.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise failure(
                tr("The folder {folder} cannot be written: {reason}.").format(
                    folder=without_user(str(self._root)), reason=error.strerror
                ),
                tr("Name an environment elsewhere in the option Engine Python."),
            ) from error
        self._remove_stale()
        check_disk(self._root, disk_needed(self._backend))
        with self.log_path.open("w", encoding="utf-8") as stream:
            log = SetupLog(stream, self.log_path, self._feedback)
            try:
                diagnostics = self._install(log)
                self._put_in_place()
            except QgsProcessingException as error:
                log.say(str(error))
                raise
            finally:
                shutil.rmtree(self._new, ignore_errors=True)
        shutil.rmtree(self._root / "cache", ignore_errors=True)
        Progress(self._feedback).report(1)
        return environment_python(self._target), diagnostics

    def _variables(self) -> Dict[str, str]:
        environment = scrubbed_environment()
        environment.update(proxy_variables())
        environment.setdefault("UV_CACHE_DIR", str(self._root / "cache"))
        environment.setdefault("UV_PYTHON_INSTALL_DIR", str(self._root / "python"))
        environment.setdefault("UV_HTTP_TIMEOUT", "300")
        # certificates of the company's proxy are known to the system, not to uv
        environment.setdefault("UV_SYSTEM_CERTS", "1")
        environment["UV_NO_PROGRESS"] = "1"
        environment["NO_COLOR"] = "1"
        return environment

    def _install(self, log: SetupLog) -> Dict[str, Any]:
        uv = self._uv(log)
        shutil.rmtree(self._new, ignore_errors=True)
        make = [str(uv), "venv", "--no-project", "--relocatable", "--python", PYTHON_VERSIONS]
        self._run(log, [*make, str(self._new)], (8, 15), tr("Making the environment"))
        python = environment_python(self._new)
        lock = resources() / "requirements" / "engine.txt"
        if self._backend == "locked":
            self._sync(log, uv, python, lock, (15, 90))
        else:
            rest, pins = split_requirements(lock.read_text(encoding="utf-8"))
            partial = self._new / "engine-without-torch.txt"
            partial.write_text(rest, encoding="utf-8")
            self._sync(log, uv, python, partial, (15, 50))
            torch = [str(uv), "pip", "install", f"--torch-backend={self._backend}"]
            title = tr("Installing torch for {backend}").format(backend=self._backend)
            self._run(log, [*torch, "--python", str(python), *pins], (50, 90), title)
        log.say(tr("Verifying the engine"))
        return verify(python, self._feedback, Progress(self._feedback, 90, 100))

    def _sync(self, log: SetupLog, uv: Path, python: Path, lock: Path, part: Tuple[int, int]) -> None:
        sync = [str(uv), "pip", "sync", "--require-hashes", "--python", str(python), str(lock)]
        self._run(log, sync, part, tr("Installing packages"))

    def _run(self, log: SetupLog, arguments: List[str], part: Tuple[int, int], title: str) -> None:
        log.run(arguments, self._environment, self._root, Progress(self._feedback, *part), title)

    def _uv(self, log: SetupLog) -> Path:
        found = shutil.which("uv", path=self._environment.get("PATH"))
        if found:
            return Path(found)
        folder = self._root / "uv"
        name = "uv.exe" if os.name == "nt" else "uv"
        places = [folder / sub / name for sub in ("bin", "Scripts")]
        for place in places:
            if place.is_file():
                return place
        python = find_interpreter(self._environment)
        if python is None:
            raise failure(
                tr("Neither uv nor a Python with pip was found."),
                tr(
                    "Install uv or pip (on Debian: apt install python3-pip), or name an environment "
                    "in the option Engine Python."
                ),
            )
        lock = resources() / "requirements" / "uv.txt"
        install = [str(python), "-m", "pip", "install", "--target", str(folder), "--upgrade", "--no-deps"]
        install += ["--require-hashes", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input"]
        self._run(log, [*install, "-r", str(lock)], (1, 8), tr("Getting uv"))
        for place in places:
            if place.is_file():
                return place
        raise failure(
            tr("uv was installed, but its program is missing."), tr("Install uv by hand, and run this again.")
        )

    def _put_in_place(self) -> None:
        old = self._root / f"engine.old-{os.getpid()}-{int(time.time())}"
        try:
            if self._target.exists():
                self._target.rename(old)
            self._new.rename(self._target)
        except OSError as error:
            if old.exists() and not self._target.exists():
                old.rename(self._target)
            raise failure(
                tr("The new environment cannot take the old one's place: {reason}.").format(reason=error.strerror),
                tr("Wait until no algorithm is running, and run this again."),
            ) from error
        shutil.rmtree(old, ignore_errors=True)

    def _remove_stale(self) -> None:
        for pattern in ("engine.new-*", "engine.old-*"):
            for folder in self._root.glob(pattern):
                # a young one may belong to another QGIS
                if time.time() - folder.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
