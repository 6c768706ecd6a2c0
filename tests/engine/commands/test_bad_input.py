"""Bad input: each is one clear sentence with the way out, before torch is imported, and leaves no file behind.

All cases run one after another in one process of their own, which tells after each whether torch was imported.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from tests.engine import tiny

CATALOGUE = "FLAIR-INC_rgb_15cl_resnet34-unet"
RGBIE = "rgbie.safetensors"

# name: (options, exit code, texts that the message must hold)
CASES = {
    "missing image": ({"--input": "none.tif"}, 3, ["none.tif"]),
    "a folder": ({"--input": "folder"}, 3, ["folder"]),
    "not a raster": ({"--input": "text.tif"}, 3, ["text.tif"]),
    "empty file": ({"--input": "empty.tif"}, 3, ["empty.tif"]),
    "a vector file": ({"--input": "area.geojson"}, 3, ["area.geojson"]),
    "a page saved as image": ({"--input": "page.tif"}, 3, ["page.tif"]),
    "no CRS": ({"--input": "nocrs.tif"}, 3, ["no CRS", "--crs"]),
    "unknown CRS": ({"--input": "nocrs.tif", "--crs": "EPSG:999999"}, 2, ["EPSG:999999"]),
    "too few bands": ({"--input": "gray.tif"}, 3, ["red, green, blue", "gray.tif"]),
    "band that is not there": ({"--bands": "red=1,green=2,blue=9"}, 3, ["9"]),
    "unknown band name": ({"--bands": "rot=1,green=2,blue=3"}, 3, ["red"]),
    "no elevation": ({"--model": RGBIE}, 3, ["elevation"]),
    "elevation in metres over 255": ({"--model": RGBIE, "--input": "five.tif"}, 3, ["elevation", "5 * max(DSM - DTM"]),
    "reflectance": ({"--input": "reflectance.tif"}, 3, ["reflectances", "gdal_translate"]),
    "sixteen bits": ({"--input": "sixteen.tif"}, 3, ["0 to 255", "8 bits"]),
    "constant": ({"--input": "constant.tif"}, 3, ["constant", "--nodata"]),
    "all nodata": ({"--input": "nodata.tif"}, 3, ["no pixel", "--nodata"]),
    "another pixel size": ({"--input": "coarse.tif"}, 3, ["times off", "--allow-scale"]),
    "damaged image": ({"--input": "damaged.tif"}, 3, ["damaged.tif"]),
    "files of different kinds": ({"--input": ["good.tif", "sixteen.tif"]}, 3, ["sixteen.tif"]),
    "missing model": ({"--model": "none.safetensors"}, 4, ["none.safetensors"]),
    "unknown model": ({"--model": "FLAIR-INC_rgb_15cl_resnet34-unnet"}, 4, [CATALOGUE]),
    "model without weights": ({"--model": CATALOGUE}, 4, ["--weights"]),
    "cut model": ({"--model": "cut.safetensors"}, 4, ["cut.safetensors", "again"]),
    "text as model": ({"--model": "text.safetensors"}, 4, ["text.safetensors"]),
    "foreign model": ({"--model": "foreign.safetensors"}, 4, ["bands and classes", "--weights"]),
    "model of a later format": ({"--model": "later.safetensors"}, 4, ["format 9"]),
    "pickle with code": ({"--model": CATALOGUE, "--weights": "evil.pth"}, 4, ["would run code"]),
    "bare pickle": ({"--model": CATALOGUE, "--weights": "bare.pth"}, 4, ["bare pickle"]),
    "text as weights": ({"--model": CATALOGUE, "--weights": "text.tif"}, 4, ["text.tif"]),
    "output folder missing": ({"--output": "no/o.tif"}, 5, ["does not exist"]),
    "output is a folder": ({"--output": "folder.tif"}, 5, ["is a folder"]),
    "output there already": ({"--output": "good.tif"}, 5, ["exists already", "--overwrite"]),
    "output is the input": ({"--output": "good.tif", "--overwrite": None}, 3, ["both input and output"]),
    "two outputs of one name": ({"--confidence": "o.tif"}, 3, ["same name"]),
    "output of another kind": ({"--output": "o.png"}, 2, [".tif"]),
    "sheets too small": (
        {"--layout": "sheets", "--output": "o.vrt", "--sheet-size": "1"}, 5, ["sheet size of at least"],
    ),
    "GPU that is not there": ({"--device": "cuda"}, 6, ["NVIDIA", "--device auto"]),
    "Apple GPU that is not there": ({"--device": "mps"}, 6, ["Apple", "--device auto"]),
    "extent outside": ({"--extent": "0,1,0,1"}, 3, ["outside the image", "spans"]),
    "extent without area": ({"--extent": "1,1,0,1"}, 2, ["no area"]),
    "extent that is none": ({"--extent": "here"}, 2, ["here"]),
    "extent in an unknown CRS": ({"--extent": "0,1,0,1 [EPSG:999999]"}, 2, ["EPSG:999999"]),
    "extent in another CRS outside": ({"--extent": "10,11,10,11 [EPSG:4326]"}, 3, ["outside the image"]),
    "polygons outside": ({"--area": "area.geojson"}, 3, ["outside the image"]),
    "polygons missing": ({"--area": "none.gpkg"}, 3, ["none.gpkg"]),
    "polygons that are none": ({"--area": "text.tif"}, 3, ["text.tif"]),
    "layer missing": ({"--area": "area.geojson", "--area-layer": "x"}, 3, ["no layer 'x'"]),
    "hole as area": ({"--input": "half.tif", "--extent": "650000,650010,6859990,6860000"}, 3, ["no pixel"]),
    "unknown option": ({"--outptu": "x"}, 2, ["'--outptu'", "'--output'"]),
    "wrong value": ({"--window": "5"}, 2, ["'window'"]),
}  # fmt: skip

PROGRAM = """
import contextlib, io, json, os, sys, time
from engine.cli import main

for name, arguments in json.load(open("cases.json")).items():
    before = sorted(os.listdir("."))
    began = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
        code = main(arguments)
    result = {
        "code": code, "told": told.getvalue(), "torch": "torch" in sys.modules, "openvino": "openvino" in sys.modules,
        "left": sorted(set(os.listdir(".")) ^ set(before)), "seconds": time.monotonic() - began,
    }
    print(json.dumps([name, result]), flush=True)
"""


def write_inputs(folder):
    good = tiny.smooth(3, 128, 128)
    tiny.write(folder / "good.tif", good)
    tiny.write(folder / "nocrs.tif", good, crs=None)
    tiny.write(folder / "gray.tif", good[:1])
    tiny.write(folder / "sixteen.tif", good.astype("uint16") * 30)
    tiny.write(folder / "reflectance.tif", good.astype("float32") / 255)
    tiny.write(folder / "constant.tif", np.full((3, 128, 128), 77, np.uint8))
    tiny.write(folder / "nodata.tif", np.zeros((3, 128, 128), np.uint8), nodata=0)
    tiny.write(folder / "coarse.tif", good, pixel=10.0)
    half = good.copy()
    half[:, :64] = 0
    tiny.write(folder / "half.tif", half, nodata=0)
    five = np.concatenate([good, good[:1], good[:1]]).astype("float32")
    five[4] += 300
    tiny.write(folder / "five.tif", five)
    noise = np.random.default_rng(0).integers(0, 255, (3, 128, 128)).astype(np.uint8)
    tiny.write(folder / "damaged.tif", noise, compress="deflate")
    content = bytearray((folder / "damaged.tif").read_bytes())
    content[2000:-2000] = bytes(len(content) - 4000)
    (folder / "damaged.tif").write_bytes(content)
    (folder / "text.tif").write_text("I am no image.")
    (folder / "page.tif").write_text("<!DOCTYPE html><html><body>404</body></html>")
    (folder / "empty.tif").touch()
    (folder / "folder").mkdir()
    (folder / "folder.tif").mkdir()
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (folder / "area.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))


def write_models(folder):
    described = tiny.manifest()
    tiny.header_only(folder / "good.safetensors", described)
    bands = ("red", "green", "blue", "infrared", "elevation")
    tiny.header_only(folder / RGBIE, tiny.manifest(bands=bands))
    tiny.header_only(folder / "cut.safetensors", described, b"more than was said")
    (folder / "text.safetensors").write_text("I am no model, whatever my name says.")
    (folder / "foreign.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    header = json.dumps({"__metadata__": {"flair_manifest": json.dumps({"format": 9})}}).encode()
    (folder / "later.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (folder / "bare.pth").write_bytes(pickle.dumps({"a": 1}))
    with zipfile.ZipFile(folder / "evil.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch caught'\ntR.")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    write_inputs(folder)
    write_models(folder)
    cases = {}
    for name, (changes, _, _) in CASES.items():
        options = {"--model": "good.safetensors", "--input": "good.tif", "--output": "o.tif", **changes}
        arguments = ["classify"]
        for key, value in options.items():
            arguments += [key, *([] if value is None else value if isinstance(value, list) else [value])]
        cases[name] = arguments
    (folder / "cases.json").write_text(json.dumps(cases))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, timeout=120,
        env=tiny.engine_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", CASES)
def test_it_is_one_sentence_with_the_way_out(answers, name):
    _, code, texts = CASES[name]
    answer = answers[name]
    if name.startswith("Apple") and sys.platform == "darwin":
        pytest.skip("there is one")
    if name.startswith("GPU") and answer["code"] != 6:
        pytest.skip("there is one")
    errors = [line for line in answer["told"].splitlines() if line.startswith("Error: ")]
    assert answer["code"] == code, answer["told"]
    assert len(errors) == 1
    assert answer["told"].rstrip().endswith(errors[0])
    for text in texts:
        assert text in errors[0]
    assert len(errors[0].split()) >= 6
    assert "Traceback" not in answer["told"]
    assert answer["left"] == []
    assert not answer["torch"]
    assert not answer["openvino"]


def test_none_of_them_takes_long(answers):
    # Two seconds, less the start of Python; generous, as other tests run beside it.
    assert {name: item["seconds"] for name, item in answers.items() if item["seconds"] > 4} == {}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    write_inputs(tmp_path)
    write_models(tmp_path)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = tiny.engine(
        "classify", "--model", tmp_path / "good.safetensors", "--input", tmp_path / "good.tif", "--output",
        locked / "o.tif",
    )  # fmt: skip
    assert done.returncode == 5
    assert "permission" in done.stderr


def test_through_the_real_program(tmp_path):
    tiny.write(tmp_path / "good.tif", tiny.smooth(3, 64, 64))
    tiny.header_only(tmp_path / "good.safetensors", tiny.manifest())
    done = tiny.engine(
        "classify", "--model", tmp_path / "good.safetensors", "--input", tmp_path / "none.tif", "--output",
        tmp_path / "o.tif",
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["good.safetensors", "good.tif"]


def test_a_model_whose_weights_do_not_fit_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    """Only torch can tell this one."""
    tiny.write(tmp_path / "good.tif", tiny.smooth(3, 64, 64))
    tiny.header_only(tmp_path / "good.safetensors", tiny.manifest())
    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path / "cache"))
    done = tiny.engine(
        "classify", "--model", tmp_path / "good.safetensors", "--input", tmp_path / "good.tif", "--output",
        tmp_path / "o.tif",
    )  # fmt: skip
    assert done.returncode == 4
    assert "holds no tensors" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cache").exists()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["good.safetensors", "good.tif"]
