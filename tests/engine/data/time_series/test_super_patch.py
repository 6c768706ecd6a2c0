from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pytest

from engine.data.time_series.aerial_metadata import read_aerial_metadata
from engine.data.time_series.days import days_to_mid_may
from engine.data.time_series.super_patch import SuperPatch, read_centroids, read_products
from engine.errors import InputError

DATES = ("0114", "0129", "0403", "0715")


def area(folder, dates=DATES, height=70, width=90, bands=10):
    """Write an area each pixel of which tells its date, band and place."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:height, :width]
    place = (rows * 100 + columns).astype(np.uint16)
    data = np.stack([np.stack([place + 10_000 * (t % 3) + band for band in range(bands)]) for t in range(len(dates))])
    masks = np.zeros((len(dates), 2, height, width), np.uint8)
    np.save(folder / "SEN2_sp_x_data.npy", data)
    np.save(folder / "SEN2_sp_x_masks.npy", masks)
    lines = [f"S2A_MSIL2A_2021{date}T105351_N0214_R051_T31TFJ" for date in dates]
    (folder / "SEN2_sp_x_products.txt").write_text("\n".join(lines) + "\n")
    return data, masks


def test_the_part_around_a_centre_is_cut_to_the_pixel(tmp_path):
    data, _ = area(tmp_path / "D004_2021" / "Z1_NN" / "sen")
    files = SuperPatch.find(tmp_path / "D004_2021" / "Z1_NN")
    for row, column in ((20, 20), (50, 70), (33, 41)):
        found = files.cut(row, column, monthly=False)
        assert found.pixels.shape == (4, 10, 40, 40)
        assert (found.pixels == data[:, :, row - 20 : row + 20, column - 20 : column + 20]).all()
        assert found.days.tolist() == [days_to_mid_may(int(text[:2]), int(text[2:])) for text in DATES]


@pytest.mark.parametrize(("row", "column"), [(19, 40), (40, 19), (51, 40), (40, 71)])
def test_a_part_that_is_not_all_there_is_refused(tmp_path, row, column):
    area(tmp_path)
    with pytest.raises(InputError, match="are not all in"):
        SuperPatch.find(tmp_path).cut(row, column)


def test_clouds_are_judged_by_the_part_that_is_cut(tmp_path):
    data, masks = area(tmp_path)
    masks[0, 1, :, :45] = 90
    masks[2, 0, :, 60:] = 90
    np.save(tmp_path / "SEN2_sp_x_masks.npy", masks)
    files = SuperPatch.find(tmp_path)
    assert files.cut(35, 22, monthly=False).months.tolist() == [1, 4, 7]
    assert files.cut(35, 70, monthly=False).months.tolist() == [1, 1, 7]
    assert files.cut(35, 22, clear_only=False, monthly=False).dates == 4
    monthly = files.cut(35, 50)
    assert monthly.months.tolist() == [1, 4, 7]
    part = (slice(None), slice(15, 55), slice(30, 70))
    assert np.allclose(monthly.pixels[0], data[:2].astype(float).mean(axis=0)[part])


def test_an_area_under_clouds_has_an_empty_season(tmp_path):
    _, masks = area(tmp_path)
    np.save(tmp_path / "SEN2_sp_x_masks.npy", np.full_like(masks, 100))
    found = SuperPatch.find(tmp_path).cut(35, 45)
    assert found.dates == 0
    assert found.pixels.shape == (0, 10, 40, 40)


def test_files_that_do_not_fit_are_named(tmp_path):
    area(tmp_path)
    (tmp_path / "SEN2_sp_x_products.txt").write_text("S2A_MSIL2A_20210114T105351\n")
    with pytest.raises(InputError, match=r"holds 4 dates of 70 x 90 .*products.txt' 1"):
        SuperPatch.find(tmp_path).cut(35, 45)
    np.save(tmp_path / "SEN2_sp_x_masks.npy", np.zeros((4, 3, 70, 90)))
    with pytest.raises(InputError, match="does not hold dates of 2 bands"):
        SuperPatch.find(tmp_path).cut(35, 45)
    (tmp_path / "SEN2_sp_x_data.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="cannot be read"):
        SuperPatch.find(tmp_path).cut(35, 45)
    (tmp_path / "SEN2_sp_x_data.npy").unlink()
    with pytest.raises(InputError, match=r"holds 0 files '\*data.npy'"):
        SuperPatch.find(tmp_path)


def test_objects_in_an_array_are_never_loaded(tmp_path):
    area(tmp_path)
    np.save(tmp_path / "SEN2_sp_x_data.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        SuperPatch.find(tmp_path).cut(35, 45)


def test_products(tmp_path):
    path = tmp_path / "products.txt"
    path.write_text("S2B_MSIL2A_20200229T1\nS2A_MSIL2A_20191231T1\n")
    assert read_products(path) == [(2, 29), (12, 31)]
    for text, said in (("S2A_MSIL2A_2021", "Line 1"), ("S2A_MSIL2A_20211350T1", "month 13")):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_products(path)


def test_centroids(tmp_path):
    path = tmp_path / "centroids.json"
    path.write_text(json.dumps({"IMG_000826.tif": [56, 85]}))
    assert read_centroids(path) == {"IMG_000826.tif": (56, 85)}
    for text in ("[1, 2]", "no json", '{"IMG_1.tif": 5}', '{"IMG_1.tif": [1]}'):
        path.write_text(text)
        with pytest.raises(InputError):
            read_centroids(path)


def test_aerial_metadata(tmp_path):
    path = tmp_path / "metadata.json"
    values = {
        "patch_centroid_x": 489353.59,
        "patch_centroid_y": 6587552.2,
        "patch_centroid_z": 48.08,
        "camera": "UCE-M3-f120-s06",
        "date": "2020-07-14",
        "time": "9h41",
    }
    path.write_text(json.dumps({"IMG_000826": values}))
    found = read_aerial_metadata(path)["IMG_000826"]
    assert found.taken == datetime(2020, 7, 14, 9, 41)
    assert (found.x, found.y, found.altitude, found.camera) == (489353.59, 6587552.2, 48.08, "UCE-M3-f120-s06")
    for change in ({"time": "noon"}, {"date": "14.7.2020"}, {"patch_centroid_z": None}):
        path.write_text(json.dumps({"IMG_1": {**values, **change}}))
        with pytest.raises(InputError, match="'IMG_1'"):
            read_aerial_metadata(path)
    path.write_text(json.dumps({"IMG_1": {}}))
    with pytest.raises(InputError, match="patch_centroid_x"):
        read_aerial_metadata(path)


def test_metadata_are_what_the_encoding_takes(tmp_path):
    from engine.data.time_series.aerial_metadata import AerialMetadata
    from engine.models.utt.metadata_encoding import WIDTH, encode_metadata

    metadata = AerialMetadata(489353.59, 6587552.2, 48.08, "UCE", datetime(2020, 7, 14, 9, 41))
    assert encode_metadata(**vars(metadata)).shape == (WIDTH,)
