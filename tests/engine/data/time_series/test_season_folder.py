from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import rasterio

from engine.data.time_series.season_folder import SENTINEL_2, SeasonFolder, band_name
from engine.data.time_series.season_index import index_seasons
from engine.data.time_series.series import TimeSeries
from engine.errors import Cancelled, InputError
from tests.engine.data.time_series.test_date_folder import PATCH, aligned, numbered, write
from tests.engine.data.time_series.test_super_patch import area


def described(path, names, **options):
    write(path, numbered(bands=len(names)), aligned(), **options)
    with rasterio.open(path, "r+") as file:
        file.descriptions = names
    return path.parent


@pytest.mark.parametrize(
    ("text", "name"), [("B2", "B02"), ("b08", "B08"), ("B8a", "B8A"), (" B11 ", "B11"), ("Red edge", "Red edge")]
)
def test_bands_have_one_name_however_they_are_written(text, name):
    assert band_name(text) == name


def test_names_of_bands_are_those_of_the_files_or_those_of_flair(tmp_path):
    for folder in ("named", "ten", "two"):
        (tmp_path / folder).mkdir()
    assert SeasonFolder.open(str(described(tmp_path / "named" / "20210403.tif", ("B4", "B08")))).bands == ("B04", "B08")
    assert SeasonFolder.open(str(described(tmp_path / "ten" / "20210403.tif", ("",) * 10))).bands == SENTINEL_2
    # A name twice names nothing.
    folder = described(tmp_path / "two" / "20210403.tif", ("B04", "b4"))
    assert SeasonFolder.open(str(folder)).bands == ("band 1", "band 2")


def test_bands_are_read_in_the_order_asked_for(tmp_path):
    (tmp_path / "s").mkdir()
    folder = SeasonFolder.open(str(described(tmp_path / "s" / "20210403.tif", ("B02", "B03", "B04"))))
    write(tmp_path / "p.tif", np.zeros((1, 512, 512), np.uint8), PATCH)
    options = {"ratio": 51.2, "side": 16}
    every = folder.of([tmp_path / "p.tif"], bands=("B02", "B03", "B04"), **options).read(0)
    some = folder.of([tmp_path / "p.tif"], bands=("B4", "B02"), **options).read(0)
    assert (some.pixels == every.pixels[:, [2, 0]]).all()
    with pytest.raises(InputError, match=r"hold the bands B02, B03, B04, not B8A"):
        folder.channels(("B02", "B8A"))
    with pytest.raises(InputError, match="not B02, B02"):
        folder.channels(("B02", "B2"))


def test_centres_are_found_in_the_folder_or_beside_it(tmp_path):
    area(tmp_path / "sen" / "D1_2020" / "Z1" / "sen")
    with pytest.raises(InputError, match="Nothing says where the patches lie"):
        SeasonFolder.open(str(tmp_path / "sen"))
    (tmp_path / "centroids.json").write_text(json.dumps({"IMG_1.tif": [30, 40]}))
    folder = SeasonFolder.open(str(tmp_path / "sen"))
    assert folder.centroids == {"IMG_1.tif": (30, 40)}
    assert folder.bands == SENTINEL_2
    (tmp_path / "my_centroids.json").write_text("{}")
    with pytest.raises(InputError, match=r"2 lists of centres: centroids\.json, my_centroids\.json"):
        SeasonFolder.open(str(tmp_path / "sen"))
    assert SeasonFolder.open(str(tmp_path / "sen"), str(tmp_path / "my_centroids.json")).centroids == {}


def test_a_fingerprint_goes_by_the_files(tmp_path):
    (tmp_path / "s").mkdir()
    described(tmp_path / "s" / "20210403.tif", ("B02",))
    first = SeasonFolder.open(str(tmp_path / "s")).fingerprint
    (tmp_path / "s").rename(tmp_path / "moved")
    assert SeasonFolder.open(str(tmp_path / "moved")).fingerprint == first
    described(tmp_path / "moved" / "20210503.tif", ("B02",))
    assert SeasonFolder.open(str(tmp_path / "moved")).fingerprint != first


class Seasons:
    """Series by number; None stands for one that cannot be read."""

    def __init__(self, *items):
        self.items = items

    def read(self, index):
        if self.items[index] is None:
            raise InputError(f"Patch {index} has none.", "Get it.")
        return self.items[index]


def series(*values):
    """Return a series of one pixel and two bands a date, the second ten times the first."""
    pixels = np.array([[[[value]], [[10 * value]]] for value in values], np.float32).reshape(-1, 2, 1, 1)
    return TimeSeries(pixels, np.zeros(len(values), int), np.ones(len(values), int))


def test_statistics_are_those_of_all_dates_of_the_training_patches(recorder):
    sources = {"train": (Seasons(series(1, 3), series(), series(8)), 3), "val": (Seasons(series(100)), 1)}
    found = index_seasons(sources, ("a", "b"), recorder, threading.Event())
    assert [band.name for band in found.bands] == ["a", "b"]
    assert [band.mean for band in found.bands] == pytest.approx([4, 40])
    assert [band.std for band in found.bands] == pytest.approx([np.std([1, 3, 8]), 10 * np.std([1, 3, 8])])
    assert (found.bands[1].minimum, found.bands[1].maximum) == (10, 80)
    assert {split: dates.tolist() for split, dates in found.dates.items()} == {"train": [2, 0, 1], "val": [1]}
    assert recorder.warnings == [
        "1 of 3 train patches have no satellite image that shows all their ground; the aerial image alone answers for "
        "them."
    ]


def test_all_that_is_missing_is_listed_at_once(recorder):
    sources = {"train": (Seasons(series(1), None, None), 3), "val": (Seasons(None), 1)}
    with pytest.raises(
        InputError, match=r"3 patches have no usable season:\n.*Patch 1 has none.*\n.*Patch 2.*\n.*Patch 0"
    ):
        index_seasons(sources, ("a", "b"), recorder, threading.Event())
    with pytest.raises(InputError, match="No satellite image shows all the ground of a training patch"):
        index_seasons({"train": (Seasons(series()), 1)}, ("a", "b"), recorder, threading.Event())
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        index_seasons({"train": (Seasons(series(1)), 1)}, ("a", "b"), recorder, stop)
