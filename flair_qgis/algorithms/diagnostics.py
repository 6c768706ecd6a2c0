"""`flair:diagnostics`: a report to copy."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
)

from ..errors import failure
from ..i18n import tr
from ..report import diagnostics_report
from .base import FlairAlgorithm

OUTPUT = "OUTPUT"
REPORT = "REPORT"


class DiagnosticsAlgorithm(FlairAlgorithm):
    """Reports versions, devices and paths, without the user's name."""

    NAME = "diagnostics"
    GROUP = "settings"
    NEEDS_ENGINE = False

    def displayName(self) -> str:
        return tr("Diagnostics")

    def shortDescription(self) -> str:
        return tr("A report of versions, devices and paths, to copy into a question or a bug report.")

    def tags(self) -> List[str]:
        return tr("report,versions,gpu,engine,support").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Writes a report of the versions of QGIS, Python, GDAL and the engine, of the devices "
            "that can compute, and "
            "of the paths in use. Your name and your home folder are taken out. Copy it into a question or a bug "
            "report.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:diagnostics -- "
            "OUTPUT=diagnostics.html</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        filters = "HTML (*.html);;{} (*.txt)".format(tr("Text"))
        self.addParameter(QgsProcessingParameterFileDestination(OUTPUT, tr("Report"), filters, optional=True))
        self.addOutput(QgsProcessingOutputString(REPORT, tr("Report as text")))

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        text = diagnostics_report(feedback)
        feedback.pushInfo(text)
        values: Dict[str, Any] = {REPORT: text}
        path = self.parameterAsFileOutput(parameters, OUTPUT, context)
        if path:
            page = text
            if path.lower().endswith((".html", ".htm")):
                page = f'<!DOCTYPE html><meta charset="utf-8"><pre>{html.escape(text)}</pre>\n'
            try:
                Path(path).write_text(page, encoding="utf-8")
            except OSError as error:
                raise failure(
                    tr("The report {path} cannot be written: {reason}.").format(path=path, reason=error.strerror)
                ) from error
            values[OUTPUT] = path
        return values
