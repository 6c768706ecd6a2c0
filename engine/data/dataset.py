"""A data set of patches, whichever way it describes itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.data.dataset_file import FILE_NAME, SPLITS, DatasetFile, checked_codes, checked_distance
from engine.data.pairs import Pair, read_pairs
from engine.errors import InputError
from engine.nomenclature import Nomenclature, load_nomenclature, resolve_nomenclature

# FLAIR's "other" holds what its authors could not tell.
UNDESCRIBED_IGNORED = (0, 19)
_LIST_KEYS = {*SPLITS, "root", "name", "nomenclature", "ignored", "bands", "ground_sampling_distance"}
_HINT = "Name a folder made by extract-patches, or one with train.csv and val.csv of image,mask lines."


@dataclass(frozen=True)
class Dataset:
    """Patches by split, and what is known of them before any file is opened.

    Args:
        name: Name shown to people.
        splits: Pairs by split; `train` and `val` are there, `test` may be.
        nomenclature: Classes whose codes the masks hold.
        ignored: Codes that are never learnt nor scored.
        ground_sampling_distance: Metres on the ground per pixel, None where only the files can tell.
        bands: Names of the images' bands in order, None where only the files can tell.
        described: What `dataset.yaml` says; None for a data set without one.
    """

    name: str
    splits: dict[str, tuple[Pair, ...]]
    nomenclature: Nomenclature
    ignored: tuple[int, ...]
    ground_sampling_distance: float | None = None
    bands: tuple[str, ...] | None = None
    described: DatasetFile | None = None


def open_dataset(data: str, root: str | None = None) -> Dataset:
    """Find the lists of a data set.

    Args:
        data: Folder with `dataset.yaml` or with `train.csv` and `val.csv`; such a `dataset.yaml`; or a YAML file that
            names lists of its own (`train`, `val`, `test`), and may give `root`, `bands`, `nomenclature`, `ignored`,
            `ground_sampling_distance` and `name`.
        root: Folder that relative paths in the lists start from; default: that of each list.

    Raises:
        InputError: There is no such data set, or a list of it cannot be read.
    """
    path = Path(data).expanduser()
    base = Path(root).expanduser() if root else None
    if base is not None and not base.is_dir():
        raise InputError(f"The root '{root}' is not a folder.", "Check --root.")
    if path.is_dir():
        if (path / FILE_NAME).is_file():
            return _described(path / FILE_NAME, base)
        return _undescribed(path, base)
    if not path.exists():
        raise InputError(f"There is no data set '{data}'.", _HINT)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(f"'{data}' is neither a folder nor a YAML file.", _HINT)
    if path.name == FILE_NAME:
        return _described(path, base)
    return _named_lists(path, base)


def _described(path: Path, root: Path | None) -> Dataset:
    file = DatasetFile.read(path)
    return Dataset(
        name=file.name,
        splits=_lists({split: path.parent / f"{split}.csv" for split in SPLITS}, root, path.parent),
        nomenclature=file.nomenclature,
        ignored=file.ignored,
        ground_sampling_distance=file.ground_sampling_distance,
        bands=tuple(band.name for band in file.bands),
        described=file,
    )


def _undescribed(folder: Path, root: Path | None) -> Dataset:
    return Dataset(
        name=folder.resolve().name,
        splits=_lists({split: folder / f"{split}.csv" for split in SPLITS}, root, folder),
        nomenclature=load_nomenclature("flair"),
        ignored=UNDESCRIBED_IGNORED,
    )


def _named_lists(path: Path, root: Path | None) -> Dataset:
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read: {' '.join(str(error).split())}.", "Check the file.") from error
    if not isinstance(values, dict) or not (values.get("train") and values.get("val")):
        raise InputError(f"'{path}' names no lists 'train' and 'val'.", _HINT)
    unknown = sorted(str(key) for key in set(values) - _LIST_KEYS)
    if unknown:
        raise InputError(
            f"'{path}' has unknown keys: {', '.join(unknown)}.", f"Known: {', '.join(sorted(_LIST_KEYS))}."
        )
    try:
        if root is None and values.get("root"):
            root = path.parent / Path(str(values["root"])).expanduser()
        nomenclature = str(values.get("nomenclature", "flair"))
        if nomenclature.endswith((".yaml", ".yml")):
            nomenclature = str(path.parent / nomenclature)
        distance = values.get("ground_sampling_distance")
        bands = values.get("bands")
        if isinstance(bands, str):
            bands = bands.replace(",", " ").split()
        files = {split: path.parent / str(values[split]) for split in SPLITS if values.get(split)}
        if "test" in files and not files["test"].is_file():
            raise InputError(f"'{path.parent}' has no list '{files['test'].name}'.", _HINT)
        return Dataset(
            name=str(values.get("name", path.stem)),
            splits=_lists(files, root, path.parent),
            nomenclature=resolve_nomenclature(nomenclature),
            ignored=checked_codes(values.get("ignored", UNDESCRIBED_IGNORED)),
            ground_sampling_distance=None if distance is None else checked_distance(distance),
            bands=None if bands is None else tuple(str(band) for band in bands),
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"A value in '{path}' is not usable: {error}.", "Check the file.") from error


def _lists(files: dict[str, Path], root: Path | None, folder: Path) -> dict[str, tuple[Pair, ...]]:
    for split in ("train", "val"):
        if not files[split].is_file():
            raise InputError(f"'{folder}' has no list '{files[split].name}'.", _HINT)
    if files["val"].stat().st_size == 0:
        raise InputError(
            f"The list '{files['val']}' is empty: nothing would say how good the model is.",
            "Move some patches there, or extract them again with a greater --val-share.",
        )
    return {
        split: read_pairs(file, root)
        for split, file in files.items()
        if file.is_file() and (split != "test" or file.stat().st_size)
    }
