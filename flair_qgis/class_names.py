"""Names of classes as legends show them: in the language of QGIS where a nomenclature gives that name."""

from __future__ import annotations

import re
from functools import cache
from typing import Dict

from .i18n import language
from .paths import resources

# the first to give a name is right: the names of FLAIR itself
NOMENCLATURES = ("flair", "hub", "cosia", "flair-12")
_NAMES = re.compile(r"\bname:\s*([^,}]+?)\s*,\s*french:\s*([^,}]+?)\s*[,}]")


def shown_name(name: str) -> str:
    """Return the name of a class for a legend, in the language of QGIS and with a capital.

    Args:
        name: English name as in a nomenclature, in any case; any other comes back as it is.
    """
    shown = french_names().get(name.casefold(), name) if language() == "fr" else name
    return shown[:1].upper() + shown[1:]


@cache
def french_names() -> Dict[str, str]:
    """Return the French names of the shipped nomenclatures by English name in small letters."""
    found: Dict[str, str] = {}
    for nomenclature in NOMENCLATURES:
        path = resources() / "nomenclatures" / f"{nomenclature}.yaml"
        if path.is_file():
            for english, french in _NAMES.findall(path.read_text(encoding="utf-8")):
                found.setdefault(english.strip("\"'").casefold(), french.strip("\"'"))
    return found
