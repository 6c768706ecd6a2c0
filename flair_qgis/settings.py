"""Which Python runs the engine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from qgis.PyQt.QtGui import QIcon

from .i18n import tr
from .paths import managed_folder, plugin_root

SETTING = "FLAIR_ENGINE_PYTHON"
VARIABLE = "FLAIR_ENGINE_PYTHON"


class EnginePython(NamedTuple):
    """A Python that runs the engine.

    Args:
        path: The interpreter.
        origin: Who names it: `setting`, `variable`, `managed` or `checkout`.
    """

    path: Path
    origin: str


def add_settings(group: str, icon: QIcon) -> None:
    """Add the provider's options to Processing's options."""
    from processing.core.ProcessingConfig import ProcessingConfig, Setting

    ProcessingConfig.settingIcons[group] = icon
    ProcessingConfig.addSetting(Setting(group, SETTING, tr("Engine Python"), "", valuetype=Setting.FILE))
    ProcessingConfig.readSettings()


def remove_settings() -> None:
    """Take the provider's options out again."""
    from processing.core.ProcessingConfig import ProcessingConfig

    if SETTING in ProcessingConfig.settings:
        ProcessingConfig.removeSetting(SETTING)


def environment_python(folder: Path, platform: str = sys.platform) -> Path:
    """Return where the interpreter of a virtual environment lies."""
    return folder / "Scripts" / "python.exe" if platform == "win32" else folder / "bin" / "python"


def managed_environment() -> Path:
    """Return the folder of the environment that `flair:setupengine` makes."""
    return managed_folder() / "engine"


def find_engine() -> Tuple[Optional[EnginePython], str]:
    """Return the engine's Python and an empty text, or None and what to do as HTML.

    Order: the option of the provider, the environment variable, the managed environment, a checkout's `.venv`.
    The first two are a person's word: when they name a file that is not there, nothing else is tried.
    """
    named = ((_setting(), "setting"), (os.environ.get(VARIABLE, "").strip(), "variable"))
    for value, origin in named:
        if not value:
            continue
        # not resolved: the link inside a virtual environment is what makes Python look there
        path = Path(value).expanduser()
        if path.is_dir():
            path = environment_python(path)
        if path.is_file():
            return EnginePython(path, origin), ""
        return None, _wrong(value, origin)
    for folder, origin in ((managed_environment(), "managed"), (plugin_root() / ".venv", "checkout")):
        path = environment_python(folder)
        if path.is_file():
            return EnginePython(path, origin), ""
    return None, _missing()


def _setting() -> str:
    from processing.core.ProcessingConfig import ProcessingConfig

    return str(ProcessingConfig.getSetting(SETTING) or "").strip()


def _wrong(value: str, origin: str) -> str:
    if origin == "setting":
        text = tr('The option "Engine Python" names {path}, which does not exist.')
        hint = tr(
            "Correct it under Settings > Options > Processing > Providers > FLAIR land cover, or "
            'clear it and run "Set up the engine".'
        )
    else:
        text = tr("The environment variable {variable} names {path}, which does not exist.")
        hint = tr("Correct or remove the variable, and start QGIS again.")
    return f"{text.format(path=value, variable=VARIABLE)} {hint}"


def _missing() -> str:
    return tr(
        "The engine that computes land cover is not set up yet. "
        'Run the algorithm "Set up the engine" (FLAIR land cover > Settings, or qgis_process '
        "run flair:setupengine), "
        "or name an existing environment under Settings > Options > Processing > Providers > FLAIR "
        "land cover > Engine Python."
    )
