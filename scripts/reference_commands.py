"""The reference of the command line and of the YAML files, made from the requests: docs/reference/commands.

.venv/bin/python -m scripts.reference_commands
"""

from __future__ import annotations

import types
import typing
from typing import Any, Literal

import annotated_types
from pydantic.fields import FieldInfo

from engine import errors
from engine.recipe import Recipe
from engine.requests import COMMANDS, Request
from engine.training.presets import load_recipe, preset_names
from scripts.reference_files import catalogue_page, files_page
from scripts.reference_pages import NOTE, REFERENCE, Pages, command_block, table, wrapped_command, write

FOLDER = REFERENCE / "commands"
PYTHON = ".venv/bin/python -m engine"
EXAMPLES = {
    "prepare-input": "--rgb ORTHO_RVB --irc ORTHO_IRC --dsm dsm.tif --dtm dtm.tif --output image.tif",
    "prepare-time-series": "--input sentinel2 --image image.tif --output season",
    "dataset-download": "flair-1-toy --output flair_toy",
    "dataset-check": "flair_toy --lists",
    "extract-patches": "--image image.tif --labels labels.gpkg --output patches",
    "train": "--data patches --preset fine-tune --output model.safetensors",
    "classify": "--model model.safetensors --input image.tif --output landcover.tif",
    "evaluate": "--prediction landcover.tif --truth labels.gpkg --output evaluation",
    "benchmark": "study.yaml --output comparison",
    "polygonise": "--input landcover.tif --output landcover.gpkg --minimum-area 25",
    "area-statistics": "--input landcover.tif --area communes.gpkg --output areas",
    "remap-classes": "--input landcover.tif --output twelve.tif --mapping flair-12",
    "change": "--before 2018.tif --after 2021.tif --output change --minimum-area 50",
    "flair": "--conf flair-1-config.yaml",
    "flair-detect": "--conf flair-1-config-detect.yaml",
    "models": "FLAIR-INC_rgbie_15cl_resnet34-unet",
    "models-download": "FLAIR-INC_rgbie_15cl_resnet34-unet --output rgbie.safetensors",
    "diagnostics": "",
}


def main() -> None:
    """Write the pages."""
    write(FOLDER, pages())


def pages() -> Pages:
    """Return all pages by file name."""
    return {
        "index.md": _index(),
        **{f"{name}.md": _command(name, request) for name, request in COMMANDS.items()},
        "presets.md": _presets(),
        "catalogue.md": catalogue_page(),
        "files.md": files_page(),
    }


def _index() -> str:
    rows = [(f"[`{name}`]({name}.md)", _summary(request)) for name, request in COMMANDS.items()]
    return (
        f"# Command line and YAML\n\n{NOTE}"
        "Every command runs without QGIS, from the folder of the checkout or of the unpacked plugin, with the "
        "Python of "
        "the engine's environment:\n\n"
        f"{command_block(f'{PYTHON} --help', f'{PYTHON} classify --help')}\n"
        f"{table(('Command', 'What it does'), rows)}\n"
        "See also: [models, data sets, classes](catalogue.md), [presets](presets.md), [files](files.md).\n\n"
        "## Options in a file\n\n"
        "Every option can stand in a YAML file. Its key is the option without the dashes in front, and with `_` for "
        "each `-` inside. Options on the command line win over those of the file.\n\n"
        "```yaml\n# classify.yaml\nmodel: model.safetensors\ninput: [west.tif, east.tif]\noutput: landcover.tif\n"
        "ground_sampling_distance: 0.25\n```\n\n"
        f"{command_block(f'{PYTHON} classify --config classify.yaml --overwrite')}\n"
        "A switch has a form with `no-` for the opposite, such as `--no-resume`. Options that take pairs "
        "(`--bands`, `--classes`) are written as `name=value,name=value` on the command line, and so in YAML.\n\n"
        "## Exit codes\n\n"
        "0 means that the result is complete. Any other code says what kind of error it was; the sentence on the "
        "terminal says what to do. With 8 the result is complete too.\n\n"
        f"{table(('Code', 'Kind', 'Meaning'), _exit_codes())}\n"
        "## A request from another program\n\n"
        '`python -m engine --request` reads one line of JSON from stdin, `{"command": ..., "options": {...}}`, and '
        "answers with events as JSON lines on stdout: `progress`, `log`, `warning`, `result`, `error`. That is "
        "how QGIS "
        "talks to the engine. The run ends when stdin is closed.\n"
    )


def _exit_codes() -> list[tuple[str, str, str]]:
    texts = {"internal": "Something that should not happen: a mistake in the program."}
    for item in vars(errors).values():
        if isinstance(item, type) and issubclass(item, errors.EngineError) and item is not errors.EngineError:
            texts[item("").kind] = _first_line(item)
    rows = {code: (f"`{kind}`", texts[kind]) for kind, code in errors.EXIT_CODES.items()}
    rows[errors.FAULTS_FOUND] = ("faults", "A check went through and found something wrong, such as `dataset-check`.")
    return [(str(code), *rows[code]) for code in sorted(rows)]


def _command(name: str, request: type[Request]) -> str:
    fields = request.model_fields
    chosen = set(Recipe.model_fields) if set(Recipe.model_fields) <= set(fields) else set()
    own = {key: field for key, field in fields.items() if key not in chosen}
    recipe = {key: field for key, field in fields.items() if key in chosen}
    text = f"# {name}\n\n{NOTE}{_summary(request)}\n\n"
    if name in EXAMPLES:
        text += command_block(wrapped_command(f"{PYTHON} {name} {EXAMPLES[name]}".strip())) + "\n"
    if request.POSITIONAL:
        text += f"`{request.POSITIONAL}` also works without its name, as the first argument.\n\n"
    if own:
        needed = {key: field for key, field in own.items() if field.is_required()}
        rest = {key: field for key, field in own.items() if not field.is_required()}
        if needed:
            text += f"## Needed\n\n{_options(needed)}\n"
        if rest:
            text += f"## {'Optional' if needed else 'Options'}\n\n{_options(rest)}\n"
    else:
        text += "It has no options.\n"
    if recipe:
        text += (
            f"## Choices of the recipe\n\nEach defaults to what the [preset](presets.md) says.\n\n{_options(recipe)}\n"
        )
    return text.rstrip() + "\n"


def _options(fields: dict[str, FieldInfo]) -> str:
    rows = []
    for key, field in fields.items():
        text = (field.description or "").removesuffix(" Default: the preset's.")
        rows.append((f"`--{key.replace('_', '-')}`", _kind(field), _default(field), text))
    return table(("Option", "Type", "Default", "What it is"), rows)


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required() or value is None or value == "":
        return ""
    return ("yes" if value else "no") if isinstance(value, bool) else f"`{value}`"


def _kind(field: FieldInfo) -> str:
    kind, metadata = _plain(field.annotation)
    return _worded(kind, [*field.metadata, *metadata])


def _plain(annotation: Any) -> tuple[Any, list[Any]]:
    """Return a type without `None`, and what annotations say of it."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *metadata = typing.get_args(annotation)
        plain, more = _plain(inner)
        return plain, [*metadata, *more]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [item for item in typing.get_args(annotation) if item is not type(None)]
        return _plain(parts[0]) if len(parts) == 1 else (str, [])
    return annotation, []


def _worded(kind: Any, metadata: list[Any]) -> str:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return ", ".join(f"`{item}`" for item in typing.get_args(kind))
    if origin in (list, tuple):
        return "list"
    if origin is dict:
        return "pairs"
    if kind is bool:
        return "switch"
    if kind in (int, float):
        return " ".join(part for part in ("whole number" if kind is int else "number", _range(metadata)) if part)
    return "text"


def _range(metadata: list[Any]) -> str:
    low, high = "", ""
    for item in _flat(metadata):
        if isinstance(item, annotated_types.Ge):
            low = f"{item.ge:,}"
        elif isinstance(item, annotated_types.Gt):
            low = f"over {item.gt:,}"
        elif isinstance(item, annotated_types.Le):
            high = f"{item.le:,}"
        elif isinstance(item, annotated_types.Lt):
            high = f"under {item.lt:,}"
    if low and high:
        return f"from {low} to {high}"
    return f"from {low}" if low and not low.startswith("over") else low or (f"to {high}" if high else "")


def _flat(metadata: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for item in metadata:
        flat += _flat(item.metadata) if isinstance(item, FieldInfo) else [item]
    return flat


def _presets() -> str:
    names = preset_names()
    recipes = {name: load_recipe(name, {}).model_dump() for name in names}
    rows = [
        (f"`{key}`", *(_chosen(recipes[name][key]) for name in names), field.description or "")
        for key, field in Recipe.model_fields.items()
    ]
    return (
        f"# Presets\n\n{NOTE}"
        "A preset makes every choice of a training. `fine-tune` is for imagery of your own, `quick` for a first "
        "look on a "
        "laptop, `flair-inc`, `flair-2` and `utt` are the published recipes, the last one "
        "with a season. Each choice is also an option of "
        "[`train`](train.md), which then wins.\n\n"
        f"{table(('Choice', *(f'`{name}`' for name in names), 'What it is'), rows)}\n"
        "## A preset of your own\n\n"
        "A YAML file that begins with `base:` holds only what it changes. Give it as `--preset my_preset.yaml`, "
        "or as the "
        "preset file in QGIS.\n\n"
        "```yaml\n# my_preset.yaml\nbase: fine-tune\nepochs: 80\nloss: focal+dice\n```\n"
    )


def _chosen(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value}".lower()


def _summary(request: type[Request]) -> str:
    return _first_line(request)


def _first_line(item: type) -> str:
    return (item.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    main()
