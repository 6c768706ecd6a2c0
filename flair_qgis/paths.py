"""Where the plugin and the user's files lie."""

from __future__ import annotations

import getpass
import os
import re
from pathlib import Path

from qgis.core import QgsApplication, QgsProcessingUtils

MANAGED_FOLDER = "flair_land_cover"


def plugin_root() -> Path:
    """Return the folder that holds `engine/`, `flair_qgis/` and `resources/`."""
    return Path(__file__).resolve().parent.parent


def resources() -> Path:
    """Return the folder of resources."""
    return plugin_root() / "resources"


def managed_folder() -> Path:
    """Return the folder under the user's QGIS profile that the plugin may write to; it need not exist."""
    return Path(QgsApplication.qgisSettingsDirPath()) / MANAGED_FOLDER


def absolute(path: str) -> str:
    """Return a path as the engine needs it, which runs in another folder; an empty one stays empty."""
    return str(Path(path).expanduser().absolute()) if path else ""


def is_temporary(path: str) -> bool:
    """Return whether a path lies where Processing puts what nobody gave a name."""
    return Path(QgsProcessingUtils.tempFolder()) in Path(path).parents


def plugin_version() -> str:
    """Return the version that metadata.txt states."""
    text = (plugin_root() / "metadata.txt").read_text(encoding="utf-8")
    found = re.search(r"^version=(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def without_user(text: str) -> str:
    """Return a text with the user's home folder and name taken out of its paths."""
    home = str(Path.home())
    for spelling in (home, home.replace("\\", "/"), home.replace("\\", "\\\\")):
        if len(spelling) > 1:
            text = text.replace(spelling, "~")
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = os.environ.get("USERNAME", "")
    if len(name) > 1:
        text = re.sub(rf"(?<=[/\\]){re.escape(name)}(?=[/\\]|$)", "user", text, flags=re.MULTILINE)
    return text
