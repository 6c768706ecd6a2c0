"""From files and folders, as a person names them, to the files to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.errors import InputError
from engine.events import Reporter
from engine.preparation.product_names import Product, read_name
from engine.remote_path import is_remote, shown
from engine.storage.inputs import files_in

_ENDINGS = (".tif", ".tiff", ".jp2", ".vrt")
_TITLES: dict[Product, str] = {
    "rgb": "an orthophoto in colour",
    "irc": "a colour-infrared orthophoto",
    "dsm": "a surface model (MNS)",
    "dtm": "a terrain model (MNT)",
    "height": "a height model (MNH)",
}


def find_files(
    paths: Sequence[str], option: str, product: Product | None, reporter: Reporter, *, strict: bool
) -> list[str]:
    """Return the rasters among files and in folders, folders in the order of names.

    From a folder come the tiles that do not bear the name of another product; it is searched deeply only when it
    holds none itself. A VRT in a folder of tiles is left out, since it most likely shows the same tiles.

    Args:
        paths: Files and folders.
        option: Name of the option, for messages.
        product: What the files should hold; None for anything.
        reporter: Is told what was found in folders, and what was left out.
        strict: Whether a file whose name tells of another product is refused, not only warned of.

    Raises:
        InputError: A folder holds no such file, a file is named twice, or a name tells of another product.
    """
    found: list[str] = []
    for path in paths:
        if is_remote(path) and path.endswith("/"):
            found += _fitting([Path(item) for item in files_in(path)], shown(path), option, product, reporter)
            continue
        if not path.startswith("/vsi") and Path(path).is_dir():
            found += _in_folder(Path(path), option, product, reporter)
            continue
        named = read_name(Path(path).name).product
        if product is not None and named is not None and named != product:
            error = InputError(
                f"'{Path(path).name}' bears the name of {_TITLES[named]}, but was given as {option}.",
                f"Give it as {named}, or allow it with --allow-mismatch if its name is wrong.",
            )
            if strict:
                raise error
            reporter.warning(error.message)
        found.append(path)
    double = [path for path, count in Counter(str(Path(item).absolute()) for item in found).items() if count > 1]
    if double:
        raise InputError(f"'{double[0]}' is named twice as {option}.", "Name each file once.")
    return found


def _in_folder(folder: Path, option: str, product: Product | None, reporter: Reporter) -> list[str]:
    files = [path for path in folder.iterdir() if path.is_file()]
    if not any(path.suffix.lower() in _ENDINGS for path in files):
        files = [path for path in folder.rglob("*") if path.is_file()]
    return _fitting(files, str(folder), option, product, reporter)


def _fitting(files: Iterable[Path], folder: str, option: str, product: Product | None, reporter: Reporter) -> list[str]:
    everything = sorted(path for path in files if path.suffix.lower() in _ENDINGS)
    tiles = [path for path in everything if path.suffix.lower() != ".vrt"] or everything
    fitting = [path for path in tiles if product is None or read_name(path.name).product in (None, product)]
    if not fitting:
        others = sorted({_TITLES[named] for path in tiles if (named := read_name(path.name).product)})
        raise InputError(
            f"The folder '{folder}', given as {option}, holds no file ending in {', '.join(_ENDINGS)}"
            + (f" that is not {' or '.join(others)} by its name." if others else "."),
            "Check the folder, or name the files one by one.",
        )
    left = len(everything) - len(fitting)
    reporter.log(f"{option}: {len(fitting)} files in '{folder}'" + (f"; {left} others are left out." if left else "."))
    return [path.as_posix() if is_remote(path) else str(path) for path in fitting]
