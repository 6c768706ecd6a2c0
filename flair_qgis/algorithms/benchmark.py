"""`flair:benchmark`: several models on several test sets, beside published figures."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
)

from ..i18n import tr
from ..paths import absolute
from ..studies import study_file, study_names
from .base import DEVICES, FlairAlgorithm
from .benchmark_checks import check_study, check_variables
from .evaluate import DEFINITIONS

STUDY = "STUDY"
STUDY_NAME = "STUDY_NAME"
DATA_FOLDER = "DATA_FOLDER"
WEIGHTS_FOLDER = "WEIGHTS_FOLDER"
DEFINITION = "DEFINITION"
PREDICTIONS = "PREDICTIONS"
DEVICE = "DEVICE"
THREADS = "THREADS"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
REPORT = "REPORT"
RESULTS = "RESULTS"
TABLE2 = "TABLE2"
TABLE3 = "TABLE3"
FAILED = "FAILED"
SECONDS = "SECONDS"

# What studies call folders that differ from machine to machine.
VARIABLES = {DATA_FOLDER: "FLAIR_DATA", WEIGHTS_FOLDER: "FLAIR_WEIGHTS"}
PLAIN = (DEFINITION, PREDICTIONS, DEVICE, THREADS, OVERWRITE)


class BenchmarkAlgorithm(FlairAlgorithm):
    """Judges the models of a study on its test sets."""

    NAME = "benchmark"
    GROUP = "evaluation"

    def displayName(self) -> str:
        return tr("Compare models")

    def shortDescription(self) -> str:
        return tr("Judges several models on several test sets, and lays the figures beside published ones.")

    def tags(self) -> List[str]:
        return tr("benchmark,comparison,study,reproducibility,models,accuracy,IoU,evaluation,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Judges several models on several test sets, and lays their figures beside published ones: which model "
            "is the best, by how much, and for which classes.</p>"
            "<p><b>Study.</b> A YAML file that names models and test sets: <code>name</code>, <code>models</code> "
            "with <code>name</code>, <code>model</code> (a model file, or a name of the catalogue) and perhaps "
            "<code>weights</code>, <code>tests</code> with <code>name</code>, <code>data</code> (a data set or a CSV "
            "of images and masks) and perhaps <code>split</code> and <code>root</code>. Or one of the studies that "
            "come with the plugin. Where a study says ${FLAIR_DATA} or ${FLAIR_WEIGHTS}, the folders that you choose "
            "here are meant.</p>"
            "<p><b>Definition.</b> What the figures count; empty: as the study says. Published figures of FLAIR's "
            "models are by ign.</p>"
            "<p><b>Cancel.</b> What is judged is kept: the same study and the same folder of results go on where it "
            "was. Start anew computes everything again.</p>"
            "<p><b>Results.</b> A folder with a report, a table of all figures, and two tables that stand as in the "
            "reproducibility study of FLAIR. A model that fails does not stop the others: the log says why, and the "
            "number of those that failed is an output.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:benchmark -- STUDY=study.yaml OUTPUT=comparison</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        whole, folder = QgsProcessingParameterNumber.Type.Integer, QgsProcessingParameterFile.Behavior.Folder
        self.add(
            QgsProcessingParameterFile(STUDY, tr("Study file"), optional=True, fileFilter="YAML (*.yaml *.yml)"),
            tr("YAML file that names models and test sets; it wins over the name."),
        )
        named = tr("A study that comes with the plugin.")
        self.add_choice(STUDY_NAME, tr("Study"), study_names(), named, None)
        for name, title, text in (
            (DATA_FOLDER, tr("Folder of the data"), tr("What ${FLAIR_DATA} stands for in the study.")),
            (WEIGHTS_FOLDER, tr("Folder of the weights"), tr("What ${FLAIR_WEIGHTS} stands for in the study.")),
        ):
            self.add(QgsProcessingParameterFile(name, title, folder, optional=True), text)
        counted = tr("What the figures count; empty: as the study says.")
        self.add_choice(DEFINITION, tr("Definition"), DEFINITIONS, counted, None)
        computes = tr("What computes; auto takes a GPU when there is one.")
        self.add_choice(DEVICE, tr("Device"), DEVICES, computes, DEVICES[0], advanced=True)
        self.add_number(THREADS, tr("Threads"), tr("CPU threads; empty: all cores."), whole, 1, 1024, advanced=True)
        for name, title, text in (
            (PREDICTIONS, tr("Keep all predictions"), tr("The class raster of every patch, for each model.")),
            (OVERWRITE, tr("Start anew"), tr("Instead of going on where an earlier run stopped.")),
        ):
            self.add(QgsProcessingParameterBoolean(name, title, defaultValue=False), text, advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination(OUTPUT, tr("Folder of results")))
        self.addOutput(QgsProcessingOutputHtml(REPORT, tr("Report")))
        for name, title in (
            (RESULTS, tr("All figures (JSON)")),
            (TABLE2, tr("Table of models")),
            (TABLE3, tr("Table of classes")),
        ):
            self.addOutput(QgsProcessingOutputFile(name, title))
        self.addOutput(QgsProcessingOutputNumber(FAILED, tr("Evaluations that failed")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Duration in seconds")))

    def _explain(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        # of a file with another ending QGIS only says that the value is incorrect
        if self.given(parameters, STUDY):
            check_study(self._study(parameters, context))

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        path = self._study(parameters, context)
        if not path and self.given(parameters, STUDY_NAME):
            path = str(study_file(self.parameterAsEnumString(parameters, STUDY_NAME, context)))
        check_study(path)
        titles = {variable: self.parameterDefinition(name).description() for name, variable in VARIABLES.items()}
        check_variables(path, self._variables(parameters, context), titles)

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # once more, because a model does not make the checks for its steps
        self._check(parameters, context)
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        options = self.plain_options(parameters, context, PLAIN)
        # the engine knows the studies of the plugin by name
        options["study"] = self._study(parameters, context) or self.parameterAsEnumString(
            parameters, STUDY_NAME, context
        )
        output = absolute(self.parameterAsString(parameters, OUTPUT, context))
        options["output"] = output
        variables = self._variables(parameters, context)
        result = self.run_engine("benchmark", options, feedback, variables=variables)
        values: Dict[str, Any] = {OUTPUT: output}
        for name in (REPORT, RESULTS, TABLE2, TABLE3):
            if result.get(name.lower()):
                values[name] = str(result[name.lower()])
        values[FAILED] = len(result.get("failed") or ())
        values[SECONDS] = float(result.get("seconds") or 0.0)
        return values

    def _study(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> str:
        return absolute(self.parameterAsFile(parameters, STUDY, context))

    def _variables(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, str]:
        folders = {
            variable: absolute(self.parameterAsFile(parameters, name, context)) for name, variable in VARIABLES.items()
        }
        return {variable: folder for variable, folder in folders.items() if folder}
