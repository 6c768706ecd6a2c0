"""From a class raster and its truth to figures, report and map of errors, in one process."""

from __future__ import annotations

import json
import re
import threading

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform

from engine.errors import Cancelled
from engine.evaluation.confusion import ConfusionMatrix
from engine.nomenclature import load_nomenclature
from engine.rasters.style import class_aux_xml
from tests.engine import tiny
from tests.engine.interruptions import left_behind
from tests.engine.patch_sets import ORIGIN, squares
from tests.engine.vectors import box, write_features

FLAIR = load_nomenclature("flair")
SIZE = (150, 200)


@pytest.fixture
def truth():
    return squares(*SIZE)


@pytest.fixture
def predicted(truth):
    """The truth with errors: a rectangle of buildings, a hole, some pixels of a disabled class."""
    codes = truth.copy()
    codes[10:40, 70:120] = 1
    codes[100:110, 0:30] = 0
    codes[140:, 190:] = 19
    return codes


def raster(path, codes, transform=ORIGIN, **options):
    return tiny.write(path, codes[None], transform=transform, nodata=0, **options)


@pytest.fixture
def pair(tmp_path, truth, predicted):
    return {
        "prediction": raster(tmp_path / "map.tif", predicted),
        "truth": raster(tmp_path / "truth.tif", truth),
    }


def by_hand(truth, predicted, enabled=None):
    """Figures by their textbook formulas, class by class, straight from the pixels."""
    figures = {}
    for code in sorted(set(np.unique(truth)) & set(enabled or [item.code for item in FLAIR.enabled])):
        hit = int(((truth == code) & (predicted == code)).sum())
        true, found = int((truth == code).sum()), int(((predicted == code) & (truth != 0)).sum())
        figures[int(code)] = {
            "iou": hit / (true + found - hit),
            "precision": hit / found if found else 0.0,
            "recall": hit / true,
            "fscore": 2 * hit / (true + found),
            "pixels": true,
        }
    return figures


def check_figures(result, truth, predicted):
    expected = by_hand(truth, predicted)
    present = {row["code"]: row for row in result["classes"] if row["pixels"]}
    assert set(present) == set(expected)
    for code, figures in expected.items():
        for name, value in figures.items():
            assert present[code][name] == pytest.approx(value), (code, name)
    known = truth != 0
    assert result["pixels"] == known.sum()
    assert result["overall_accuracy"] == pytest.approx((truth == predicted)[known].mean())
    assert result["miou"] == pytest.approx(np.mean([item["iou"] for item in expected.values()]))


def test_figures_and_files(evaluate, pair, truth, predicted, tmp_path, recorder):
    result = evaluate(**pair)
    check_figures(result, truth, predicted)
    folder = tmp_path / "ev"
    assert sorted(item.name for item in folder.iterdir()) == [
        "confusion.csv", "errors.qml", "errors.tif", "errors.tif.aux.xml", "metrics.json", "report.html",
    ]  # fmt: skip
    assert left_behind(tmp_path) == []
    assert result["definition"] == "strict"
    assert result["output"] == str(folder)
    for key, name in (
        ("report", "report.html"), ("metrics", "metrics.json"), ("confusion", "confusion.csv"),
        ("error_map", "errors.tif"),
    ):  # fmt: skip
        assert result[key] == str(folder / name)
    assert json.dumps(result, allow_nan=False)
    row = next(item for item in result["classes"] if item["code"] == 7)
    assert (row["name"], row["color"]) == ("deciduous", "#46e483")
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1.0
    assert "300 labelled pixels (1.0%) have no prediction: counted as missed." in recorder.warnings

    matrix = ConfusionMatrix.from_csv(folder / "confusion.csv", FLAIR)
    whole = ConfusionMatrix(FLAIR)
    whole.add_codes(truth, predicted)
    assert (matrix.counts == whole.counts).all()


def test_what_metrics_json_says(evaluate, pair, tmp_path):
    result = evaluate(**pair, seed=5)
    text = (tmp_path / "ev" / "metrics.json").read_text()
    assert str(tmp_path / "map.tif") not in text
    metrics = json.loads(text)
    assert metrics["definition"]["name"] == "strict"
    assert metrics["scores"]["miou"] == result["miou"]
    low, high = metrics["intervals"]["miou"]
    assert low < result["miou"] < high
    assert (metrics["intervals"]["units"], metrics["intervals"]["seed"]) == (12, 5)
    assert [item["name"] for item in metrics["other_definitions"]] == ["ign", "ign-present", "challenge12"]
    assert metrics["options"]["prediction"] == ["map.tif"]
    evaluate(**pair, seed=5, overwrite=True)
    again = json.loads((tmp_path / "ev" / "metrics.json").read_text())
    assert again["intervals"] == metrics["intervals"]


def test_the_map_of_errors(evaluate, pair, truth, predicted, tmp_path):
    truth[:20, :20] = 0
    raster(tmp_path / "truth.tif", truth)
    evaluate(**pair)
    expected = np.where(truth == 0, 0, np.where(truth == predicted, 1, 2))
    with rasterio.open(tmp_path / "ev" / "errors.tif") as file:
        assert (file.read(1) == expected).all()
        assert file.dtypes == ("uint8",)
        assert file.nodata == 0
        assert file.crs.to_epsg() == 2154
        assert file.transform.almost_equals(ORIGIN, 1e-9)
        colours = file.colormap(1)
        assert file.tags()["FLAIR_DEFINITION"] == "strict"
    assert (colours[1], colours[2]) == ((166, 219, 160, 255), (178, 24, 43, 255))
    assert colours[0][3] == 0
    style = (tmp_path / "ev" / "errors.qml").read_text()
    assert re.findall(r'value="(\d)" label="(\w+)"', style) == [("1", "Right"), ("2", "Wrong")]
    assert "<Category>Wrong</Category>" in (tmp_path / "ev" / "errors.tif.aux.xml").read_text()


def test_a_large_map_of_errors_has_overviews(evaluate, tmp_path):
    codes = np.full((600, 1100), 7, np.uint8)
    other = codes.copy()
    other[:, 500:] = 6
    result = evaluate(prediction=raster(tmp_path / "p.tif", other), truth=raster(tmp_path / "t.tif", codes), block=256)
    assert result["overall_accuracy"] == pytest.approx(500 / 1100)
    with rasterio.open(tmp_path / "ev" / "errors.tif") as file:
        assert file.overviews(1) == [2, 4]
        assert (file.read(1) == np.where(other == 7, 1, 2)).all()
        assert file.profile["tiled"]


def test_without_a_map_of_errors(evaluate, pair, tmp_path):
    result = evaluate(**pair, error_map=False)
    assert result["error_map"] is None
    assert not list((tmp_path / "ev").glob("errors*"))


def test_tiles_and_blocks_do_not_change_the_figures(evaluate, pair, truth, predicted, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.comparison.stream.TILE", 64)
    for block in (16, 48, 64, 512):
        result = evaluate(**pair, block=block, overwrite=True)
        check_figures(result, truth, predicted)
        expected = np.where(truth == predicted, 1, 2)
        assert (tiny.read(tmp_path / "ev" / "errors.tif") == expected).all()


def test_many_blocks_are_drawn_in_larger_ones(evaluate, pair, truth, predicted, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.comparison.stream.most_units", lambda classes: 6)
    result = evaluate(**pair)
    check_figures(result, truth, predicted)
    assert json.loads((tmp_path / "ev" / "metrics.json").read_text())["intervals"]["units"] == 4


def test_ignored_codes_and_disabled_classes(evaluate, pair, truth, predicted, tmp_path, recorder):
    truth[50:60] = 19
    truth[60:62] = 77
    raster(tmp_path / "truth.tif", truth)
    result = evaluate(**pair, ignore="7,77")
    counted = np.where(np.isin(truth, (7, 19, 77)), 0, truth)
    check_figures(result, counted, predicted)
    assert any("400 pixels of the truth are ignored" in text or "are ignored" in text for text in recorder.logs)
    assert any("disabled in 'flair'" in text and "other (2000 pixels)" in text for text in recorder.warnings)
    errors = tiny.read(tmp_path / "ev" / "errors.tif")
    assert (errors[np.isin(truth, (7, 19, 77))] == 0).all()


@pytest.mark.parametrize("definition", ["ign", "ign-present", "challenge12"])
def test_other_definitions(evaluate, pair, truth, predicted, definition, tmp_path):
    result = evaluate(**pair, definition=definition)
    assert result["definition"] == definition
    errors = tiny.read(tmp_path / "ev" / "errors.tif")
    if definition.startswith("ign"):
        assert (errors[np.isin(predicted, (0, 19))] == 0).all()
    assert (errors > 0).sum() == result["pixels"]
    assert (errors == 1).sum() == round(result["overall_accuracy"] * result["pixels"])
    assert definition in (tmp_path / "ev" / "report.html").read_text()


def test_the_maps_own_classes(evaluate, pair, truth, predicted, tmp_path, recorder):
    (tmp_path / "map.tif.aux.xml").write_text(class_aux_xml(FLAIR.with_disabled({7, 15, 16, 17, 19})))
    result = evaluate(**pair)
    check_figures(result, np.where(truth == 7, 0, truth), predicted)
    assert 7 not in {row["code"] for row in result["classes"]}
    assert any("deciduous" in text and "--nomenclature" in text for text in recorder.warnings)
    assert evaluate(**pair, nomenclature="flair", overwrite=True)["pixels"] == truth.size


def test_truth_on_a_finer_and_shifted_grid(evaluate, truth, predicted, tmp_path, recorder):
    fine = np.kron(truth, np.ones((2, 2), np.uint8))[20:, 40:]
    moved = ORIGIN * Affine.translation(20, 10) * Affine.scale(0.5)
    result = evaluate(prediction=raster(tmp_path / "p.tif", predicted), truth=raster(tmp_path / "t.tif", fine, moved))
    expected = truth.copy()
    expected[:10], expected[:, :20] = 0, 0
    check_figures(result, expected, predicted)
    assert any("on another grid than the prediction" in text for text in recorder.warnings)


def test_truth_in_another_crs(evaluate, tmp_path, recorder):
    truth = squares(120, 120, side=30)
    left, top = ORIGIN.c, ORIGIN.f
    x, y = (np.array(values) for values in transform("EPSG:2154", "EPSG:3857", [left, left + 24], [top, top - 24]))
    grid = Affine(0.1, 0, x.min() - 5, 0, -0.1, y.max() + 5)
    rows, columns = int((y[0] - y[1] + 10) / 0.1) + 40, int((x[1] - x[0] + 10) / 0.1) + 40
    xs, ys = np.meshgrid(grid.c + 0.1 * (np.arange(columns) + 0.5), grid.f - 0.1 * (np.arange(rows) + 0.5))
    moved = transform("EPSG:3857", "EPSG:2154", xs.ravel().tolist(), ys.ravel().tolist())
    back_x, back_y = (np.array(values).reshape(rows, columns) for values in moved)
    column, row = np.floor((back_x - left) / 0.2).astype(int), np.floor((top - back_y) / 0.2).astype(int)
    inside = (row >= 0) & (row < 120) & (column >= 0) & (column < 120)
    warped = np.where(inside, truth[row.clip(0, 119), column.clip(0, 119)], 0).astype(np.uint8)
    result = evaluate(
        prediction=raster(tmp_path / "p.tif", truth), truth=raster(tmp_path / "t.tif", warped, grid, crs="EPSG:3857")
    )
    # Pixels on the edges of squares may fall to either side.
    assert result["overall_accuracy"] > 0.985
    assert result["pixels"] > 0.98 * truth.size


def test_polygons_with_classes_of_ones_own(evaluate, predicted, tmp_path, recorder):
    boxes = [box(ORIGIN, 0, 0, 60, 100), box(ORIGIN, 80, 50, 40, 60), box(ORIGIN, 0, 150, 10, 10)]
    path = write_features(tmp_path / "t.gpkg", boxes, Art=["Wald", "Haus", "Gras"])
    result = evaluate(
        prediction=raster(tmp_path / "p.tif", predicted),
        truth=path,
        class_field="art",
        classes="Wald=deciduous,Haus=1,Gras=0",
    )
    truth = np.zeros(SIZE, np.uint8)
    truth[:60, :100], truth[80:120, 50:110] = 7, 1
    check_figures(result, truth, predicted)
    errors = tiny.read(tmp_path / "ev" / "errors.tif")
    assert (errors == np.where(truth == 0, 0, np.where(truth == predicted, 1, 2))).all()


def test_an_area_with_a_row_for_each_polygon(evaluate, pair, truth, predicted, tmp_path):
    boxes = [box(ORIGIN, 5, 60, 50, 80), box(ORIGIN, 90, 10, 40, 70), box(ORIGIN, 5000, 0, 9, 9)]
    area = write_features(tmp_path / "area.gpkg", boxes, name=["north", "south", "elsewhere"], n=[4, 5, 6])
    result = evaluate(**pair, area=area)
    inside = np.zeros(SIZE, bool)
    parts = {"north": (slice(5, 55), slice(60, 140)), "south": (slice(90, 130), slice(10, 80))}
    for place in parts.values():
        inside[place] = True
    check_figures(result, np.where(inside, truth, 0), predicted)
    assert [row["name"] for row in result["polygons"]] == ["north", "south"]
    for row in result["polygons"]:
        place = parts[row["name"]]
        assert row["pixels"] == truth[place].size
        assert row["overall_accuracy"] == pytest.approx((truth == predicted)[place].mean())
        figures = by_hand(truth[place], predicted[place])
        assert row["miou"] == pytest.approx(np.mean([item["iou"] for item in figures.values()]))
    with rasterio.open(tmp_path / "ev" / "errors.tif") as file:
        assert file.shape == (125, 130)
        assert file.transform.almost_equals(ORIGIN * Affine.translation(10, 5), 1e-9)
        expected = np.where(inside, np.where(truth == predicted, 1, 2), 0)[5:130, 10:140]
        assert (file.read(1) == expected).all()
    named = evaluate(**pair, area=area, area_field="N", overwrite=True)
    assert [row["name"] for row in named["polygons"]] == ["4", "5"]


def test_a_mosaic_of_predictions(evaluate, truth, predicted, tmp_path):
    right = ORIGIN * Affine.translation(120, 0)
    paths = [raster(tmp_path / "a.tif", predicted[:, :120]), raster(tmp_path / "b.tif", predicted[:, 120:], right)]
    result = evaluate(prediction=paths, truth=raster(tmp_path / "t.tif", truth))
    check_figures(result, truth, predicted)
    assert (tiny.read(tmp_path / "ev" / "errors.tif") == np.where(truth == predicted, 1, 2)).all()


def test_without_georeference(evaluate, truth, predicted, tmp_path):
    bare = {"transform": Affine.identity(), "crs": None}
    result = evaluate(
        prediction=raster(tmp_path / "p.tif", predicted, **bare), truth=raster(tmp_path / "t.tif", truth, **bare)
    )
    check_figures(result, truth, predicted)


def test_the_worst_blocks_come_first(evaluate, pair, tmp_path):
    image = tiny.write(tmp_path / "image.tif", tiny.smooth(3, *SIZE), transform=ORIGIN)
    evaluate(**pair, image=image)
    html = (tmp_path / "ev" / "report.html").read_text()
    captions = re.findall(r"\(row (\d+), column (\d+)\): (\d+) of (\d+) pixels wrong", html)
    assert captions[0][:2] == ("0", "64")
    wrong = [int(item[2]) for item in captions]
    assert wrong == sorted(wrong, reverse=True)
    assert html.count('alt="Image"') == html.count('alt="Errors"') == len(captions)
    evaluate(**pair, overwrite=True)
    assert 'alt="Image"' not in (tmp_path / "ev" / "report.html").read_text()


def test_a_perfect_map(evaluate, truth, tmp_path):
    result = evaluate(prediction=raster(tmp_path / "p.tif", truth), truth=raster(tmp_path / "t.tif", truth))
    assert result["miou"] == result["overall_accuracy"] == result["kappa"] == 1.0
    assert "Where it is worst" not in (tmp_path / "ev" / "report.html").read_text()


def test_cancelled(evaluate, pair, tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        evaluate(**pair, cancelled=stop)
    assert not (tmp_path / "ev").exists()
    assert left_behind(tmp_path) == []


def test_on_the_command_line(pair, tmp_path):
    done = tiny.engine(
        "evaluate", "--prediction", pair["prediction"], "--truth", pair["truth"], "--ignore", "0,19",
        "--definition", "ign", "--output", tmp_path / "ev",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "definition: ign" in done.stdout
    assert (tmp_path / "ev" / "report.html").stat().st_size > 10_000
