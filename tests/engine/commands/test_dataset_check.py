"""Every fault that a data set on disk can have is found, named and counted; a sound one passes."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.commands import dataset_check
from engine.data.dataset import open_dataset
from engine.errors import Cancelled, FaultyResult, InputError, OutputError
from engine.requests import DatasetCheckRequest
from tests.engine import tiny
from tests.engine.acquisition.flair_archives import CODES, DOMAINS, PER_DOMAIN, SIZE, make_patches
from tests.engine.patch_sets import ORIGIN, squares


@pytest.fixture
def folder(tmp_path):
    make_patches(tmp_path / "ds")
    return tmp_path / "ds"


@pytest.fixture
def check(folder, tmp_path, recorder):
    def start(cancelled=None, **options):
        values = {"folder": str(folder), "report": str(tmp_path / "r.csv"), **options}
        return dataset_check.run(DatasetCheckRequest.model_validate(values), recorder, cancelled or threading.Event())

    return start


def rows(tmp_path):
    with open(tmp_path / "r.csv", newline="") as stream:
        return [(row["severity"], row["problem"], row["file"].rpartition("/")[2]) for row in csv.DictReader(stream)]


def image(folder, number):
    return next(folder.rglob(f"IMG_{number:06d}.tif"))


def mask(folder, number):
    return next(folder.rglob(f"MSK_{number:06d}.tif"))


def rewrite(path, change=None, **options):
    with rasterio.open(path) as file:
        pixels, profile = file.read(), file.profile
    if change is not None:
        pixels = change(pixels)
    count, height, width = pixels.shape
    profile.update(count=count, height=height, width=width, dtype=pixels.dtype, **options)
    os.remove(path)
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)


def test_a_sound_one(check, folder, tmp_path, recorder):
    result = check()
    assert result["patches"] == result["sound"] == len(DOMAINS) * PER_DOMAIN
    assert result["wrong"] == 0
    assert not isinstance(result, FaultyResult)
    assert result["problems"] == {}
    assert result["notes"] == {"mask without CRS": 1}
    assert rows(tmp_path) == [("note", "mask without CRS", "MSK_000013.tif")]
    assert set(result["pixels"]) == set(CODES)
    assert sum(result["pixels"].values()) == result["patches"] * SIZE**2
    assert "Nothing is wrong." in recorder.logs
    assert any("16 masks carry no CRS" in line for line in recorder.logs)
    assert recorder.fractions == sorted(recorder.fractions)


def test_every_fault_has_a_name(check, folder, tmp_path, recorder):
    os.remove(mask(folder, 1))
    os.remove(image(folder, 2))
    image(folder, 3).write_bytes(image(folder, 3).read_bytes()[:-3000])
    rewrite(mask(folder, 4), lambda pixels: pixels[:, :-8])
    rewrite(mask(folder, 5), lambda pixels: np.where(pixels == 1, 77, pixels).astype(np.uint8))
    rewrite(image(folder, 6), lambda pixels: pixels[:4])
    rewrite(image(folder, 7), lambda pixels: pixels.astype(np.uint16))
    rewrite(mask(folder, 8), crs="EPSG:32631")
    rewrite(mask(folder, 9), transform=Affine(0.2, 0, 650000 + 9 * 200 + 0.2, 0, -0.2, 6860000))
    shutil.copy(image(folder, 10), image(folder, 10).parents[1] / "IMG_000010.tif")
    shutil.copy(image(folder, 11), image(folder, 12))
    shutil.copy(mask(folder, 11), mask(folder, 12))
    mask(folder, 13).write_bytes(b"")
    rewrite(mask(folder, 14), lambda pixels: pixels.astype(np.float32))
    result = check()
    expected = {
        ("image without mask", "IMG_000001.tif"),
        ("mask without image", "MSK_000002.tif"),
        ("unreadable", "IMG_000003.tif"),
        ("other size than its image", "MSK_000004.tif"),
        ("codes outside the nomenclature", "MSK_000005.tif"),
        ("other number of bands", "IMG_000006.tif"),
        ("other type", "IMG_000007.tif"),
        ("other CRS than its image", "MSK_000008.tif"),
        ("elsewhere than its image", "MSK_000009.tif"),
        ("twice", "IMG_000010.tif"),
        ("same content as another", "IMG_000012.tif"),
        ("unreadable", "MSK_000013.tif"),
        ("no class codes", "MSK_000014.tif"),
    }
    found = {(problem, file) for severity, problem, file in rows(tmp_path) if severity == "error"}
    assert found == expected
    assert result["wrong"] == len(expected)
    assert isinstance(result, FaultyResult)
    assert result["problems"]["unreadable"] == 2
    assert any("and 3 more problems" in line for line in recorder.warnings)
    with open(tmp_path / "r.csv", newline="") as stream:
        details = {row["file"].rpartition("/")[2]: row["detail"] for row in csv.DictReader(stream)}
    assert details["MSK_000005.tif"] == "77"
    assert details["MSK_000009.tif"] == "up to 1 pixels away"
    assert details["MSK_000004.tif"] == "64 x 56 pixels, its image 64 x 64"


def test_the_lists_of_the_official_split(check, folder, recorder):
    image(folder, 1).write_bytes(image(folder, 1).read_bytes()[:-3000])
    result = check(lists=True)
    assert result["lists"] == {"train": 2 * PER_DOMAIN - 1, "val": PER_DOMAIN, "test": PER_DOMAIN}
    dataset = open_dataset(str(folder))
    for split, pairs in dataset.splits.items():
        assert len(pairs) == result["lists"][split]
        for pair in pairs:
            assert pair.image.is_file()
            assert pair.image.name[4:] == pair.mask.name[4:]
            domain = next(part for part in pair.image.parts if part in DOMAINS)
            assert DOMAINS[domain] == split
    assert "IMG_000001" not in (folder / "train.csv").read_text()


def test_lists_need_domains(check, tmp_path):
    (tmp_path / "flat").mkdir()
    for name in ("IMG_1.tif", "MSK_1.tif"):
        tiny.write(tmp_path / "flat" / name, np.ones((1, 8, 8), np.uint8))
    assert check(folder=str(tmp_path / "flat"))["patches"] == 1
    with pytest.raises(InputError, match="names a domain"):
        check(folder=str(tmp_path / "flat"), lists=True)


def test_a_data_set_with_a_split_of_its_own_keeps_it(check, extract, tmp_path, recorder):
    codes = squares()
    pixels = np.random.default_rng(0).integers(0, 255, (3, *codes.shape)).astype(np.uint8)
    raster = tiny.write(tmp_path / "labels.tif", codes[None], transform=ORIGIN, nodata=0)
    extract(tiny.write(tmp_path / "ortho_2021.tif", pixels, transform=ORIGIN), raster, output=str(tmp_path / "own"))
    result = check(folder=str(tmp_path / "own"))
    assert (result["patches"], result["wrong"], result["notes"]) == (48, 0, {})
    before = (tmp_path / "own" / "train.csv").read_bytes()
    with pytest.raises(InputError, match="a split of its own"):
        check(folder=str(tmp_path / "own"), lists=True)
    assert (tmp_path / "own" / "train.csv").read_bytes() == before


def test_hub_names_and_codes_from_0(check, tmp_path):
    root = tmp_path / "hub"
    for kind, bands, high in (("AERIAL_RGBI", 4, 255), ("AERIAL_LABEL-COSIA", 1, 19)):
        for place in ("1-1", "1-2"):
            path = root / f"D012-2019_{kind}" / "AF-S1-27" / f"D012-2019_{kind}_AF-S1-27_{place}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(len(place)).integers(0, high, (bands, 32, 32)).astype(np.uint8)
            pixels[0, 0, 0] = 0 if place == "1-1" else 18
            tiny.write(path, pixels)
    result = check(folder=str(root))
    assert (result["layout"], result["patches"], result["wrong"]) == ("flair-hub", 2, 0)
    with pytest.raises(InputError, match="by patch"):
        check(folder=str(root), lists=True)


def test_checksums(check, folder, tmp_path):
    with pytest.raises(InputError, match="has no 'checksums"):
        check(checksums=True)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*.tif"))
    ]
    (folder / "checksums.sha256").write_text("".join(lines))
    assert check(checksums=True)["wrong"] == 0
    content = bytearray(image(folder, 1).read_bytes())
    content[2000] ^= 1  # a pixel in the middle: nothing but its sum tells
    image(folder, 1).write_bytes(content)
    os.remove(mask(folder, 2))
    found = check(checksums=True)["problems"]
    assert found == {"other checksum": 1, "missing": 1, "image without mask": 1}
    (folder / "checksums.sha256").write_text("nonsense\n")
    with pytest.raises(InputError, match="Line 1"):
        check(checksums=True)


def test_folders_that_are_none(check, tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        check(folder=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="There are no patches"):
        check(folder=str(tmp_path / "empty"))
    with pytest.raises(OutputError, match="does not exist"):
        check(report=str(tmp_path / "nowhere" / "r.csv"))


def test_cancelled(check):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        check(cancelled)


def test_from_the_command_line(folder, tmp_path):
    done = tiny.engine("dataset", "check", folder, "--lists")
    assert done.returncode == 0, done.stderr
    assert "patches: 16" in done.stdout
    assert (folder / "train.csv").is_file()


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["flair", "korea"])
def test_real_patches(check, name):
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("FLAIR_TEST_DATA", beside)) / name
    if not folder.is_dir():
        pytest.skip(f"the real imagery is not at {folder}; set FLAIR_TEST_DATA")
    result = check(folder=str(folder))
    assert result["patches"] == result["sound"] == len(list((folder / "img").glob("*.tif")))
    assert result["problems"] == {}
