from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch

from engine.cancellation import Cancellation
from engine.errors import Cancelled
from engine.evaluation.torch_confusion import confusion_counts
from engine.models.model_file import save_model
from engine.training.judging import Judge, telling_patches
from engine.training.loaders import judging_loader
from engine.training.work_folder import WorkFolder
from tests.engine import tiny
from tests.engine.labelled_patches import job_of, stripes, write_dataset


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A job whose patches need no padding but one, and its untrained model: (job, judge, network)."""
    folder = tmp_path_factory.mktemp("data")
    masks = [stripes(32, shift=3), stripes(64)[:40, :33], stripes(32)]
    masks[1][:5] = 0
    job = job_of(
        write_dataset(folder, (1, 2, 0), masks=masks), folder / "m.safetensors", encoder="mobilenet_v2",
        architecture="unet",
    )  # fmt: skip
    network = tiny.network(job.manifest)
    with torch.no_grad():
        network.segmentation_head[0].bias[2] = 1000.0
    work = WorkFolder(folder / "work")
    work.path.mkdir()
    save_model(work.best, network, job.manifest)
    return job, Judge(job, work, "cpu", half=False), network


def winners(job, network, image):
    """Return the channel that wins, by the plain network on a patch mirrored to a multiple of 32."""
    down, right = -image.shape[1] % 32, -image.shape[2] % 32
    rows, columns = job.padded[0] - image.shape[1], job.padded[1] - image.shape[2]
    assert (down, right) <= (rows, columns)
    padded = np.pad(image, ((0, 0), (0, rows), (0, columns)), mode="symmetric").astype(np.float32)
    mean, std = (np.array([getattr(b, n) for b in job.manifest.bands], np.float32) for n in ("mean", "std"))
    values = torch.from_numpy((padded - mean[:, None, None]) / std[:, None, None])[None]
    with torch.inference_mode():
        logits = network(values)[0]
    enabled = list(job.manifest.nomenclature.enabled_channels)
    return np.array(enabled)[logits[enabled].argmax(0).numpy()][: image.shape[1], : image.shape[2]]


def test_the_matrix_counts_what_the_network_says(judged):
    job, judge, network = judged
    expected = np.zeros((6, 6), dtype=np.int64)
    for pair in job.index.pairs["val"]:
        with rasterio.open(pair.image) as file:
            found = winners(job, network, file.read())
        truth = job.table[tiny.read(pair.mask)]
        np.add.at(expected, (truth[truth != 255], found[truth != 255]), 1)
    counts = judge.confusion("val", Cancellation())
    # Pixels beside the patches and without a label lie in the last row.
    assert (counts[:5] == expected[:5]).all()
    assert counts[:5].sum() == job.class_counts("val").sum() == 35 * 33 + 32 * 32
    assert (counts[:, 2] == 0).all(), "the disabled class never wins"
    assert len(np.flatnonzero(counts.sum(axis=0))) > 1


def test_shown_patches_hold_codes(judged):
    job, judge, network = judged
    shown = {item.name: item for item in judge.show(5)}
    assert set(shown) == {"p01.tif", "p02.tif"}
    for pair in job.index.pairs["val"]:
        item = shown[pair.image.name]
        with rasterio.open(pair.image) as file:
            image = file.read()
        assert (item.pixels == image).all()
        truth = tiny.read(pair.mask)
        assert (item.truth == truth).all()
        codes = np.array(job.manifest.nomenclature.codes)
        assert (item.predicted == codes[winners(job, network, image)]).all()
        assert item.right == pytest.approx((item.predicted == truth)[truth > 0].mean())


def test_cancelling_stops(judged):
    wish = Cancellation()
    wish.set()
    with pytest.raises(Cancelled):
        judged[1].confusion("val", wish)


def test_telling_patches_show_all_classes_before_any_twice():
    counts = np.array([[100, 0, 0], [90, 0, 0], [0, 80, 0], [0, 0, 0], [0, 0, 90], [0, 60, 0]])
    chosen = telling_patches(counts, 3)
    assert (counts[chosen].sum(axis=0) > 0).all()
    assert len(set(chosen)) == 3
    everything = telling_patches(counts, 10)
    assert sorted(everything) == [0, 1, 2, 4, 5], "a patch without labels shows nothing"
    assert everything[:3] == chosen
    assert telling_patches(counts, 0) == []
    assert telling_patches(np.zeros((2, 3), dtype=np.int64), 2) == []


@pytest.mark.parametrize("processes", [2, 3])
def test_the_matrices_of_several_processes_make_that_of_one(judged, processes):
    """Two patches to three processes: one of them has nothing to judge, and counts nothing."""
    job, judge, _ = judged
    counts = np.zeros((6, 6), dtype=np.int64)
    for rank in range(processes):
        for batch in judging_loader(job, "val", rank, processes, 1, 0, "cpu"):
            counts += confusion_counts(batch["target"], judge.channels(batch), 5).numpy()
    # What has no label lies in the last row, which no figure looks at.
    assert (counts[:5] == judge.confusion("val", Cancellation())[:5]).all()
