"""Names of polygons that are counted in, from the fields of their file."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import InputError

NAME_FIELDS = ("name", "nom", "title", "id", "code")
"""Fields that name polygons, the first that there is."""
NUMBERS = {"id", "code"}
"""Those of them that name only where each polygon has its own."""


def naming_field(fields: Sequence[str], wanted: str | None, path: str) -> str | None:
    """Return the field that names polygons, None where there is none.

    Args:
        fields: Fields of the file.
        wanted: Field that was asked for, in any case of letters; None takes the first of `NAME_FIELDS`.
        path: The file, for the sentence.

    Raises:
        InputError: It has no such field.
    """
    plain = {item.casefold(): item for item in reversed(fields)}
    if wanted is None:
        return next((plain[name] for name in NAME_FIELDS if name in plain), None)
    if wanted in fields:
        return wanted
    if wanted.casefold() in plain:
        return plain[wanted.casefold()]
    has = f"It has: {', '.join(fields)}." if fields else "It has no fields."
    raise InputError(f"The area '{path}' has no field '{wanted}'.", has)


def name_of(value: object) -> str:
    """Return an attribute as a name; empty where it has no value."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    # Whole numbers among which one is missing come as real ones.
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()
