from __future__ import annotations

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from engine.data import folder_check, patch_index
from engine.data.dataset import Dataset, open_dataset
from engine.data.pairs import Pair
from engine.data.patch_index import index_patches
from engine.errors import Cancelled, InputError
from tests.engine import tiny
from tests.engine.labelled_patches import painted, stripes, write_dataset, write_pair


def index(dataset, recorder, share=1.0):
    return index_patches(dataset, recorder, threading.Event(), share)


def small(tmp_path, masks, images=None):
    """Return a data set of given masks, the last of which is for validation."""
    pairs = []
    for number, mask in enumerate(masks):
        image = painted(mask.astype(np.uint8)) if images is None else images[number]
        write_pair(tmp_path, f"p{number}", image, mask)
        pairs.append(Pair(tmp_path / "img" / f"p{number}.tif", tmp_path / "msk" / f"p{number}.tif"))
    splits = {"train": tuple(pairs[:-1]), "val": tuple(pairs[-1:])}
    return Dataset("small", splits, tiny.TINY_CLASSES, (0,))


def problems(dataset, recorder):
    with pytest.raises(InputError) as caught:
        index(dataset, recorder)
    return caught.value


def test_pixels_are_counted_by_code_and_split(tmp_path, recorder):
    masks = [np.zeros((32, 32), dtype=np.uint8) for _ in range(3)]
    masks[0][:4] = 7
    masks[0][4:6, :16] = 250
    masks[1][:, :3] = 5
    masks[2][0, 0] = 1
    found = index(small(tmp_path, masks), recorder, share=0.25)
    assert {code: count for code, count in enumerate(found.pixels("train")) if count} == {
        0: 2 * 1024 - 128 - 32 - 96, 7: 128, 250: 32, 5: 96,
    }  # fmt: skip
    assert found.counts["train"].shape == (2, 256)
    assert (found.counts["train"][0, 7], found.counts["train"][1, 7]) == (128, 0)
    assert found.pixels("val")[1] == 1
    assert (found.smallest, found.largest, found.bands) == ((32, 32), (32, 32), ("red", "green", "blue"))
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 0.25


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32"])
def test_masks_of_wider_types_count_alike(tmp_path, recorder, dtype):
    mask = stripes(32)
    found = index(small(tmp_path, [mask.astype(dtype), mask]), recorder)
    assert (found.pixels("train") == found.pixels("val")).all()


def test_sizes_may_differ_between_patches(tmp_path, recorder):
    found = index(small(tmp_path, [stripes(32), stripes(64)[:40], stripes(48)[:, :33]]), recorder)
    assert found.smallest == (32, 32)
    assert found.largest == (48, 64)


def test_all_problems_are_listed_at_once(tmp_path, recorder):
    mask = stripes(32)
    images = [painted(mask) for _ in range(9)]
    images[4] = np.concatenate([images[4], images[4][:1]])
    images[5] = images[5].astype(np.float32)
    masks = [mask.copy() for _ in range(9)]
    masks[1] = masks[1][:20]
    masks[2][0, :2] = 8, 77
    masks[3] = masks[3].astype(np.int16)
    masks[3][0, 0] = 300
    masks[6] = masks[6].astype(np.float32)
    dataset = small(tmp_path, masks, images)
    (tmp_path / "msk" / "p7.tif").write_bytes(b"no raster")
    missing = Pair(tmp_path / "img" / "gone.tif", tmp_path / "msk" / "p0.tif")
    train = (*dataset.splits["train"], missing)
    val = (*dataset.splits["val"], dataset.splits["train"][0])
    error = problems(replace(dataset, splits={"train": train, "val": val}), recorder)
    assert error.message.startswith("9 problems were found in the data set 'small'")
    for text in (
        f"missing image: {tmp_path}/img/gone.tif", "sizes differ: p1.tif 32 x 32, p1.tif 32 x 20",
        "p2.tif holds values outside the nomenclature: 8, 77", "p3.tif holds values outside 0 to 255: ",
        "p4.tif has 4 bands, the first image 3", "p5.tif is of type float32, the first image of type uint8",
        "p6.tif holds float32 values, not class codes", "p7.tif' cannot be read",
        "p0.tif stands both in train and in val",
    ):  # fmt: skip
        assert text in error.message
    assert "--root" in error.hint
    assert "codes 7, 3, 250, 5, 1" in error.hint


def test_one_problem_is_told_in_the_singular_and_without_idle_hints(tmp_path, recorder):
    dataset = small(tmp_path, [stripes(32), stripes(32)])
    error = problems(replace(dataset, splits={**dataset.splits, "test": dataset.splits["train"]}), recorder)
    assert error.message.startswith("1 problem was found")
    assert "stands both in train and in test" in error.message
    assert error.hint == ""


def test_a_patch_under_another_name_is_still_the_same(tmp_path, recorder):
    dataset = small(tmp_path, [stripes(32), stripes(32)])
    pair = dataset.splits["train"][0]
    again = Pair(tmp_path / "img" / ".." / "img" / "p0.tif", pair.mask)
    assert (
        "both in train and in val"
        in problems(replace(dataset, splits={"train": (pair,), "val": (again,)}), recorder).message
    )


def test_long_lists_are_cut_off_with_a_count(tmp_path, recorder):
    gone = tuple(Pair(tmp_path / f"{n}.tif", tmp_path / f"{n}_mask.tif") for n in range(30))
    error = problems(Dataset("gone", {"train": gone[:29], "val": gone[29:]}, tiny.TINY_CLASSES, (0,)), recorder)
    assert error.message.count("missing image") == 20
    assert "and 10 more" in error.message
    assert error.message.startswith("30 problems")


def test_bands_by_other_names_are_a_problem(tmp_path, recorder):
    dataset = small(tmp_path, [stripes(32)] * 3)
    for number, names in enumerate((("red", "green", "blue"), ("infrared", "red", "green"), (None, None, None))):
        with rasterio.open(tmp_path / "img" / f"p{number}.tif", "r+") as file:
            file.descriptions = names
    error = problems(dataset, recorder)
    assert error.message.startswith("1 problem")
    assert "p1.tif has the bands ('infrared', 'red', 'green')" in error.message


def test_codes_that_are_ignored_may_be_strange(tmp_path, recorder):
    mask = stripes(32)
    mask[:2] = 255
    dataset = small(tmp_path, [mask, stripes(32)])
    assert "nomenclature: 255" in problems(dataset, recorder).message
    assert index(replace(dataset, ignored=(0, 255)), recorder).pixels("train")[255] == 64


def test_names_of_bands_have_to_fit(tmp_path, recorder):
    dataset = replace(small(tmp_path, [stripes(32)] * 2), bands=("red", "green"))
    with pytest.raises(InputError, match="names 2 bands, but its images have 3"):
        index(dataset, recorder)
    assert index(replace(dataset, bands=("a", "b", "c")), recorder).bands == ("a", "b", "c")


def test_a_fingerprint_follows_the_classes_and_not_the_place(tmp_path, recorder):
    data = write_dataset(tmp_path / "here", (3, 1, 0))
    first = index(open_dataset(str(data)), recorder).fingerprint
    shutil.copytree(tmp_path / "here", tmp_path / "far" / "away")
    moved = open_dataset(str(tmp_path / "far" / "away" / "data.yaml"))
    assert index(moved, recorder).fingerprint == first
    other = {"train": moved.splits["train"][:2], "val": (moved.splits["train"][2],)}
    assert index(replace(moved, splits=other), recorder).fingerprint != first
    mask = stripes(32, shift=1)
    write_pair(tmp_path / "far" / "away", "p00", painted(mask), np.where(mask == 7, 3, mask).astype(np.uint8))
    assert index(moved, recorder).fingerprint != first


def test_cancelling_stops_before_the_next_files(tmp_path, recorder, monkeypatch):
    monkeypatch.setattr(folder_check, "_BATCH", 2)
    looked = []
    look = patch_index._look
    monkeypatch.setattr(patch_index, "_look", lambda pair, allowed: looked.append(pair) or look(pair, allowed))
    dataset = open_dataset(str(write_dataset(tmp_path, (6, 2, 0))))
    wish = threading.Event()
    recorder.progress = lambda fraction, text="", eta=None: wish.set() if fraction >= 0.5 else None
    with pytest.raises(Cancelled):
        index_patches(dataset, recorder, wish)
    assert len(looked) == 4
