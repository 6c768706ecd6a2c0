"""`flair:downloaddataset`: a published data set, or parts of it, as a folder."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..catalogue import data_sets
from ..i18n import tr
from ..paths import absolute
from .base import FlairAlgorithm
from .download_checks import check_folder_to_keep
from .extract_checks import check_file
from .train_checks import parse_names

DATASET = "DATASET"
DATASET_NAME = "DATASET_NAME"
MODALITIES = "MODALITIES"
SPLITS = "SPLITS"
DOMAINS = "DOMAINS"
SOURCES = "SOURCES"
CONNECTIONS = "CONNECTIONS"
KEEP_ARCHIVES = "KEEP_ARCHIVES"
ONLY_SIZE = "ONLY_SIZE"
OUTPUT = "OUTPUT"
FILES = "FILES"
BYTES = "BYTES"


class DownloadDatasetAlgorithm(FlairAlgorithm):
    """Downloads a data set to learn from."""

    NAME = "downloaddataset"
    GROUP = "inputs"

    def displayName(self) -> str:
        return tr("Download a data set")

    def shortDescription(self) -> str:
        return tr("Fetches a published FLAIR data set, or the parts of it that you need, to train a model on.")

    def tags(self) -> List[str]:
        return tr("data set,download,training,patches,labels,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Fetches a data set that IGN published, unpacks it and writes its lists, so that <i>Train a model</i> "
            "takes the folder as it is. The proxy of QGIS is used.</p>"
            "<p><b>Data set.</b> flair-1: 77,412 aerial patches with labels, about 65 GB; flair-2: 77,762 patches, "
            "with Sentinel-2 series if you want them; flair-hub: 241,100 patches of several sensors; -toy: a sample of "
            "each for a first try.</p>"
            "<p><b>Parts.</b> Modalities (aerial, labels, metadata, lists, sentinel2; of flair-hub also elevation, "
            "spot, sentinel1, crops), parts of the split (train, val, test) and departments or domains such as "
            "<code>D012,D013_2020</code> limit what is fetched: only what you ask for is taken out of the archives. "
            "Tick <b>Only the size</b> first to see how large it is.</p>"
            "<p>A download that was interrupted goes on when you start it again with the same folder.</p>"
            "<p><b>Sources.</b> A YAML file of addresses in place of the project's own, such as a mirror.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:downloaddataset -- DATASET=flair-1-toy "
            "OUTPUT=flair_toy</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        names = data_sets()
        self.add(
            QgsProcessingParameterEnum(
                DATASET,
                tr("Data set"),
                options=names,
                defaultValue=names[0] if names else None,
                usesStaticStrings=True,
            ),
            tr("A published data set."),
        )
        for name, title, text in (
            (
                MODALITIES,
                tr("Modalities"),
                tr("Such as aerial,labels; empty: labels, metadata, aerial, lists. Also: sentinel2 and others."),
            ),
            (SPLITS, tr("Parts of the split"), tr("Such as train,val; empty: train, val and test.")),
            (DOMAINS, tr("Domains"), tr("Departments or domains, such as D012,D013_2020; empty: all.")),
        ):
            self.add(QgsProcessingParameterString(name, title, optional=True), text)
        self.add(
            QgsProcessingParameterBoolean(ONLY_SIZE, tr("Only the size"), defaultValue=False),
            tr("Says how large the download is, and fetches nothing."),
        )
        self._add_advanced()
        self.addParameter(QgsProcessingParameterFolderDestination(OUTPUT, tr("Folder of the data set")))
        self.addOutput(QgsProcessingOutputNumber(FILES, tr("Files")))
        self.addOutput(QgsProcessingOutputNumber(BYTES, tr("Bytes to download")))

    def _add_advanced(self) -> None:
        self.add(
            QgsProcessingParameterFile(SOURCES, tr("Sources"), optional=True, fileFilter="YAML (*.yaml *.yml)"),
            tr("File of addresses in place of the project's own."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(DATASET_NAME, tr("Data set of the sources"), optional=True),
            tr("Name of a data set that only your sources have; it wins over the list."),
            advanced=True,
        )
        whole = QgsProcessingParameterNumber.Type.Integer
        pieces = tr("Pieces that are fetched at once.")
        self.add_number(CONNECTIONS, tr("Connections"), pieces, whole, 1, 16, 4, advanced=True)
        self.add(
            QgsProcessingParameterBoolean(KEEP_ARCHIVES, tr("Keep the archives"), defaultValue=False),
            tr("Fetches them whole; needs about twice the space."),
            advanced=True,
        )

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        options = self._options(parameters, context)
        check_folder_to_keep(parameters.get(OUTPUT), options["dataset"], options["only_size"])

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        output = self.parameterAsString(parameters, OUTPUT, context)
        options = self._options(parameters, context)
        options["output"] = absolute(output)
        result = self.run_engine("dataset-download", options, feedback)
        return {OUTPUT: output, FILES: int(result.get("files") or 0), BYTES: int(result.get("to_fetch") or 0)}

    def _options(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, Any]:
        options = self.plain_options(parameters, context, (DATASET, SOURCES, CONNECTIONS, KEEP_ARCHIVES, ONLY_SIZE))
        named = self.parameterAsString(parameters, DATASET_NAME, context).strip()
        if named:
            options["dataset"] = named
        if "sources" in options:
            check_file(options["sources"])
        for name in (MODALITIES, SPLITS, DOMAINS):
            words = parse_names(self.parameterAsString(parameters, name, context))
            if words:
                options[name.lower()] = words
        return options
