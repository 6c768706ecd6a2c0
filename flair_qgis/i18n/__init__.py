"""Translations of the plugin's texts.

A Qt translator written in Python would be asked, from every thread, for every text of QGIS, while Qt holds a lock and
waits for Python's. A dictionary of our own texts needs neither that nor a compiled file.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Dict

from qgis.core import QgsApplication


@cache
def dictionary(language: str) -> Dict[str, str]:
    """Return translations by English text; empty for a language without any.

    Args:
        language: Two letters, such as `fr`.
    """
    translations: Dict[str, str] = {}
    for path in sorted((Path(__file__).parent / language).glob("*.json")):
        translations.update(json.loads(path.read_text(encoding="utf-8")))
    return translations


def language() -> str:
    """Return the two letters of the language QGIS runs in."""
    return (QgsApplication.locale() or "en")[:2].lower()


def tr(text: str) -> str:
    """Return a text in the language of QGIS, or unchanged where there is no translation."""
    return dictionary(language()).get(text, text)
