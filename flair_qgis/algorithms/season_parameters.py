"""The parameters with which the patches of a data set are given their season."""

from __future__ import annotations

from qgis.core import QgsProcessingParameterFile

from ..i18n import tr
from .base import FlairAlgorithm


def add_season(algorithm: FlairAlgorithm, season: str, centroids: str, metadata: str, text: str) -> None:
    """Add the folder of satellite images, the centres of patches in it, and the patches' metadata; all optional.

    Args:
        algorithm: The algorithm.
        season: Name of the folder's parameter.
        centroids: Name of that of the centres.
        metadata: Name of that of the metadata.
        text: What the season is for, as a tool tip.
    """
    folder = QgsProcessingParameterFile.Behavior.Folder
    json_files = tr("JSON files") + " (*.json)"
    algorithm.add(QgsProcessingParameterFile(season, tr("Season"), folder, optional=True), text, advanced=True)
    algorithm.add(
        QgsProcessingParameterFile(centroids, tr("Centres of the patches"), optional=True, fileFilter=json_files),
        tr("FLAIR #2's list of where patches lie in its satellite files."),
        advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterFile(metadata, tr("Metadata of the patches"), optional=True, fileFilter=json_files),
        tr("FLAIR's list of camera, date and place; for models with it."),
        advanced=True,
    )
