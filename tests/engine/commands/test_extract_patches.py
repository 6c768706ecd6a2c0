"""From image and labels to a data set, in one process."""

from __future__ import annotations

import itertools
import json
import threading

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from engine.data.dataset import open_dataset
from engine.data.dataset_file import DatasetFile
from engine.data.patch_index import index_patches
from tests.engine import tiny
from tests.engine.interruptions import left_behind
from tests.engine.patch_sets import HEIGHT, ORIGIN, SPLITS, WIDTH, check, patches, squares
from tests.engine.vectors import box, write_features


def test_a_data_set_in_the_layout_of_flair(extract, image, labels, tmp_path, recorder):
    result = extract(image[0], labels[0])
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


def test_what_the_data_set_says_of_itself(extract, image, labels, tmp_path):
    result = extract(image[0], labels[0], seed=4)
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


def test_training_accepts_it(extract, image, labels, tmp_path, recorder):
    result = extract(image[0], labels[0])
    dataset = open_dataset(str(tmp_path / "ds"))
    index = index_patches(dataset, recorder, threading.Event())
    assert {split: len(pairs) for split, pairs in index.pairs.items()} == result["patches"]
    assert index.bands == ("red", "green", "blue")


def test_polygons(extract, image, tmp_path, recorder):
    codes = np.full((HEIGHT, WIDTH), 10, np.uint8)
    features, values = [box(ORIGIN, 0, 0, HEIGHT, WIDTH)], ["herbaceous vegetation"]
    for row, column in itertools.product(range(0, HEIGHT - 40, 40), range(0, WIDTH - 40, 40)):
        features.append(box(ORIGIN, row, column, 20, 20))
        values.append("Building" if (row + column) % 80 else "water")
        codes[row : row + 20, column : column + 20] = 1 if (row + column) % 80 else 5
    path = write_features(tmp_path / "labels.gpkg", features, **{"class": values, "id": list(range(len(values)))})
    result = extract(image[0], path)
    check(tmp_path / "ds", image[1], codes)
    assert [row["code"] for row in result["table"]] == [1, 5, 10]
    assert any("the smaller polygon lies on top" in text for text in recorder.warnings)


def test_no_block_is_divided_and_the_same_seed_gives_the_same(extract, image, labels, tmp_path):
    extract(image[0], labels[0], block=2)
    found = patches(tmp_path / "ds")
    blocks = {}
    zones = {}
    for split, path, _, row, column in found:
        block = (row // 128, column // 128)
        assert blocks.setdefault(block, split) == split
        assert zones.setdefault(block, path.parts[-3]) == path.parts[-3]
    assert len(blocks) == 12
    assert len(set(zones.values())) == 12
    extract(image[0], labels[0], block=2, output=str(tmp_path / "again"))
    extract(image[0], labels[0], block=2, output=str(tmp_path / "other"), seed=1)
    texts = {name: (tmp_path / name / "val.csv").read_text() for name in ("ds", "again", "other")}
    assert texts["ds"] == texts["again"]
    assert texts["ds"] != texts["other"]


@pytest.mark.parametrize("overlap", [1, 32, 40])
def test_overlapping_patches_of_different_splits_share_no_pixel(extract, image, labels, tmp_path, overlap, recorder):
    result = extract(image[0], labels[0], overlap=overlap)
    found = check(tmp_path / "ds", image[1], labels[1])
    owner = np.full((HEIGHT, WIDTH), -1)
    for split, _, _, row, column in found:
        part = owner[row : row + 64, column : column + 64]
        assert set(np.unique(part)) <= {-1, SPLITS.index(split)}
        part[:] = SPLITS.index(split)
    assert min(result["patches"].values()) > 0
    assert any("would share pixels" in text for text in recorder.logs)


def test_only_patches_with_enough_labels(extract, image, tmp_path, recorder):
    codes = np.zeros((HEIGHT, WIDTH), np.uint8)
    codes[:192, :256] = squares(192, 256)
    codes[256:260, 256:260] = 7
    codes[320:, :] = 19
    path = tiny.write(tmp_path / "labels.tif", codes[None], transform=ORIGIN)
    extract(image[0], path)
    found = check(tmp_path / "ds", image[1], codes)
    # What is never learnt is no label worth a patch.
    assert {(row, column) for *_, row, column in found} == {(r * 64, c * 64) for r in range(3) for c in range(4)}
    assert any("1 patches with less than 10% of their pixels labelled" in text for text in recorder.logs)
    extract(image[0], path, labelled=0.0, output=str(tmp_path / "all"))
    assert len(patches(tmp_path / "all")) == 13


def test_an_area(extract, image, labels, tmp_path):
    area = write_features(tmp_path / "area.gpkg", [shapely.box(650000, 6860000 - 30, 650000 + 40, 6860000)])
    extract(image[0], labels[0], area=area)
    codes = labels[1].copy()
    codes[150:] = 0
    codes[:, 200:] = 0
    check(tmp_path / "ds", image[1], codes)


def test_a_mosaic_with_masks_that_carry_no_crs(extract, image, labels, tmp_path, recorder):
    names = {"image": [], "mask": []}
    for index, column in enumerate(range(0, WIDTH, 133)):
        part = slice(column, column + 133)
        place = ORIGIN * Affine.translation(column, 0)
        names["image"].append(tiny.write(tmp_path / f"i{index}.tif", image[1][:, :, part], transform=place))
        names["mask"].append(
            tiny.write(tmp_path / f"m{index}.tif", labels[1][None, :, part], transform=place, crs=None)
        )
    extract(names["image"], names["mask"])
    assert len(check(tmp_path / "ds", image[1], labels[1])) == 48
    assert any("4 label rasters are without a CRS" in text for text in recorder.logs)


def test_invalid_pixels_are_0_and_without_a_label(extract, labels, tmp_path, recorder):
    pixels = tiny.smooth(3, HEIGHT, WIDTH, dtype="float32")
    pixels[1, 10:20, 10:30] = np.nan
    pixels[2, 100:110, 100:110] = np.inf
    path = tiny.write(tmp_path / "i.tif", pixels, transform=ORIGIN)
    extract(path, labels[0])
    codes = labels[1].copy()
    for place in ((slice(10, 20), slice(10, 30)), (slice(100, 110), slice(100, 110))):
        pixels[:, place[0], place[1]] = 0
        codes[place] = 0
    check(tmp_path / "ds", pixels, codes)
    assert any("300 pixels of the patches" in text and "no data" in text for text in recorder.warnings)
    described = DatasetFile.read(tmp_path / "ds" / "dataset.yaml")
    assert all(np.isfinite([band.mean, band.std]).all() and band.minimum > 10 for band in described.bands)


@pytest.mark.parametrize("kind", ["alpha", "mask", "nodata"])
def test_alpha_mask_and_nodata_tell_what_is_invalid(extract, labels, tmp_path, kind):
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
    extract(tiny.write(tmp_path / "i.tif", array, transform=ORIGIN, **options), labels[0])
    codes = labels[1].copy()
    codes[hole] = 0
    pixels[:, hole[0], hole[1]] = 0
    check(tmp_path / "ds", pixels, codes)
    with rasterio.open(patches(tmp_path / "ds")[0][1]) as file:
        assert file.count == 3


def test_classes_of_ones_own(extract, image, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        'name: mine\nclasses:\n  - {code: 1, name: roof, color: "#cc0000"}\n  - {code: 2, name: garden}\n'
    )
    codes = squares(codes=(0, 4, 5, 6))
    path = tiny.write(tmp_path / "labels.tif", codes[None], transform=ORIGIN)
    result = extract(image[0], path, nomenclature=str(tmp_path / "mine.yaml"), classes="4=roof,5=2,6=0")
    table = np.zeros(256, np.uint8)
    table[[4, 5]] = 1, 2
    check(tmp_path / "ds", image[1], table[codes])
    assert [(row["code"], row["name"]) for row in result["table"]] == [(1, "roof"), (2, "garden")]
    described = DatasetFile.read(tmp_path / "ds" / "dataset.yaml")
    assert described.nomenclature.name == "mine"
    assert described.source["classes"] == {"4": 1, "5": 2, "6": 0}


def test_splits_that_are_not_asked_for(extract, image, labels, tmp_path):
    result = extract(image[0], labels[0], test_share=0)
    assert result["patches"]["test"] == 0
    assert (tmp_path / "ds" / "test.csv").read_text() == ""
    assert open_dataset(str(tmp_path / "ds")).splits.keys() == {"train", "val"}


def test_gaps_and_single_classes_are_warned_of(extract, image, tmp_path, recorder):
    codes = np.full((HEIGHT, WIDTH), 10, np.uint8)
    codes[70:80, 70:80] = 5
    extract(image[0], tiny.write(tmp_path / "a.tif", codes[None], transform=ORIGIN))
    assert any("No pixel of 5 water is in" in text and "1 block holds" in text for text in recorder.warnings)
    codes[:] = 10
    extract(image[0], tiny.write(tmp_path / "b.tif", codes[None], transform=ORIGIN), output=str(tmp_path / "b"))
    assert any("Only one class occurs, 10 herbaceous vegetation" in text for text in recorder.warnings)
