"""Trainings of a small network from their first batch to their end, as good and bad days have it."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file

from engine.cancellation import Cancellation
from engine.errors import Cancelled, OutOfMemoryError, RequestError
from engine.launch import Launch
from engine.models.freeze import freeze
from engine.models.model_file import read_manifest
from engine.training import fit as fit_room
from engine.training.fit import Hardware, fit, trainer_precision
from engine.training.module import SegmentationModule
from engine.training.work_folder import WorkFolder
from tests.engine.conftest import Recorder
from tests.engine.labelled_patches import job_of, write_dataset
from tests.engine.training.small_network import SmallNetwork, state

ALONE = Hardware("cpu", Launch(), 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), (6, 2, 0))


class Run:
    """A training in a folder of its own, and all that is worth looking at afterwards."""

    def __init__(self, data, folder, frozen="none", normalised=True, **choices):
        self.job = job_of(data, folder / "model.safetensors", **choices)
        self.folder = WorkFolder.beside(folder / "model.safetensors")
        self.recorder, self.wish = Recorder(), Cancellation()
        self.network = SmallNetwork(self.job, normalised)
        self.frozen = freeze(self.network, frozen)
        self.folder.begin({}, self.recorder)

    def fit(self, resume=False):
        network, wish = self.network, self.wish
        self.keeper = fit(self.job, network, self.frozen, ALONE, self.folder, self.recorder, wish, resume=resume)
        return self

    @property
    def best(self):
        return load_file(self.folder.best)

    @property
    def checkpoint(self):
        return torch.load(self.folder.checkpoint, weights_only=True)


@pytest.fixture
def run(data, tmp_path):
    numbers = iter(range(100))

    def start(**options):
        folder = tmp_path / f"run{next(numbers)}"
        folder.mkdir()
        return Run(data, folder, **options)

    return start


@pytest.fixture
def steps(monkeypatch):
    """Let a function look at each step before it is taken; it may raise, or change the loss."""

    def watch(look):
        step = SegmentationModule.training_step

        def watched(module, batch, number):
            change = look(module, batch, number)
            loss = step(module, batch, number)
            return loss if change is None else loss * change

        monkeypatch.setattr(SegmentationModule, "training_step", watched)

    return watch


def same(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_what_is_kept_is_the_best_and_the_history_says_which(run):
    done = run(epochs=4, learning_rate=0.05).fit()
    mious = [record["miou"] for record in done.keeper.history]
    assert [record["epoch"] for record in done.keeper.history] == [1, 2, 3, 4]
    assert done.keeper.best["miou"] == max(mious) > mious[0]
    assert done.keeper.best["epoch"] == mious.index(max(mious)) + 1
    assert read_manifest(done.folder.best).provenance["epoch"] == done.keeper.best["epoch"]
    assert sum(map(sum, done.keeper.best_confusion[:5])) == done.job.class_counts("val").sum()
    assert done.checkpoint["epoch"] == 3
    assert done.recorder.fractions == sorted(done.recorder.fractions)
    lines = (done.folder.logs / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,loss,val_loss,miou,learning_rate,seconds"
    assert len(lines) == 5


def test_the_loss_of_an_epoch_is_the_mean_of_its_batches(run, steps):
    losses = []
    step = SegmentationModule.training_step
    steps(lambda module, batch, number: losses.append(step(module, batch, number).item()))
    # The look itself moves the running statistics, but not what a batch costs.
    done = run(epochs=1).fit()
    assert len(losses) == 3
    assert done.keeper.history[0]["loss"] == pytest.approx(sum(losses) / 3, rel=1e-5)


def test_a_finished_training_that_goes_on_has_nothing_to_do(run, steps):
    done = run(epochs=2).fit()
    history, best = done.keeper.history, done.best
    steps(lambda *_: pytest.fail("a batch was learnt from"))
    done.fit(resume=True)
    assert done.keeper.history == history
    assert done.keeper.best["miou"] == max(record["miou"] for record in history)
    assert same(done.best, best)


def test_batches_too_large_for_the_memory_are_halved_until_they_fit(run, steps):
    sizes = []

    def look(module, batch, number):
        sizes.append(len(batch["image"]))
        # The second batch: with four at a time, a step was taken before.
        if sizes[-1] > 1 and number == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    expected = run(epochs=2, accumulate=4).fit()
    steps(look)
    done = run(epochs=2, accumulate=1).fit()
    # 12 pieces an epoch in three steps of four.
    assert sizes == [4, 4, 2, 2] + [1] * 24
    assert [text[:60] for text in done.recorder.warnings] == [
        "The memory ran out: 2 patches at a time from now on, 2 times",
        "The memory ran out: 1 patches at a time from now on, 4 times",
    ]  # fmt: skip
    assert done.checkpoint["global_step"] == expected.checkpoint["global_step"] == 6
    # Nothing of the failed attempts is left: it is the training that had begun with one at a time.
    assert same(done.best, expected.best)
    assert same(state(done.network), state(expected.network))


def test_memory_that_runs_out_later_goes_on_from_the_last_epoch(run, steps):
    seen = []

    def look(module, batch, number):
        seen.append((module.current_epoch, number, len(batch["image"])))
        if module.current_epoch == 1 and number == 1 and len(batch["image"]) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory")

    steps(look)
    done = run(epochs=3).fit()
    assert seen[:5] == [(0, 0, 4), (0, 1, 4), (0, 2, 4), (1, 0, 4), (1, 1, 4)]
    assert seen[5:] == [(epoch, number, 2) for epoch in (1, 2) for number in range(6)]
    assert [record["epoch"] for record in done.keeper.history] == [1, 2, 3]
    assert done.checkpoint["global_step"] == 9
    assert len(done.recorder.warnings) == 1


def test_a_single_patch_that_does_not_fit_is_an_error(run, steps):
    def look(module, batch, number):
        raise torch.OutOfMemoryError("CUDA out of memory")

    steps(look)
    with pytest.raises(OutOfMemoryError, match="Not even one piece of 32 x 32 pixels"):
        run().fit()
    with pytest.raises(OutOfMemoryError, match="Not even one piece"):
        run(batch_size=1).fit()


def test_other_errors_are_not_taken_for_memory(run, steps):
    def look(module, batch, number):
        raise RuntimeError("shapes cannot be multiplied")

    steps(look)
    broken = run()
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        broken.fit()
    assert broken.recorder.warnings == []


def test_a_batch_that_cannot_be_dealt_out_is_named(run):
    with pytest.raises(
        RequestError, match=r"4 patches cannot be dealt out evenly to 1 processes in 3 parts.*multiple of 3"
    ):
        run(accumulate=3).fit()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_later_ends_there_and_keeps_the_best(run, steps, value):
    steps(lambda module, batch, number: value if (module.current_epoch, number) == (1, 1) else None)
    done = run(epochs=5).fit()
    (warning,) = done.recorder.warnings
    assert "became NaN in epoch 2, batch 2;" in warning
    assert "best epoch (1) is kept" in warning
    assert [record["epoch"] for record in done.keeper.history] == [1]
    assert all(tensor.isfinite().all() for tensor in done.best.values())
    assert done.checkpoint["epoch"] == 0
    assert read_manifest(done.folder.best).provenance["epoch"] == 1


def test_a_loss_that_is_no_number_at_once_is_an_error(run, steps):
    steps(lambda module, batch, number: math.nan if number == 2 else None)
    broken = run()
    with pytest.raises(RequestError, match=r"NaN in epoch 1, batch 3, before any epoch was whole.*--learning-rate"):
        broken.fit()
    assert not broken.folder.best.exists()


@pytest.mark.parametrize("monitor", ["miou", "loss"])
@pytest.mark.parametrize(("patience", "epochs"), [(2, 3), (0, 5)])
def test_patience_ends_what_does_not_get_better(run, monitor, patience, epochs):
    choices = {"schedule": "constant", "learning_rate": 1e-30, "optimizer": "sgd", "normalised": False}
    done = run(epochs=5, patience=patience, monitor=monitor, **choices).fit()
    assert len(done.keeper.history) == epochs
    assert done.keeper.best["epoch"] == 1


@pytest.mark.parametrize("monitor", ["miou", "loss"])
def test_a_plateau_lowers_the_rate(run, monitor):
    choices = {"schedule": "plateau", "plateau_patience": 1, "plateau_cooldown": 0, "plateau_factor": 0.5}
    # The least rate of a plateau is 1e-7; so small a one changes nothing that is measured.
    still = {"learning_rate": 4e-7, "optimizer": "sgd", "normalised": False, "weight_decay": 0.0}
    done = run(epochs=6, monitor=monitor, **choices, **still).fit()
    rates = [record["learning_rate"] for record in done.keeper.history]
    assert rates == pytest.approx([4e-7, 4e-7, 2e-7, 2e-7, 1e-7, 1e-7])


def test_one_cycle_ends_near_nothing(run, steps):
    rates = []
    steps(lambda module, batch, number: rates.append(module.learning_rate))
    run(epochs=4, learning_rate=0.01, warm_up=0.25, encoder_rate=0.5).fit()
    assert len(rates) == 12
    assert rates[0] == pytest.approx(0.0005)
    assert max(rates) == rates[3] == pytest.approx(0.01)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[-1] < 0.0005


def test_cancelling_in_the_middle_names_the_best(run, steps):
    cancelled = run(epochs=5)

    def look(module, batch, number):
        if (module.current_epoch, number) == (1, 1):
            cancelled.wish.set()

    steps(look)
    with pytest.raises(Cancelled) as caught:
        cancelled.fit()
    assert str(cancelled.folder.best) in caught.value.message
    assert "epoch 1, mIoU" in caught.value.message
    assert cancelled.wish.note == caught.value.message
    assert read_manifest(cancelled.folder.best).provenance["epoch"] == 1
    assert cancelled.checkpoint["epoch"] == 0


def test_cancelling_before_an_epoch_is_whole_says_that_there_is_no_model(run):
    cancelled = run()
    cancelled.wish.set()
    with pytest.raises(Cancelled, match="No epoch was complete yet"):
        cancelled.fit()
    assert not cancelled.folder.best.exists()


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_is_frozen_stays_bit_for_bit_statistics_too(run, ema):
    made = run(frozen="encoder", ema=ema, learning_rate=0.05, weight_decay=0.1)
    before = state(made.network)
    made.fit()
    after = state(made.network)
    assert len(made.frozen) == 4
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) == name.startswith("encoder."), name
        assert torch.equal(made.best[name], tensor) == name.startswith("encoder."), name


def test_the_running_mean_is_what_is_judged_and_kept(run, monkeypatch):
    modules = []

    class Seen(SegmentationModule):
        def __init__(self, *args):
            super().__init__(*args)
            modules.append(self)

    monkeypatch.setattr(fit_room, "SegmentationModule", Seen)
    done = run(epochs=1, ema=0.9, learning_rate=0.05).fit()
    (module,) = modules
    judged, learning = state(module.judged_network), state(module.network)
    assert module.judged_network is not module.network
    assert same(done.best, judged)
    for name in ("decoder.weight", "encoder.0.weight", "encoder.1.running_mean"):
        assert not torch.equal(done.best[name], learning[name])
    without = run(epochs=1, learning_rate=0.05).fit()
    assert modules[1].judged_network is modules[1].network
    assert same(without.best, state(without.network))
    # The mean changes nothing in what is learnt.
    assert same(learning, state(without.network))


def test_each_process_needs_a_gpu(monkeypatch):
    assert Hardware.of("cpu", Launch(processes=4, local_processes=4), None).workers == 0
    assert Hardware.of("cpu", Launch(), 3).workers == 3
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RequestError, match="2 processes were started on this machine, but 1 GPU"):
        Hardware.of("cuda", Launch(processes=2, local_processes=2), None)


def test_precision_by_device(monkeypatch):
    assert trainer_precision("exact", "cpu") == trainer_precision("exact", "cuda") == "32-true"
    assert trainer_precision("half", "cpu") == "bf16-mixed"
    for native, expected in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda native=native: {"avx512_bf16": native})
        assert trainer_precision("auto", "cpu") == expected
    for native, expected in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert trainer_precision("auto", "cuda") == trainer_precision("half", "cuda") == expected
    assert [trainer_precision(name, "mps") for name in ("auto", "half", "exact")] == ["32-true", "16-mixed", "32-true"]
