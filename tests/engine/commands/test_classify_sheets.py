"""Classification of many tiles as one image, and of an image into many sheets."""

from __future__ import annotations

import threading

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine

from engine.commands import classify
from engine.errors import Cancelled, InputError
from engine.requests import ClassifyRequest
from tests.engine import tiny
from tests.engine.interruptions import StopAfter, left_behind


@pytest.fixture
def run(tiny_model, tiny_graph, tmp_path, recorder):
    """Run the command with the small model; returns its result."""

    def start(*inputs, cancelled=None, reporter=None, **options):
        values = {"model": str(tiny_model[0].path), "input": list(inputs), "output": str(tmp_path / "o.tif"), **options}
        request = ClassifyRequest.model_validate(values)
        return classify.run(request, reporter or recorder, cancelled or threading.Event())

    return start


def test_sheets_hold_what_the_single_file_holds(run, tmp_path):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 160, 160))
    run(path)
    result = run(path, output=str(tmp_path / "s.vrt"), layout="sheets", sheet_size=20.0)
    assert result["sheets"] == len(list((tmp_path / "s_sheets").glob("*.tif"))) == 4
    assert np.array_equal(tiny.read(tmp_path / "s.vrt"), tiny.read(tmp_path / "o.tif"))


def tiles_of(folder, image, side):
    """Write an image as square files on the grid of Lambert-93, as orthophotos are delivered."""
    folder.mkdir()
    for row in range(0, image.shape[1], side):
        for column in range(0, image.shape[2], side):
            place = Affine(0.2, 0, 650000 + 0.2 * column, 0, -0.2, 6860000 - 0.2 * row)
            part = image[:, row : row + side, column : column + side]
            tiny.write(folder / f"t_{row:04d}_{column:04d}.tif", part, transform=place)
    return str(folder)


def test_sheets_of_a_folder_have_no_seams_where_files_or_sheets_meet(run, tmp_path):
    image = tiny.smooth(3, 500, 500)
    folder = tiles_of(tmp_path / "ortho", image, 100)
    run(tiny.write(tmp_path / "whole.tif", image), window=96)
    result = run(folder, output=str(tmp_path / "s.vrt"), layout="sheets", sheet_size=20.0, window=96)
    assert result["sheets"] == 25
    assert np.array_equal(tiny.read(tmp_path / "s.vrt"), tiny.read(tmp_path / "o.tif"))
    index = result["index"]
    assert index == str(tmp_path / "s_sheets.gpkg")
    # The index of a delivery names its sheets, as gdaltindex would.
    with pytest.raises(InputError, match="red"):
        run(index, output=str(tmp_path / "again.tif"))
    assert left_behind(tmp_path) == []


def test_a_cancelled_run_of_sheets_goes_on(run, tmp_path, recorder):
    image = tiny.smooth(3, 500, 500)
    folder = tiles_of(tmp_path / "ortho", image, 100)
    options = {"output": str(tmp_path / "s.vrt"), "layout": "sheets", "sheet_size": 20.0, "window": 64}
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        run(folder, cancelled=cancelled, reporter=StopAfter(recorder, cancelled, 0.6), **options)
    assert not (tmp_path / "s.vrt").exists()
    staged = tmp_path / ".s.vrt.flair-work" / "sheets"
    before = {path.name: path.stat().st_mtime_ns for path in staged.iterdir()}
    assert before
    run(folder, **options)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "s_sheets").iterdir()}
    assert {name: after[name] for name in before} == before
    run(folder, window=64, output=str(tmp_path / "o.tif"))
    assert np.array_equal(tiny.read(tmp_path / "s.vrt"), tiny.read(tmp_path / "o.tif"))


def test_an_index_of_images_is_an_image(run, tmp_path):
    image = tiny.smooth(3, 200, 200)
    folder = tiles_of(tmp_path / "ortho", image, 100)
    names = sorted(path.name for path in (tmp_path / "ortho").iterdir())
    shapes = shapely.to_wkb([shapely.box(0, 0, 1, 1)] * len(names))
    pyogrio.raw.write(
        tmp_path / "ortho" / "index.gpkg", shapes, [np.array(names, dtype=object)], ["location"],
        geometry_type="Polygon", crs="EPSG:2154", driver="GPKG",
    )  # fmt: skip
    run(folder)
    run(str(tmp_path / "ortho" / "index.gpkg"), output=str(tmp_path / "p.tif"))
    assert np.array_equal(tiny.read(tmp_path / "o.tif"), tiny.read(tmp_path / "p.tif"))


def test_an_output_among_the_images_of_a_folder_is_refused(run, tmp_path):
    folder = tiles_of(tmp_path / "ortho", tiny.smooth(3, 200, 200), 100)
    with pytest.raises(InputError, match="both input and output"):
        run(folder, output=str(tmp_path / "ortho" / "t_0000_0000.tif"), overwrite=True)
