"""`flair:checkdataset`: whether a data set on the disk is whole and fits together."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterString,
)

from ..i18n import tr
from ..paths import absolute
from .base import FlairAlgorithm
from .download_checks import check_data_folder
from .extract_checks import check_yaml

FOLDER = "FOLDER"
LAYOUT = "LAYOUT"
NOMENCLATURE = "NOMENCLATURE"
LISTS = "LISTS"
CHECKSUMS = "CHECKSUMS"
REPORT = "REPORT"
PATCHES = "PATCHES"
PROBLEMS = "PROBLEMS"

LAYOUTS = ["auto", "flair-1", "flair-hub"]


class CheckDatasetAlgorithm(FlairAlgorithm):
    """Checks a data set on the disk."""

    NAME = "checkdataset"
    GROUP = "inputs"

    def displayName(self) -> str:
        return tr("Check a data set")

    def shortDescription(self) -> str:
        return tr("Looks whether a data set on your disk is whole: pairs, sizes, classes, CRS; writes its lists.")

    def tags(self) -> List[str]:
        return tr("data set,check,patches,labels,masks,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Looks through a folder of images and masks as IGN publishes them: whether each image has its mask, "
            "sizes and bands agree, masks hold classes of the nomenclature, and files can be read to their end.</p>"
            "<p><b>Lists.</b> Writes train.csv, val.csv and test.csv of the official split, which <i>Train a model</i> "
            "reads.</p>"
            "<p><b>Report.</b> A table with a line for each problem.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:checkdataset -- FOLDER=flair_1 LISTS=true "
            "REPORT=problems.csv</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self.add(
            QgsProcessingParameterFile(FOLDER, tr("Data set"), QgsProcessingParameterFile.Behavior.Folder),
            tr("Folder that holds the data set."),
        )
        self.add(
            QgsProcessingParameterBoolean(LISTS, tr("Write the lists of the official split"), defaultValue=False),
            tr("train.csv, val.csv and test.csv, in the folder of the data set."),
        )
        self.add(
            QgsProcessingParameterBoolean(CHECKSUMS, tr("Compare checksums"), defaultValue=False),
            tr("Reads every file and compares it with what was measured when it was downloaded."),
        )
        self.add(
            QgsProcessingParameterEnum(
                LAYOUT, tr("Layout"), options=LAYOUTS, defaultValue=LAYOUTS[0], usesStaticStrings=True
            ),
            tr("How the folder is laid out; auto: told by its files."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(NOMENCLATURE, tr("Nomenclature"), defaultValue="flair"),
            tr("flair, or a YAML file with classes of your own."),
            advanced=True,
        )
        self.addParameter(
            QgsProcessingParameterFileDestination(
                REPORT, tr("Table of problems"), "CSV (*.csv)", optional=True, createByDefault=False
            )
        )
        self.addOutput(QgsProcessingOutputNumber(PATCHES, tr("Patches")))
        self.addOutput(QgsProcessingOutputNumber(PROBLEMS, tr("Problems")))

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        check_data_folder(self.parameterAsFile(parameters, FOLDER, context))
        nomenclature = self.parameterAsString(parameters, NOMENCLATURE, context).strip()
        check_yaml(nomenclature)

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # once more, because a model does not make the checks for its steps: a step before fetched the data set
        self._check(parameters, context)
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        options = self.plain_options(parameters, context, (FOLDER, LAYOUT, NOMENCLATURE, LISTS, CHECKSUMS))
        report = self.parameterAsFileOutput(parameters, REPORT, context)
        if report:
            options["report"] = absolute(report)
        result = self.run_engine("dataset-check", options, feedback)
        values: Dict[str, Any] = {REPORT: report} if report else {}
        values[PATCHES] = int(result.get("patches") or 0)
        values[PROBLEMS] = int(result.get("wrong") or 0)
        return values
