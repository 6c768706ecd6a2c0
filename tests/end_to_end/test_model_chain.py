"""flair:classify as a step of a chain from the graphical modeler, run by qgis_process."""

from __future__ import annotations

import csv
import subprocess

import numpy as np
import pytest
from affine import Affine

from tests.end_to_end import rasters
from tests.end_to_end.processes import PATIENCE, ROOT
from tests.end_to_end.qgis_runs import arguments_of, destinations

# columns 100 to 500, rows 50 to 350
PART = "853020,853100,6540930,6540990 [EPSG:2154]"


@pytest.fixture(scope="module")
def chains(qgis, material, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chains")
    script = ROOT / "tests" / "end_to_end" / "inside_qgis" / "build_models.py"
    done = subprocess.run(
        ["/usr/bin/python3", str(script), str(folder), str(qgis.folder / "plugins"), str(material.model)],
        env=qgis.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("name", ["fixed", "chosen"])
def test_chain_clips_classifies_and_counts(qgis, material, chains, tmp_path, name):
    output, table = tmp_path / "map.tif", tmp_path / "table.csv"
    values = [f"image={material.image}", f"part={PART}"]
    if name == "chosen":
        values.append(f"model={material.model}")
    model = chains / f"{name}.model3"
    values += arguments_of(destinations(model, {"classify:land cover": output, "count:table": table}))
    answer = qgis.run("--json", "run", str(model), "--", *values)
    assert answer.code == 0, answer.text
    assert "Traceback" not in answer.text
    pixels = rasters.assert_is_class_raster(
        output, width=400, height=300, transform=material.transform @ Affine.translation(100, 50)
    )
    clipped = rasters.cut(material.image, tmp_path / "cut.tif", 100, 50, 400, 300)
    material.classify(input=clipped, output=tmp_path / "direct.tif")
    assert np.array_equal(pixels, rasters.read(tmp_path / "direct.tif"))
    with table.open() as file:
        counted = {int(float(row["value"])): int(float(row["count"])) for row in csv.DictReader(file)}
    codes, counts = np.unique(pixels, return_counts=True)
    assert counted == dict(zip(codes.tolist(), counts.tolist(), strict=True))


def test_a_mistake_inside_a_chain_ends_it(qgis, material, chains, tmp_path):
    values = [f"image={material.image}", f"part={PART}", "model=/nowhere/model.safetensors"]
    model = chains / "chosen.model3"
    outputs = {"classify:land cover": tmp_path / "map.tif", "count:table": tmp_path / "table.csv"}
    values += arguments_of(destinations(model, outputs))
    answer = qgis.run("--json", "run", str(model), "--", *values)
    assert answer.code != 0
    assert "There is no model file /nowhere/model.safetensors" in answer.text
    assert "Traceback" not in answer.text
    assert list(tmp_path.iterdir()) == []
