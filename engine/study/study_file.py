"""The file that says which models a study holds against each other, and on which patches."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.errors import RequestError
from engine.models.catalogue import load_catalogue
from engine.models.recognise import CHECKPOINT_SUFFIXES
from engine.resources import RESOURCES
from engine.yaml_file import Place, YamlFile, read_yaml

STUDIES = RESOURCES / "studies"
MOST_SAMPLES = 12
"""Patches whose predictions are kept for the report at the most."""
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_SUFFIXES = (".yaml", ".yml")

Name = Annotated[str, Field(min_length=1, max_length=80)]
Given = Annotated[str, Field(min_length=1)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class StudyModel(_Group):
    """A model of a study.

    Args:
        name: Name in the report, and of its folder.
        model: Model file or catalogue name.
        weights: Checkpoint for a catalogue name; default: the one in the cache, or from the hub.
        compare_with: Name in the published figures; default: the catalogue name.
    """

    name: Name
    model: Given
    weights: Given | None = None
    compare_with: str | None = None

    @property
    def published_as(self) -> str | None:
        """Name in the published figures; None for a model of one's own."""
        return self.compare_with or (self.model if self.model in load_catalogue() else None)


class StudyTest(_Group):
    """Patches that models are judged by.

    Args:
        name: Name in the report, and of its folders.
        data: Folder of a data set, its `dataset.yaml`, or a CSV of image,mask lines.
        split: Part of the data set.
        root: Folder that the paths in the lists start from; default: theirs.
        classes: Class names or codes of the masks, each with a code or name of the models.
        season: Folder of the patches' satellite images, for models that look at a season.
        centroids: JSON file of the patches' centres in FLAIR #2's satellite files; default: the one beside them.
        metadata: JSON file of the patches' aerial metadata, for models that learnt from them.
    """

    name: Name
    data: Given
    split: Literal["train", "val", "test"] = "test"
    root: Given | None = None
    classes: str | None = None
    season: Given | None = None
    centroids: Given | None = None
    metadata: Given | None = None


class Study(_Group):
    """A study.

    Args:
        name: Short name.
        title: Heading of the report; default: the name.
        definition: What the figures count.
        models: The models.
        tests: The sets of patches that each is judged by.
        samples: Patches that the report shows.
        ignore: Codes of the masks that are not counted; default: told by the data sets.
    """

    name: Name
    title: str | None = None
    definition: Literal["strict", "ign", "ign-present", "challenge12"] = "ign"
    models: Annotated[list[StudyModel], Field(min_length=1)]
    tests: Annotated[list[StudyTest], Field(min_length=1)]
    samples: Annotated[int, Field(ge=0, le=MOST_SAMPLES)] = 4
    ignore: list[Annotated[int, Field(ge=0, le=255)]] | None = None


@dataclass(frozen=True)
class StudyFile:
    """A study as it was read.

    Args:
        path: Its file.
        study: Its content; paths are absolute.
        bundled: Whether it travels with the project.
    """

    path: Path
    study: Study
    bundled: bool

    @property
    def output(self) -> Path:
        """The folder that results go to by default: named as the study, beside its file."""
        return (Path.cwd() if self.bundled else self.path.parent) / folder_name(self.study.name)


def folder_name(name: str) -> str:
    """Return a name as a folder can have it on every system."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "_"


def read_study(text: str) -> StudyFile:
    """Read a study.

    Args:
        text: Its file, or the bare name of one that travels with the project.

    Raises:
        RequestError: There is none, or something in it is wrong; with line and key.
    """
    path, bundled = _find(text)
    file = read_yaml(path, hint="Check the path.", wanted="a study, which names models and tests")
    study = file.checked(Study)
    _check_names(file, study)
    unset: dict[str, list[Place]] = {}
    values = _with_paths(file, study, unset)
    if unset:
        raise RequestError(
            " ".join(_unset(file, name, places) for name, places in unset.items()),
            f"Set it, such as `export {next(iter(unset))}=/path`, or write the path into a copy of the study.",
        )
    return StudyFile(path, Study.model_validate(values), bundled)


def _find(text: str) -> tuple[Path, bool]:
    path = Path(text).expanduser()
    if path.is_file():
        return path.resolve(), False
    known = {item.stem: item for item in sorted(STUDIES.glob("*.yaml"))}
    if text in known:
        return known[text], True
    if path.suffix.lower() in _SUFFIXES or len(path.parts) > 1:
        raise RequestError(f"The study '{text}' does not exist.", "Check the path.")
    close = difflib.get_close_matches(text, known, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else f"Known ones: {', '.join(known)}; or give a file (.yaml)."
    raise RequestError(f"There is no study file and no study named '{text}'.", hint)


def _check_names(file: YamlFile, study: Study) -> None:
    """Refuse two models, or two tests, whose folders would be one."""
    groups = {"models": [item.name for item in study.models], "tests": [item.name for item in study.tests]}
    for group, names in groups.items():
        seen: dict[str, str] = {}
        for index, name in enumerate(names):
            folder = folder_name(name).casefold()
            if folder in seen:
                raise file.error(
                    (group, index, "name"),
                    f"the name '{name}' is that of another of the {group}, '{seen[folder]}'.",
                    "Give each a name of its own.",
                )
            seen[folder] = name


def _with_paths(file: YamlFile, study: Study, unset: dict[str, list[Place]]) -> dict[str, Any]:
    values = study.model_dump()
    for group, keys in (
        ("models", ("model", "weights")),
        ("tests", ("data", "root", "season", "centroids", "metadata")),
    ):
        for index, item in enumerate(values[group]):
            for key in keys:
                text = item[key]
                if text is None or (key == "model" and _is_name(text)):
                    continue
                item[key] = _expanded(file, (group, index, key), text, unset)
    for index, item in enumerate(values["tests"]):
        # A short list of pairs stays as it is; a file of them is a path.
        if item["classes"] and item["classes"].lower().endswith(_SUFFIXES):
            item["classes"] = _expanded(file, ("tests", index, "classes"), item["classes"], unset)
    return values


def _is_name(model: str) -> bool:
    """Return whether a model is named, not given as a file; names that are wrong get the nearest right one later."""
    path = Path(model)
    return len(path.parts) == 1 and path.suffix not in CHECKPOINT_SUFFIXES and "$" not in model and "~" not in model


def _unset(file: YamlFile, name: str, places: list[Place]) -> str:
    more = f", needed {len(places)} times from here on" if len(places) > 1 else ""
    return f"{file.where(*places[0])}: '{places[0][-1]}': the environment variable {name} is not set{more}."


def _expanded(file: YamlFile, place: Place, text: str, unset: dict[str, list[Place]]) -> str:
    """Return an absolute path; what is missing in the environment is added with its place."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not os.environ.get(name):
            unset.setdefault(name, []).append(place)
        return os.environ.get(name, "")

    return str(file.path.parent / Path(_VARIABLE.sub(value, text)).expanduser())
