"""What all algorithms share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Tuple

import qgis.utils
from qgis.core import (
    NULL,
    QgsFeatureSource,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtGui import QIcon

from ..documentation import help_page
from ..engine_process import run_engine
from ..errors import failure
from ..groups import numbered_title
from ..help_panel import help_panel
from ..i18n import tr
from ..label_inputs import formats_of
from ..paths import absolute, is_temporary, resources
from ..progress import Progress
from ..settings import find_engine
from .extract_checks import is_yaml
from .image_checks import check_images

DEVICES = ["auto", "cpu", "cuda", "cuda:1", "cuda:2", "cuda:3", "mps"]
TEXT_OR_YAML = ("CLASSES", "NOMENCLATURE")
"""Parameters that hold names, or the path of a YAML file."""


class FlairAlgorithm(QgsProcessingAlgorithm):
    """An algorithm of the provider; subclasses set the two names and write the texts."""

    NAME = ""
    GROUP = "landcover"
    NEEDS_ENGINE = True
    IMAGES: Tuple[str, ...] = ()
    """Parameters for raster layers, of which can be told why QGIS refuses them."""

    def createInstance(self) -> FlairAlgorithm:
        return type(self)()

    def name(self) -> str:
        return self.NAME

    def group(self) -> str:
        return numbered_title(self.GROUP)

    def groupId(self) -> str:
        return self.GROUP

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(resources() / "icons" / f"{self.NAME}.svg")

    def helpUrl(self) -> str:
        return help_page(self.NAME)

    def help_text(self) -> str:
        """Return what a person should know, and an example, as paragraphs of HTML."""
        raise NotImplementedError

    def shortHelpString(self) -> str:
        # without a window, the list of parameters follows anyway, and nobody could see a picture
        return self.help_text() if qgis.utils.iface is None else help_panel(self, self.help_text())

    def canExecute(self) -> Tuple[bool, str]:
        if not self.NEEDS_ENGINE:
            return True, ""
        engine, problem = find_engine()
        return engine is not None, problem

    def checkParameterValues(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Tuple[bool, str]:
        valid, message = super().checkParameterValues(parameters, context)
        try:
            if not valid:
                self._explain(parameters, context)
                return valid, message
            self._check(parameters, context)
        except Exception as error:  # whatever is wrong with the values, the dialog shows it as a sentence
            return False, str(error)
        return True, ""

    def _explain(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        """Raise what is wrong with values that QGIS refuses, where that can be told better than QGIS does."""
        for name in self.IMAGES:
            check_images(parameters.get(name), context)

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Any:
        """Raise what is wrong with values that QGIS accepts."""

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

    def add_number(
        self,
        name: str,
        title: str,
        text: str,
        kind: QgsProcessingParameterNumber.Type,
        least: Optional[float] = None,
        most: Optional[float] = None,
        default: Optional[float] = None,
        advanced: bool = False,
    ) -> None:
        """Add a number; without a default it may stay empty.

        Args:
            name: Name of the parameter.
            title: What the dialog calls it.
            text: What it does, for its tool tip.
            kind: Whole or real.
            least: Smallest value.
            most: Largest value.
            default: Value that the dialog begins with.
            advanced: Whether it is folded away.
        """
        number = QgsProcessingParameterNumber(name, title, kind, defaultValue=default, optional=default is None)
        if least is not None:
            number.setMinimum(least)
        if most is not None:
            number.setMaximum(most)
        self.add(number, text, advanced)

    def add_choice(
        self, name: str, title: str, options: List[str], text: str, default: Optional[str], advanced: bool = False
    ) -> None:
        """Add a choice among words; without a default it may stay empty.

        Args:
            name: Name of the parameter.
            title: What the dialog calls it.
            options: The words.
            text: What it does, for its tool tip.
            default: Word that the dialog begins with.
            advanced: Whether it is folded away.
        """
        choice = QgsProcessingParameterEnum(
            name, title, options=options, defaultValue=default, optional=default is None, usesStaticStrings=True
        )
        self.add(choice, text, advanced)

    def add_ground_sampling_distance(self, name: str) -> None:
        """Add the image's ground sampling distance."""
        text = tr("Metres on the ground per image pixel; empty: told by the file.")
        kind = QgsProcessingParameterNumber.Type.Double
        self.add_number(name, tr("Ground sampling distance"), text, kind, 1e-6, 1e6, advanced=True)

    def add_nodata(self, name: str) -> None:
        """Add the image's value that means no data."""
        text = tr("Image value without meaning; empty: told by the file.")
        self.add_number(name, tr("No data value"), text, QgsProcessingParameterNumber.Type.Double, advanced=True)

    def add_nomenclature(self, name: str) -> None:
        """Add the nomenclature of a class raster."""
        self.add(
            QgsProcessingParameterString(name, tr("Nomenclature"), optional=True),
            tr("flair, or a YAML file with classes of your own; empty: the map's own classes."),
            advanced=True,
        )

    def add_overwrite(self, name: str) -> None:
        """Add whether an output may be replaced."""
        self.add(
            QgsProcessingParameterBoolean(name, tr("Replace an existing output"), defaultValue=True),
            tr("It is replaced once the new one is complete."),
            advanced=True,
        )

    def plain_options(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, names: Iterable[str]
    ) -> Dict[str, Any]:
        """Return parameters as options of the engine: each under its name in lower case, absent where it is empty.

        Args:
            parameters: Values of the parameters.
            context: Where expressions are evaluated.
            names: Parameters that are a choice, a truth value, a number, a text or a file.
        """
        options: Dict[str, Any] = {}
        for name in names:
            definition = self.parameterDefinition(name)
            if _is_empty(parameters.get(name, definition.defaultValue())):
                continue
            if isinstance(definition, QgsProcessingParameterBoolean):
                value: Any = self.parameterAsBool(parameters, name, context)
            elif isinstance(definition, QgsProcessingParameterEnum):
                value = self.parameterAsEnumString(parameters, name, context)
            elif isinstance(definition, QgsProcessingParameterNumber):
                whole = definition.dataType() == QgsProcessingParameterNumber.Type.Integer
                read = self.parameterAsInt if whole else self.parameterAsDouble
                value = read(parameters, name, context)
            elif isinstance(definition, QgsProcessingParameterFile):
                value = absolute(self.parameterAsFile(parameters, name, context))
            else:
                value = self.parameterAsString(parameters, name, context).strip()
            if name in TEXT_OR_YAML and is_yaml(value):
                value = absolute(value)
            if value != "":
                options[name.lower()] = value
        return options

    def area_source(
        self, parameters: Dict[str, Any], name: str, context: QgsProcessingContext
    ) -> Optional[QgsFeatureSource]:
        """Return the polygons of an optional area, or None.

        Raises:
            QgsProcessingException: An area is given, but cannot be read.
        """
        if not self.given(parameters, name):
            return None
        source = self.parameterAsSource(parameters, name, context)
        if source is None:
            raise failure(tr("The area layer cannot be read."), tr("Choose a polygon layer."))
        return source

    def polygon_file(
        self, parameters: Dict[str, Any], name: str, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Tuple[str, str]:
        """Return a file with the polygons as a person sees them, and the layer in it. Call it on the main thread.

        Args:
            parameters: Values of the parameters.
            name: Parameter of the polygons.
            context: Where layers are looked up.
            feedback: Where messages are shown.

        Returns:
            Path, and the name of the layer; empty where the file holds no other.

        Raises:
            QgsProcessingException: They cannot be copied to a file.
        """
        formats = formats_of(self.parameterAsVectorLayer(parameters, name, context))
        path, layer = self.parameterAsCompatibleSourceLayerPathAndLayerName(
            parameters, name, context, formats, "gpkg", feedback
        )
        if not Path(path).exists():
            raise failure(
                tr('The layer "{name}" cannot be copied to a file.').format(
                    name=self.parameterDefinition(name).description()
                ),
                tr("Save it as a GeoPackage, and choose that."),
            )
        # a copy has a single layer, and QGIS may name that of the file it was copied from
        return absolute(path), "" if is_temporary(path) else layer

    def area_options(
        self, parameters: Dict[str, Any], name: str, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, str]:
        """Return optional polygons to count in as options of the engine. Call it on the main thread.

        Args and Raises are those of `polygon_file`.
        """
        if not self.given(parameters, name):
            return {}
        path, layer = self.polygon_file(parameters, name, context, feedback)
        return {"area": path, "area_layer": layer} if layer else {"area": path}

    def run_engine(
        self,
        command: str,
        options: Dict[str, Any],
        feedback: QgsProcessingFeedback,
        progress: Optional[Progress] = None,
        variables: Optional[Dict[str, str]] = None,
    ) -> Dict[str, Any]:
        """Run a command of the engine; see `engine_process.run_engine`."""
        engine, problem = find_engine()
        if engine is None:
            raise failure(problem)
        labels = {item.name().lower(): item.description() for item in self.parameterDefinitions()}
        return run_engine(engine.path, command, options, feedback, progress, labels, variables)

    def given(self, parameters: Dict[str, Any], name: str) -> bool:
        """Whether a person set an optional parameter."""
        return not _is_empty(parameters.get(name))

    def text(self, parameters: Dict[str, Any], name: str, context: QgsProcessingContext) -> str:
        """Return a text or a field that a person set; empty where nobody did."""
        return self.parameterAsString(parameters, name, context).strip() if self.given(parameters, name) else ""


def _is_empty(value: Any) -> bool:
    # a dialog hands over a null of Qt for an empty file or field
    return value is None or value == NULL or value == ""
