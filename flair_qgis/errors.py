"""Failures of the plugin, as Processing shows them."""

from __future__ import annotations

from qgis.core import QgsProcessingException


def failure(message: str, hint: str = "") -> QgsProcessingException:
    """Return the exception for a failure.

    Args:
        message: One sentence that names the cause.
        hint: One sentence that names the way out.
    """
    return QgsProcessingException(f"{message} {hint}".strip())


def first_sentence(text: str) -> str:
    """Return the cause of a failure without the way out, for places with room for a line."""
    cause, stop, _ = text.partition(". ")
    return cause + stop.strip()
