"""Small labelled patches that tests of data and training make, with the classes of `tiny.TINY_CLASSES`."""

from __future__ import annotations

import numpy as np
import yaml

from engine.cancellation import Cancellation
from engine.requests import parse_request
from engine.training.preparation import prepare
from tests.engine import tiny
from tests.engine.conftest import Recorder

# Raw value of the first three bands by code: colours tell the classes apart.
COLOURS = {0: (10, 10, 10), 7: (200, 60, 50), 3: (60, 180, 70), 5: (40, 60, 190), 1: (130, 130, 120)}
CODES = (7, 3, 5, 1)


def write_pair(folder, name, image, mask, **options):
    """Write img/NAME.tif and msk/NAME.tif; returns the line of a list."""
    for part, array in (("img", image), ("msk", mask[np.newaxis])):
        (folder / part).mkdir(parents=True, exist_ok=True)
        tiny.write(folder / part / f"{name}.tif", array, **(options if part == "img" else {}))
    return f"img/{name}.tif,msk/{name}.tif"


def stripes(size, codes=CODES, shift=0):
    """Return a mask of upright stripes of the codes, shifted to the right."""
    row = np.repeat(np.asarray(codes, dtype=np.uint8), -(-size // len(codes)))[:size]
    return np.roll(np.tile(row, (size, 1)), shift, axis=1)


def painted(mask, noise=0.0, seed=0):
    """Return the image (3, height, width) of a mask."""
    table = np.zeros((256, 3))
    for code, colour in COLOURS.items():
        table[code] = colour
    image = table[mask].transpose(2, 0, 1)
    return (image + np.random.default_rng(seed).normal(0, 1, image.shape) * noise).clip(0, 255).astype(np.uint8)


def write_dataset(folder, counts=(6, 2, 0), size=32, noise=8.0, codes=CODES, masks=None):
    """Write patches, their lists and a `data.yaml`; returns the path of the latter."""
    number = 0
    lists = {}
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        lines = []
        for _ in range(count):
            mask = masks[number] if masks is not None else stripes(size, codes, shift=5 * number)
            lines.append(write_pair(folder, f"p{number:02d}", painted(mask, noise, number), mask))
            number += 1
        if count:
            (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
            lists[split] = f"{split}.csv"
    (folder / "classes.yaml").write_text(yaml.safe_dump(tiny.TINY_CLASSES.to_dict()))
    (folder / "data.yaml").write_text(yaml.safe_dump({**lists, "nomenclature": "classes.yaml", "ignored": [0]}))
    return folder / "data.yaml"


def job_of(data, output, **options):
    """Return the prepared training of a data set."""
    values = {
        "data": str(data), "output": str(output), "preset": "quick", "epochs": 2, "batch_size": 4, "repeats": 2,
        "crop": 32, "precision": "exact", "device": "cpu", "workers": 0, **options,
    }  # fmt: skip
    return prepare(parse_request("train", values), Recorder(), Cancellation())
