"""The reference of the files that the engine reads and writes, made from the classes that read them."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import yaml

from engine.band import Band
from engine.data.dataset_file import DatasetFile
from engine.models.catalogue import load_catalogue
from engine.models.manifest import Manifest
from engine.nomenclature import LandCoverClass, load_nomenclature
from engine.resources import RESOURCES
from engine.study.study_file import Study, StudyModel, StudyTest
from scripts.reference_pages import NOTE, table

MEANS = {"miou_14": "14 classes, without snow", "miou_12": "12 classes", "miou_as_printed": "as printed"}
"""Ways in which the cards take the mean IoU, by the key of the figure."""
SIMPLE = {"str": "text", "int": "whole number", "float": "number", "bool": "yes or no"}


def catalogue_page() -> str:
    """Return the page of the published models and the data sets."""
    models = [
        (
            f"`{name}`",
            ", ".join(entry.manifest.band_names),
            str(len(entry.manifest.nomenclature.enabled)),
            entry.title.rpartition(", ")[2],
            f"{entry.size_mb:.0f}",
            "; ".join(f"{entry.figures[key]:g} ({way})" for key, way in MEANS.items() if key in entry.figures),
            f"{entry.figures['overall_accuracy']:g}" if "overall_accuracy" in entry.figures else "",
        )
        for name, entry in load_catalogue().items()
    ]
    sets = yaml.safe_load((RESOURCES / "datasets.yaml").read_text(encoding="utf-8"))
    rows = [
        (
            f"`{name}`",
            item["title"],
            ", ".join(dict.fromkeys(file["modality"] for file in item["files"])),
            item.get("licence", ""),
        )
        for name, item in sets.items()
    ]
    classes = [
        (str(item.code), item.name, item.french, f"`{item.color}`", "no" if item.disabled else "yes")
        for item in load_nomenclature("flair").classes
    ]
    return (
        f"# Models, data sets, classes\n\n{NOTE}## Published models\n\n"
        "Figures are IGN's own, per cent, from the model cards; one that no card gives is left out. The mean IoU names "
        "the classes that it is taken over: compare only what is taken over the same, and within FLAIR-INC or "
        "FLAIR-HUB. The licence of all weights is Licence Ouverte 2.0.\n\n"
        f"{table(('Name', 'Bands', 'Classes', 'Network', 'MB', 'Mean IoU', 'Overall accuracy'), models)}\n"
        "## Published data sets\n\n"
        f"{table(('Name', 'What it is', 'Parts', 'Licence'), rows)}\n"
        "## Classes of FLAIR\n\n"
        "Code 0 is no data. A class that is not told apart was left out of the training of the published models, "
        "and never "
        "appears in their maps.\n\n"
        f"{table(('Code', 'Class', 'French', 'Colour', 'Told apart'), classes)}"
    )


def files_page() -> str:
    """Return the page of the files."""
    text = f"# Files\n\n{NOTE}"
    text += (
        "## Model file (.safetensors)\n\n"
        "One file holds the weights and says what they need. The text under `flair_manifest` in its header is "
        "JSON with "
        "these keys; `python -m engine models FILE` shows it. It holds no code, so opening one from a stranger "
        "is safe.\n\n"
        f"{_fields(Manifest)}\nEach band:\n\n{_fields(Band)}\nEach class of the nomenclature:\n\n"
        f"{_fields(LandCoverClass)}\n"
    )
    text += (
        "## Data set (dataset.yaml)\n\n"
        "`extract-patches` writes it beside `train.csv`, `val.csv` and `test.csv`, whose lines name an image and "
        "a mask. "
        "A folder with such lists and no `dataset.yaml` is a data set, too.\n\n"
        f"{_fields(DatasetFile)}\n"
    )
    text += (
        "## Study (for benchmark)\n\n"
        f"{_fields(Study)}\nEach of `models`:\n\n{_fields(StudyModel)}\nEach of `tests`:\n\n{_fields(StudyTest)}\n"
        "Paths may hold variables such as `${FLAIR_DATA}`. The study that comes with the plugin:\n\n"
        f"```yaml\n{_resource('studies/flair-table2.yaml')}```\n\n"
    )
    text += (
        "## Sources of data sets (for dataset-download)\n\n"
        "`--sources FILE.yaml` stands in place of the project's own list, for a mirror for example. Keys, as "
        "`resources/datasets.yaml` explains them:\n\n"
        f"```yaml\n{_head('datasets.yaml')}```\n\n"
    )
    text += (
        "## Nomenclature\n\n"
        "Classes of your own. Colours may be left out.\n\n"
        '```yaml\nname: my town\nclasses:\n  - {code: 1, name: roof, color: "#cc0000"}\n  - {code: 2, name: '
        "garden}\n```\n\n"
        "## Classes of your labels\n\n"
        "What each of your names or codes is in the nomenclature; 0 leaves a class out.\n\n"
        "```yaml\nWald: 7\nHaus: building\nunknown: 0\n```\n\n"
        "## Table of codes (for remap-classes)\n\n"
        "Codes of the raster, each with the new code, and the new classes. This one comes with the plugin:\n\n"
        f"```yaml\n{_resource('class_tables/flair-12.yaml')}```\n\n"
        "## Groups of classes (for change)\n\n"
        f"```yaml\n{_resource('groups/sealed.yaml')}```\n"
    )
    return text


def _resource(name: str) -> str:
    return (RESOURCES / name).read_text(encoding="utf-8")


def _head(name: str) -> str:
    """Return the comment that a file begins with."""
    lines = _resource(name).splitlines()
    count = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    return "".join(f"{line}\n" for line in lines[:count])


def _fields(kind: type[Any]) -> str:
    texts = _arguments(inspect.getdoc(kind) or "")
    if dataclasses.is_dataclass(kind):
        needed = {item.name: _needed(item) for item in dataclasses.fields(kind)}
        types = {item.name: str(item.type) for item in dataclasses.fields(kind)}
    else:
        needed = {name: field.is_required() for name, field in kind.model_fields.items()}
        types = dict.fromkeys(needed, "")
    missing = set(needed) - set(texts)
    if missing:
        raise ValueError(f"{kind.__name__} does not say what {sorted(missing)} is.")
    rows = [
        (f"`{name}`", SIMPLE.get(types[name], ""), "yes" if needed[name] else "", _sentence(texts[name]))
        for name in needed
    ]
    return table(("Key", "Type", "Needed", "What it is"), rows)


def _needed(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _arguments(text: str) -> dict[str, str]:
    """Return what the section `Args` of a docstring says of each name."""
    found: dict[str, str] = {}
    name = ""
    for line in text.partition("Args:\n")[2].splitlines():
        start = re.match(r" {4}(\w+): (.*)", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif line.startswith(" " * 8) and name:
            found[name] += f" {line.strip()}"
        elif line.strip():
            break
    return found


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
