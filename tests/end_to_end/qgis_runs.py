"""QGIS in a profile of its own, driven from outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.processes import MINUTES, Running

PLUGIN = "flair_land_cover"
# What QGIS and GDAL write while they start, and while QGIS tries what a text could name.
NOISE = re.compile(
    r"QStandardPaths|Application path|DeprecationWarning|^ERROR \d+: |^ERROR: Status \d|Unable to load mesh"
)
# What QGIS's own files say of themselves on a newer Python: the warning, and the line that it is about.
OF_QGIS = re.compile(r"^/usr/\S+\.py:\d+: DeprecationWarning: .*\n(?:  .*\n)?", re.MULTILINE)


def program(name):
    """Return a program of QGIS: Debian 12 wraps them, and the wrapper of qgis_process is broken."""
    for candidate in (f"{name}.bin", name):
        found = shutil.which(candidate, path=f"/usr/bin{os.pathsep}{os.environ.get('PATH', '')}")
        if found:
            return found
    return None


@dataclass(frozen=True)
class Answer:
    """What a run of qgis_process left.

    Args:
        code: Exit code.
        stdout: All of it.
        stderr: All of it, but for what QGIS warns of in itself.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def json(self):
        return json.loads(self.stdout)

    @property
    def text(self):
        return self.stdout + self.stderr

    @property
    def errors(self):
        """The lines of an error, without what the libraries say."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        return [line for line in lines if not NOISE.search(line)]


class Qgis:
    """A QGIS with a plugin folder and a profile.

    Args:
        folder: Where they go.
        plugin: The plugin's folder, linked into the plugin folder; None when the profile holds it.
        cache: The engine's cache.
        python: The engine's Python; None leaves it to the plugin to find one.
    """

    def __init__(self, folder, plugin, cache, python=sys.executable):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.profile = self.folder / "profile"
        self.temporary = self.folder / "tmp"
        self.cache = cache
        self.python = python
        if plugin is not None:
            (self.folder / "plugins").mkdir(exist_ok=True)
            (self.folder / "plugins" / PLUGIN).symlink_to(plugin, target_is_directory=True)

    def environment(self, **changes):
        dropped = {"PYTHONPATH", "FLAIR_ENGINE_PYTHON", "DISPLAY", "LC_ALL", "LANG", "LANGUAGE"}
        kept = {key: value for key, value in os.environ.items() if key not in dropped}
        home = self.folder / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        self.temporary.mkdir(exist_ok=True)
        return {
            **kept,
            **({} if self.python is None else {"FLAIR_ENGINE_PYTHON": str(self.python)}),
            "LC_ALL": "C.UTF-8",
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "TMPDIR": str(self.temporary),
            "QT_QPA_PLATFORM": "offscreen",
            "QGIS_CUSTOM_CONFIG_PATH": str(self.profile),
            "QGIS_PLUGINPATH": str(self.folder / "plugins"),
            "FLAIR_CACHE_DIR": str(self.cache),
            **{key: str(value) for key, value in changes.items()},
        }

    def start(self, *arguments, **changes):
        return Running([program("qgis_process"), *arguments], self.environment(**changes), self.folder)

    def run(self, *arguments, timeout=MINUTES, **changes):
        """Run qgis_process to its end."""
        with self.start(*arguments, **changes) as running:
            code = running.wait(timeout)
            return Answer(code, running.stdout, OF_QGIS.sub("", running.stderr))

    def enable(self):
        answer = self.run("plugins", "enable", PLUGIN)
        assert answer.code == 0, answer.text
        return self

    def start_algorithm(self, algorithm, **values):
        """Start an algorithm, or a model by its file."""
        return self.start("run", str(algorithm), "--", *arguments_of(values))

    def execute(self, algorithm, *, environment=None, timeout=MINUTES, **values):
        """Run an algorithm, or a model by its file, with JSON output."""
        line = ["--json", "run", str(algorithm), "--", *arguments_of(values)]
        return self.run(*line, timeout=timeout, **(environment or {}))

    def start_classify(self, **values):
        return self.start_algorithm("flair:classify", **values)

    def classify(self, *, environment=None, **values):
        """Run flair:classify with JSON output."""
        return self.execute("flair:classify", environment=environment, **values)


def destinations(model, paths):
    """Return parameters for the outputs of a model that the QGIS at hand has written.

    Args:
        model: Its file.
        paths: By step and name, as 3.22 calls them: `classify:land cover`, which later versions call `land_cover`.
    """
    if "Version2" not in model.read_text(encoding="utf-8"):
        return paths
    return {name.partition(":")[2].replace(" ", "_"): path for name, path in paths.items()}


def arguments_of(values):
    line = []
    for key, value in values.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            line.append(f"{key}={item}")
    return line
