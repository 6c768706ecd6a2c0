"""From image and labels to a data set, in one process."""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from engine.commands import extract_patches
from engine.data.dataset import open_dataset
from engine.data.dataset_file import DatasetFile
from engine.data.patch_index import index_patches
from engine.errors import Cancelled, EngineError, InputError, OutputError
from engine.requests import ExtractPatchesRequest
from tests.engine import tiny
from tests.engine.vectors import box, write_features

ORIGIN = Affine(0.2, 0, 650000.0, 0, -0.2, 6860000.0)
SPLITS = ("train", "val", "test")
# 6 x 8 patches of 64 pixels.
HEIGHT, WIDTH = 6 * 64 + 10, 8 * 64 + 20


def squares(height=HEIGHT, width=WIDTH, codes=(1, 3, 7, 10), side=16, seed=0):
    rows, columns = -(-height // side), -(-width // side)
    picked = np.random.default_rng(seed).choice(codes, (rows, columns))
    return np.kron(picked, np.ones((side, side), int))[:height, :width].astype(np.uint8)


@pytest.fixture
def run(tmp_path, recorder):
    """Run the command on patches of 64 pixels; returns its result."""

    def start(image, labels, *, cancelled=None, reporter=None, **options):
        values = {"image": image, "labels": labels, "output": str(tmp_path / "ds"), "patch_size": 64, **options}
        request = ExtractPatchesRequest.model_validate(values)
        return extract_patches.run(request, reporter or recorder, cancelled or threading.Event())

    return start


@pytest.fixture
def image(tmp_path):
    pixels = tiny.smooth(3, HEIGHT, WIDTH)
    return tiny.write(tmp_path / "ortho_2021.tif", pixels, transform=ORIGIN), pixels


@pytest.fixture
def labels(tmp_path):
    codes = squares()
    return tiny.write(tmp_path / "labels.tif", codes[None], transform=ORIGIN, nodata=0), codes


def patches(folder):
    """Return (split, image path, mask path, row, column) of all patches that the lists name."""
    found = []
    for split in SPLITS:
        with open(folder / f"{split}.csv", newline="") as stream:
            for row in csv.reader(stream):
                assert len(row) == 2
                with rasterio.open(folder / row[0]) as file:
                    x, y = ~ORIGIN * (file.transform.c, file.transform.f)
                found.append((split, folder / row[0], folder / row[1], round(y), round(x)))
    return found


def left_behind(folder):
    return sorted(item.name for item in folder.iterdir() if item.name.startswith("."))


def check(folder, pixels, codes, size=64):
    """Assert that every patch is the part of image and codes that its place says; returns the patches."""
    found = patches(folder)
    for _, image_path, mask_path, row, column in found:
        place = (slice(row, row + size), slice(column, column + size))
        with rasterio.open(image_path) as image, rasterio.open(mask_path) as mask:
            assert (image.read() == pixels[(slice(None), *place)]).all()
            assert (mask.read(1) == codes[place]).all()
            for file in (image, mask):
                assert file.transform.almost_equals(ORIGIN * Affine.translation(column, row), 1e-9)
                assert file.crs.to_epsg() == 2154
                assert file.shape == (size, size)
            assert mask.dtypes == ("uint8",)
            assert mask.nodata == 0
    return found


def test_a_data_set_in_the_layout_of_flair(run, image, labels, tmp_path, recorder):
    result = run(image[0], labels[0])
    folder = tmp_path / "ds"
    found = check(folder, image[1], labels[1])
    assert sorted((row, column) for *_, row, column in found) == [
        (64 * row, 64 * column) for row, column in itertools.product(range(6), range(8))
    ]
    assert sorted(item.name for item in folder.iterdir()) == [
        "D001_2021", "dataset.yaml", "test.csv", "train.csv", "val.csv",
    ]  # fmt: skip
    first = (folder / "train.csv").read_text().splitlines()[0]
    zone = first.split("/")[1]
    number = first.split("IMG_")[1][:6]
    assert first == f"D001_2021/{zone}/img/IMG_{number}.tif,D001_2021/{zone}/msk/MSK_{number}.tif"
    assert len(list(folder.rglob("*.tif"))) == 2 * 48
    assert left_behind(tmp_path) == []

    counts = {split: sum(item[0] == split for item in found) for split in SPLITS}
    assert result["patches"] == counts
    assert counts["train"] in range(31, 36)
    assert min(counts["val"], counts["test"]) >= 6
    assert result["output"] == str(folder)
    assert result["dataset"] == str(folder / "dataset.yaml")
    assert result["seconds"] > 0
    assert json.dumps(result)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1.0
    assert not recorder.warnings or all("by position" in text for text in recorder.warnings)


def test_what_the_data_set_says_of_itself(run, image, labels, tmp_path):
    result = run(image[0], labels[0], seed=4)
    described = DatasetFile.read(tmp_path / "ds" / "dataset.yaml")
    assert described.name == "ds"
    assert [band.name for band in described.bands] == ["red", "green", "blue"]
    assert described.patch_size == 64
    assert described.nomenclature.name == "flair"
    assert described.ground_sampling_distance == pytest.approx(0.2, rel=0.01)
    assert described.patches == result["patches"]
    assert described.source["images"] == ["ortho_2021.tif"]
    assert described.source["labels"] == ["labels.tif"]
    assert described.source["seed"] == 4
    assert str(tmp_path) not in (tmp_path / "ds" / "dataset.yaml").read_text()

    found = patches(tmp_path / "ds")
    for split in SPLITS:
        masks = np.concatenate([tiny.read(item[2]).ravel() for item in found if item[0] == split])
        codes, counts = np.unique(masks[masks > 0], return_counts=True)
        assert described.pixels[split] == dict(zip(codes.tolist(), counts.tolist(), strict=True))
        for row in result["table"]:
            assert row[split] == described.pixels[split].get(row["code"], 0)
    assert [(row["code"], row["name"], row["color"]) for row in result["table"]] == [
        (item.code, item.name, item.color) for item in described.nomenclature.classes if item.code in (1, 3, 7, 10)
    ]
    pixels = []
    for split, path, *_ in found:
        if split == "train":
            with rasterio.open(path) as file:
                pixels.append(file.read().reshape(3, -1))
    train = np.concatenate(pixels, axis=1).astype(np.float64)
    for index, band in enumerate(described.bands):
        assert band.mean == pytest.approx(train[index].mean(), rel=1e-9)
        assert band.std == pytest.approx(train[index].std(), rel=1e-9)
        assert (band.minimum, band.maximum) == (0, 255)


def test_training_accepts_it(run, image, labels, tmp_path, recorder):
    result = run(image[0], labels[0])
    dataset = open_dataset(str(tmp_path / "ds"))
    index = index_patches(dataset, recorder, threading.Event())
    assert {split: len(pairs) for split, pairs in index.pairs.items()} == result["patches"]
    assert index.bands == ("red", "green", "blue")


def test_polygons(run, image, tmp_path, recorder):
    codes = np.full((HEIGHT, WIDTH), 10, np.uint8)
    features, values = [box(ORIGIN, 0, 0, HEIGHT, WIDTH)], ["herbaceous vegetation"]
    for row, column in itertools.product(range(0, HEIGHT - 40, 40), range(0, WIDTH - 40, 40)):
        features.append(box(ORIGIN, row, column, 20, 20))
        values.append("Building" if (row + column) % 80 else "water")
        codes[row : row + 20, column : column + 20] = 1 if (row + column) % 80 else 5
    path = write_features(tmp_path / "labels.gpkg", features, **{"class": values, "id": list(range(len(values)))})
    result = run(image[0], path)
    check(tmp_path / "ds", image[1], codes)
    assert [row["code"] for row in result["table"]] == [1, 5, 10]
    assert any("the smaller polygon lies on top" in text for text in recorder.warnings)


def test_no_block_is_divided_and_the_same_seed_gives_the_same(run, image, labels, tmp_path):
    run(image[0], labels[0], block=2)
    found = patches(tmp_path / "ds")
    blocks = {}
    zones = {}
    for split, path, _, row, column in found:
        block = (row // 128, column // 128)
        assert blocks.setdefault(block, split) == split
        assert zones.setdefault(block, path.parts[-3]) == path.parts[-3]
    assert len(blocks) == 12
    assert len(set(zones.values())) == 12
    run(image[0], labels[0], block=2, output=str(tmp_path / "again"))
    run(image[0], labels[0], block=2, output=str(tmp_path / "other"), seed=1)
    texts = {name: (tmp_path / name / "val.csv").read_text() for name in ("ds", "again", "other")}
    assert texts["ds"] == texts["again"]
    assert texts["ds"] != texts["other"]


@pytest.mark.parametrize("overlap", [1, 16, 32, 48])
def test_overlapping_patches_of_different_splits_share_no_pixel(run, image, labels, tmp_path, overlap, recorder):
    result = run(image[0], labels[0], overlap=overlap)
    found = check(tmp_path / "ds", image[1], labels[1])
    owner = np.full((HEIGHT, WIDTH), -1)
    for split, _, _, row, column in found:
        part = owner[row : row + 64, column : column + 64]
        assert set(np.unique(part)) <= {-1, SPLITS.index(split)}
        part[:] = SPLITS.index(split)
    assert min(result["patches"].values()) > 0
    assert any("would share pixels" in text for text in recorder.logs)


def test_only_patches_with_enough_labels(run, image, tmp_path, recorder):
    codes = np.zeros((HEIGHT, WIDTH), np.uint8)
    codes[:192, :256] = squares(192, 256)
    codes[256:260, 256:260] = 7
    codes[320:, :] = 19
    path = tiny.write(tmp_path / "labels.tif", codes[None], transform=ORIGIN)
    run(image[0], path)
    found = check(tmp_path / "ds", image[1], codes)
    # What is never learnt is no label worth a patch.
    assert {(row, column) for *_, row, column in found} == {(r * 64, c * 64) for r in range(3) for c in range(4)}
    assert any("1 patches with less than 10% of their pixels labelled" in text for text in recorder.logs)
    run(image[0], path, labelled=0.0, output=str(tmp_path / "all"))
    assert len(patches(tmp_path / "all")) == 13


def test_an_area(run, image, labels, tmp_path):
    area = write_features(tmp_path / "area.gpkg", [shapely.box(650000, 6860000 - 30, 650000 + 40, 6860000)])
    run(image[0], labels[0], area=area)
    codes = labels[1].copy()
    codes[150:] = 0
    codes[:, 200:] = 0
    check(tmp_path / "ds", image[1], codes)


def test_a_mosaic_with_masks_that_carry_no_crs(run, image, labels, tmp_path, recorder):
    names = {"image": [], "mask": []}
    for index, column in enumerate(range(0, WIDTH, 133)):
        part = slice(column, column + 133)
        place = ORIGIN * Affine.translation(column, 0)
        names["image"].append(tiny.write(tmp_path / f"i{index}.tif", image[1][:, :, part], transform=place))
        names["mask"].append(
            tiny.write(tmp_path / f"m{index}.tif", labels[1][None, :, part], transform=place, crs=None)
        )
    run(names["image"], names["mask"])
    assert len(check(tmp_path / "ds", image[1], labels[1])) == 48
    assert any("4 label rasters are without a CRS" in text for text in recorder.logs)


def test_invalid_pixels_are_0_and_without_a_label(run, labels, tmp_path, recorder):
    pixels = tiny.smooth(3, HEIGHT, WIDTH, dtype="float32")
    pixels[1, 10:20, 10:30] = np.nan
    pixels[2, 100:110, 100:110] = np.inf
    path = tiny.write(tmp_path / "i.tif", pixels, transform=ORIGIN)
    run(path, labels[0])
    codes = labels[1].copy()
    for place in ((slice(10, 20), slice(10, 30)), (slice(100, 110), slice(100, 110))):
        pixels[:, place[0], place[1]] = 0
        codes[place] = 0
    check(tmp_path / "ds", pixels, codes)
    assert any("300 pixels of the patches" in text and "no data" in text for text in recorder.warnings)
    described = DatasetFile.read(tmp_path / "ds" / "dataset.yaml")
    assert all(np.isfinite([band.mean, band.std]).all() and band.minimum > 10 for band in described.bands)


@pytest.mark.parametrize("kind", ["alpha", "mask", "nodata"])
def test_alpha_mask_and_nodata_tell_what_is_invalid(run, labels, tmp_path, kind):
    pixels = tiny.smooth(3, HEIGHT, WIDTH)
    hole = (slice(30, 90), slice(40, 50))
    valid = np.full((HEIGHT, WIDTH), 255, np.uint8)
    valid[hole] = 0
    options = {}
    array = pixels
    if kind == "alpha":
        array = np.concatenate([pixels, valid[None]])
        options["interpretation"] = ("red", "green", "blue", "alpha")
    elif kind == "mask":
        options["mask"] = valid
    else:
        array = pixels.copy()
        array[:, hole[0], hole[1]] = 255
        options["nodata"] = 255
    run(tiny.write(tmp_path / "i.tif", array, transform=ORIGIN, **options), labels[0])
    codes = labels[1].copy()
    codes[hole] = 0
    pixels[:, hole[0], hole[1]] = 0
    check(tmp_path / "ds", pixels, codes)
    with rasterio.open(patches(tmp_path / "ds")[0][1]) as file:
        assert file.count == 3


def test_classes_of_ones_own(run, image, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        'name: mine\nclasses:\n  - {code: 1, name: roof, color: "#cc0000"}\n  - {code: 2, name: garden}\n'
    )
    codes = squares(codes=(0, 4, 5, 6))
    path = tiny.write(tmp_path / "labels.tif", codes[None], transform=ORIGIN)
    result = run(image[0], path, nomenclature=str(tmp_path / "mine.yaml"), classes="4=roof,5=2,6=0")
    table = np.zeros(256, np.uint8)
    table[[4, 5]] = 1, 2
    check(tmp_path / "ds", image[1], table[codes])
    assert [(row["code"], row["name"]) for row in result["table"]] == [(1, "roof"), (2, "garden")]
    described = DatasetFile.read(tmp_path / "ds" / "dataset.yaml")
    assert described.nomenclature.name == "mine"
    assert described.source["classes"] == {"4": 1, "5": 2, "6": 0}


def test_splits_that_are_not_asked_for(run, image, labels, tmp_path):
    result = run(image[0], labels[0], test_share=0)
    assert result["patches"]["test"] == 0
    assert (tmp_path / "ds" / "test.csv").read_text() == ""
    assert open_dataset(str(tmp_path / "ds")).splits.keys() == {"train", "val"}


def test_gaps_and_single_classes_are_warned_of(run, image, tmp_path, recorder):
    codes = np.full((HEIGHT, WIDTH), 10, np.uint8)
    codes[70:80, 70:80] = 5
    run(image[0], tiny.write(tmp_path / "a.tif", codes[None], transform=ORIGIN))
    assert any("No pixel of 5 water is in" in text and "1 block holds" in text for text in recorder.warnings)
    codes[:] = 10
    run(image[0], tiny.write(tmp_path / "b.tif", codes[None], transform=ORIGIN), output=str(tmp_path / "b"))
    assert any("Only one class occurs, 10 herbaceous vegetation" in text for text in recorder.warnings)


def write_bad(folder):
    good = tiny.smooth(3, 256, 256)
    codes = squares(256, 256)
    tiny.write(folder / "good.tif", good)
    tiny.write(folder / "codes.tif", codes[None])
    tiny.write(folder / "four.tif", np.concatenate([good, good[:1]]), photometric="minisblack", alpha="no")
    tiny.write(folder / "gray.tif", good[:1])
    tiny.write(folder / "nocrs.tif", good, crs=None)
    tiny.write(folder / "unknown.tif", np.where(codes == 3, 77, codes)[None].astype(np.uint8))
    tiny.write(folder / "far.tif", codes[None], transform=ORIGIN * Affine.translation(5000, 0))
    tiny.write(folder / "zero.tif", np.zeros((1, 256, 256), np.uint8))
    few = np.zeros((1, 256, 256), np.uint8)
    few[0, :10, :10] = 7
    tiny.write(folder / "few.tif", few)
    one = np.zeros((1, 256, 256), np.uint8)
    one[0, :128, :64] = 7
    tiny.write(folder / "two patches.tif", one)
    tiny.write(folder / "nothing.tif", np.full((3, 256, 256), 9, np.uint8), nodata=9)
    write_features(folder / "far.gpkg", [box(ORIGIN, 0, 9000, 50, 50)], code=[7])
    write_features(folder / "names.gpkg", [box(ORIGIN, 0, 0, 256, 256)], art=["Wald"], klasse=["Wald"])
    write_features(folder / "lines.gpkg", [shapely.LineString([(650000, 6860000), (650010, 6859990)])], code=[7])
    (folder / "text.gpkg").write_text("I am no labels.")
    (folder / "empty.tif").touch()
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").touch()


# name: (options, exit code, texts that the message must hold)
BAD = {
    "missing image": ({"image": "none.tif"}, 3, ["none.tif"]),
    "empty image": ({"image": "empty.tif"}, 3, ["empty.tif", "is empty"]),
    "missing labels": ({"labels": "none.gpkg"}, 3, ["no file 'none.gpkg'", "labels"]),
    "empty labels": ({"labels": "empty.tif"}, 3, ["empty.tif", "is empty"]),
    "labels that are none": ({"labels": "text.gpkg"}, 3, ["text.gpkg", "neither polygons nor a raster"]),
    "labels of both kinds": ({"labels": ["far.gpkg", "codes.tif"]}, 3, ["one kind"]),
    "labels elsewhere": ({"labels": "far.tif"}, 3, ["far.tif", "outside the image"]),
    "polygons elsewhere": ({"labels": "far.gpkg"}, 3, ["No polygon", "inside the image"]),
    "lines as labels": ({"labels": "lines.gpkg"}, 3, ["holds no polygons"]),
    "no labels inside": ({"labels": "zero.tif"}, 3, ["No patch holds"]),
    "too few labels": ({"labels": "few.tif"}, 3, ["less than 10%", "2.4%", "--labelled"]),
    "too few patches": ({"labels": "two patches.tif"}, 3, ["too few for 3 splits", "--patch-size"]),
    "image without data": ({"image": "nothing.tif"}, 3, ["No patch holds"]),
    "image as labels": ({"labels": "good.tif"}, 3, ["3 bands", "colours"]),
    "unknown codes": ({"labels": "unknown.tif"}, 3, ["77 (", "pixels)", "--classes", "0 leaves a class out"]),
    "no field": ({"labels": "names.gpkg"}, 3, ["--class-field", "art, klasse"]),
    "field that is not there": ({"labels": "names.gpkg", "class_field": "klass"}, 3, ["Did you mean 'klasse'"]),
    "unknown names": ({"labels": "names.gpkg", "class_field": "art"}, 3, ["'wald' (1 polygons)", "--classes"]),
    "bad mapping": ({"classes": "7=tree"}, 2, ["'tree'", "1 building"]),
    "no such nomenclature": ({"nomenclature": "flare"}, 4, ["flare", "flair"]),
    "image without CRS": ({"image": "nocrs.tif"}, 3, ["no CRS", "--crs"]),
    "unknown bands": ({"image": "gray.tif"}, 3, ["1 band of gray.tif", "--bands"]),
    "band that is not there": ({"bands": {"red": 9}}, 3, ["Band 9"]),
    "images of different bands": ({"image": ["good.tif", "four.tif"]}, 3, ["number of bands: 3 and 4"]),
    "image too small": ({"patch_size": 512}, 3, ["smaller than a patch", "--patch-size: 256"]),
    "area elsewhere": ({"area": "far.gpkg"}, 3, ["outside the image"]),
    "output there": ({"output": "full"}, 5, ["exists already", "--overwrite"]),
    "output of somebody": ({"output": "full", "overwrite": True}, 5, ["mine.txt", "not replaced"]),
    "output is a file": ({"output": "good.tif"}, 5, ["is a file"]),
    "folder of output missing": ({"output": "no/ds"}, 5, ["does not exist"]),
    "output holds the image": ({"output": ".", "overwrite": True}, 3, ["lies in the output folder"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad_inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    write_bad(folder)
    return folder


@pytest.mark.parametrize("name", BAD)
def test_bad_input(bad_inputs, monkeypatch, recorder, name):
    options, code, told = BAD[name]
    monkeypatch.chdir(bad_inputs)
    before = sorted(os.listdir())
    values = {"image": "good.tif", "labels": "codes.tif", "output": "ds", "patch_size": 64, **options}
    with pytest.raises(EngineError) as caught:
        extract_patches.run(ExtractPatchesRequest.model_validate(values), recorder, threading.Event())
    assert caught.value.exit_code == code, str(caught.value)
    assert all(part in str(caught.value) for part in told), str(caught.value)
    assert caught.value.hint
    assert sorted(os.listdir()) == before


def test_a_damaged_image_leaves_nothing(run, labels, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (3, HEIGHT, WIDTH)).astype(np.uint8)
    path = tiny.write(tmp_path / "i.tif", noise, compress="deflate", transform=ORIGIN)
    content = bytearray((tmp_path / "i.tif").read_bytes())
    content[200_000:-2000] = bytes(len(content) - 202_000)
    (tmp_path / "i.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"i.tif.*damaged"):
        run(path, labels[0])
    assert sorted(os.listdir(tmp_path)) == ["i.tif", "labels.tif"]


def test_a_full_disk_leaves_nothing(run, image, labels, tmp_path, monkeypatch):
    written = []

    def write(path, content):
        written.append(path)
        if len(written) > 20:
            raise OSError(28, os.strerror(28))
        path.write_bytes(content)

    monkeypatch.setattr("engine.extraction.dataset_folder.write_whole", write)
    with pytest.raises(OutputError, match="disk is full"):
        run(image[0], labels[0])
    assert sorted(os.listdir(tmp_path)) == ["labels.tif", "ortho_2021.tif"]


class StopsAt:
    """A reporter that cancels at a share of the work."""

    def __init__(self, recorder, cancelled, share):
        self._recorder, self._cancelled, self._share = recorder, cancelled, share

    def __getattr__(self, name):
        return getattr(self._recorder, name)

    def progress(self, fraction, text="", eta=None):
        if fraction >= self._share:
            self._cancelled.set()


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_cancelled_and_gone_on_with(run, image, labels, tmp_path, recorder, share):
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        run(image[0], labels[0], cancelled=cancelled, reporter=StopsAt(recorder, cancelled, share))
    assert not (tmp_path / "ds").exists()
    assert left_behind(tmp_path) == ([".ds.partial"] if share > 0.3 else [])
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / ".ds.partial").rglob("*.tif")}
    run(image[0], labels[0])
    assert left_behind(tmp_path) == []
    assert len(check(tmp_path / "ds", image[1], labels[1])) == 48
    for path, changed in done.items():
        kept = tmp_path / "ds" / path.relative_to(tmp_path / ".ds.partial" / "data")
        assert kept.stat().st_mtime_ns == changed
    run(image[0], labels[0], output=str(tmp_path / "whole"))
    texts = [(tmp_path / name / "dataset.yaml").read_text().split("\n", 2)[2] for name in ("ds", "whole")]
    assert texts[0] == texts[1]


def test_an_existing_data_set_survives_a_run_that_fails(run, image, labels, tmp_path, recorder):
    run(image[0], labels[0])
    before = (tmp_path / "ds" / "dataset.yaml").read_bytes()
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        run(
            image[0], labels[0], overwrite=True, seed=3, cancelled=cancelled,
            reporter=StopsAt(recorder, cancelled, 0.6),
        )  # fmt: skip
    assert (tmp_path / "ds" / "dataset.yaml").read_bytes() == before
    run(image[0], labels[0], overwrite=True, seed=3)
    assert (tmp_path / "ds" / "dataset.yaml").read_bytes() != before
    assert left_behind(tmp_path) == []


def test_killed_and_gone_on_with_from_the_command_line(image, labels, tmp_path):
    pixels = tiny.smooth(3, 1280, 1280)
    codes = squares(1280, 1280)
    paths = tiny.write(tmp_path / "i.tif", pixels), tiny.write(tmp_path / "l.tif", codes[None])
    output = tmp_path / "ds"
    arguments = ["extract-patches", "--image", paths[0], "--labels", paths[1], "--patch-size", "64", "--output", output]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", *map(str, arguments)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=tiny.engine_environment(),
    )  # fmt: skip
    journal = tmp_path / ".ds.partial" / "journal.jsonl"
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None and not (journal.is_file() and journal.stat().st_size):
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not output.exists()
    done = tiny.engine(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Going on with an interrupted run" in done.stderr
    assert "dataset: " in done.stdout
    assert len(check(output, pixels, codes)) == 400
    again = tiny.engine(*arguments)
    assert again.returncode == 5
    assert "exists already" in again.stderr
