"""Environment variables for a child process that must not see QGIS's libraries."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence

from qgis.core import QgsApplication

# They name QGIS's Python, libraries and data, or redirect installations.
DROPPED = {
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONEXECUTABLE",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONNOUSERSITE",
    "PYTHONDONTWRITEBYTECODE",
    "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "QGIS_PREFIX_PATH",
    "QGIS_PLUGINPATH",
    "QT_PLUGIN_PATH",
    "PROJ_LIB",
    "PROJ_DATA",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "LD_PRELOAD",
}
LIBRARY_PATH = "LD_LIBRARY_PATH"
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


def scrubbed_environment(
    base: Optional[Mapping[str, str]] = None,
    platform: str = sys.platform,
    qgis_folders: Optional[Sequence[str]] = None,
) -> Dict[str, str]:
    """Return an environment for a Python that is not QGIS's.

    Args:
        base: Variables to start from; default: those of this process.
        platform: As in `sys.platform`.
        qgis_folders: Folders that belong to QGIS; default: as found.
    """
    base = os.environ if base is None else base
    folders = _qgis_folders(base, platform) if qgis_folders is None else list(qgis_folders)
    result: Dict[str, str] = {}
    for name, value in base.items():
        key = name.upper() if platform == "win32" else name
        if key in DROPPED or key.startswith("DYLD_"):
            continue
        if key == LIBRARY_PATH:
            # drivers may be found through it only, as on WSL
            value = ":".join(part for part in value.split(":") if _is_driver_folder(part))
            if not value:
                continue
        elif key == "PATH":
            separator = ";" if platform == "win32" else ":"
            value = separator.join(part for part in value.split(separator) if not _inside(part, folders, platform))
        elif key in CERTIFICATES and (not Path(value).exists() or _inside(value, folders, platform)):
            continue
        result[name] = value
    result["PYTHONSAFEPATH"] = "1"
    result["PYTHONIOENCODING"] = "utf-8"
    result["PYTHONUTF8"] = "1"
    return result


def _qgis_folders(base: Mapping[str, str], platform: str) -> Sequence[str]:
    if platform not in ("win32", "darwin"):
        # QGIS lives in /usr there, with everything else
        return []
    names = [base.get("OSGEO4W_ROOT", ""), QgsApplication.prefixPath(), sys.prefix]
    if platform == "darwin":
        names = [name.partition(".app/")[0] + ".app" if ".app/" in name else name for name in names]
    return [name for name in names if len(name) > 1]


def _inside(path: str, folders: Sequence[str], platform: str) -> bool:
    def plain(text: str) -> str:
        text = text.strip('"').replace("\\", "/").rstrip("/")
        return text.lower() if platform == "win32" else text

    return any(plain(path) == plain(folder) or plain(path).startswith(plain(folder) + "/") for folder in folders)


def _is_driver_folder(path: str) -> bool:
    return any(word in path.lower() for word in ("cuda", "nvidia", "/wsl/", "rocm"))
