"""What can be known to be wrong before something is downloaded, or a download is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import failure
from ..i18n import tr
from .extract_checks import check_file

# samples, small enough for the folder that QGIS empties
SMALL = "-toy"


def check_weights(path: str, revision: str) -> None:
    """Check a checkpoint that is to be converted instead of a download.

    Args:
        path: The checkpoint; empty for a download.
        revision: Revision to download; empty for the catalogue's.

    Raises:
        QgsProcessingException: There is no such file, or a revision is named for it.
    """
    if not path:
        return
    check_file(path)
    if revision:
        raise failure(
            tr("Weights on your disk have no revision: nothing is downloaded."),
            tr("Clear one of the two parameters."),
        )


def check_folder_to_keep(value: Any, dataset: str, only_size: bool) -> None:
    """Check that a large download goes where it stays.

    Args:
        value: Value of the output's parameter; what is no text is known only when it runs.
        dataset: Name of the data set.
        only_size: Whether nothing is downloaded.

    Raises:
        QgsProcessingException: It would go into the folder that QGIS empties.
    """
    if value == "TEMPORARY_OUTPUT" and not only_size and not dataset.endswith(SMALL):
        raise failure(
            tr("A data set of many gigabytes does not belong into the temporary folder, which QGIS empties."),
            tr("Choose a folder for it."),
        )


def check_data_folder(path: str) -> None:
    """Check that a folder exists.

    Raises:
        QgsProcessingException: It does not.
    """
    if not Path(path).expanduser().is_dir():
        raise failure(tr("There is no folder {path}.").format(path=path), tr("Check the path."))
