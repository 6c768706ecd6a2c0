"""What can be known to be wrong before patches are extracted."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.core import QgsFeatureSource

from ..errors import failure
from ..i18n import tr

YAML = (".yaml", ".yml")


def check_one_kind_of_labels(polygons: bool, raster: bool) -> None:
    """Check that labels are given, and of one kind.

    Args:
        polygons: Whether polygons are given.
        raster: Whether a raster is given.

    Raises:
        QgsProcessingException: Neither is given, or both are.
    """
    if polygons and raster:
        raise failure(
            tr("Labels are given twice, as polygons and as a raster."), tr("Clear one of the two parameters.")
        )
    if not polygons and not raster:
        raise failure(tr("No labels are given."), tr("Choose a layer of polygons, or a raster of class codes."))


def check_class_field(source: Optional[QgsFeatureSource], name: str) -> None:
    """Check that polygons can be read and have a field.

    Args:
        source: The polygons.
        name: Name of the field; empty when the engine is to find it.

    Raises:
        QgsProcessingException: They cannot be read, or have no such field.
    """
    if source is None:
        raise failure(tr("The layer of labels cannot be read."), tr("Choose a polygon layer."))
    if name and source.fields().lookupField(name) < 0:
        raise failure(
            tr('The labels have no field "{name}".').format(name=name),
            tr("Their fields: {fields}.").format(fields=", ".join(source.fields().names())),
        )


def check_classes(text: str) -> None:
    """Check the form of a mapping of classes.

    Args:
        text: Such as `Wald=7,Haus=1`, or the path of a YAML file; may be empty.

    Raises:
        QgsProcessingException: A part is no pair, or the file is missing.
    """
    if is_yaml(text):
        check_file(text)
        return
    for part in text.split(",") if text else ():
        name, separator, code = part.rpartition("=")
        if not separator or not name.strip() or not code.strip():
            raise failure(
                tr('Classes: "{part}" is not name=code.').format(part=part.strip()),
                tr("An example: Wald=7,Haus=1; or choose a YAML file of lines such as Wald: 7."),
            )


def check_file(path: str) -> None:
    """Check that a file exists.

    Raises:
        QgsProcessingException: It does not.
    """
    if not Path(path).expanduser().is_file():
        raise failure(tr("There is no file {path}.").format(path=path), tr("Check the path."))


def check_yaml(text: str) -> None:
    """Check that a YAML file exists, where a text names one.

    Raises:
        QgsProcessingException: It does not.
    """
    if is_yaml(text):
        check_file(text)


def is_yaml(text: str) -> bool:
    """Return whether a text names a YAML file."""
    return text.lower().endswith(YAML)
