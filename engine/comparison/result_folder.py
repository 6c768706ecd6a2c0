"""The folder of an evaluation."""

from __future__ import annotations

from engine.rasters.result_folder import FolderKind

METRICS, CONFUSION, REPORT, ERRORS = "metrics.json", "confusion.csv", "report.html", "errors.tif"
EVALUATION = FolderKind(
    "evaluation", frozenset({METRICS, CONFUSION, REPORT, ERRORS, f"{ERRORS}.aux.xml", "errors.qml"})
)
