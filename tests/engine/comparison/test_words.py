import pytest

from engine.comparison.words import TruthReporter, rephrased, speaking_of_truth
from engine.errors import InputError


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Labels: 1 (4 pixels).", "Truth labels: 1 (4 pixels)."),
        ("The labels 'labels.tif' lie outside the image.", "The truth labels 'labels.tif' lie outside the prediction."),
        ("The label raster labels.tif is on another grid.", "The truth label raster labels.tif is on another grid."),
        ("Check the CRS of image.tif", "Check the CRS of image.tif"),
        ("Give the image's CRS with --crs", "Give the prediction's CRS with --crs"),
        ("--label-layer has no effect", "--truth-layer has no effect"),
        ("No label is 'image', which", "No truth label is 'image', which"),
    ],
)  # fmt: skip
def test_words(said, meant):
    assert rephrased(said) == meant


def test_errors_and_events(recorder):
    with pytest.raises(InputError) as caught, speaking_of_truth():
        raise InputError("The labels are odd.", "Check the image.")
    assert (caught.value.message, caught.value.hint) == ("The truth labels are odd.", "Check the prediction.")
    reporter = TruthReporter(recorder)
    reporter.log("labels")
    reporter.warning("image")
    reporter.progress(0.5)
    assert (recorder.logs, recorder.warnings, recorder.fractions) == (["truth labels"], ["prediction"], [0.5])
