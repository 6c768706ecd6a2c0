"""The diagnostics report. It stays in English, because it is read by those who answer questions."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any, Dict, List, Tuple

import numpy
from osgeo import gdal
from qgis.core import Qgis, QgsProcessingException, QgsProcessingFeedback
from qgis.PyQt.QtCore import PYQT_VERSION_STR, qVersion

from .engine_environment import verify
from .i18n import language
from .paths import managed_folder, plugin_root, plugin_version, without_user
from .proxy import proxy_variables, without_credentials
from .settings import VARIABLE, find_engine


def diagnostics_report(feedback: QgsProcessingFeedback) -> str:
    """Return the report as text: one `name: value` a line, without the user's name.

    Args:
        feedback: Where the engine's messages are shown.

    Raises:
        QgsProcessingException: It was cancelled.
    """
    engine, problem = find_engine()
    rows: List[Tuple[str, Any]] = [
        ("FLAIR land cover", plugin_version()),
        ("QGIS", Qgis.QGIS_VERSION),
        ("Qt", f"{qVersion()} (PyQt {PYQT_VERSION_STR})"),
        ("Python of QGIS", sys.version.split()[0]),
        ("GDAL of QGIS", gdal.__version__),
        ("numpy of QGIS", numpy.__version__),
        ("System", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("Processors", os.cpu_count()),
        ("Language", language()),
        ("Plugin folder", plugin_root()),
        ("Managed folder", managed_folder()),
        ("Proxy of QGIS", "yes" if proxy_variables() else "no"),
        (VARIABLE, os.environ.get(VARIABLE, "not set")),
        ("Engine Python", f"{engine.path} ({engine.origin})" if engine else "none"),
    ]
    if engine is None:
        rows.append(("Engine", problem))
    else:
        try:
            rows += _flat("", verify(engine.path, feedback))
        except QgsProcessingException as error:
            if feedback.isCanceled():
                raise
            rows.append(("Engine", f"does not work: {error}"))
    text = "\n".join(f"{name}: {value}" for name, value in rows)
    return without_user(without_credentials(text))


def _flat(prefix: str, values: Dict[str, Any]) -> List[Tuple[str, Any]]:
    rows: List[Tuple[str, Any]] = []
    for name, value in values.items():
        title = f"{prefix}.{name}" if prefix else f"engine.{name}" if name != "engine" else "Engine"
        if isinstance(value, dict):
            rows += _flat(title, value)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                rows += _flat(f"{title}[{number}]", item) if isinstance(item, dict) else [(f"{title}[{number}]", item)]
        else:
            rows.append((title, value))
    return rows
