"""What can be known to be wrong before a classification starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from qgis.core import QgsProcessingOutputLayerDefinition

from ..catalogue import catalogue
from ..errors import failure
from ..i18n import tr
from ..model_file import ModelDescription, read_model_file


def given_model(path: str, name: str) -> Optional[ModelDescription]:
    """Return the description of the model that was chosen; None for a checkpoint that carries none.

    Args:
        path: Model file; wins when it is not empty.
        name: Name in the catalogue.

    Raises:
        QgsProcessingException: Neither is given, or the file is not usable.
    """
    if path:
        return read_model_file(Path(path))
    if not name:
        raise failure(tr("No model is chosen."), tr("Choose one by name, or a model file."))
    return catalogue().get(name)


def check_output(value: Any, sheets: bool) -> None:
    """Check the name of the output against the layout.

    Args:
        value: Value of the output's parameter.
        sheets: Whether kilometric sheets are wanted.

    Raises:
        QgsProcessingException: The name does not fit the layout.
    """
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.staticValue() if hasattr(value.sink, "staticValue") else None
    mosaic = isinstance(value, str) and value.lower().endswith(".vrt")
    if sheets and not mosaic:
        raise failure(
            tr("Kilometric sheets lie in a folder of their own, under a mosaic."),
            tr("Choose a file that ends in .vrt as the output."),
        )
    if mosaic and not sheets:
        raise failure(
            tr("A .vrt file is the mosaic over kilometric sheets."),
            tr('Choose a file that ends in .tif, or the layout "sheets".'),
        )
