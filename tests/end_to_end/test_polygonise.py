"""flair:polygonise in qgis_process, on rasters drawn by hand; what it makes is judged by QGIS's own tools."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from PIL import Image

from tests.end_to_end import rasters
from tests.end_to_end.processes import PATIENCE, ROOT
from tests.end_to_end.qgis_runs import Qgis, program

GRID = Affine(2, 0, 650000, 0, -2, 6860000)
SCRIPTS = ROOT / "tests" / "end_to_end" / "inside_qgis"
SIZE = 120


@pytest.fixture(scope="module")
def bare_qgis(tmp_path_factory):
    """qgis_process with the checkout as its plugin; this algorithm needs no model."""
    if program("qgis_process") is None:
        pytest.skip("QGIS is not installed")
    folder = tmp_path_factory.mktemp("polygons_qgis")
    return Qgis(folder, ROOT, folder / "cache").enable()


def draw():
    """Grass with a round pond and an island in it, a turned house, a thin path across, and specks."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    codes = np.full((SIZE, SIZE), 10, np.uint8)
    codes[np.hypot(rows - 35, columns - 40) < 25] = 5
    codes[np.hypot(rows - 38, columns - 42) < 7] = 10
    along, across = columns - 85 + rows - 80, columns - 85 - rows + 80
    codes[(np.abs(along) < 26) & (np.abs(across) < 16)] = 1
    codes[np.abs(rows * 0.4 + columns - 110) < 2] = 4
    random = np.random.default_rng(0)
    specks = random.random(codes.shape) < 0.01
    codes[specks] = random.choice([1, 4, 5, 10], int(specks.sum()))
    return codes


@pytest.fixture
def drawn(tmp_path):
    return rasters.write(tmp_path / "map é.tif", draw()[None], transform=GRID, nodata=0, names=False)


@pytest.fixture
def shown(bare_qgis, tmp_path):
    def look(path):
        picture = tmp_path / "picture.png"
        done = subprocess.run(
            ["/usr/bin/python3", str(SCRIPTS / "show_polygons.py"), str(path), str(picture)],
            env=bare_qgis.environment(), capture_output=True, text=True, check=False, timeout=120 * PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1]), np.asarray(Image.open(picture).convert("RGB"))

    return look


def polygons(path):
    meta, _, geometry, values = pyogrio.raw.read(path, layer=pyogrio.list_layers(path)[0][0])
    return shapely.from_wkb(geometry), dict(zip(meta["fields"], values, strict=True))


@pytest.mark.parametrize("outline", ["pixels", "simplified", "smooth"])
def test_qgis_finds_the_polygons_valid_and_without_gap_or_overlap(bare_qgis, drawn, tmp_path, outline):
    output = tmp_path / "made.gpkg"
    answer = bare_qgis.execute("flair:polygonise", INPUT=drawn, OUTLINE=outline, MINIMUM_AREA=60, OUTPUT=output)
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    assert results["OUTPUT"] == str(output)
    shapes, fields = polygons(output)
    assert results["POLYGONS"] == len(shapes) < 12
    assert (fields["pixels"] * 4 >= 60).all()
    assert fields["pixels"].sum() == SIZE * SIZE
    checked = bare_qgis.execute(
        "qgis:checkvalidity", INPUT_LAYER=f"{output}|layername=made", METHOD=2, VALID_OUTPUT=tmp_path / "valid.gpkg",
        INVALID_OUTPUT=tmp_path / "invalid.gpkg", ERROR_OUTPUT=tmp_path / "errors.gpkg",
    )  # fmt: skip
    assert checked.code == 0, checked.text
    assert checked.json["results"]["VALID_COUNT"] == len(shapes)
    assert checked.json["results"]["INVALID_COUNT"] == 0
    together = bare_qgis.execute("native:dissolve", INPUT=f"{output}|layername=made", OUTPUT=tmp_path / "whole.gpkg")
    assert together.code == 0, together.text
    (whole,), _ = polygons(tmp_path / "whole.gpkg")
    side = 2 * SIZE
    square = shapely.box(650000, 6860000 - side, 650000 + side, 6860000)
    assert whole.symmetric_difference(square).area < 1e-6
    assert shapely.area(shapes).sum() == pytest.approx(side**2, abs=1e-6)


def test_area_is_what_qgis_measures_on_the_ellipsoid(bare_qgis, drawn, tmp_path):
    output, measured = tmp_path / "made.gpkg", tmp_path / "measured.gpkg"
    assert bare_qgis.execute("flair:polygonise", INPUT=drawn, MINIMUM_AREA=60, OUTPUT=output).code == 0
    answer = bare_qgis.run(
        "--json", "run", "native:fieldcalculator", "--ELLIPSOID=EPSG:7019", "--", f"INPUT={output}|layername=made",
        "FIELD_NAME=measured", "FIELD_TYPE=0", "FORMULA=$area", f"OUTPUT={measured}",
    )  # fmt: skip
    assert answer.code == 0, answer.text
    _, fields = polygons(measured)
    assert fields["area_m2"] == pytest.approx(fields["measured"], rel=1e-5)


def test_carries_its_legend_and_is_drawn_like_the_raster(bare_qgis, drawn, shown, tmp_path):
    output = tmp_path / "my map.gpkg"
    answer = bare_qgis.execute("flair:polygonise", INPUT=drawn, OUTLINE="pixels", LEAVE_OUT="4", OUTPUT=output)
    assert answer.code == 0, answer.text
    classes = [[1, "Building", "#db0e9a"], [5, "Water", "#1553ae"], [10, "Herbaceous vegetation", "#55ff00"]]
    for beside in (True, False):
        if not beside:
            output.with_suffix(".qml").unlink()
        layer, picture = shown(output)
        assert (layer["renderer"], layer["attribute"], layer["classes"]) == ("categorizedSymbol", "code", classes)
        assert layer["crs"] == "EPSG:2154"
        colours = {1: (0xDB, 0x0E, 0x9A), 5: (0x15, 0x53, 0xAE), 10: (0x55, 0xFF, 0x00), 4: (255, 255, 255)}
        for row, column in ((35, 25), (38, 42), (80, 85), (5, 5), (50, 90)):
            code = int(draw()[row, column])
            step = 800 / SIZE
            found = picture[int((row + 0.5) * step), int((column + 0.5) * step)]
            assert tuple(found) == colours[code], (row, column, code)


def test_as_a_step_of_a_chain(bare_qgis, drawn, tmp_path):
    done = subprocess.run(
        ["/usr/bin/python3", str(SCRIPTS / "build_polygon_chain.py"), str(tmp_path), str(bare_qgis.folder / "plugins")],
        env=bare_qgis.environment(), capture_output=True, text=True, check=False, timeout=120 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    model, output = tmp_path / "polygons.model3", tmp_path / "classes.gpkg"
    # 3.22 calls the output by its step; asked for its name, as `destinations` does, it crashes for vector outputs
    names = ("dissolve:classes", "classes")
    answer = bare_qgis.run("--json", "run", str(model), "--", f"map={drawn}", *(f"{name}={output}" for name in names))
    assert answer.code == 0, answer.text
    shapes, fields = polygons(output)
    assert sorted(fields["code"].tolist()) == [1, 4, 5, 10]
    assert shapely.area(shapes).sum() == pytest.approx((2 * SIZE) ** 2, abs=1e-6)


def test_mistakes(bare_qgis, drawn, tmp_path):
    for values, words in (
        ({"OUTPUT": tmp_path / "made.shp"}, ".gpkg"),
        ({"OUTPUT": tmp_path / "made.gpkg", "LEAVE_OUT": "1,4,5,10"}, "left out"),
        ({"OUTPUT": tmp_path / "made.gpkg", "MINIMUM_AREA": "100000"}, "whole raster"),
    ):
        answer = bare_qgis.execute("flair:polygonise", INPUT=drawn, **values)
        assert answer.code != 0
        assert words in answer.text
        assert "Traceback" not in answer.text
    assert not list(tmp_path.glob("*made*"))
