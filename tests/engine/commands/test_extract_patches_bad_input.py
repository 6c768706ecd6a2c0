"""Bad images, labels and outputs: each is one clear sentence with the way out, and leaves no file behind."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import shapely
from affine import Affine

from engine.commands import extract_patches
from engine.errors import EngineError
from engine.requests import ExtractPatchesRequest
from tests.engine import tiny
from tests.engine.patch_sets import ORIGIN, squares
from tests.engine.vectors import box, write_features


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
