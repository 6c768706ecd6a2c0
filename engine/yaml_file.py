"""A YAML file that a person wrote: its values, and on which line each key stands."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from engine.errors import RequestError

Place = tuple[str | int, ...]
Schema = TypeVar("Schema", bound=BaseModel)

# What a person has to write, by the beginning of pydantic's name of the mistake.
_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list in square brackets",
    "tuple": "a list in square brackets",
    "dict": "a group of keys below it",
    "model": "a group of keys below it",
}


@dataclass(frozen=True)
class YamlFile:
    """A YAML file that was read.

    Args:
        path: The file.
        values: Its content.
        lines: Line of each key and list item, from 1, by the keys that lead to it.
    """

    path: Path
    values: dict[str, Any]
    lines: dict[Place, int]

    def where(self, *place: str | int) -> str:
        """Return file and line of a key, such as `'conf.yaml', line 12`; the line of what holds it if it is missing."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return f"'{self.path.name}', line {self.lines[place[:length]]}"
        return f"'{self.path.name}'"

    def error(self, place: Place, problem: str, hint: str = "") -> RequestError:
        """Return the error for what stands at a key, which begins with its place."""
        return RequestError(f"{self.where(*place)}: {problem}", hint)

    def checked(self, schema: type[Schema]) -> Schema:
        """Return the content as a schema has it.

        Raises:
            RequestError: A key is unknown or missing, or a value of the wrong kind; each with its line.
        """
        try:
            return schema.model_validate(self.values)
        except ValidationError as error:
            found = [self._problem(schema, item) for item in error.errors()]
            raise RequestError(
                " ".join(text for text, _ in found), " ".join(dict.fromkeys(hint for _, hint in found if hint))
            ) from error

    def _problem(self, schema: type[BaseModel], item: Any) -> tuple[str, str]:
        place: Place = tuple(item["loc"])
        key = ".".join(str(part) for part in place)
        kind = str(item["type"])
        if kind == "extra_forbidden":
            return f"{self.where(*place)}: unknown key '{key}'.", _nearest(str(place[-1]), _keys(schema, place[:-1]))
        if kind == "missing":
            return f"{self.where(*place)}: the key '{key}' is missing.", ""
        value = item["input"]
        wanted = _WANTED.get(kind.partition("_")[0])
        if kind == "literal_error":
            wanted = f"one of {item['ctx']['expected']}"
        if wanted:
            shown = "empty" if value is None else f"not {str(value)[:60]!r}"
            return f"{self.where(*place)}: '{key}' must be {wanted}, {shown}.", ""
        text = str(item["msg"]).removeprefix("Value error, ")
        return f"{self.where(*place)}: '{key}': {text}.", ""


def read_yaml(path: Path, *, hint: str = "Check --conf.", wanted: str = "one of IGN's configuration files") -> YamlFile:
    """Read a YAML file.

    Args:
        path: The file.
        hint: What to do when it cannot be read.
        wanted: What to give in place of a file without keys.

    Raises:
        RequestError: It cannot be read, is no valid YAML, holds no keys, or one twice; the line is named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RequestError(f"The file '{path}' cannot be read: {error.strerror}.", hint) from error
    except UnicodeDecodeError as error:
        raise RequestError(f"'{path.name}' is no text in UTF-8.", "Save it as UTF-8.") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _syntax_error(path, text, error) from error
    if not isinstance(values, dict):
        raise RequestError(f"'{path.name}' holds no keys with values.", f"Give {wanted}.")
    lines: dict[Place, int] = {}
    _collect(path, root, (), lines)
    return YamlFile(path, values, lines)


def _syntax_error(path: Path, text: str, error: yaml.YAMLError) -> RequestError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return RequestError(f"'{path.name}' is not valid YAML: {' '.join(str(error).split())}.")
    lines = text.splitlines()
    number = min(mark.line, len(lines) - 1)
    tab = next(
        (at for at in (number, number - 1) if "\t" in lines[at][: len(lines[at]) - len(lines[at].lstrip())]), None
    )
    if tab is None and "\\t" in str(error):
        tab = number
    if tab is not None:
        key = lines[tab].partition(":")[0].strip()
        return RequestError(
            f"'{path.name}', line {tab + 1}: a tab stands before or beside '{key}'.", "Use spaces, never tabs."
        )
    key = lines[number].partition(":")[0].strip()
    problem = getattr(error, "problem", None) or "it cannot be understood"
    return RequestError(
        f"'{path.name}', line {number + 1}, at '{key}': not valid YAML, {problem}.",
        "Look at this line and the one before: a colon, a quotation mark or a bracket is often missing.",
    )


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _collect(path: Path, node: Any, place: Place, lines: dict[Place, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = _key(key_node)
            here: Place = (*place, key)
            line = key_node.start_mark.line + 1
            if here in lines:
                raise RequestError(
                    f"'{path.name}', line {line}: the key '{key}' stands a second time, first on line {lines[here]}.",
                    "Remove one of them.",
                )
            lines[here] = line
            _collect(path, value_node, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            here = (*place, index)
            lines[here] = item.start_mark.line + 1
            _collect(path, item, here, lines)


def _key(node: Any) -> str | int:
    text = str(node.value)
    return int(text) if node.tag == "tag:yaml.org,2002:int" and text.isdigit() else text


def _keys(schema: type[BaseModel], place: Place) -> list[str]:
    """Return the keys that are valid where a place leads."""
    for part in place:
        field = schema.model_fields.get(str(part))
        inner = getattr(field, "annotation", None)
        candidates = [inner, *getattr(inner, "__args__", ())]
        found = next((item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)), None)
        if found is None:
            # A list's number leads to the model that its type already led to.
            continue
        schema = found
    return [item.alias or name for name, item in schema.model_fields.items()]


def _nearest(key: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(key, valid, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known here: {', '.join(valid)}."
