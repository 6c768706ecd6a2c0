"""`flair:train`: from a data set of patches to a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..catalogue import catalogue
from ..i18n import tr
from ..paths import absolute, is_temporary
from .base import DEVICES, FlairAlgorithm
from .season_checks import check_season_folder
from .season_parameters import add_season
from .train_checks import check_data, check_output, check_start, parse_choices, parse_codes, parse_names

DATA = "DATA"
ROOT = "ROOT"
SEASON = "SEASON"
CENTROIDS = "CENTROIDS"
METADATA = "METADATA"
SEASON_BANDS = "SEASON_BANDS"
PRESET = "PRESET"
PRESET_FILE = "PRESET_FILE"
ARCHITECTURE = "ARCHITECTURE"
ENCODER = "ENCODER"
ENCODER_WEIGHTS = "ENCODER_WEIGHTS"
START_FROM = "START_FROM"
START_FROM_NAME = "START_FROM_NAME"
WEIGHTS = "WEIGHTS"
EPOCHS = "EPOCHS"
BATCH_SIZE = "BATCH_SIZE"
LEARNING_RATE = "LEARNING_RATE"
BANDS = "BANDS"
IGNORE = "IGNORE"
FREEZE = "FREEZE"
DEVICE = "DEVICE"
THREADS = "THREADS"
WORKERS = "WORKERS"
DEVICES_COUNT = "DEVICES"
SEED = "SEED"
MODEL_TITLE = "MODEL_TITLE"
LICENCE = "LICENCE"
OPTIONS = "OPTIONS"
OVERWRITE = "OVERWRITE"
RESUME = "RESUME"
OUTPUT = "OUTPUT"
REPORT = "REPORT"
MIOU = "MIOU"
LOSS = "LOSS"
EPOCH = "EPOCH"
SECONDS = "SECONDS"

PRESETS = ["fine-tune", "quick", "flair-inc", "flair-2", "utt"]
ARCHITECTURES = ["unet", "unetplusplus", "fpn", "deeplabv3", "deeplabv3plus", "manet"]
ARCHITECTURES += ["linknet", "pspnet", "pan", "upernet", "segformer", "utt"]
FREEZES = ["none", "encoder", "1", "2", "3", "4", "5"]
PLAIN = (
    DATA,
    ROOT,
    SEASON,
    CENTROIDS,
    METADATA,
    PRESET,
    ARCHITECTURE,
    ENCODER,
    EPOCHS,
    BATCH_SIZE,
    LEARNING_RATE,
    FREEZE,
)
PLAIN += (DEVICE, THREADS, WORKERS, DEVICES_COUNT, SEED, LICENCE, OVERWRITE, RESUME)


class TrainAlgorithm(FlairAlgorithm):
    """Trains a network on patches."""

    NAME = "train"
    GROUP = "training"

    def displayName(self) -> str:
        return tr("Train a model")

    def shortDescription(self) -> str:
        return tr("Trains a land-cover model on a data set of patches, anew or from a model that exists.")

    def tags(self) -> List[str]:
        return tr("training,fine-tuning,deep learning,neural network,segmentation,model,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Trains a model on the patches that <i>Extract training patches</i> made, and writes one file that "
            "<i>Classify land cover</i> takes as its model file.</p>"
            "<p><b>Data set.</b> A folder with dataset.yaml, or one with train.csv and val.csv whose lines name an "
            "image and a mask.</p>"
            "<p><b>Preset.</b> A recipe for everything that is not chosen here. fine-tune: adapts weights that exist "
            "to your labels; quick: a small network for a first look, also without a graphics card; flair-inc and "
            "flair-2: as the published models were trained. A YAML file of your own may begin with "
            "<code>base: quick</code> and hold only what it changes.</p>"
            "<p><b>Start from.</b> A model file, or a name of the catalogue, whose weights are adapted: to other "
            "bands and other classes too. Few labels are then enough. Without it, architecture and encoder "
            "(resnet34, mobilenet_v2, mit_b5 ...) are those of the preset, or of your choice.</p>"
            "<p><b>Results.</b> The best model by the mean IoU of the validation patches, and a report with curves, "
            "figures by class and samples. The log has a line for each epoch.</p>"
            "<p><b>Cancel.</b> The best model so far is kept beside the output, and the log says where. The same "
            "values and the same output go on where it was.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:train -- DATA=dataset PRESET=quick EPOCHS=20 "
            "OUTPUT=mine.safetensors</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self._add_inputs()
        self._add_start()
        self._add_machine()
        self._add_rest()
        self.addParameter(
            QgsProcessingParameterFileDestination(OUTPUT, tr("Model file"), tr("Model files") + " (*.safetensors)")
        )
        self.addParameter(QgsProcessingParameterFileDestination(REPORT, tr("Report"), "HTML (*.html)", optional=True))
        self.addOutput(QgsProcessingOutputNumber(MIOU, tr("Mean IoU on validation, 0 to 1")))
        self.addOutput(QgsProcessingOutputNumber(LOSS, tr("Loss on validation")))
        self.addOutput(QgsProcessingOutputNumber(EPOCH, tr("Best epoch")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Duration in seconds")))

    def _add_inputs(self) -> None:
        folder = QgsProcessingParameterFile.Behavior.Folder
        real, whole = QgsProcessingParameterNumber.Type.Double, QgsProcessingParameterNumber.Type.Integer
        models = tr("Model files") + " (*.safetensors *.pth *.ckpt)"
        self.add(
            QgsProcessingParameterFile(DATA, tr("Data set"), folder),
            tr("Folder that holds dataset.yaml, or train.csv and val.csv."),
        )
        recipe = tr("Recipe for everything that is not chosen here.")
        self.add_choice(PRESET, tr("Preset"), PRESETS, recipe, PRESETS[0])
        self.add(
            QgsProcessingParameterFile(START_FROM, tr("Start from model file"), optional=True, fileFilter=models),
            tr("Model file or checkpoint whose weights are adapted."),
        )
        empty = tr("Empty: the preset's.")
        epochs = tr("Passes over the training patches.") + " " + empty
        self.add_number(EPOCHS, tr("Epochs"), epochs, whole, 1, 100000)
        self.add_number(BATCH_SIZE, tr("Batch size"), tr("Patches a step.") + " " + empty, whole, 1, 4096)
        rate = tr("Highest learning rate, such as 0.001.") + " " + empty
        self.add_number(LEARNING_RATE, tr("Learning rate"), rate, real, 1e-9, 100.0)
        self.add(
            QgsProcessingParameterString(MODEL_TITLE, tr("Name of the model"), optional=True),
            tr("Shown to people; empty: that of its file."),
        )
        self.add(
            QgsProcessingParameterFile(PRESET_FILE, tr("Preset file"), optional=True, fileFilter="YAML (*.yaml *.yml)"),
            tr("Recipe of your own; it wins over the preset."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFile(ROOT, tr("Folder of the images"), folder, optional=True),
            tr("Folder that the paths in the CSV files start from; empty: theirs."),
            advanced=True,
        )
        add_season(
            self,
            SEASON,
            CENTROIDS,
            METADATA,
            tr("Folder of the patches' satellite images, to learn from the season too; Prepare a season makes it."),
        )
        self.add(
            QgsProcessingParameterString(SEASON_BANDS, tr("Satellite bands"), optional=True),
            tr("Bands of the season to learn from, such as B02,B03,B04,B08; empty: all."),
            advanced=True,
        )

    def _add_start(self) -> None:
        models = tr("Model files") + " (*.safetensors *.pth *.ckpt)"
        empty = " " + tr("Empty: the preset's.")
        named = tr("A model of the catalogue whose weights are adapted; a model file wins.")
        self.add_choice(START_FROM_NAME, tr("Start from model"), list(catalogue()), named, None, advanced=True)
        self.add(
            QgsProcessingParameterFile(WEIGHTS, tr("Weights of the named model"), optional=True, fileFilter=models),
            tr("A checkpoint on your disk for the model of the catalogue."),
            advanced=True,
        )
        network = tr("Network, by its name in segmentation-models-pytorch.") + empty
        self.add_choice(ARCHITECTURE, tr("Architecture"), ARCHITECTURES, network, None, advanced=True)
        for name, title, text in (
            (ENCODER, tr("Encoder"), tr("Such as resnet34, efficientnet-b4, mobilenet_v2 or mit_b5.") + empty),
            (ENCODER_WEIGHTS, tr("Weights of the encoder"), tr("imagenet, none, or a file.") + empty),
            (BANDS, tr("Bands"), tr("Bands to learn from, such as red,green,blue; empty: all.")),
            (
                IGNORE,
                tr("Classes to ignore"),
                tr("Codes never learnt nor scored, such as 0,19; empty: the data set's."),
            ),
        ):
            self.add(QgsProcessingParameterString(name, title, optional=True), text, advanced=True)
        frozen = tr("none, encoder, or how many stages of the encoder stay as they are.") + empty
        self.add_choice(FREEZE, tr("Freeze"), FREEZES, frozen, None, advanced=True)

    def _add_machine(self) -> None:
        whole = QgsProcessingParameterNumber.Type.Integer
        computes = tr("What computes; auto takes a GPU when there is one.")
        self.add_choice(DEVICE, tr("Device"), DEVICES, computes, DEVICES[0], advanced=True)
        for name, title, least, most, default, text in (
            (
                DEVICES_COUNT,
                tr("Number of devices"),
                1,
                1024,
                1,
                tr("GPUs, or processes on a CPU, that train together."),
            ),
            (THREADS, tr("Threads"), 1, 1024, None, tr("CPU threads; empty: all cores.")),
            (WORKERS, tr("Reading processes"), 0, 256, None, tr("Processes that read patches; empty: by the device.")),
            (SEED, tr("Seed"), 0, 2147483647, 0, tr("Another number gives another start and another order.")),
        ):
            self.add_number(name, title, text, whole, least, most, default, advanced=True)

    def _add_rest(self) -> None:
        self.add(
            QgsProcessingParameterString(LICENCE, tr("Licence"), optional=True),
            tr("Licence of the model, written into its file."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(OPTIONS, tr("Further choices"), multiLine=True, optional=True),
            tr("Any other choices of the recipe, as key=value pairs such as crop=256 scale=1.5."),
            advanced=True,
        )
        for name, title, text in (
            (OVERWRITE, tr("Replace an existing output"), tr("It is replaced once the new one is complete.")),
            (RESUME, tr("Go on with an interrupted run"), tr("Of the same values and the same output.")),
        ):
            self.add(QgsProcessingParameterBoolean(name, title, defaultValue=True), text, advanced=True)

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        check_data(self.parameterAsFile(parameters, DATA, context))
        check_start(self.parameterAsFile(parameters, START_FROM, context))
        check_season_folder(self.parameterAsFile(parameters, SEASON, context))
        check_output(parameters.get(OUTPUT))
        self._options(parameters, context)

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # once more, because a model does not make the checks for its steps: a step before wrote the data set
        self._check(parameters, context)
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        options = self._options(parameters, context)
        outputs = {name: self.parameterAsFileOutput(parameters, name, context) for name in (OUTPUT, REPORT)}
        outputs = {name: path for name, path in outputs.items() if path}
        options.update({name.lower(): absolute(path) for name, path in outputs.items()})
        if is_temporary(outputs[OUTPUT]):
            # QGIS calls the file after the parameter, and the engine the model after its file
            options.setdefault("name", Path(options["data"]).name)
        result = self.run_engine("train", options, feedback)
        values: Dict[str, Any] = dict(outputs)
        for name in (MIOU, LOSS, SECONDS):
            values[name] = float(result.get(name.lower()) or 0.0)
        values[EPOCH] = int(result.get("epoch") or 0)
        return values

    def _options(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, Any]:
        options = self.plain_options(parameters, context, PLAIN)
        options.update(self.plain_options(parameters, context, (START_FROM,)))
        if "start_from" not in options and self.given(parameters, START_FROM_NAME):
            options["start_from"] = self.parameterAsEnumString(parameters, START_FROM_NAME, context)
            options.update(self.plain_options(parameters, context, (WEIGHTS,)))
        own = self.plain_options(parameters, context, (PRESET_FILE,))
        if own:
            options["preset"] = own["preset_file"]
        weights = self.parameterAsString(parameters, ENCODER_WEIGHTS, context).strip()
        if weights:
            options["encoder_weights"] = absolute(weights) if Path(weights).expanduser().is_file() else weights
        title = self.parameterAsString(parameters, MODEL_TITLE, context).strip()
        if title:
            options["name"] = title
        for name in (BANDS, SEASON_BANDS):
            bands = parse_names(self.parameterAsString(parameters, name, context))
            if bands:
                options[name.lower()] = bands
        codes = parse_codes(self.parameterAsString(parameters, IGNORE, context))
        if codes:
            options["ignore"] = codes
        taken = {item.name().lower() for item in self.parameterDefinitions()} | {"name"}
        options.update(parse_choices(self.parameterAsString(parameters, OPTIONS, context), taken))
        return options
