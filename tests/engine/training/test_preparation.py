from __future__ import annotations

import numpy as np
import pytest

from engine.errors import EngineError, RequestError
from engine.nomenclature import load_nomenclature
from tests.engine.labelled_patches import CODES, job_of, stripes, write_dataset


@pytest.fixture
def data(tmp_path):
    return write_dataset(tmp_path, (3, 1, 0))


def job(data, **options):
    return job_of(data, data.parent / "m.safetensors", **options)


def enabled(job):
    return [item.code for item in job.manifest.nomenclature.enabled]


def test_classes_keep_their_channels_whatever_is_ignored(data):
    plain, without = job(data), job(data, ignore="0,3")
    assert enabled(plain) == [7, 3, 5, 1]
    assert enabled(without) == [7, 5, 1]
    assert [without.table[code] for code in (7, 3, 250, 5, 1, 0)] == [0, 255, 255, 3, 4, 255]
    counts = without.class_counts("train")
    assert counts.shape == (3, 5)
    assert counts.sum(axis=0).tolist() == [768, 0, 0, 768, 768]
    assert plain.class_counts("train").sum() == 3 * 1024


def test_a_code_outside_the_nomenclature_may_be_ignored(tmp_path):
    masks = [stripes(32, (*CODES, 77), shift) for shift in range(2)]
    data = write_dataset(tmp_path, (1, 1, 0), masks=masks)
    with pytest.raises(EngineError, match="outside the nomenclature: 77") as caught:
        job(data)
    assert "--ignore" in caught.value.hint
    found = job(data, ignore="0,77")
    assert enabled(found) == [7, 3, 5, 1]
    assert found.table[77] == 255
    assert found.class_counts("train").sum() == np.isin(masks[0], CODES).sum()


def test_what_a_data_set_ignores_is_learnt_when_asked_for(tmp_path):
    data = write_dataset(tmp_path, (2, 1, 0))
    data.write_text(data.read_text().replace("ignored:\n- 0", "ignored:\n- 0\n- 5"))
    assert enabled(job(data)) == [7, 3, 1]
    assert enabled(job(data, ignore="0")) == [7, 3, 5, 1]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("7=2,8=1", r"not in the nomenclature: 8\..*codes 7, 3, 250, 5, 1"),
        ("7=0,3=0,5=0,1=0", "have the weight 0"),
    ],
)
def test_weights_that_make_no_sense(data, weights, message):
    with pytest.raises(RequestError, match=message):
        job(data, class_weights=weights)
    assert job(data, class_weights="7=2,250=0").recipe.class_weights == {7: 2.0, 250: 0.0}


def test_pieces_are_no_larger_than_the_smallest_patch(tmp_path):
    data = write_dataset(tmp_path, (1, 1, 0), masks=[stripes(96), stripes(100)[:70]])
    assert job(data, crop=0).piece == 64
    assert job(data, crop=32).piece == 32
    assert job(data, crop=96).piece == 64
    assert job(data).padded == (96, 128)
    small = write_dataset(tmp_path / "small", (1, 1, 0), masks=[stripes(32)[:31], stripes(32)])
    with pytest.raises(EngineError, match="32 x 31 pixels, less than 32"):
        job(small)


def test_a_folder_without_a_word_of_its_classes_is_of_flairs(tmp_path):
    write_dataset(tmp_path, (2, 1, 0))
    found = job_of(tmp_path, tmp_path / "m.safetensors")
    assert found.manifest.nomenclature.codes == load_nomenclature("flair").codes
    assert enabled(found) == sorted(CODES)
    assert found.manifest.ground_sampling_distance == pytest.approx(0.2, rel=0.01)
