"""FLAIR land cover: a QGIS Processing provider and the engine behind it."""

from __future__ import annotations


def classFactory(iface):
    """Return the plugin.

    Args:
        iface: QGIS's interface, or None when qgis_process loads the plugin.
    """
    from .flair_qgis.plugin import FlairPlugin

    return FlairPlugin(iface)
