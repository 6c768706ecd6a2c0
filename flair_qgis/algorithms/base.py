"""What all algorithms share."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
)
from qgis.PyQt.QtGui import QIcon

from ..engine_process import run_engine
from ..errors import failure
from ..i18n import tr
from ..paths import resources
from ..progress import Progress
from ..settings import find_engine


class FlairAlgorithm(QgsProcessingAlgorithm):
    """An algorithm of the provider; subclasses set the two names and write the texts."""

    NAME = ""
    GROUP = "landcover"
    NEEDS_ENGINE = True

    def createInstance(self) -> FlairAlgorithm:
        return type(self)()

    def name(self) -> str:
        return self.NAME

    def group(self) -> str:
        # spelled out, so that the translations can be checked
        return {"landcover": tr("Land cover"), "settings": tr("Settings")}[self.GROUP]

    def groupId(self) -> str:
        return self.GROUP

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(resources() / "icons" / f"{self.NAME}.svg")

    def canExecute(self) -> Tuple[bool, str]:
        if not self.NEEDS_ENGINE:
            return True, ""
        engine, problem = find_engine()
        return engine is not None, problem

    def add(self, parameter: QgsProcessingParameterDefinition, text: str = "", advanced: bool = False) -> None:
        """Add a parameter.

        Args:
            parameter: The parameter.
            text: What it does, for its tool tip.
            advanced: Whether it is folded away.
        """
        if text:
            parameter.setHelp(text)
        if advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(parameter)

    def run_engine(
        self,
        command: str,
        options: Dict[str, Any],
        feedback: QgsProcessingFeedback,
        progress: Optional[Progress] = None,
    ) -> Dict[str, Any]:
        """Run a command of the engine; see `engine_process.run_engine`."""
        engine, problem = find_engine()
        if engine is None:
            raise failure(problem)
        labels = {item.name().lower(): item.description() for item in self.parameterDefinitions()}
        return run_engine(engine.path, command, options, feedback, progress, labels)

    def given(self, parameters: Dict[str, Any], name: str) -> bool:
        """Whether a person set an optional parameter."""
        value = parameters.get(name)
        return value is not None and value != ""
