from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.data.jitter import Jitter
from engine.data.pairs import Pair
from engine.data.pieces import PatchCache, PatchReader, TrainingPieces, WholePatches, _resized
from engine.training.presets import load_recipe
from tests.engine import tiny
from tests.engine.labelled_patches import CODES, painted, stripes, write_pair

TABLE = tiny.TINY_CLASSES.code_to_index
PIXELS = np.array([10, 1000, 0, 1000, 1000])
STILL = {"flips": False, "quarter_turns": False, "scale": 1.0, "sampling": "uniform"}


class Source:
    """Patches from memory."""

    def __init__(self, *patches):
        self.patches = patches

    def read(self, index):
        return self.patches[index]


def pieces(source, size, seed=0, pixels=PIXELS, **choices):
    recipe = load_recipe("quick", {**STILL, **choices})
    return TrainingPieces(source, recipe, size, Jitter(recipe, ("red", "green", "blue")), seed, pixels)


def numbered(height, width):
    """Return a patch each pixel of which tells its place and whose target follows from it."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, (rows * 7 + columns * 3) % 5]).astype(np.uint8)
    return image, image[2].copy()


def reader(tmp_path, image, mask, bands=(1, 2, 3), nodata=None, means=(101.7, 102.7, 103.7, 104.7)):
    write_pair(tmp_path, "p", image, mask)
    pair = Pair(tmp_path / "img" / "p.tif", tmp_path / "msk" / "p.tif")
    return PatchReader((pair,), bands, TABLE, means[: len(bands)], nodata)


def test_codes_become_channels_and_all_others_are_ignored(tmp_path):
    mask = np.zeros((4, 8), dtype=np.uint8)
    mask[0] = 7, 3, 250, 5, 1, 0, 255, 19
    image, target = reader(tmp_path, painted(mask), mask).read(0)
    assert target[0].tolist() == [0, 1, 255, 3, 4, 255, 255, 255]
    assert (target[1:] == 255).all()
    assert (target.dtype, image.dtype) == (np.uint8, np.uint8)
    assert (image == painted(mask)).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_masks_of_any_type_mean_the_same(tmp_path, dtype):
    mask = stripes(8).astype(dtype)
    target = reader(tmp_path, painted(stripes(8)), mask).read(0)[1]
    assert (target == TABLE[stripes(8)]).all()


def test_bands_come_in_the_networks_order(tmp_path):
    image = tiny.smooth(5, 8, 8)
    assert (reader(tmp_path, image, stripes(8), bands=(4, 1, 3)).read(0)[0] == image[[3, 0, 2]]).all()


def test_pixels_without_data_are_ignored_and_filled(tmp_path):
    image = np.full((3, 8, 8), 50, dtype=np.float32)
    image[1, 0, 0], image[:, 0, 1], image[2, 0, 2] = np.nan, np.inf, -9999.0
    mask = stripes(8)
    found, target = reader(tmp_path, image, mask, bands=(3, 2, 1), nodata=-9999.0).read(0)
    expected = TABLE[mask].copy()
    expected[0, :3] = 255
    assert (target == expected).all()
    assert target.dtype == np.uint8
    # All bands of such a pixel are filled with their means, in the order in which they are read.
    assert found[:, 0, :3].T.tolist() == [[np.float32(v) for v in (101.7, 102.7, 103.7)]] * 3
    assert (found[:, 1:] == 50).all()


def test_a_dark_pixel_is_learnt_as_it_is_classified(tmp_path):
    """Nodata 0 in one band of three is a measurement, for the reader of classification too."""
    image = np.full((3, 8, 8), 50, dtype=np.uint8)
    image[2, 0, 0] = 0
    image[:, 0, 1] = 0
    found, target = reader(tmp_path, image, stripes(8), nodata=0.0).read(0)
    assert found[:, 0, 0].tolist() == [50, 50, 0]
    assert target[0, :3].tolist() == [0, 255, 1]
    assert found[:, 0, 1].tolist() == [101, 102, 103]


def test_wider_types_become_real_numbers(tmp_path):
    image = (tiny.smooth(3, 8, 8).astype(np.uint16) * 200).astype(np.uint16)
    found = reader(tmp_path, image, stripes(8)).read(0)[0]
    assert found.dtype == np.float32
    assert (found == image).all()


def test_the_cache_gives_the_same_and_keeps_to_its_limit():
    class Counted(Source):
        reads = 0

        def read(self, index):
            self.reads += 1
            return super().read(index)

    source = Counted(*(numbered(16, 16) for _ in range(4)))
    size = sum(array.nbytes for array in source.patches[0])
    cache = PatchCache(source, 2 * size + 10)
    for _ in range(3):
        for index in range(4):
            assert all((a == b).all() for a, b in zip(cache.read(index), source.patches[index], strict=True))
    # Two are kept from the first round on, the two others are read each time.
    assert source.reads == 4 + 2 * 2


def test_what_is_learnt_from_does_not_change_what_is_cached():
    source = Source(numbered(32, 32))
    before = [array.copy() for array in source.patches[0]]
    made = pieces(PatchCache(source, 1e9), 32, flips=True, quarter_turns=True, scale=1.5)
    for position in range(20):
        made[0, position, 0]
    assert all((a == b).all() for a, b in zip(source.patches[0], before, strict=True))


@pytest.mark.parametrize("sampling", ["uniform", "balanced"])
def test_image_and_target_are_cut_turned_and_mirrored_together(sampling):
    made = pieces(Source(numbered(80, 70)), 32, flips=True, quarter_turns=True, sampling=sampling)
    seen, corners = set(), set()
    for position in range(200):
        item = made[3, position, 0]
        image, target = item["image"].numpy(), item["target"].numpy()
        assert (image.shape, target.shape) == ((3, 32, 32), (32, 32))
        assert (image[2] == target).all()
        # What the first two bands say of each pixel's place is a whole square of the patch, turned or mirrored.
        rows, columns = image[0].astype(int), image[1].astype(int)
        assert (target == (rows * 7 + columns * 3) % 5).all()
        assert {abs(rows[-1, 0] - rows[0, 0]), abs(rows[0, -1] - rows[0, 0])} == {0, 31}
        assert {abs(columns[-1, 0] - columns[0, 0]), abs(columns[0, -1] - columns[0, 0])} == {0, 31}
        seen.add((rows[-1, 0] - rows[0, 0], rows[0, -1] - rows[0, 0], columns[-1, 0] - columns[0, 0],
                  columns[0, -1] - columns[0, 0]))  # fmt: skip
        corners.add((rows.min(), columns.min()))
    # All symmetries of a square, and many places.
    assert len(seen) == 8
    assert len(corners) > 100
    assert max(row for row, _ in corners) > 40
    assert min(row for row, _ in corners) < 5


@pytest.mark.parametrize(("choices", "symmetries"), [({}, 1), ({"flips": True}, 4), ({"quarter_turns": True}, 4)])
def test_only_what_the_recipe_asks_for_is_done(choices, symmetries):
    image, target = numbered(32, 32)
    made = pieces(Source((image, target)), 32, **choices)
    found = {made[0, position, 0]["image"].numpy().tobytes() for position in range(60)}
    assert len(found) == symmetries
    assert image.tobytes() in found


def test_a_piece_is_a_function_of_seed_epoch_and_position():
    source = Source(numbered(96, 96))
    choices = {"flips": True, "quarter_turns": True, "scale": 1.5, "brightness": 0.3, "sampling": "balanced"}
    first, second = pieces(source, 32, **choices), pieces(source, 32, **choices)
    keys = [(epoch, position, 0) for epoch in range(3) for position in range(4)]
    found = {}
    for key in keys:
        a, b = first[key], second[key]
        assert all(torch.equal(a[name], b[name]) for name in a)
        found[key] = a["image"].numpy().tobytes() + a["jitter"].numpy().tobytes()
    assert len(set(found.values())) == len(keys)
    other = pieces(source, 32, seed=1, **choices)
    assert all(other[key]["image"].numpy().tobytes() != found[key][: 3 * 32 * 32] for key in keys)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_marker_and_its_class_coincide_after_every_change(dtype):
    """A square of another colour is where its class is, whatever is done to the patch."""
    image = np.full((3, 64, 64), 20, dtype=dtype)
    target = np.ones((64, 64), dtype=np.uint8)
    image[:, 20:44, 24:48], target[20:44, 24:48] = 220, 3
    made = pieces(Source((image, target)), 32, flips=True, quarter_turns=True, scale=2.0, sampling="balanced")
    sizes = set()
    for position in range(300):
        item = made[0, position, 0]
        bright, wanted = item["image"].numpy()[0] > 120, item["target"].numpy() == 3
        assert set(np.unique(item["target"])) <= {1, 3}
        assert item["image"].numpy().dtype == dtype
        # Bilinear and nearest agree but for pixels at the very edge.
        edge = np.zeros_like(wanted)
        edge[1:] |= wanted[1:] != wanted[:-1]
        edge[:-1] |= wanted[1:] != wanted[:-1]
        edge[:, 1:] |= wanted[:, 1:] != wanted[:, :-1]
        edge[:, :-1] |= wanted[:, 1:] != wanted[:, :-1]
        assert (bright == wanted)[~edge].all()
        assert (bright != wanted).sum() <= 0.03 * wanted.size
        if 0 < wanted.sum() < wanted.size:
            sizes.add(int(wanted.sum()))
    assert len(sizes) > 50


def test_scale_stays_within_its_bounds_and_the_patch():
    # The first band rises by one a column: its slope in a piece is the scale.
    image, target = numbered(80, 80)
    made = pieces(Source((image.astype(np.float32), target)), 64, scale=1.6)
    slopes = []
    for position in range(200):
        columns = made[0, position, 0]["image"].numpy()[1]
        slopes.append(float(np.median(np.diff(columns[32]))))
        assert columns.min() >= 0
        assert columns.max() <= 79
    assert max(slopes) <= 80 / 64 + 0.02
    assert min(slopes) >= 1 / 1.6 - 0.02
    assert max(slopes) > 1.2
    assert min(slopes) < 0.7


@pytest.mark.parametrize("side", [16, 24, 32, 48, 63])
def test_classes_are_scaled_by_their_nearest_pixel(side):
    image, target = numbered(side, side)
    scaled, classes = _resized(image, target, 32)
    middles = (np.arange(32) + 0.5) * side / 32
    assert (classes == target[np.ix_(middles.astype(int), middles.astype(int))]).all()
    # Bilinear: the first band, which is a slope, keeps the place of each pixel's middle.
    inner = slice(4, -4)
    assert np.abs(scaled[0][inner, 16] - (middles - 0.5)[inner]).max() <= 0.51
    assert scaled.dtype == np.uint8


def test_a_whole_patch_of_the_pieces_size_is_learnt_as_it_is():
    image, target = numbered(32, 32)
    item = pieces(Source((image, target)), 32, sampling="balanced")[0, 0, 0]
    assert (item["image"].numpy() == image).all()
    assert (item["target"].numpy() == target).all()


def test_ignored_pixels_stay_ignored():
    image, target = numbered(64, 64)
    target[image[0] >= 32] = 255
    made = pieces(Source((image, target)), 32, flips=True, quarter_turns=True, scale=1.0, sampling="balanced")
    for position in range(50):
        item = made[0, position, 0]
        assert ((item["target"].numpy() == 255) == (item["image"].numpy()[0] >= 32)).all()


def test_balanced_pieces_look_for_the_rare():
    image = np.zeros((3, 128, 128), dtype=np.uint8)
    target = np.full((128, 128), 1, dtype=np.uint8)
    target[100, 7] = 0
    share = {}
    for sampling in ("uniform", "balanced"):
        made = pieces(Source((image, target)), 32, sampling=sampling)
        share[sampling] = np.mean([bool((made[0, p, 0]["target"] == 0).any()) for p in range(300)])
    assert share["uniform"] < 0.12
    # Half of the pieces are aimed, and the rare class is ten times as likely to be aimed at.
    assert 0.3 < share["balanced"] < 0.65


def test_what_is_looked_for_lies_anywhere_in_a_piece():
    target = np.full((128, 128), 1, dtype=np.uint8)
    target[64, 64] = 0
    made = pieces(Source((np.zeros((3, 128, 128), dtype=np.uint8), target)), 32, sampling="balanced")
    places = [np.argwhere(made[0, p, 0]["target"].numpy() == 0) for p in range(300)]
    found = np.array([place[0] for place in places if len(place)])
    assert len(found) > 90
    assert (found.min(axis=0) < 4).all()
    assert (found.max(axis=0) > 27).all()
    assert np.abs(found.mean(axis=0) - 15.5).max() < 4


def test_what_is_shrunk_is_averaged_not_picked():
    image = np.zeros((1, 64, 64), dtype=np.uint8)
    image[:, :, ::3] = 150
    scaled, _ = _resized(image, np.zeros((64, 64), dtype=np.uint8), 32)
    assert scaled.mean() == pytest.approx(image.mean(), abs=2)
    # Every third column is bright; picking two of each four would leave stripes of up to 150 and of 0.
    assert scaled[0, 4:-4, 4:-4].min() > 20


@pytest.mark.parametrize("value", [255, 2])
def test_balanced_pieces_of_a_patch_without_anything_to_look_for(value):
    image, _ = numbered(64, 64)
    made = pieces(Source((image, np.full((64, 64), value, dtype=np.uint8))), 32, sampling="balanced")
    corners = {tuple(made[0, p, 0]["image"][:2, 0, 0].tolist()) for p in range(20)}
    assert len(corners) > 10


def test_oblong_patches_are_used_to_their_ends():
    made = pieces(Source(numbered(32, 128)), 32, scale=1.5, sampling="balanced")
    columns = [made[0, p, 0]["image"][1].max().item() for p in range(100)]
    assert max(columns) > 115
    assert min(columns) < 45


def test_whole_patches_are_mirrored_beyond_their_edge_and_ignored_there():
    image, target = numbered(40, 33)
    item = WholePatches(Source((image, target)), 64, 64)[0]
    found, classes = item["image"].numpy(), item["target"].numpy()
    assert (found[:, :40, :33] == image).all()
    assert (classes[:40, :33] == target).all()
    assert (classes[40:] == 255).all()
    assert (classes[:, 33:] == 255).all()
    assert (found[:, 40:64, :33] == image[:, 39:15:-1]).all()
    assert (found[:, :40, 33:64] == image[:, :, 32:1:-1]).all()


def test_a_patch_that_fills_up_is_without_labels():
    patch = numbered(32, 32)
    whole = WholePatches(Source(patch), 32, 32)
    assert (whole[-1]["target"] == 255).all()
    assert whole[-1]["image"].shape == whole[0]["image"].shape
    assert (whole[0]["target"].numpy() == patch[1]).all()


def test_an_image_much_smaller_than_what_it_is_padded_to():
    image, target = numbered(10, 64)
    item = WholePatches(Source((image, target)), 64, 64)[0]
    assert item["image"].shape == (3, 64, 64)
    assert int((item["target"] != 255).sum()) == 640


def test_every_class_survives_the_way_from_file_to_piece(tmp_path):
    mask = stripes(64, codes=(*CODES, 0, 250))
    made = pieces(reader(tmp_path, painted(mask), mask), 64, flips=True, quarter_turns=True)
    colours = {tuple(painted(np.full((1, 1), code, np.uint8))[:, 0, 0].tolist()): code for code in CODES}
    item = made[0, 0, 0]
    for row, column in np.random.default_rng(0).integers(0, 64, (200, 2)):
        colour = tuple(item["image"][:, row, column].tolist())
        expected = TABLE[colours[colour]] if colour in colours else 255
        assert item["target"][row, column] == expected
