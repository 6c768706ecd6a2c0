"""`flair:downloadmodel`: a model of the catalogue as a model file on the disk."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterString,
)

from ..catalogue import catalogue
from ..i18n import tr
from ..paths import absolute
from .base import FlairAlgorithm
from .download_checks import check_weights
from .train_checks import check_output

MODEL = "MODEL"
WEIGHTS = "WEIGHTS"
REVISION = "REVISION"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
MODEL_FILE = "MODEL_FILE"


class DownloadModelAlgorithm(FlairAlgorithm):
    """Downloads a model of the catalogue, or converts its checkpoint."""

    NAME = "downloadmodel"
    GROUP = "inputs"

    def displayName(self) -> str:
        return tr("Download a model")

    def shortDescription(self) -> str:
        return tr("Fetches a published FLAIR model, checks it and writes it as a model file.")

    def tags(self) -> List[str]:
        return tr("model,weights,download,checkpoint,convert,pretrained,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Fetches a model of the catalogue, checks it and writes it as one model file, which <i>Classify land "
            "cover</i> and <i>Train a model</i> take. A model by its name is fetched by these when it is needed; "
            "fetch it here to have it beforehand, for a machine without a connection, or as a step of a chain.</p>"
            "<p><b>Model.</b> The name tells the bands (rgb; i: near infrared; e: elevation), the number of classes "
            "and the network. Size and licence stand in the log before the download begins. The proxy of QGIS is "
            "used.</p>"
            "<p><b>Weights.</b> A checkpoint of the model that lies on your disk: nothing is downloaded, it is checked "
            "and converted.</p>"
            "<p><b>Output.</b> The model file; left empty, it stays in the cache, where the other algorithms find "
            "it by the model's name.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:downloadmodel -- "
            "MODEL=FLAIR-INC_rgbie_15cl_resnet34-unet OUTPUT=rgbie.safetensors</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        names = list(catalogue())
        self.add(
            QgsProcessingParameterEnum(
                MODEL,
                tr("Model"),
                options=names,
                defaultValue=names[0] if names else None,
                usesStaticStrings=True,
            ),
            tr("A model of the catalogue."),
        )
        checkpoints = tr("Model files") + " (*.safetensors *.pth *.ckpt)"
        self.add(
            QgsProcessingParameterFile(
                WEIGHTS, tr("Weights of the named model"), optional=True, fileFilter=checkpoints
            ),
            tr("A checkpoint on your disk to convert, instead of a download."),
        )
        self.add(
            QgsProcessingParameterString(REVISION, tr("Revision"), optional=True),
            tr("Revision of the model's repository; empty: the one in the catalogue."),
            advanced=True,
        )
        self.add_overwrite(OVERWRITE)
        files = tr("Model files") + " (*.safetensors)"
        self.add(
            QgsProcessingParameterFileDestination(
                OUTPUT, tr("Model file"), files, optional=True, createByDefault=False
            ),
            tr("Empty: in the cache, where the other algorithms find it by its name."),
        )
        self.addOutput(QgsProcessingOutputFile(MODEL_FILE, tr("Model file that was made")))

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        check_weights(
            self.parameterAsFile(parameters, WEIGHTS, context),
            self.parameterAsString(parameters, REVISION, context).strip(),
        )
        check_output(parameters.get(OUTPUT))

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # once more, because a model does not make the checks for its steps
        self._check(parameters, context)
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        options = self.plain_options(parameters, context, (MODEL, WEIGHTS, REVISION, OVERWRITE))
        output = self.parameterAsFileOutput(parameters, OUTPUT, context)
        if output:
            options["output"] = absolute(output)
        self._announce(options, feedback)
        result = self.run_engine("models-download", options, feedback)
        values: Dict[str, Any] = {MODEL_FILE: str(result.get("model") or output)}
        if output:
            values[OUTPUT] = output
        return values

    def _announce(self, options: Dict[str, Any], feedback: QgsProcessingFeedback) -> None:
        known = catalogue().get(options["model"])
        if known is None:
            return
        unknown = tr("unknown")
        feedback.pushInfo(
            tr("{name}: bands {bands}, {size} MB, licence {licence}.").format(
                name=known.name,
                bands=", ".join(known.bands),
                size=f"{known.size_mb:g}" if known.size_mb else unknown,
                licence=known.licence or unknown,
            )
        )
