"""Recipes that ship with the project, and what a request changes in them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from engine.errors import RequestError
from engine.recipe import Recipe
from engine.resources import RESOURCES

PRESETS = RESOURCES / "presets"


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets."""
    return tuple(sorted(item.stem for item in PRESETS.glob("*.yaml")))


def load_recipe(preset: str, choices: dict[str, Any]) -> Recipe:
    """Return a preset with the choices of a request.

    Args:
        preset: Name of a preset, or a YAML file; a file may begin with `base: NAME` and then need not hold everything.
        choices: Values by name that win over the preset's.

    Raises:
        RequestError: There is no such preset, or it holds an unknown key or a wrong value.
    """
    values = _read(preset, ())
    try:
        return Recipe.model_validate({**values, **choices})
    except ValidationError as error:
        problems = []
        for item in error.errors():
            key = ".".join(str(part) for part in item["loc"])
            if item["type"] == "extra_forbidden":
                close = difflib.get_close_matches(key, list(Recipe.model_fields), n=1)
                problems.append(f"unknown key '{key}'" + (f" (did you mean '{close[0]}'?)" if close else ""))
            elif item["type"] == "missing":
                problems.append(f"'{key}' is missing")
            else:
                problems.append(f"'{key}': {item['msg'].removeprefix('Value error, ')}")
        raise RequestError(
            f"The preset '{preset}' is not usable: {'; '.join(problems)}.",
            "A preset of your own may begin with 'base: fine-tune' and then holds only what it changes.",
        ) from error


def _read(preset: str, above: tuple[Path, ...]) -> dict[str, Any]:
    path = Path(preset).expanduser()
    if path.suffix.lower() in (".yaml", ".yml"):
        # A base of one's own lies beside the file that names it.
        path = (above[-1].parent / path if above else path).resolve()
        if path in above:
            raise RequestError(f"The preset '{path}' is its own base.", "Begin it with 'base: fine-tune', for example.")
    else:
        path = PRESETS / f"{preset}.yaml"
        if preset not in preset_names():
            close = difflib.get_close_matches(preset, preset_names(), n=1, cutoff=0.4)
            raise RequestError(
                f"There is no preset '{preset}'.",
                f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(preset_names())}.",
            )
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"The preset '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RequestError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise RequestError(f"The preset '{path}' holds no choices by name.", "Write lines such as 'epochs: 40'.")
    values.pop("title", None)
    base = values.pop("base", None)
    return {**_read(str(base), (*above, path)), **values} if base else values
