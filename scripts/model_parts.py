"""Parts of which a model for QGIS's graphical modeler is put together."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from qgis.core import (
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelGroupBox,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterNumber,
)
from qgis.PyQt.QtCore import QPointF, QSizeF
from qgis.PyQt.QtGui import QColor

SOURCE = QgsProcessingModelChildParameterSource
OPTIONAL = QgsProcessingParameterDefinition.Flag.FlagOptional
BOX = QSizeF(220, 34)


class Output(NamedTuple):
    """An output of a step that is one of the model's.

    Args:
        name: Its name in the model; the parameter is called `step:name`.
        title: What a person reads.
        output: Output of the step.
    """

    name: str
    title: str
    output: str


def from_input(name: str) -> Any:
    """Return the value of an input of the model."""
    return SOURCE.fromModelParameter(name)


def from_input_or_default(name: str, default: str) -> Any:
    """Return the value of an input of the model that has a default, written as in an expression.

    qgis_process hands on nothing for an input that is not named, and the step would take its own default.
    """
    return SOURCE.fromExpression(f"coalesce(@{name}, {default})")


def add_inputs(
    model: QgsProcessingModelAlgorithm, rows: list[tuple[QgsProcessingParameterDefinition, int, int]]
) -> None:
    """Add inputs of the model, each with the place of its box: 60 pixels below the last, as 3.44 writes below it."""
    for definition, x, y in rows:
        component = QgsProcessingModelParameter(definition.name())
        component.setPosition(QPointF(x, y))
        component.setSize(BOX)
        model.addModelParameter(definition, component)
    model.setParameterOrder([definition.name() for definition, _, _ in rows])


def add_step(
    model: QgsProcessingModelAlgorithm,
    name: str,
    title: str,
    algorithm: str,
    place: tuple[int, int],
    sources: dict[str, Any],
    outputs: tuple[Output, ...],
) -> None:
    """Add a step.

    Args:
        model: The model.
        name: Name of the step, which begins the names of its outputs.
        title: What a person reads.
        algorithm: Its algorithm.
        place: Where its box stands.
        sources: Values by parameter.
        outputs: Outputs that are the model's.
    """
    child = QgsProcessingModelChildAlgorithm(algorithm)
    child.setChildId(name)
    child.setDescription(title)
    child.setPosition(QPointF(*place))
    child.setSize(BOX)
    for definition in child.algorithm().parameterDefinitions():
        if definition.name() in sources:
            child.addParameterSources(definition.name(), [sources[definition.name()]])
        elif not definition.isDestination() and not definition.flags() & OPTIONAL:
            # the modeler takes a step for unfinished without it
            child.addParameterSources(definition.name(), [SOURCE.fromStaticValue(definition.defaultValue())])
    made = {}
    for number, item in enumerate(outputs):
        final = QgsProcessingModelOutput(item.name, item.title)
        final.setChildId(name)
        final.setChildOutputName(item.output)
        final.setPosition(QPointF(place[0] + 300, place[1] + 36 + 60 * number))
        final.setSize(BOX)
        made[item.name] = final
    child.setModelOutputs(made)
    model.addChildAlgorithm(child)


def add_frame(model: QgsProcessingModelAlgorithm, title: str, color: str, place: tuple[int, int, int, int]) -> None:
    """Draw a frame: left, top, width and height."""
    frame = QgsProcessingModelGroupBox(title)
    left, top, width, height = place
    frame.setSize(QSizeF(width, height))
    frame.setPosition(QPointF(left + width / 2, top + height / 2))
    frame.setColor(QColor(color))
    # else QGIS draws lots for its name, and each time the file is another
    name = f"{{{uuid.uuid5(uuid.NAMESPACE_URL, title)}}}"
    frame.loadVariant({**frame.toVariant(), "uuid": name})
    model.addGroupBox(frame)


def optional(definition: QgsProcessingParameterDefinition) -> QgsProcessingParameterDefinition:
    """Return a parameter that may stay empty."""
    definition.setFlags(definition.flags() | OPTIONAL)
    return definition


def number(name: str, title: str, kind: Any, default: int | None, least: int, most: int) -> Any:
    """Return the definition of a number."""
    definition = QgsProcessingParameterNumber(name, title, kind, defaultValue=default)
    definition.setMinimum(least)
    definition.setMaximum(most)
    return definition
