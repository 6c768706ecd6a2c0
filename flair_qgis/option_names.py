"""The engine's option flags, in the words of a dialog."""

from __future__ import annotations

import re
from typing import Dict

from .i18n import tr

FLAG = re.compile(r"--([a-z][a-z-]*)( (?:FILE|NAME))?")


def in_dialog_words(text: str, labels: Dict[str, str]) -> str:
    """Return a sentence of the engine with its flags replaced by what the dialog calls them.

    Args:
        text: Sentence that may name flags, such as `--nodata`.
        labels: Titles of the algorithm's parameters by lower-case name.
    """

    def title(match: re.Match) -> str:
        name = match.group(1).replace("-", "_")
        known = {"input": tr("Images"), "crs": tr("the layer's CRS"), **labels}
        return f'"{known[name]}"' if name in known else match.group(0)

    return FLAG.sub(title, text)
