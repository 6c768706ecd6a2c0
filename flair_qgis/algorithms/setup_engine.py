"""`flair:setupengine`: makes or verifies the engine's environment."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
)

from ..engine_environment import BACKENDS, EnvironmentBuilder, verify
from ..errors import failure
from ..i18n import tr
from ..paths import without_user
from ..settings import find_engine
from .base import FlairAlgorithm

BACKEND = "BACKEND"
VERIFY_ONLY = "VERIFY_ONLY"
PYTHON = "PYTHON"
ENGINE = "ENGINE"


class SetupEngineAlgorithm(FlairAlgorithm):
    """Creates the managed environment, or verifies the one in use."""

    NAME = "setupengine"
    GROUP = "settings"
    NEEDS_ENGINE = False

    def displayName(self) -> str:
        return tr("Set up the engine")

    def shortDescription(self) -> str:
        return tr("Creates the Python environment that computes land cover, or verifies it.")

    def tags(self) -> List[str]:
        return tr("install,environment,pytorch,engine,verify").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Creates a Python environment for the engine inside your QGIS profile. Nothing is "
            "installed into the Python "
            "of QGIS. It needs a connection to the internet (the proxy of QGIS is used) and 3 to 8 "
            "GB of disk space.</p>"
            "<p>A set-up that fails or is cancelled leaves a working engine as it was. All that "
            "happens is written to a log "
            "file.</p>"
            "<p><b>Build of PyTorch.</b> locked: the tested release, each file checked (on Linux "
            "with CUDA; on Windows and "
            "macOS without); auto: the build for your graphics card; cpu: the smallest; cu126, "
            "cu128, cu130: a version of "
            "CUDA.</p>"
            "<p><b>Without internet or administrator's rights:</b> make an environment elsewhere, "
            "and name its Python under "
            "Settings > Options > Processing > Providers > FLAIR land cover > Engine Python.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:setupengine -- "
            "BACKEND=auto</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self.add(
            QgsProcessingParameterEnum(
                BACKEND,
                tr("Build of PyTorch"),
                options=list(BACKENDS),
                defaultValue=BACKENDS[0],
                usesStaticStrings=True,
            ),
            tr("Which build of PyTorch to install."),
        )
        self.add(
            QgsProcessingParameterBoolean(VERIFY_ONLY, tr("Only verify the engine in use"), defaultValue=False),
            tr("Starts the engine and reports what it finds; installs nothing."),
        )
        self.addOutput(QgsProcessingOutputString(PYTHON, tr("Engine Python")))
        self.addOutput(QgsProcessingOutputString(ENGINE, tr("Version of the engine")))

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        if self.parameterAsBool(parameters, VERIFY_ONLY, context):
            engine, problem = find_engine()
            if engine is None:
                raise failure(problem)
            python = engine.path
            diagnostics = verify(python, feedback)
        else:
            backend = self.parameterAsEnumString(parameters, BACKEND, context)
            builder = EnvironmentBuilder(backend, feedback)
            python, diagnostics = builder.build()
            feedback.pushInfo(tr("Log: {path}").format(path=without_user(str(builder.log_path))))
            self._warn_when_not_used(python, feedback)
        feedback.pushInfo(without_user(json.dumps(diagnostics, indent=2, ensure_ascii=False)))
        feedback.pushInfo(tr("The engine works."))
        return {PYTHON: str(python), ENGINE: str(diagnostics.get("engine", ""))}

    def _warn_when_not_used(self, python: Any, feedback: QgsProcessingFeedback) -> None:
        engine, problem = find_engine()
        if engine is None:
            feedback.pushWarning(problem)
        elif engine.path != python:
            feedback.pushWarning(
                tr("The engine was set up, but {path} is used instead, as named by the option or the variable.").format(
                    path=without_user(str(engine.path))
                )
            )
