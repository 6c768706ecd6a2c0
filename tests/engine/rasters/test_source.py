from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from engine.errors import InputError, RequestError
from engine.events import ConsoleReporter
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

RGB = ("red", "green", "blue")


def whole(source):
    return PixelWindow(0, 0, source.height, source.width)


def read(source, window=None):
    with source.reader() as reader:
        return reader.read(window or whole(source))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_reads_pixels_of_each_type(write_raster, noise, reporter, dtype):
    array = noise((3, 30, 20), dtype)
    source = RasterSource.open([write_raster("a.tif", array)], RGB, reporter=reporter)
    assert (source.width, source.height, source.dtype) == (20, 30, dtype)
    assert source.crs.to_epsg() == 2154
    assert source.transform == Affine(0.2, 0, 650000, 0, -0.2, 6860000)
    assert source.gsd == pytest.approx((0.2, 0.2), rel=5e-3)
    values, valid = read(source)
    assert values.dtype == dtype
    assert np.array_equal(values, array)
    assert valid.all()


def test_bands_come_in_the_order_asked_for(write_raster, noise, reporter):
    array = noise((4, 8, 8))
    path = write_raster("a.tif", array, descriptions=["NIR", "R", "G", "B"])
    source = RasterSource.open([path], ("red", "infrared"), reporter=reporter)
    assert source.band_numbers == (2, 1)
    assert np.array_equal(read(source)[0], array[[1, 0]])


def test_bands_of_different_types(tmp_path, write_raster, noise, reporter):
    colour = write_raster("c.tif", noise((1, 4, 4)))
    height = write_raster("h.tif", np.full((1, 4, 4), 300.5, "float32"))
    vrt = tmp_path / "both.vrt"
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{n}"><SimpleSource><SourceFilename>{path}</SourceFilename>'
        "</SimpleSource></VRTRasterBand>"
        for n, (kind, path) in enumerate((("Byte", colour), ("Float32", height)), 1)
    )
    vrt.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="4"><SRS>EPSG:2154</SRS>'
        f"<GeoTransform>650000,0.2,0,6860000,0,-0.2</GeoTransform>{bands}</VRTDataset>"
    )
    source = RasterSource.open([str(vrt)], ("red", "elevation"), reporter=reporter)
    assert source.dtype == "float32"
    assert read(source)[0][1].tolist() == [[300.5] * 4] * 4


def test_zip_path(tmp_path, write_raster, noise, reporter):
    array = noise((3, 8, 8))
    write_raster("a.tif", array)
    shutil.make_archive(str(tmp_path / "z"), "zip", tmp_path, "a.tif")
    source = RasterSource.open([f"/vsizip/{tmp_path}/z.zip/a.tif"], RGB, reporter=reporter)
    assert np.array_equal(read(source)[0], array)
    assert source.fingerprint()["inputs"][0][1] == (tmp_path / "z.zip").stat().st_size


def test_rotated_and_geographic(write_raster, noise, reporter):
    turned = Affine.translation(650000, 6860000) * Affine.rotation(20) * Affine.scale(0.2, -0.2)
    source = RasterSource.open([write_raster("r.tif", noise((3, 9, 9)), transform=turned)], RGB, reporter=reporter)
    assert source.transform.almost_equals(turned)
    assert source.gsd == pytest.approx((0.2, 0.2), rel=5e-3)
    degrees = Affine(2e-6, 0, 2.3, 0, -2e-6, 48.8)
    path = write_raster("g.tif", noise((3, 9, 9)), transform=degrees, crs="EPSG:4326")
    assert RasterSource.open([path], RGB, reporter=reporter).gsd == pytest.approx((0.1468, 0.2224), rel=1e-3)


# --- validity -------------------------------------------------------------------------------------------------------


def test_black_counts_as_nodata_only_in_all_bands(write_raster, noise, reporter):
    array = noise((3, 8, 8))
    array[0, 0, 0] = 0
    array[:, 3, 4] = 0
    source = RasterSource.open([write_raster("a.tif", array, nodata=0)], RGB, reporter=reporter)
    valid = read(source)[1]
    assert np.argwhere(~valid).tolist() == [[3, 4]]


def test_impossible_nodata_counts_in_any_band_and_reads_as_zero(write_raster, reporter):
    array = np.full((3, 4, 4), 7, "float32")
    array[2, 1, 1] = -9999
    array[0, 2, 2] = np.nan
    array[0, 3, 3] = np.inf
    source = RasterSource.open([write_raster("a.tif", array, nodata=-9999)], RGB, reporter=reporter)
    values, valid = read(source)
    assert np.argwhere(~valid).tolist() == [[1, 1], [2, 2], [3, 3]]
    assert values[:, ~valid].tolist() == [[0] * 3] * 3
    assert np.isfinite(values).all()


def test_nan_nodata_of_float(write_raster, reporter):
    array = np.full((3, 4, 4), 7, "float32")
    array[:, 1, 1] = np.nan
    source = RasterSource.open([write_raster("a.tif", array, nodata=np.nan)], RGB, reporter=reporter)
    assert np.argwhere(~read(source)[1]).tolist() == [[1, 1]]


def test_given_nodata_replaces_the_files(write_raster, noise, reporter):
    array = noise((3, 8, 8), low=1, high=200)
    array[:, 0, 0], array[:, 1, 1] = 0, 255
    path = write_raster("a.tif", array, nodata=0)
    source = RasterSource.open([path], RGB, nodata=255, reporter=reporter)
    assert np.argwhere(~read(source)[1]).tolist() == [[1, 1]]
    RasterSource.open([path], RGB, nodata=-9999, reporter=reporter)
    assert "no effect" in reporter.warnings[-1]


def test_mask_band(write_raster, noise, reporter):
    mask = np.full((8, 8), 255, "uint8")
    mask[2:4, 5] = 0
    source = RasterSource.open([write_raster("a.tif", noise((3, 8, 8)), mask=mask)], RGB, reporter=reporter)
    assert np.array_equal(read(source)[1], mask > 0)


def test_sidecar_mask_is_found(tmp_path, write_raster, noise, reporter):
    mask = np.full((8, 8), 255, "uint8")
    mask[2:4, 5] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        path = write_raster("a.tif", noise((3, 8, 8)), mask=mask)
    assert (tmp_path / "a.tif.msk").exists()
    assert np.array_equal(read(RasterSource.open([path], RGB, reporter=reporter))[1], mask > 0)


def test_alpha(write_raster, noise, reporter):
    array = noise((4, 8, 8))
    array[3] = 255
    array[3, 6, 1] = 0
    path = write_raster("a.tif", array, interpretation=["red", "green", "blue", "alpha"])
    source = RasterSource.open([path], RGB, reporter=reporter)
    assert np.argwhere(~read(source)[1]).tolist() == [[6, 1]]
    taken = RasterSource.open([path], ("infrared",), bands={"infrared": 4}, reporter=reporter)
    assert read(taken)[1].all()


def test_validity_alone_agrees_with_reading(write_raster, noise, reporter):
    array = noise((3, 300, 310), high=4)
    array[:, 100:170, 20:90] = 0
    path = write_raster("a.tif", array, nodata=0, tiled=True, blockxsize=64, blockysize=64)
    source = RasterSource.open([path], RGB, reporter=reporter)
    window = PixelWindow(37, 11, 250, 290)
    with source.reader() as reader:
        reader_parts = reader.valid(window)
        assert np.array_equal(reader_parts, reader.read(window)[1])
    assert not reader_parts.all()


# --- sparse and large -----------------------------------------------------------------------------------------------


def test_sparse_geotiff(tmp_path, reporter):
    path = tmp_path / "sparse.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=4096, height=4096, count=3, dtype="uint8", crs="EPSG:2154", tiled=True,
        blockxsize=256, blockysize=256, transform=Affine(0.2, 0, 650000, 0, -0.2, 6860000), SPARSE_OK=True,
        photometric="RGB",
    ) as dataset:  # fmt: skip
        dataset.write(np.full((3, 100, 100), 9, "uint8"), window=Window(600, 1100, 100, 100))
    source = RasterSource.open([str(path)], RGB, reporter=reporter)
    assert source.covers(PixelWindow(1100, 600, 100, 100))
    assert source.covers(PixelWindow(900, 500, 150, 100))
    assert not source.covers(PixelWindow(0, 0, 1024, 512))
    assert not source.covers(PixelWindow(-50, -50, 50, 50))
    with source.reader() as reader:
        valid = reader.valid(PixelWindow(1000, 500, 200, 200))
    assert valid[24:, 12:].all()
    assert not valid[:24].any()
    found = source.sample(2, 128)
    assert found
    assert found[0][1].any()


def vrt_of(path, sources, size, extra=""):
    entries = "".join(
        f"<SimpleSource><SourceFilename>{name}</SourceFilename><SourceBand>{{band}}</SourceBand>"
        f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
        f'<DstRect xOff="{column}" yOff="{row}" xSize="{width}" ySize="{height}"/></SimpleSource>'
        for name, row, column, height, width in sources
    )
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{n}"><ColorInterp>{kind}</ColorInterp>'
        f"{extra}{entries.replace('{band}', str(n))}</VRTRasterBand>"
        for n, kind in enumerate(("Red", "Green", "Blue"), 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}"><SRS>EPSG:2154</SRS>'
        f"<GeoTransform>650000,0.2,0,6860000,0,-0.2</GeoTransform>{bands}</VRTDataset>"
    )
    return str(path)


def test_huge_sparse_vrt(tmp_path, write_raster, noise, reporter):
    array = noise((3, 50, 60))
    tile = write_raster("tile.tif", array)
    rng = np.random.default_rng(0)
    places = [(int(r), int(c), 50, 60) for r, c in rng.integers(0, 199_900, size=(1500, 2))]
    path = vrt_of(tmp_path / "huge.vrt", [(tile, *p) for p in places], 200_000)
    start = time.monotonic()
    source = RasterSource.open([path], RGB, reporter=reporter)
    assert (source.width, source.height) == (200_000, 200_000)
    assert time.monotonic() - start < 1.5
    start = time.monotonic()
    covered = [source.covers(PixelWindow(row, column, 1000, 1000)) for row in range(0, 200_000, 2000)
               for column in range(0, 200_000, 2000)]  # fmt: skip
    assert time.monotonic() - start < 1.5
    assert 0 < sum(covered) < len(covered) / 2
    row, column, *_ = places[-1]
    values, valid = read(source, PixelWindow(row, column, 50, 60))
    assert valid.all()
    assert np.array_equal(values, array)
    assert len(source.sample(4, 64)) == 4


def test_vrt_is_invalid_outside_its_sources(tmp_path, write_raster, noise, reporter):
    tile = write_raster("tile.tif", noise((3, 10, 10)))
    source = RasterSource.open([vrt_of(tmp_path / "a.vrt", [(tile, 5, 8, 10, 10)], 30)], RGB, reporter=reporter)
    expected = np.zeros((30, 30), bool)
    expected[5:15, 8:18] = True
    assert np.array_equal(read(source)[1], expected)
    assert not source.covers(PixelWindow(15, 0, 5, 30))
    assert not source.covers(PixelWindow(0, 18, 30, 12))


def test_vrt_with_other_sources_covers_all(tmp_path, write_raster, noise, reporter):
    tile = write_raster("tile.tif", noise((3, 10, 10)))
    path = vrt_of(tmp_path / "a.vrt", [(tile, 5, 8, 10, 10)], 30)
    text = Path(path).read_text().replace("SimpleSource", "AveragedSource")
    Path(path).write_text(text)
    assert RasterSource.open([path], RGB, reporter=reporter).covers(PixelWindow(0, 0, 2, 2))


# --- sampling and fingerprint ---------------------------------------------------------------------------------------


def test_sample_is_spread_and_repeatable(write_raster, noise, reporter):
    source = RasterSource.open([write_raster("a.tif", noise((3, 400, 400)))], RGB, reporter=reporter)
    found = source.sample(6, 64, seed=3)
    assert len(found) == 6
    assert all(values.shape == (3, 64, 64) and valid.shape == (64, 64) for values, valid in found)
    again = source.sample(6, 64, seed=3)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(found, again, strict=True))
    small = RasterSource.open([write_raster("b.tif", noise((3, 1, 1)))], RGB, reporter=reporter).sample(6, 64)
    assert [values.shape for values, _ in small] == [(3, 1, 1)]


def test_sample_of_nothing(write_raster, reporter):
    path = write_raster("a.tif", np.zeros((3, 40, 40), "uint8"), nodata=0)
    assert RasterSource.open([path], RGB, reporter=reporter).sample(4, 16) == []


def test_fingerprint(tmp_path, write_raster, noise, reporter):
    tile = write_raster("tile.tif", noise((3, 10, 10)))
    inner = vrt_of(tmp_path / "inner.vrt", [(tile, 5, 8, 10, 10)], 30)
    path = vrt_of(tmp_path / "a.vrt", [(inner, 0, 0, 30, 30)], 40)

    def stamp(**options):
        text = json.dumps(RasterSource.open([path], RGB, reporter=reporter, **options).fingerprint())
        return json.loads(text)

    first = stamp()
    assert stamp() == first
    for changed in (
        stamp(nodata=3),
        stamp(bands={"red": 3, "green": 2, "blue": 1}),
        stamp(ground_sampling_distance=0.5),
    ):
        assert changed != first
    os.utime(tile, ns=(1, 1))
    touched = stamp()
    assert touched != first
    os.utime(path, ns=(1, 1))
    assert stamp() != touched


# --- what cannot be used --------------------------------------------------------------------------------------------


def test_no_crs(write_raster, noise, reporter):
    path = write_raster("a.tif", noise((3, 8, 8)), crs=None)
    with pytest.raises(InputError, match="no CRS") as caught:
        RasterSource.open([path], RGB, reporter=reporter)
    assert "--crs EPSG:2154" in caught.value.hint
    assert "--ground-sampling-distance" in caught.value.hint
    given = RasterSource.open([path], RGB, crs="EPSG:2154", reporter=reporter)
    assert given.crs.to_epsg() == 2154
    sized = RasterSource.open([path], RGB, ground_sampling_distance=0.3, reporter=reporter)
    assert sized.crs is None
    assert sized.gsd == (0.3, 0.3)
    with pytest.raises(RequestError, match="no known CRS"):
        RasterSource.open([path], RGB, crs="EPSG:nonsense", reporter=reporter)


def test_no_georeference_at_all(tmp_path, write_raster, noise, reporter):
    path = write_raster("a.tif", noise((3, 8, 8)), crs=None, transform=Affine.identity())
    with pytest.raises(InputError, match="no georeference") as caught:
        RasterSource.open([path], RGB, crs="EPSG:2154", reporter=reporter)
    assert "--ground-sampling-distance" in caught.value.hint
    assert RasterSource.open([path], RGB, ground_sampling_distance=0.2, reporter=reporter).gsd == (0.2, 0.2)


def test_what_is_no_raster(tmp_path, reporter):
    (tmp_path / "text.tif").write_text("not a raster\n")
    (tmp_path / "empty.tif").touch()
    (tmp_path / "folder").mkdir()
    for path, words in (
        (tmp_path / "missing.tif", "There is no file"),
        (tmp_path / "text.tif", "not a raster"),
        (tmp_path / "empty.tif", "is empty"),
        (tmp_path / "folder", "holds no raster"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            RasterSource.open([str(path)], RGB, reporter=reporter)
        assert caught.value.hint
    with pytest.raises(RequestError):
        RasterSource.open([], RGB, reporter=reporter)


def test_complex_numbers(write_raster, reporter):
    path = write_raster("a.tif", np.zeros((3, 4, 4), "complex64"))
    with pytest.raises(InputError, match="complex"):
        RasterSource.open([path], RGB, reporter=reporter)


def test_damaged_block_in_the_middle(write_raster, noise, reporter):
    path = write_raster("a.tif", noise((3, 256, 256)), tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_2_2", "TIFF", 1))
    with open(path, "r+b") as stream:
        stream.seek(offset)
        stream.write(b"\xff" * 500)
    source = RasterSource.open([path], RGB, reporter=reporter)
    with source.reader() as reader:
        reader.read(PixelWindow(0, 0, 64, 64))
        with pytest.raises(InputError, match=r"a\.tif.*rows 128 to 191, columns 128 to 191") as caught:
            reader.read(PixelWindow(128, 128, 64, 64))
    assert "damaged" in caught.value.hint


def test_truncated_file(write_raster, noise, reporter):
    path = write_raster("a.tif", noise((3, 256, 256)))
    os.truncate(path, os.path.getsize(path) // 2)
    source = RasterSource.open([path], RGB, reporter=reporter)
    with pytest.raises(InputError, match="cannot be read"):
        read(source)


def test_vrt_with_a_missing_file(tmp_path, reporter):
    path = vrt_of(tmp_path / "a.vrt", [(str(tmp_path / "gone.tif"), 5, 8, 10, 10)], 30)
    source = RasterSource.open([path], RGB, reporter=reporter)
    with pytest.raises(InputError, match=r"gone\.tif|cannot be read"):
        read(source)


def test_samples_stay_within_a_part(tmp_path):
    path = tmp_path / "image.tif"
    pixels = np.zeros((1, 200, 300), dtype=np.uint8)
    pixels[:, 40:100, 60:180] = 7
    profile = {"driver": "GTiff", "width": 300, "height": 200, "count": 1, "dtype": "uint8", "crs": "EPSG:2154"}
    with rasterio.open(path, "w", **profile, transform=Affine(0.2, 0, 0, 0, -0.2, 0)) as target:
        target.write(pixels)
    source = RasterSource.open([str(path)], ["red"], reporter=ConsoleReporter())
    samples = source.sample(4, 32, within=PixelWindow(40, 60, 60, 120))
    assert samples
    for values, valid in samples:
        assert values.shape == (1, 32, 32)
        assert (values == 7).all()
        assert valid.all()
