from __future__ import annotations

import numpy as np
import pytest

from engine.errors import OutOfMemoryError
from engine.inference.predictor import Prediction
from engine.inference.window_classifier import BLENDED_SIDE, WindowClassifier, decide, hann, symmetries
from tests.engine.tiny import TINY_CLASSES

CODES = np.array([item.code for item in TINY_CLASSES.enabled], dtype=np.uint8)


class PixelPredictor:
    """Answers each pixel by its own value, so that every way of cutting gives the same."""

    device = "cpu"
    precision = "exact"
    bytes_per_pixel = 1.0

    def __init__(self, head="codes", limit=None):
        self.head = head
        self.limit = limit
        self.seen = []

    def predict(self, images):
        self.seen.append(images.shape)
        if self.limit is not None and images.size // images.shape[1] > self.limit:
            raise MemoryError("too much")
        logits = self.logits(np.asarray(images, dtype=np.float64))
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        if self.head == "probabilities":
            return Prediction(probabilities=shares.astype(np.float32))
        confidence = np.rint(shares.max(1) * 100).astype(np.uint8) if self.head == "confidence" else None
        return Prediction(codes=CODES[logits.argmax(1)], confidence=confidence)

    def logits(self, images):
        return np.stack([images[:, 0] / 50, images[:, 1] / 40, images[:, 2] / 60, 3 - images[:, 0] / 80], axis=1)


class PlacePredictor(PixelPredictor):
    """Answers by the place in the window, as a network that lacks context does."""

    def logits(self, images):
        rows, columns = np.mgrid[: images.shape[2], : images.shape[3]]
        base = super().logits(images)
        base[:, 0] += np.minimum(rows, images.shape[2] - 1 - rows) * 0.05
        base[:, 1] += columns * 0.01
        return base


def images(height, width, count=1, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (count, 3, height, width)).astype(np.uint8)


def classifier(predictor, blend=False, augment=False, said=None):
    return WindowClassifier(predictor, TINY_CLASSES, blend, augment, (said if said is not None else []).append)


def test_plain_prediction_is_the_predictors_own():
    predictor = PixelPredictor("confidence")
    batch = images(64, 96, count=2)
    result = classifier(predictor).classify(batch)
    expected = predictor.predict(batch)
    assert np.array_equal(result.codes, expected.codes)
    assert np.array_equal(result.confidence, expected.confidence)


def test_decide_maps_channels_to_codes_and_rounds_the_confidence():
    shares = np.array([0.1, 0.2, 0.004, 0.696], dtype=np.float32).reshape(1, 4, 1, 1)
    result = decide(shares, TINY_CLASSES)
    assert result.codes.tolist() == [[[1]]]
    assert result.confidence.tolist() == [[[70]]]
    assert result.codes.dtype == result.confidence.dtype == np.uint8


@pytest.mark.parametrize("size", [32, 256, 512])
def test_hann_weights_add_up_to_one_and_are_nowhere_zero(size):
    weight = hann(size)
    assert weight.min() > 0
    assert np.allclose(weight[: size // 2] + weight[size // 2 :], 1)


def test_each_symmetry_is_undone_and_all_differ():
    values = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
    turned = []
    for turn, back in symmetries():
        assert np.array_equal(back(turn(values)), values)
        turned.append(turn(values).tobytes() + bytes(str(turn(values).shape), "ascii"))
    assert len(set(turned)) == 8


@pytest.mark.parametrize("shape", [(64, 64), (64, 128)])
def test_augmentation_is_the_mean_over_the_eight_symmetries(shape):
    predictor = PlacePredictor("probabilities")
    batch = images(*shape)
    by_hand = []
    for flip in (False, True):
        for quarters in range(4):
            turned = np.rot90(batch, quarters, (2, 3))
            turned = turned[:, :, :, ::-1] if flip else turned
            answer = predictor.predict(np.ascontiguousarray(turned)).probabilities
            answer = answer[:, :, :, ::-1] if flip else answer
            by_hand.append(np.rot90(answer, -quarters, (2, 3)))
    expected = np.mean(by_hand, axis=0)
    result = classifier(predictor, augment=True).classify(batch)
    assert np.allclose(result.probabilities, expected, atol=1e-6)
    assert np.array_equal(result.codes, CODES[expected.argmax(1)])
    assert not np.allclose(result.probabilities, predictor.predict(batch).probabilities, atol=1e-3)


@pytest.mark.parametrize("augment", [False, True])
def test_blending_gives_the_same_whichever_window_a_pixel_is_seen_in(augment):
    half = BLENDED_SIDE // 2
    batch = images(5 * half, 4 * half)
    blended = classifier(PlacePredictor("probabilities"), blend=True, augment=augment)
    whole = blended.classify(batch).probabilities
    part = blended.classify(batch[:, :, half:, half:]).probabilities
    # With half a blended window of context all windows that cover a pixel are the same ones.
    assert np.allclose(part[:, :, half:, half:], whole[:, :, 2 * half :, 2 * half :], atol=1e-5)
    assert not np.allclose(part[:, :, :8, :8], whole[:, :, half : half + 8, half : half + 8], atol=1e-3)


@pytest.mark.parametrize("shape", [(32, 32), (256, 256), (256, 768), (512, 512), (768, 512)])
def test_blending_a_predictor_without_borders_changes_nothing(shape):
    predictor = PixelPredictor("probabilities")
    batch = images(*shape)
    result = classifier(predictor, blend=True).classify(batch)
    assert np.allclose(result.probabilities, predictor.predict(batch).probabilities, atol=1e-5)
    assert np.allclose(result.probabilities.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("head", ["codes", "confidence", "probabilities"])
@pytest.mark.parametrize("shape", [(512, 512), (288, 640), (1024, 320)])
@pytest.mark.parametrize("limit", [256 * 256, 400 * 400])
def test_running_out_of_memory_steps_down_and_decides_every_pixel_alike(head, shape, limit):
    said = []
    predictor = PixelPredictor(head, limit)
    batch = images(*shape, count=2)
    result = classifier(predictor, said=said).classify(batch)
    predictor.limit = None
    expected = predictor.predict(batch)
    assert result.codes.shape == (2, *shape)
    if head == "probabilities":
        assert np.array_equal(result.probabilities, expected.probabilities)
        assert np.array_equal(result.codes, CODES[expected.probabilities.argmax(1)])
    else:
        assert np.array_equal(result.codes, expected.codes)
    if head == "confidence":
        assert np.array_equal(result.confidence, expected.confidence)
    assert said
    assert all(side % 32 == 0 for _, _, *sides in predictor.seen for side in sides)


def test_parts_keep_context_around_what_is_kept_of_them():
    """A predictor that is wrong within 64 pixels of a cut is right in parts too."""

    class Border(PixelPredictor):
        def logits(self, images):
            base = super().logits(images)
            for axis in (2, 3):
                size = images.shape[axis]
                if size < 640:  # not the whole image: the cut sides are those in its middle
                    base = np.swapaxes(base, axis, 3)
                    base[..., 0, :, -60:] = 99 if images[0, 0, 0, 0] == 1 else base[..., 0, :, -60:]
                    base = np.swapaxes(base, axis, 3)
            return base

    batch = images(640, 640)
    batch[0, 0, 0, 0] = 1
    predictor = Border(limit=640 * 400)
    result = classifier(predictor).classify(batch)
    expected = PixelPredictor().predict(batch)
    assert np.array_equal(result.codes[:, :300], expected.codes[:, :300])


def test_memory_that_suffices_for_nothing_is_an_error_for_people():
    with pytest.raises(OutOfMemoryError, match="does not fit") as caught:
        classifier(PixelPredictor(limit=10)).classify(images(512, 512))
    assert caught.value.hint
    assert caught.value.exit_code == 7


def test_blending_and_averaging_step_down_too():
    predictor = PixelPredictor("probabilities", limit=300 * 300)
    batch = images(768, 512)
    result = classifier(predictor, blend=True, augment=True).classify(batch)
    predictor.limit = None
    assert np.allclose(result.probabilities, predictor.predict(batch).probabilities, atol=1e-5)


def test_averaging_without_probabilities_is_a_mistake_of_the_program():
    for options in ({"blend": True}, {"augment": True}):
        with pytest.raises(TypeError):
            classifier(PixelPredictor("codes"), **options).classify(images(64, 64))
