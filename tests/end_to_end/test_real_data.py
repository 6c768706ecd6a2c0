"""Real imagery: models that learned for a few seconds classify the whole of what they learned from.

The imagery does not travel with the project: `img/` and `msk/` of `flair` and `korea` under FLAIR_TEST_DATA, or under
`shared/data` beside the checkout.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.merge
from affine import Affine

from tests.end_to_end import rasters
from tests.end_to_end.processes import ROOT, engine_environment

DATA = Path(os.environ.get("FLAIR_TEST_DATA", ROOT.parent / "shared" / "data"))
BANDS = ("red", "green", "blue", "infrared", "elevation")

pytestmark = pytest.mark.real_data


def files_of(name):
    images = sorted((DATA / name / "img").glob("*.tif"))
    if not images:
        pytest.skip(f"there is no imagery in {DATA / name}")
    return images


def labels_of(image):
    return image.parent.parent / "msk" / image.name.replace("IMG_", "MSK_")


def train(material, folder, images, steps):
    """Lay images side by side and train on them; return the model file."""
    side = min(min(rasters.read(image).shape) for image in images)
    values = np.concatenate([rasters.read_all(image)[:, :side, :side] for image in images], axis=2)
    labels = np.concatenate([rasters.read(labels_of(image))[:side, :side] for image in images], axis=1)
    # what was not mapped is nothing to learn from
    labels[labels > 15] = np.where(labels[labels > 15] == 18, 18, 0)
    transform = Affine(0.2, 0, 0, 0, -0.2, 0)
    image = rasters.write(folder / "image.tif", values, transform=transform)
    truth = rasters.write(folder / "labels.tif", labels[np.newaxis], transform=transform, names=False)
    model = folder / "model.safetensors"
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.make_material", "train", image, truth, str(model), str(steps)],
        env=engine_environment(material.cache),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return model


def agreement(pixels, labels):
    """Return the share of the labelled pixels that are right, and the share of the commonest class."""
    known = (pixels > 0) & np.isin(labels, list(rasters.CODES))
    commonest = np.bincount(labels[known]).max() / known.sum()
    return float((pixels == labels)[known].mean()), float(commonest)


def widened(mask):
    """Return a mask with all neighbours of its pixels, two pixels far."""
    padded = np.pad(mask, 2)
    height, width = mask.shape
    return np.any([padded[row : row + height, column : column + width] for row in range(5) for column in range(5)], 0)


def test_patches_of_flair(material, tmp_path):
    images = files_of("flair")
    model = train(material, tmp_path, images, 40)
    known, results = rasters.learnt(model), []
    for number, image in enumerate(images[:3]):
        output = tmp_path / f"{number}.tif"
        bands = ",".join(f"{name}={index}" for index, name in enumerate(BANDS, 1))
        material.classify(model=model, input=image, bands=bands, output=output)
        with rasterio.open(image) as dataset:
            transform = dataset.transform
        pixels = rasters.assert_is_class_raster(output, width=512, height=512, transform=transform, codes=known)
        assert (pixels > 0).all()
        results.append(agreement(pixels, rasters.read(labels_of(image))))
        print(f"{image.name}: {results[-1][0]:.1%} right, the commonest class {results[-1][1]:.1%}")
    assert np.mean([right for right, _ in results]) > 0.3


def test_mosaic_of_korea(material, tmp_path):
    images = files_of("korea")
    assert len(images) == 26
    model = train(material, tmp_path, images[::5], 40)
    output = tmp_path / "map.tif"
    log = material.classify(model=model, input=images, bands="red=1,green=2,blue=3", output=output).text
    assert "Resampling" in log  # 0.25 m on the ground, where the model knows 0.2 m
    with rasterio.open(output) as dataset:
        assert dataset.crs.to_epsg() == 3857
        bounds, transform, pixels = dataset.bounds, dataset.transform, dataset.read(1)
    opened = [rasterio.open(image) for image in images]
    try:
        assert transform.a == pytest.approx(opened[0].transform.a, rel=1e-3)
        for edge, choose in (("left", min), ("bottom", min), ("right", max), ("top", max)):
            wanted = choose(getattr(item.bounds, edge) for item in opened)
            assert getattr(bounds, edge) == pytest.approx(wanted, abs=2 * transform.a)
    finally:
        for item in opened:
            item.close()
    covered, right, shares = np.zeros(pixels.shape, bool), [], []
    for image in images:
        with rasterio.open(image) as dataset:
            column, row = (round(value) for value in ~transform @ (dataset.transform.c, dataset.transform.f))
            height, width = dataset.shape
        place = np.s_[max(row, 0) : row + height, max(column, 0) : column + width]
        part = pixels[place]
        covered[place] = True
        assert (part > 0).mean() > 0.97, image.name
        labels = rasters.read(labels_of(image))[: part.shape[0], : part.shape[1]]
        known = np.isin(labels, list(rasters.CODES))
        right.append(int((part == labels)[known].sum()))
        shares.append(np.bincount(labels[known], minlength=20))
    # the tiles do not lie on one grid, so that their edges differ by a pixel; beyond them there is nothing
    assert ((pixels > 0) == covered).mean() > 0.98
    assert not (pixels > 0)[~widened(covered)].any()
    labelled = np.sum(shares, axis=0)
    accuracy, commonest = sum(right) / labelled.sum(), labelled.max() / labelled.sum()
    print(f"{accuracy:.1%} right, the commonest class {commonest:.1%}")
    assert accuracy > commonest
    assert len(np.unique(pixels)) >= 4


def test_disturbed_masks_of_korea_are_judged_in_qgis(qgis, tmp_path):
    images = files_of("korea")
    truth, prediction, output = tmp_path / "truth.tif", tmp_path / "map.tif", tmp_path / "results"
    rasterio.merge.merge([labels_of(image) for image in images], nodata=0, dst_path=truth)
    with rasterio.open(truth) as dataset:
        labels, transform, crs = dataset.read(1), dataset.transform, dataset.crs
    # a map that is three pixels off, takes plowed for agricultural land, and lies on a grid of its own
    pixels = np.roll(labels, 3, axis=1)
    pixels[pixels == 12] = 11
    pixels[pixels == 19] = 3
    moved = transform @ Affine.translation(0.3, -0.3)
    rasters.write(prediction, pixels[np.newaxis], transform=moved, crs=crs, nodata=0, names=False)
    values = {"PREDICTION": prediction, "TRUTH_RASTER": truth, "IGNORE": "0,19", "IMAGE": images}
    answer = qgis.execute("flair:evaluate", BANDS="red=1,green=2,blue=3", OUTPUT=output, **values)
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    judged = np.isin(labels, list(rasters.CODES))
    right = (pixels == labels)[judged].mean()
    print(f"{right:.1%} right, mean IoU {results['MIOU']:.1%}, on {results['PIXELS']} pixels")
    assert 0.4 < right < 0.95
    assert results["PIXELS"] == pytest.approx(judged.sum(), rel=1e-3)
    assert results["OVERALL_ACCURACY"] == pytest.approx(right, abs=1e-3)
    with rasterio.open(output / "errors.tif") as dataset:
        assert dataset.crs.to_epsg() == 3857
        assert dataset.transform.almost_equals(moved, 1e-9)
        verdicts = dataset.read(1)
    wanted = np.where(judged, np.where(pixels == labels, 1, 2), 0)
    # but for the edges, where the nearest pixel of the truth is another
    assert (verdicts == wanted).mean() > 0.999
    assert "data:image/" in (output / "report.html").read_text(encoding="utf-8")
