"""Notes a run in Processing's history, as the algorithms' dialogs do, and says how to repeat it in a shell."""

from __future__ import annotations

import shlex
from typing import Any, Dict, List, Optional, Tuple

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
)
from qgis.gui import QgsGui

PROVIDER = "processing"


class HistoryEntry:
    """An entry of the history.

    Args:
        algorithm: What runs.
        parameters: With which values.
        context: Where layers are looked up.
    """

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, parameters: Dict[str, Any], context: QgsProcessingContext
    ) -> None:
        self.command = command_line(algorithm, parameters, context)
        self._details: Dict[str, Any] = {"python_command": algorithm.asPythonCommand(parameters, context)}
        self._number: Optional[int] = None
        QgsGui.instance().processingRecentAlgorithmLog().push(algorithm.id())
        if hasattr(QgsGui, "historyProviderRegistry"):
            self._details.update(
                algorithm_id=algorithm.id(),
                parameters=algorithm.asMap(parameters, context),
                process_command=self.command,
            )
            self._number, _ = QgsGui.historyProviderRegistry().addEntry(PROVIDER, self._details)
        else:
            # QGIS before 3.24
            from processing.core.ProcessingLog import ProcessingLog

            ProcessingLog.addToLog(self._details["python_command"])

    def close(self, results: Dict[str, Any], log: str) -> None:
        """Add what came of it.

        Args:
            results: Outputs by name.
            log: What was told, as HTML.
        """
        if self._number is not None:
            self._details.update(results=results, log=log)
            QgsGui.historyProviderRegistry().updateEntry(self._number, self._details)


def command_line(algorithm: QgsProcessingAlgorithm, parameters: Dict[str, Any], context: QgsProcessingContext) -> str:
    """Return the call of qgis_process that repeats a run."""
    if hasattr(algorithm, "asQgisProcessCommand"):
        command, complete = algorithm.asQgisProcessCommand(parameters, context)
        if complete:
            return command
    # QGIS before 3.24
    words = ["qgis_process", "run", algorithm.id(), "--"]
    for name, value in _words(parameters, context):
        words.append(f"{name}={value}")
    return " ".join(shlex.quote(word) for word in words)


def _words(parameters: Dict[str, Any], context: QgsProcessingContext) -> List[Tuple[str, str]]:
    found: List[Tuple[str, str]] = []
    for name, value in parameters.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, QgsProcessingOutputLayerDefinition):
                item = item.sink.staticValue()
            layer = item
            if isinstance(item, str):
                layer = QgsProcessingUtils.mapLayerFromString(item, context, False) if item else None
            found.append((name, layer.source() if isinstance(layer, QgsMapLayer) else str(item)))
    return found
