from __future__ import annotations

import pytest
import yaml

from engine.band import Band
from engine.data.dataset import open_dataset
from engine.data.dataset_file import DatasetFile
from engine.errors import EngineError, InputError
from tests.engine import tiny


@pytest.fixture
def lists(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.csv").write_text(f"{split}.tif,{split}_mask.tif\n")
    return tmp_path


def described(folder, **values):
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"train": "train.csv", "val": "val.csv", **values}))
    return str(path)


def test_a_folder_of_lists_is_of_flairs_classes(lists):
    dataset = open_dataset(str(lists))
    assert dataset.name == lists.name
    assert {split: pairs[0].image for split, pairs in dataset.splits.items()} == {
        split: lists / f"{split}.tif" for split in ("train", "val", "test")
    }
    assert dataset.nomenclature.name == "flair"
    assert len(dataset.nomenclature.classes) == 19
    assert dataset.ignored == (0, 19)
    assert dataset.described is None
    assert (dataset.bands, dataset.ground_sampling_distance) == (None, None)


def test_a_folder_that_describes_itself(lists):
    bands = (Band("red", 100.0, 20.0), Band("infrared", 90.0, 30.0))
    file = DatasetFile("mine", bands, tiny.TINY_CLASSES, 0.25, 64, (0, 5))
    (lists / "dataset.yaml").write_text(file.to_yaml())
    for data in (lists, lists / "dataset.yaml"):
        dataset = open_dataset(str(data))
        assert dataset.described == file
        assert dataset.bands == ("red", "infrared")
        assert (dataset.name, dataset.ignored, dataset.ground_sampling_distance) == ("mine", (0, 5), 0.25)
        assert dataset.nomenclature == tiny.TINY_CLASSES


def test_a_file_that_names_lists(lists):
    (lists / "classes.yaml").write_text(yaml.safe_dump(tiny.TINY_CLASSES.to_dict()))
    (lists / "more").mkdir()
    path = described(
        lists, nomenclature="classes.yaml", ignored=[0, 5], bands=["infrared", "red"], root="more",
        ground_sampling_distance=0.5, name="Town",
    )  # fmt: skip
    dataset = open_dataset(path)
    assert set(dataset.splits) == {"train", "val"}
    assert dataset.splits["train"][0].image == lists / "more" / "train.tif"
    assert dataset.nomenclature == tiny.TINY_CLASSES
    assert (dataset.name, dataset.ignored, dataset.ground_sampling_distance) == ("Town", (0, 5), 0.5)
    assert dataset.bands == ("infrared", "red")
    assert open_dataset(path, str(lists)).splits["val"][0].image == lists / "val.tif"


def test_bands_may_be_one_text(lists):
    assert open_dataset(described(lists, bands="red, green,blue")).bands == ("red", "green", "blue")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trian": "x"}, "unknown keys: trian"),
        ({"train": None}, "names no lists 'train' and 'val'"),
        ({"val": "nowhere.csv"}, "no list 'nowhere.csv'"),
        ({"test": "nowhere.csv"}, "no list 'nowhere.csv'"),
        ({"ignored": 5}, "not usable"),
        ({"ignored": None}, "not usable"),
        ({"ignored": [0, 300]}, "300 is no class code"),
        ({"ignored": [-1]}, "-1 is no class code"),
        ({"ground_sampling_distance": 0}, "ground sampling distance of 0.0 m"),
        ({"ground_sampling_distance": "coarse"}, "not usable"),
        ({"bands": 3}, "not usable"),
        ({"nomenclature": "fliar"}, "no nomenclature 'fliar'"),
        ({"nomenclature": "nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_mistakes_in_a_file_are_named(lists, values, message):
    with pytest.raises(EngineError, match=message):
        open_dataset(described(lists, **values))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "train: [", "val: val.csv\n"])
def test_files_that_name_no_lists(lists, text):
    (lists / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=r"names no lists|cannot be read"):
        open_dataset(str(lists / "mine.yaml"))


def test_what_is_no_data_set(lists):
    with pytest.raises(InputError, match="There is no data set"):
        open_dataset(str(lists / "nowhere"))
    with pytest.raises(InputError, match="neither a folder nor a YAML file"):
        open_dataset(str(lists / "train.csv"))
    with pytest.raises(InputError, match="is not a folder"):
        open_dataset(str(lists), str(lists / "train.csv"))
    (lists / "train.csv").unlink()
    with pytest.raises(InputError, match=r"no list 'train\.csv'"):
        open_dataset(str(lists))


def test_an_empty_validation_is_an_error_and_an_empty_test_is_not(lists):
    (lists / "test.csv").write_text("")
    assert set(open_dataset(str(lists)).splits) == {"train", "val"}
    (lists / "val.csv").write_text("")
    with pytest.raises(InputError, match="nothing would say how good"):
        open_dataset(str(lists))
