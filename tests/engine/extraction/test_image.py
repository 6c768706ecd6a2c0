"""Which bands of an image become bands of the patches."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from engine.errors import InputError
from engine.extraction.image import open_image
from tests.engine import tiny


@pytest.fixture
def opened(tmp_path, recorder):
    """Open images of so many bands; returns names and band numbers."""

    def start(*kinds, bands=None):
        paths = []
        for position, (count, descriptions, interpretation) in enumerate(kinds):
            path = tmp_path / f"i{position}.tif"
            options = {} if interpretation else {"photometric": "minisblack", "alpha": "no"}
            transform = rasterio.transform.from_origin(650000 + 12.8 * position, 6860000, 0.2, 0.2)
            array = np.ones((count, 64, 64), np.uint8)
            tiny.write(path, array, transform=transform, interpretation=interpretation, **options)
            if descriptions:
                with rasterio.open(path, "r+") as file:
                    file.descriptions = descriptions
            paths.append(str(path))
        source, names = open_image(
            paths, bands=bands, crs=None, ground_sampling_distance=None, nodata=None, reporter=recorder
        )
        return names, source.band_numbers

    return start


FLAIR = ("red", "green", "blue", "infrared", "elevation")


@pytest.mark.parametrize(
    ("kind", "names", "numbers"),
    [
        ((3, None, ("red", "green", "blue")), FLAIR[:3], (1, 2, 3)),
        ((4, None, ("red", "green", "blue", "alpha")), FLAIR[:3], (1, 2, 3)),
        ((5, FLAIR, None), FLAIR, (1, 2, 3, 4, 5)),
        ((3, ("PIR", "Rouge", "Vert"), None), ("infrared", "red", "green"), (1, 2, 3)),
        ((2, ("height", "NDVI"), None), ("elevation", "ndvi"), (1, 2)),
        ((3, None, None), FLAIR[:3], (1, 2, 3)),
        ((4, None, None), FLAIR[:4], (1, 2, 3, 4)),
        ((5, None, None), FLAIR, (1, 2, 3, 4, 5)),
        ((5, ("Band 1", "Band 2", "Band 3", "Band 4", "Band 5"), None), FLAIR, (1, 2, 3, 4, 5)),
        ((4, ("red", "green", "blue", "red edge"), None), ("red", "green", "blue", "red edge"), (1, 2, 3, 4)),
    ],
)
def test_all_bands_with_a_name(opened, kind, names, numbers):
    assert opened(kind) == (names, numbers)


def test_names_by_position_are_said(opened, recorder):
    opened((4, None, None))
    assert any("by position" in text for text in recorder.warnings + recorder.logs)


def test_alpha_is_no_band_and_the_way_to_have_it_is_said(opened, recorder):
    opened((4, None, ("red", "green", "blue", "alpha")))
    assert any("infrared=4" in text for text in recorder.logs)


def test_bands_given(opened):
    assert opened((5, FLAIR, None), bands={"infrared": 4, "other": 2}) == (("infrared", "other"), (4, 2))


def test_bands_without_a_name_are_left_out_and_said(opened, recorder):
    assert opened((6, ("red", "green", "blue", "", "", ""), None)) == (("red", "green", "blue"), (1, 2, 3))
    assert any("Bands 4, 5, 6 of i0.tif have no name" in text for text in recorder.warnings)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_bands_that_nobody_names_are_refused(opened, count):
    with pytest.raises(InputError, match=rf"{count} bands? of i0.tif show is not known.*--bands"):
        opened((count, None, None))


def test_images_of_different_bands_are_refused(opened):
    with pytest.raises(InputError, match="number of bands: 3 and 4"):
        opened((3, None, None), (4, None, None))
    with pytest.raises(InputError, match="names of their bands: red, green, blue and infrared, red, green"):
        opened((3, ("red", "green", "blue"), None), (3, ("nir", "red", "green"), None))


def test_images_of_one_kind_become_a_mosaic(opened):
    assert opened((3, None, None), (3, None, None)) == (FLAIR[:3], (1, 2, 3))
