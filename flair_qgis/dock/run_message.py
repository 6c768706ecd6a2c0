"""What the message bar says at the end of a run."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis
from qgis.PyQt.QtWidgets import QPushButton

from ..errors import first_sentence
from ..i18n import tr
from ..progress import duration
from .background_run import BackgroundRun
from .texts import show_text

CANCELLED_SECONDS = 15


def announce(iface: Any, run: BackgroundRun, successful: bool) -> None:
    """Say in the message bar how a run ended, with a way to its log.

    Args:
        iface: QGIS's interface.
        run: The run, which is over.
        successful: Whether it did what it was to do.
    """
    level, seconds = Qgis.MessageLevel.Success, 0
    text = tr("The land-cover map is ready after {duration}.").format(duration=duration(run.seconds))
    if run.cancelled:
        level, seconds = Qgis.MessageLevel.Info, CANCELLED_SECONDS
        text = first_sentence(run.problem) or tr("Cancelled.")
    elif not successful:
        level = Qgis.MessageLevel.Critical
        text = first_sentence(run.problem) or tr("The classification failed.")
    bar = iface.messageBar()
    message = bar.createMessage(tr("FLAIR land cover"), text)
    button = QPushButton(tr("Show log"))
    log = run.log
    button.clicked.connect(lambda _=False: show_text(iface, tr("Log of the classification"), log))
    message.layout().addWidget(button)
    bar.pushWidget(message, level, seconds)
