"""A small FLAIR #1 in archives, as its publisher packs it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import yaml
from affine import Affine

from tests.engine import tiny

# Two domains to train with, one to validate with, one to test with.
DOMAINS = {"D006_2020": "train", "D091_2021": "train", "D004_2021": "val", "D012_2019": "test"}
PER_DOMAIN = 4
SIZE = 64
CODES = (1, 3, 7, 10)


def make_patches(folder, per_domain=PER_DOMAIN, size=SIZE):
    """Write images and masks as FLAIR #1 has them on disk; returns the relative paths of both, by domain."""
    folder = Path(folder)
    made = {}
    number = 0
    for domain, split in DOMAINS.items():
        tail = "test" if split == "test" else "train"
        prefix = "flair_1" if split == "test" else "flair"
        for index in range(per_domain):
            number += 1
            inside = f"{domain}/Z{1 + index // 2}_UA"
            image = folder / f"{prefix}_aerial_{tail}" / inside / "img" / f"IMG_{number:06d}.tif"
            mask = folder / f"{prefix}_labels_{tail}" / inside / "msk" / f"MSK_{number:06d}.tif"
            for path in (image, mask):
                path.parent.mkdir(parents=True, exist_ok=True)
            generator = np.random.default_rng(number)
            transform = Affine(0.2, 0, 650000 + number * 200, 0, -0.2, 6860000)
            pixels = generator.integers(0, 255, (5, size, size)).astype(np.uint8)
            tiny.write(image, pixels, transform=transform)
            # FLAIR's masks know their place but not their CRS.
            codes = generator.choice(CODES, (1, size, size)).astype(np.uint8)
            tiny.write(mask, codes, crs=None, transform=transform)
            made.setdefault(domain, []).append(tuple(path.relative_to(folder).as_posix() for path in (image, mask)))
    return made


def pack(content, archive, method=zipfile.ZIP_DEFLATED):
    """Put a folder into an archive under its own name."""
    with zipfile.ZipFile(archive, "w", method) as file:
        for path in sorted(Path(content).rglob("*")):
            if path.is_file():
                file.write(path, f"{Path(content).name}/{path.relative_to(content).as_posix()}")


def make_archives(content, served, **options):
    """Make the patches in `content` and their archives in `served`; returns the patches by domain."""
    made = make_patches(content, **options)
    names = {
        "flair_aerial_train": "flair_aerial_train",
        "flair_labels_train": "flair_labels_train",
        "flair_1_aerial_test": "flair_1_aerial_test",
        "flair_1_labels_test": "flair_1_labels_test",
    }
    Path(served).mkdir(exist_ok=True)
    for folder, name in names.items():
        pack(Path(content) / folder, Path(served) / f"{name}.zip")
    metadata = json.dumps({f"IMG_{number:06d}": {"date": "2020-07-01"} for number in range(1, 50)})
    with zipfile.ZipFile(Path(served) / "flair-1_metadata_aerial.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("flair-1_metadata_aerial.json", metadata)
    (Path(served) / "flair_1_shapes.gpkg").write_bytes(np.random.default_rng(0).bytes(100_000))
    return made


def sources(path, url, **changes):
    """Write a file of sources that names the archives at an address; returns its path."""
    files = [
        {"url": "flair_labels_train.zip", "modality": "labels", "split": "train", "kind": "zip"},
        {"url": "flair_1_labels_test.zip", "modality": "labels", "split": "test", "kind": "zip"},
        {"url": "flair-1_metadata_aerial.zip", "modality": "metadata", "kind": "zip"},
        {"url": "flair_1_shapes.gpkg", "modality": "metadata", "kind": "plain"},
        {"url": "flair_aerial_train.zip", "modality": "aerial", "split": "train", "kind": "zip"},
        {"url": "flair_1_aerial_test.zip", "modality": "aerial", "split": "test", "kind": "zip"},
    ]
    values = {
        "title": "Small FLAIR",
        "licence": "etalab-2.0",
        "layout": "flair-1",
        "splits": "flair-1",
        "base": url,
        "default": ["labels", "metadata", "aerial", "lists"],
        "files": files,
        **changes,
    }
    Path(path).write_text(yaml.safe_dump({"flair-1": values}), encoding="utf-8")
    return str(path)


def one_archive(path, url, name, **changes):
    """Write a file of sources with one archive of images alone."""
    file = {"url": name, "modality": "aerial", "kind": "zip", **changes}
    return sources(path, url, files=[file], splits="", default=["aerial"])


def files(folder):
    """Return the content of all files in a folder but those that a download adds, by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
        and ".download" not in path.parts
        and path.name not in ("checksums.sha256", "train.csv", "val.csv", "test.csv")
    }
