"""The groups of the algorithms, in the order of work."""

from __future__ import annotations

from .i18n import tr

ORDER = ("inputs", "training", "landcover", "evaluation", "maps", "chains", "settings")


def group_title(group: str) -> str:
    """Return what a group is called.

    Args:
        group: Its identifier, one of `ORDER`.
    """
    # spelled out, so that the translations can be checked
    return {
        "inputs": tr("Images and models"),
        "training": tr("Training"),
        "landcover": tr("Land cover"),
        "evaluation": tr("Evaluation"),
        "maps": tr("Maps and areas"),
        "chains": tr("Chains"),
        "settings": tr("Settings"),
    }[group]


def numbered_title(group: str) -> str:
    """Return what a group is called in the toolbox, which sorts groups by name and would begin with chains."""
    return f"{ORDER.index(group) + 1}. {group_title(group)}"
