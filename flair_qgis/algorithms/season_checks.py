"""What can be known to be wrong with a season before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsRectangle

from ..errors import failure
from ..i18n import tr
from ..model_file import ModelDescription


def check_season_folder(path: str) -> None:
    """Check that a folder of satellite images is there.

    Args:
        path: The folder; empty for none.

    Raises:
        QgsProcessingException: It does not exist.
    """
    if path and not Path(path).expanduser().is_dir():
        raise failure(
            tr("There is no folder {path}.").format(path=path),
            tr('Choose a folder of satellite images; "Prepare a season" makes one.'),
        )


def check_season(path: str, model: Optional[ModelDescription]) -> None:
    """Check that a model and a season belong together.

    Args:
        path: Folder of the satellite images; empty for none.
        model: The model; None where nothing is known of it.

    Raises:
        QgsProcessingException: One of them is given without the other, or the folder does not exist.
    """
    check_season_folder(path)
    if model is None:
        return
    if model.season and not path:
        raise failure(
            tr("The model {name} also looks at the season.").format(name=model.name),
            tr('Choose its folder of satellite images as Season; "Prepare a season" makes one.'),
        )
    if path and not model.season:
        raise failure(
            tr("The model {name} looks at aerial images alone.").format(name=model.name), tr("Clear the season.")
        )


def one_ground(image: bool, extent: bool) -> None:
    """Check that the ground is given once.

    Raises:
        QgsProcessingException: It is given twice or not at all.
    """
    if image and extent:
        raise failure(tr("An image and an extent are given."), tr("Clear one of the two."))
    if not (image or extent):
        raise failure(tr("Nothing says which ground is wanted."), tr("Choose an image, or an extent."))


def written_extent(box: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> str:
    """Return an extent as the engine reads it.

    Raises:
        QgsProcessingException: It has no area, or no CRS.
    """
    if not crs.isValid():
        raise failure(tr("The ground that is wanted has no CRS."), tr("Set the layer's CRS."))
    if box.isNull() or box.isEmpty():
        raise failure(tr("The ground that is wanted has no area."), tr("Choose an image, or an extent."))
    sides = (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum())
    return f"{','.join(repr(side) for side in sides)} [{crs.authid() or crs.toWkt()}]"
