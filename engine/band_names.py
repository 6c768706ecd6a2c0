"""Names of bands, and what people call them."""

from __future__ import annotations

import re
import unicodedata

FLAIR_ORDER = ("red", "green", "blue", "infrared", "elevation")

_SYNONYMS: dict[str, frozenset[str]] = {
    "red": frozenset({"red", "rouge", "r"}),
    "green": frozenset({"green", "vert", "verte", "v", "g"}),
    "blue": frozenset({"blue", "bleu", "bleue", "b"}),
    "infrared": frozenset({"infrared", "infrarouge", "nir", "pir", "ir", "n", "nearinfrared", "procheinfrarouge"}),
    "elevation": frozenset(
        {"elevation", "height", "hauteur", "mnh", "chm", "ndsm", "ndhm", "dsmdtm", "dsmminusdtm", "mnsmnt"}
    ),
}
# Words that make "red edge" or "short wave infrared" something else than red or infrared.
_OTHER_BANDS = frozenset({"edge", "rededge", "swir", "short", "shortwave", "mid", "mwir", "thermal", "tir", "lwir"})


def band_name(description: str) -> str | None:
    """Return the band name that a description means, or None.

    Understands English and French, in any case, with accents or a number before: "Band 4: NIR", "Proche infrarouge".
    """
    plain = unicodedata.normalize("NFKD", description.casefold()).encode("ascii", "ignore").decode()
    words = [word for word in re.split(r"[^a-z]+", plain) if word]
    if _OTHER_BANDS & set(words):
        return None
    whole = "".join(word for word in words if word not in {"band", "bande", "canal", "channel"})
    for name, synonyms in _SYNONYMS.items():
        if whole in synonyms:
            return name
    found = {name for name, synonyms in _SYNONYMS.items() for word in words if len(word) > 2 and word in synonyms}
    return found.pop() if len(found) == 1 else None
