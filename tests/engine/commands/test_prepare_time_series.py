"""Sentinel-2 downloads cut to the ground of an aerial image."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from engine.commands import prepare_time_series
from engine.data.time_series.date_folder import DateFolder, Ground
from engine.data.time_series.season_folder import SENTINEL_2, SeasonFolder
from engine.errors import Cancelled, EngineError, InputError
from engine.requests import PrepareTimeSeriesRequest
from tests.engine import season_files, tiny
from tests.engine.seasons import sentinel_files
from tests.engine.seasons.sentinel_files import EAST, NORTH, SIDE

ROOT = Path(__file__).resolve().parents[3]
UTM = CRS.from_epsg(32631)
# 256 pixels of 0.5 m in the middle of the downloads.
PLACED = Affine(0.5, 0, EAST + 536.0, 0, -0.5, NORTH - 536.0)


@pytest.fixture
def image(tmp_path):
    return tiny.write(tmp_path / "ortho.tif", tiny.smooth(3, 256, 256), crs="EPSG:32631", transform=PLACED)


@pytest.fixture
def run(tmp_path, recorder, image):
    def start(*, cancelled=None, reporter=None, **options):
        values = {"input": str(tmp_path / "s2"), "output": str(tmp_path / "season"), "margin": 200, **options}
        if "extent" not in values:
            values.setdefault("image", [image])
        request = PrepareTimeSeriesRequest.model_validate(values)
        return prepare_time_series.run(request, reporter or recorder, cancelled or threading.Event())

    return start


def listed(folder):
    return sorted(item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file())


def rows(folder):
    with (folder / "dates.csv").open(encoding="utf-8", newline="") as stream:
        return {row["date"]: row for row in csv.DictReader(stream)}


def test_products_of_the_operator_are_stacked_on_their_own_grid(run, tmp_path, recorder):
    clear = np.full((60, 60), 4, np.uint8)
    half = clear.copy()
    half[:, :30] = 9
    cloudy = np.full((60, 60), 8, np.uint8)
    snow = np.full((60, 60), 11, np.uint8)
    for number, (day, scene) in enumerate(
        (("20210604", clear), ("20210609", half), ("20210614", cloudy), ("20210104", snow))
    ):
        sentinel_files.operator(tmp_path / "s2", day, number=number, scene=scene)
    result = run()
    season = tmp_path / "season"
    assert listed(season) == [
        "2021-06-04.tif",
        "2021-06-09.tif",
        "dates.csv",
        "masks/2021-06-04.tif",
        "masks/2021-06-09.tif",
    ]
    assert (result["kept"], result["dropped"], result["images"]) == (2, 2, 2)
    with rasterio.open(season / "2021-06-04.tif") as file:
        assert (file.crs, file.nodata, file.dtypes[0], file.descriptions) == (UTM, 0, "uint16", SENTINEL_2)
        # The margin around 536 m to 664 m, in whole pixels of the downloads.
        assert file.transform == Affine(10, 0, EAST + 330, 0, -10, NORTH - 330)
        assert (file.height, file.width) == (54, 54)
        pixels = file.read()
    for place, band in enumerate(SENTINEL_2):
        if band not in sentinel_files.COARSE:
            assert (pixels[place] == sentinel_files.values(band, 0)[33:87, 33:87]).all()
    # Bands of 20 m are interpolated: between the values of the pixels that hold a place.
    expected = sentinel_files.values("B05", 0)[33:87, 33:87].astype(int)
    assert np.abs(pixels[3].astype(int) - expected).max() <= 2
    with rasterio.open(season / "masks" / "2021-06-09.tif") as file:
        assert file.descriptions == ("snow", "cloud")
        masks = file.read()
    assert (masks[0] == 0).all()
    assert (masks[1, :, :27] == 100).all()
    assert (masks[1, :, 27:] == 0).all()
    table = rows(season)
    assert table["2021-06-14"]["reason"] == table["2021-01-04"]["reason"]
    assert "snow and clouds over half or more of every patch" in table["2021-06-14"]["reason"]
    assert table["2021-06-09"]["cloud_percent"] == "50.0"
    assert table["2021-01-04"]["snow_percent"] == "100.0"
    assert recorder.warnings == []
    assert SeasonFolder.open(str(season)).bands == SENTINEL_2


def test_the_rule_is_applied_to_each_patch_by_the_masks_beside_the_images(run, tmp_path):
    half = np.full((60, 60), 4, np.uint8)
    half[:, :30] = 9
    sentinel_files.operator(tmp_path / "s2", "20210609", scene=half)
    run(margin=400)
    folder = DateFolder.open(tmp_path / "season")

    def dates(shift, clear_only=True):
        placed = PLACED * Affine.translation(shift, 0)
        return folder.cut(Ground(UTM, placed, 256, 256, 20.0, 40), clear_only=clear_only).series.dates

    # Satellite pixels 40 to 79 of 120 and 39 to 78: of the second, 21 of 40 columns are under clouds.
    assert dates(4 * 20) == 1
    assert dates(-4 * 20) == 0
    assert dates(-4 * 20, clear_only=False) == 1


def test_probabilities_come_before_the_classification(run, tmp_path):
    root = sentinel_files.operator(tmp_path / "s2", "20210604", scene=np.full((60, 60), 9, np.uint8))
    quality = root.parent / "QI_DATA"
    sentinel_files.write(quality / "MSK_CLDPRB_20m.tif", np.full((60, 60), 59, np.uint8), pixel=20)
    sentinel_files.write(quality / "MSK_SNWPRB_20m.tif", np.full((60, 60), 3, np.uint8), pixel=20)
    assert run()["kept"] == 1
    with rasterio.open(tmp_path / "season" / "masks" / "2021-06-04.tif") as file:
        assert np.unique(file.read(1)).tolist() == [3]
        assert np.unique(file.read(2)).tolist() == [59]


def test_products_of_theia(run, tmp_path):
    cloud = np.zeros((SIDE, SIDE), np.uint8)
    cloud[:, 60:] = 2 | 16
    cloud[:, :60] = 16
    sentinel_files.theia(tmp_path / "s2", "20210604", cloud=cloud)
    assert run()["kept"] == 1
    with rasterio.open(tmp_path / "season" / "2021-06-04.tif") as file:
        assert (file.read(1) == sentinel_files.values("B02", 0)[33:87, 33:87]).all()
    with rasterio.open(tmp_path / "season" / "masks" / "2021-06-04.tif") as file:
        assert (file.read(2)[:, 27:] == 100).all()
        assert (file.read(2)[:, :27] == 0).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("2021-06-04.tif", {}),
        ("cut_20210604_x.tif", {"names": tuple(name.lower() for name in SENTINEL_2)}),
        ("2021_06_04.tif", {"dtype": np.float32, "scale": 1e-4}),
    ],
)
def test_files_of_all_bands(run, tmp_path, recorder, name, options):
    sentinel_files.stack(tmp_path / "s2", name, **options)
    assert run()["kept"] == 1
    with rasterio.open(tmp_path / "season" / "2021-06-04.tif") as file:
        assert (file.read(10) == sentinel_files.values("B12", 0)[33:87, 33:87]).all()
    assert any("Nothing tells of clouds" in text for text in recorder.warnings)


def test_a_classification_among_the_bands_tells_of_clouds(run, tmp_path):
    bands = np.stack([*(sentinel_files.values(band, 0) for band in SENTINEL_2), np.full((SIDE, SIDE), 9)])
    for day in ("2021-06-04", "2021-06-09"):
        sentinel_files.write(tmp_path / "s2" / f"{day}.tif", bands.astype(np.uint16), names=(*SENTINEL_2, "SCL"))
        bands[-1] = 4
    result = run()
    assert (result["kept"], result["dropped"]) == (1, 1)
    assert run(clear_only=False, overwrite=True)["kept"] == 2
    assert not (tmp_path / "season" / "masks").exists()


def test_all_twelve_bands_are_known_by_their_number(run, tmp_path):
    bands = ("B02", *SENTINEL_2[:8], "B02", *SENTINEL_2[8:])  # B01 and B09 hold what they like
    sentinel_files.stack(tmp_path / "s2", "20210604.tif", bands=bands)
    run(season_bands="B8A,B2")
    with rasterio.open(tmp_path / "season" / "2021-06-04.tif") as file:
        assert file.descriptions == ("B8A", "B02")
        assert (file.read(1) == sentinel_files.values("B8A", 0)[33:87, 33:87]).all()
        assert (file.read(2) == sentinel_files.values("B02", 0)[33:87, 33:87]).all()


def test_later_processing_holds_1000_more(run, tmp_path, recorder):
    sentinel_files.operator(tmp_path / "s2", "20230604", baseline="N0509")
    sentinel_files.operator(tmp_path / "s2", "20210604")
    sentinel_files.stack(tmp_path / "s2", "2023-07-04.tif")
    run()
    for day, less in (("2023-06-04", 1000), ("2021-06-04", 0), ("2023-07-04", 0)):
        with rasterio.open(tmp_path / "season" / f"{day}.tif") as file:
            expected = sentinel_files.values("B03", 0)[33:87, 33:87].astype(int) - less
            assert (file.read(2) == np.maximum(expected, 1)).all()
    assert any("1 products since 25 January 2022" in text for text in recorder.warnings)


def test_tiles_of_one_date_lie_side_by_side(run, tmp_path):
    sentinel_files.operator(tmp_path / "s2", "20210604")
    sentinel_files.operator(tmp_path / "s2", "20210604", number=5, tile="T31UEQ", corner=(EAST + 10 * SIDE, NORTH))
    run(extent=f"{EAST + 1100},{EAST + 1300},{NORTH - 600},{NORTH - 500} [EPSG:32631]", margin=0)
    with rasterio.open(tmp_path / "season" / "2021-06-04.tif") as file:
        assert (file.height, file.width) == (10, 20)
        left, right = sentinel_files.values("B02", 0), sentinel_files.values("B02", 5)
        assert (file.read(1)[:, :10] == left[50:60, 110:]).all()
        assert (file.read(1)[:, 10:] == right[50:60, :10]).all()


def test_means_by_month_leave_covered_ground_out(run, tmp_path):
    half = np.full((60, 60), 4, np.uint8)
    half[:, :30] = 9
    clear = np.full((60, 60), 4, np.uint8)
    sentinel_files.operator(tmp_path / "s2", "20210604", number=0, scene=clear)
    sentinel_files.operator(tmp_path / "s2", "20210614", number=10, scene=half)
    sentinel_files.operator(tmp_path / "s2", "20220801", number=0, scene=clear)
    result = run(monthly=True)
    assert listed(tmp_path / "season") == ["2021-06-15.tif", "2022-08-15.tif", "dates.csv"]
    assert (result["kept"], result["images"]) == (3, 2)
    first = sentinel_files.values("B02", 0)[33:87, 33:87]
    with rasterio.open(tmp_path / "season" / "2021-06-15.tif") as file:
        mean = file.read(1)
    # To the left of the middle more than half of a patch is under clouds on the second date.
    assert (mean[:, :20] == first[:, :20]).all()
    assert (mean[:, 35:] == first[:, 35:] + 50).all()


def test_the_ground_of_an_image_that_no_plain_path_names(run, tmp_path, image):
    sentinel_files.stack(tmp_path / "s2", "2021-06-04.tif")
    run(output=str(tmp_path / "plain"))
    with zipfile.ZipFile(tmp_path / "ortho.zip", "w") as archive:
        archive.write(image, "ortho.tif")
    run(image=[f"/vsizip/{tmp_path / 'ortho.zip'}/ortho.tif"])
    with rasterio.open(tmp_path / "season" / "2021-06-04.tif") as file:
        found = file.read()
        with rasterio.open(tmp_path / "plain" / "2021-06-04.tif") as other:
            assert file.transform == other.transform
            assert (found == other.read()).all()


def test_images_in_another_crs_are_cut_around(run, tmp_path):
    image = tiny.write(tmp_path / "l93.tif", tiny.smooth(3, 64, 64))
    with rasterio.open(image) as file:
        left, _, _, top = rasterio.warp.transform_bounds(file.crs, UTM, *file.bounds)
    corner = (np.floor(left / 10) * 10 - 600, np.floor(top / 10) * 10 + 600)
    sentinel_files.stack(tmp_path / "s2", "2021-06-04.tif", corner=corner)
    run(image=[image])
    with rasterio.open(tmp_path / "season" / "2021-06-04.tif") as file:
        box = file.bounds
        assert file.read().all()
    assert box.left <= left - 200 < box.left + 10
    assert box.top - 10 < top + 200 <= box.top


def test_an_interrupted_run_goes_on_and_an_old_output_stays_until_then(run, tmp_path, recorder):
    for number, day in enumerate(("20210604", "20210609", "20210614")):
        sentinel_files.operator(tmp_path / "s2", day, number=number)
    season, cancelled = tmp_path / "season", threading.Event()
    season.mkdir()
    (season / "2020-01-01.tif").write_bytes(b"old")

    class Stopping(type(recorder)):
        def log(self, text):
            super().log(text)
            if "2021-06-09" in text:
                cancelled.set()

    with pytest.raises(EngineError, match="exists already"):
        run()
    with pytest.raises(Cancelled):
        run(cancelled=cancelled, reporter=Stopping(), overwrite=True)
    assert listed(season) == ["2020-01-01.tif"]
    again = type(recorder)()
    run(reporter=again, overwrite=True)
    assert "Going on with the dates that are done." in again.logs
    assert [name for name in listed(season) if name.endswith(".tif")] == [
        "2021-06-04.tif",
        "2021-06-09.tif",
        "2021-06-14.tif",
    ]
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("nothing", "no satellite image with a date"),
        ("packed", "no satellite image with a date"),
        ("nowhere", "There is no folder"),
        ("far", "shows nothing of the ground"),
        ("band", "without B05"),
        ("count", "has 3 bands without the names"),
        ("no crs", "has no CRS"),
        ("inside", "lie in one another"),
        ("foreign", "no series made here"),
        ("both", "either as image or as extent"),
    ],
)
def test_what_is_wrong_is_said(run, tmp_path, wrong, sentence):
    downloads, options = tmp_path / "s2", {}
    downloads.mkdir()
    if wrong == "packed":
        (downloads / "S2A_MSIL2A_20210604.SAFE.zip").write_bytes(b"")
    elif wrong == "nowhere":
        options["input"] = str(tmp_path / "nowhere")
    elif wrong == "far":
        sentinel_files.stack(downloads, "2021-06-04.tif", corner=(EAST + 50_000, NORTH))
    elif wrong == "band":
        sentinel_files.operator(downloads, "20210604", lacking=("B05",))
    elif wrong == "count":
        sentinel_files.stack(downloads, "2021-06-04.tif", bands=SENTINEL_2[:3])
    elif wrong == "no crs":
        sentinel_files.stack(downloads, "2021-06-04.tif", crs=None)
    elif wrong not in ("nothing",):
        sentinel_files.stack(downloads, "2021-06-04.tif")
    if wrong == "inside":
        options["output"] = str(downloads / "season")
    elif wrong == "foreign":
        (tmp_path / "season").mkdir()
        (tmp_path / "season" / "notes.txt").write_text("mine")
        options["overwrite"] = True
    elif wrong == "both":
        options["extent"] = "0,1,0,1"
        options["image"] = ["a.tif"]
    with pytest.raises((EngineError, ValueError)) as caught:
        run(**options)
    text = f"{caught.value} {getattr(caught.value, 'message', '')}"
    assert sentence in text
    if wrong == "packed":
        assert isinstance(caught.value, InputError)
        assert "Unpack" in caught.value.hint
    assert not list((tmp_path / "season").glob("*.tif"))


LIMITED = """
import resource, signal, sys
from engine.__main__ import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit of file sizes")
def test_a_full_disk_keeps_the_earlier_series_and_is_told_of(tmp_path):
    season_files.write_series(tmp_path / "s2", 64, 64, around=30)
    image = tiny.write(tmp_path / "ortho.tif", tiny.smooth(3, 64, 64))
    output = tmp_path / "season"
    output.mkdir()
    (output / "2020-01-01.tif").write_bytes(b"old")
    command = [
        sys.executable, "-c", LIMITED, "prepare-time-series", "--input", tmp_path / "s2", "--image", image, "--output",
        output, "--season-bands", "B02", "B03", "B04", "--pixel-size", "1.6", "--margin", "90", "--overwrite",
    ]  # fmt: skip
    done = subprocess.run([str(item) for item in command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 5, done.stderr
    assert "free" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert {item.name for item in tmp_path.iterdir()} == {"s2", "ortho.tif", "season"}
    assert listed(output) == ["2020-01-01.tif"]
