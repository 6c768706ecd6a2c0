"""The command line: memory and the time to the first tile."""

from __future__ import annotations

import time

import psutil

from tests.end_to_end import rasters
from tests.end_to_end.processes import PATIENCE, stored_tiles, wait_for


def peak_memory(run):
    """Return the highest memory of a run in bytes, all of its processes together."""
    peak = 0
    while run.process.poll() is None:
        total = 0
        for process in run.engines():
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        peak = max(peak, total)
        time.sleep(0.02)
    assert run.process.returncode == 0, run.stderr
    return peak


def test_memory_does_not_grow_with_the_raster(material, tmp_path):
    # the same data in a raster of its own size, and in one of 40,000 x 40,000 that is empty elsewhere
    # 1600 = 192 + 2 x 704: both are cut into windows of 896 x 896
    small = rasters.repeated(material.image, tmp_path / "small.vrt", 2, 3, size=(1600, 1600))
    sparse = rasters.repeated(material.image, tmp_path / "sparse.vrt", 2, 3, size=(40_000, 40_000))
    peaks = []
    for number, image in enumerate((small, sparse)):
        with material.start(input=image, output=tmp_path / f"{number}.tif", window=704) as run:
            peaks.append(peak_memory(run))
            assert "896 x 896 pixels" in run.stderr
    print(f"{peaks[0] / 1e6:.0f} MB alone, {peaks[1] / 1e6:.0f} MB in the sparse raster")
    assert abs(peaks[1] - peaks[0]) < 0.1 * peaks[0]
    assert max(peaks) < 2.5e9
    alone, inside = rasters.read(tmp_path / "0.tif"), tmp_path / "1.tif"
    with rasters.rasterio.open(inside) as dataset:
        assert dataset.shape == (40_000, 40_000)
        corner = dataset.read(1, window=((0, alone.shape[0]), (0, alone.shape[1])))
        assert dataset.read(1, window=((39_000, 40_000), (39_000, 40_000))).max() == 0
    both = (corner > 0) & (alone > 0)
    assert both.mean() > 0.5
    assert (corner != alone)[both].mean() < 0.005


def test_second_run_starts_at_once_and_without_torch(material, tmp_path):
    output = tmp_path / "map.tif"
    # every module that is imported is named on stderr
    began = time.monotonic()
    with material.start(
        input=material.large, output=output, window=256, environment={"PYTHONPROFILEIMPORTTIME": "1"}
    ) as run:
        wait_for(lambda: stored_tiles(output) > 0, "the first tile")
        seconds = time.monotonic() - began
        imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if "import time:" in line}
        run.kill()
    print(f"first tile after {seconds:.1f} s")
    assert "engine.inference.openvino_predictor" in imported
    assert "openvino" in imported
    assert not {"torch", "segmentation_models_pytorch", "timm"} & imported
    # 4 s are promised on a quiet machine; tests share theirs
    assert seconds < 8 * PATIENCE
