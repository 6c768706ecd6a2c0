"""The lists of an official split, written for the patches that a folder holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.data.dataset_file import FILE_NAME, SPLITS
from engine.data.official_split import OfficialSplit
from engine.data.pairs import Pair, write_pairs
from engine.errors import InputError, OutputError
from engine.events import Reporter
from engine.text_file import write_whole


def write_lists(pairs: Iterable[Pair], folder: Path, split: str, reporter: Reporter) -> dict[str, int]:
    """Write train.csv, val.csv and test.csv into a folder, of those of its patches that belong there.

    A list that is there already with other content is kept as `train.csv.old` and so on.

    Args:
        pairs: Images and masks in the folder.
        folder: Folder of the data set.
        split: Name of the official split.
        reporter: Is told of lists that are empty, and of lists that are kept.

    Returns:
        Number of patches by split.

    Raises:
        InputError: No patch lies in a folder that names a domain, or the folder has a split of its own.
        OutputError: A list could not be written.
    """
    if (folder / FILE_NAME).is_file():
        raise InputError(
            f"'{folder}' has a split of its own in its {FILE_NAME}: no other lists are written.", "Use it as it is."
        )
    official = OfficialSplit.load(split)
    rows: dict[str, list[tuple[str, str]]] = {name: [] for name in SPLITS}
    lost = 0
    for pair in pairs:
        image, mask = (path.relative_to(folder).as_posix() for path in (pair.image, pair.mask))
        part = official.of(image)
        if part:
            rows[part].append((image, mask))
        else:
            lost += 1
    if not any(rows.values()):
        raise InputError(
            f"No patch in '{folder}' lies in a folder that names a domain, such as D012_2019.",
            "Without domains no official split can be told.",
        )
    if lost:
        reporter.warning(f"{lost} patches lie in no folder that names a domain: they are in no list.")
    for name, listed in rows.items():
        _write(folder / f"{name}.csv", write_pairs(listed), reporter)
    for name in ("train", "val"):
        if not rows[name]:
            reporter.warning(f"{name}.csv is empty, since no domain of it is there: training needs patches of it.")
    return {name: len(listed) for name, listed in rows.items()}


def _write(path: Path, text: str, reporter: Reporter) -> None:
    try:
        if path.is_file() and path.read_bytes() != text.encode():
            path.replace(path.with_name(f"{path.name}.old"))
            reporter.log(f"The earlier {path.name} is kept as {path.name}.old.")
    except OSError as error:
        raise OutputError(f"'{path}' could not be replaced: {error.strerror}.") from error
    write_whole(path, text)
