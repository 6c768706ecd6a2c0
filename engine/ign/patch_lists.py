"""The lists of patches of a FLAIR-1 file, and the data set that a training reads."""

from __future__ import annotations

import csv
import io
import threading
from pathlib import Path

from engine.band import Band
from engine.data.dataset_file import FILE_NAME, DatasetFile
from engine.data.pairs import Pair, read_pairs
from engine.data.patch_file import default_names, read_header
from engine.errors import Cancelled, InputError
from engine.ign.bands import Channels
from engine.ign.detection import FLAIR_DISTANCE, existing_file
from engine.ign.flair1_train import Flair1Train
from engine.nomenclature import load_nomenclature
from engine.rasters.disk import output_error
from engine.text_file import write_whole
from engine.yaml_file import YamlFile


def listed_pairs(file: YamlFile, key: str, text: str) -> tuple[Path, tuple[Pair, ...]]:
    """Return a list's file and its pairs; relative paths start from the working folder, else from the list's.

    Args:
        file: The configuration, for errors.
        key: `train_csv`, `val_csv` or `test_csv`.
        text: Its value.

    Raises:
        RequestError: The key is empty.
        InputError: The list or a pair in it cannot be used.
    """
    path = existing_file(file, ("paths", key), text)
    here = read_pairs(path, Path.cwd())
    return path, here if here[0].image.exists() else read_pairs(path)


def check_present(path: Path, pairs: tuple[Pair, ...], *, masks: bool, cancelled: threading.Event) -> None:
    """Check that the files of a list are there.

    Args:
        path: The list, for errors.
        pairs: Its pairs.
        masks: Whether masks are needed.
        cancelled: Set to stop.

    Raises:
        InputError: Some are missing.
        Cancelled: `cancelled` was set.
    """
    missing: list[Path] = []
    for pair in pairs:
        if cancelled.is_set():
            raise Cancelled
        missing += [file for file in ((pair.image, pair.mask) if masks else (pair.image,)) if not file.is_file()]
    if missing:
        others = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"'{path.name}' names files that do not exist: '{missing[0]}'{others}.",
            "Correct its paths; relative ones start from the working folder, else from that of the list.",
        )


def write_dataset(folder: Path, conf: Flair1Train, channels: Channels, lists: dict[str, tuple[Pair, ...]]) -> Path:
    """Write lists and `dataset.yaml` for a training, and return the latter.

    Args:
        folder: Folder to write them into; made where it is missing.
        conf: The configuration.
        channels: Bands to learn from, with the statistics that the file gives.
        lists: Pairs of `train` and `val`.

    Raises:
        InputError: The first image cannot be read.
        OutputError: The files cannot be written.
    """
    header = read_header(lists["train"][0].image)
    given = dict(zip(channels.numbers, channels.bands, strict=True))
    names = default_names(header.bands)
    bands = tuple(
        Band(names[number - 1], given[number].mean, given[number].std, 0.0, given[number].maximum)
        if number in given
        # A band that is never read needs no true figures.
        else Band(names[number - 1], 0.0, 1.0)
        for number in range(1, header.bands + 1)
    )
    unlisted = [item.code for item in load_nomenclature("flair").classes if item.code not in conf.classes]
    described = DatasetFile(
        name=conf.paths.out_model_name,
        bands=bands,
        nomenclature=conf.nomenclature(masked=conf.use_weights),
        ground_sampling_distance=FLAIR_DISTANCE,
        patch_size=header.width,
        # FLAIR's classes that the file does not list are no mistake, and no building either.
        ignored=(0, *unlisted),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    for split, pairs in lists.items():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows((str(pair.image.absolute()), str(pair.mask.absolute())) for pair in pairs)
        write_whole(folder / f"{split}.csv", text.getvalue())
    write_whole(folder / FILE_NAME, described.to_yaml())
    return folder / FILE_NAME


def check_names(pairs: tuple[Pair, ...]) -> None:
    """Check that no two images would have a prediction of one name.

    Raises:
        InputError: Two have.
    """
    seen: dict[str, Path] = {}
    for pair in pairs:
        other = seen.setdefault(pair.image.name, pair.image)
        if other != pair.image:
            raise InputError(
                f"Two images have one name, and so would their predictions: {other} and {pair.image}.",
                "Rename one of them.",
            )
