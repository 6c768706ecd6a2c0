import numpy as np
import pytest

from engine.errors import InputError, OutputError
from engine.evaluation.confusion import ConfusionMatrix
from engine.nomenclature import LandCoverClass, Nomenclature, load_nomenclature
from tests.engine.tiny import TINY_CLASSES

# Channels of TINY_CLASSES: roof 7, grass 3, never 250 (disabled), water 5, road 1.
REST = 5


def codes(*values):
    return np.array(values, dtype=np.uint8)


def slow(truth, predicted, classes):
    counts = np.zeros((len(classes.codes) + 1,) * 2, dtype=np.int64)
    channel = {code: index for index, code in enumerate(classes.codes)}
    for one, other in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        counts[channel.get(one, -1), channel.get(other, -1)] += 1
    return counts


def test_codes_go_to_their_channels_and_the_rest_to_the_end():
    matrix = ConfusionMatrix(TINY_CLASSES)
    matrix.add_codes(codes(7, 7, 3, 0, 250, 9, 5), codes(7, 3, 0, 7, 250, 255, 250))
    expected = np.zeros((6, 6), dtype=np.int64)
    expected[0, 0] = expected[0, 1] = 1  # roof as roof, as grass
    expected[1, REST] = 1  # grass as nodata
    expected[REST, 0] = 1  # unlabelled
    expected[2, 2] = 1  # a disabled class keeps its row and column
    expected[REST, REST] = 1  # codes of no class
    expected[3, 2] = 1  # water as the disabled class
    assert matrix.counts.dtype == np.int64
    assert np.array_equal(matrix.counts, expected)


def test_indices_are_channels_and_the_rest_goes_to_the_end():
    matrix = ConfusionMatrix(TINY_CLASSES)
    matrix.add_indices(codes(0, 4, 255, 5), codes(0, 3, 1, 254))
    expected = np.zeros((6, 6), dtype=np.int64)
    expected[0, 0] = expected[4, 3] = expected[REST, 1] = expected[REST, REST] = 1
    assert np.array_equal(matrix.counts, expected)


@pytest.mark.parametrize("name", ["flair", "largest"])
def test_large_arrays_in_any_layout_agree_with_a_loop(name, monkeypatch):
    monkeypatch.setattr("engine.evaluation.confusion._CHUNK", 1000)
    most = Nomenclature("largest", tuple(LandCoverClass(code, str(code), "#000000") for code in range(254, 0, -1)))
    classes = most if name == "largest" else load_nomenclature("flair")
    random = np.random.default_rng(3)
    truth, predicted = (random.integers(0, 256, (60, 90), dtype=np.uint8) for _ in range(2))
    for one, other in ((truth, predicted), (truth[::2, 5:], predicted[::-2, :-5]), (truth.T, predicted.T.copy())):
        matrix = ConfusionMatrix(classes)
        matrix.add_codes(one, other)
        assert np.array_equal(matrix.counts, slow(one, other, classes))


def test_pieces_add_up_and_counts_are_a_copy():
    whole, upper, lower = (ConfusionMatrix(TINY_CLASSES) for _ in range(3))
    truth = codes(7, 3, 5, 1, 0, 7)
    predicted = codes(7, 7, 5, 3, 1, 0)
    whole.add_codes(truth, predicted)
    upper.add_codes(truth[:2], predicted[:2])
    lower.add_codes(truth[2:], predicted[2:])
    upper.merge(lower)
    upper.add_codes(truth[:0], predicted[:0])
    assert np.array_equal(upper.counts, whole.counts)
    again = ConfusionMatrix(TINY_CLASSES)
    again.add_matrix(whole.counts.astype(np.int32))
    again.counts[:] = 0
    assert np.array_equal(again.counts, whole.counts)


@pytest.mark.parametrize(
    ("truth", "predicted"),
    [(codes(1, 2), codes(1)), (np.array([1]), codes(1)), (codes(1), np.array([1.0]))],
)
def test_arrays_that_do_not_fit_are_refused(truth, predicted):
    with pytest.raises(ValueError, match=r"shape|uint8"):
        ConfusionMatrix(TINY_CLASSES).add_codes(truth, predicted)


@pytest.mark.parametrize("counts", [np.zeros((5, 5), int), np.zeros((6, 6)), np.full((6, 6), -1)])
def test_matrices_that_do_not_fit_are_refused(counts):
    with pytest.raises(ValueError, match=r"whole numbers|negative"):
        ConfusionMatrix(TINY_CLASSES).add_matrix(counts)


def test_matrices_of_other_classes_are_not_merged():
    with pytest.raises(ValueError, match="different classes"):
        ConfusionMatrix(TINY_CLASSES).merge(ConfusionMatrix(load_nomenclature("flair")))


def test_table_is_read_back(tmp_path):
    matrix = ConfusionMatrix(TINY_CLASSES)
    matrix.add_matrix(np.arange(36).reshape(6, 6) * 10**12)
    matrix.to_csv(tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "truth / predicted,7 roof,3 grass,250 never,5 water,1 road,nothing"
    assert lines[2].startswith("3 grass,6000000000000,7000000000000,")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    read = ConfusionMatrix.from_csv(tmp_path / "a.csv", TINY_CLASSES)
    assert np.array_equal(read.counts, matrix.counts)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3 grass", "4 grass", "counts the classes"),
        ("nothing", "something", "no confusion matrix"),
        ("ignored,0,", "ignored,-1,", "no confusion matrix"),
        ("ignored,0,", "ignored,0.5,", "no confusion matrix"),
        ("ignored,0,", "ignored,", "no confusion matrix"),
        ("ignored,0,0,0,0,0,0\n", "", "no confusion matrix"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, old, new, message):
    path = tmp_path / "a.csv"
    ConfusionMatrix(TINY_CLASSES).to_csv(path)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        ConfusionMatrix.from_csv(path, TINY_CLASSES)


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("empty.csv", "bytes.csv", "missing.csv"):
        with pytest.raises(InputError, match=name):
            ConfusionMatrix.from_csv(tmp_path / name, TINY_CLASSES)
    with pytest.raises(OutputError, match="could not be written"):
        ConfusionMatrix(TINY_CLASSES).to_csv(tmp_path / "no folder" / "a.csv")
