from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.models.freeze import freeze
from engine.training.losses import SegmentationLoss
from engine.training.module import SegmentationModule
from tests.engine.labelled_patches import job_of, write_dataset
from tests.engine.training.small_network import SmallNetwork, state

QUIET = {"brightness": 0, "band_gain": 0, "loss": "cross-entropy", "label_smoothing": 0, "class_weights": "none"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, (4, 1, 0))
    return folder


def module(folder, frozen="none", seed=0, **choices):
    job = job_of(folder / "data.yaml", folder / "m.safetensors", **{**QUIET, **choices})
    network = SmallNetwork(job)
    names = freeze(network, frozen)
    loss = SegmentationLoss(job.recipe.loss, None)
    return SegmentationModule(network, job.manifest, job.recipe, loss, names, seed), job


def batch(made, count=3, seed=0):
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.integers(0, 256, (count, 3, 32, 32)).astype(np.uint8))
    target = torch.from_numpy(rng.choice([0, 1, 3, 4, 255], (count, 32, 32)).astype(np.uint8))
    drawn = np.stack([made._jitter.draw(rng) for _ in range(count)])
    return {"image": images, "target": target, "jitter": torch.from_numpy(drawn)}


def seen(made, given, number=0):
    """Return what the network gets in a step."""
    inputs = []
    handle = made.network.register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach().clone()))
    loss = made.training_step(given, number)
    handle.remove()
    return inputs[0], loss


def plain(made, given, job):
    mean, std = (torch.tensor([getattr(band, key) for band in job.manifest.bands]) for key in ("mean", "std"))
    return (given["image"].float() - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


def test_without_jitter_the_network_sees_plain_values_bit_for_bit(folder):
    made, job = module(folder)
    given = batch(made)
    values, loss = seen(made, given)
    assert torch.equal(values, plain(made, given, job))
    logits = made.network(plain(made, given, job))
    expected = torch.nn.functional.cross_entropy(logits, given["target"].long(), ignore_index=255)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_jitter_reaches_the_network_but_not_the_judgement(folder):
    made, job = module(folder, brightness=0.5)
    given = batch(made)
    difference = (seen(made, given)[0] - plain(made, given, job)).mean((1, 2, 3))
    assert torch.allclose(difference, given["jitter"][:, 0], atol=1e-4)
    made.eval()
    assert torch.allclose(made(given["image"]), made.network(plain(made, given, job)), atol=1e-5)


def test_what_is_drawn_on_the_device_depends_on_seed_and_batch_alone(folder):
    made, _ = module(folder, noise=0.5)
    given = batch(made)
    first = seen(made, given, 4)[0]
    torch.manual_seed(77)
    assert torch.equal(seen(made, given, 4)[0], first)
    assert not torch.equal(seen(made, given, 5)[0], first)
    assert not torch.equal(seen(module(folder, noise=0.5, seed=1)[0], given, 4)[0], first)


def test_a_disabled_class_never_wins(folder):
    made, _ = module(folder)
    logits = torch.zeros(1, 5, 2, 2)
    logits[:, 2], logits[:, 3] = 100.0, 1.0
    assert (made.classes_of(logits) == 3).all()


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_frozen_parts_are_still_from_the_start_and_after_each_judgement(folder, ema):
    made, _ = module(folder, frozen="encoder", ema=ema)
    for _ in range(2):
        assert not made.network.encoder[1].training
        assert made.network.decoder.training
        before = state(made.network.encoder)
        made.training_step(batch(made), 0).backward()
        assert all(torch.equal(state(made.network.encoder)[name], tensor) for name, tensor in before.items())
        made.eval()
        made.train()
    assert module(folder)[0].network.encoder[1].training


def test_the_running_mean_follows_its_formula(folder):
    made, _ = module(folder, ema=0.5, accumulate=2)
    weight, mean = made.network.decoder.weight, made.averaged.module.decoder.weight
    statistics = made.averaged.module.encoder[1]
    expected = None
    for step in range(6):
        with torch.no_grad():
            weight.fill_(float(step))
            made.network.encoder[1].running_mean.fill_(float(step))
            made.network.encoder[1].num_batches_tracked.fill_(step)
        made.on_train_batch_end(None, None, 2 * step)
        if step:
            assert mean.mean().item() == pytest.approx(expected), "only a whole step counts"
        made.on_train_batch_end(None, None, 2 * step + 1)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = float(step) if expected is None else decay * expected + (1 - decay) * step
        assert mean.mean().item() == pytest.approx(expected, rel=1e-6)
        assert statistics.running_mean.mean().item() == pytest.approx(expected, rel=1e-6)
        assert statistics.num_batches_tracked.item() == step
    assert made.judged_network is made.averaged.module
    assert not mean.requires_grad


def test_a_plateau_knows_which_way_is_progress(folder):
    for monitor, values, reduced in (
        ("loss", [1.0, 0.9, 0.8, 0.7], False), ("loss", [1.0] * 4, True),
        ("miou", [0.2, 0.3, 0.4, 0.5], False), ("miou", [0.5] * 4, True),
        ("miou", [0.5, 0.49995, 0.4999, 0.49985], True),
    ):  # fmt: skip
        made, job = module(folder, schedule="plateau", monitor=monitor, plateau_patience=1, plateau_cooldown=0)
        made.configure_optimizers()
        for value in values:
            made._plateau.step(value)
        share = made.learning_rate / job.recipe.learning_rate
        assert share == pytest.approx(0.5 if reduced else 1.0), (monitor, values)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_plateau_goes_on_after_a_break(folder, when):
    choices = {"schedule": "plateau", "monitor": "miou", "plateau_patience": 3}
    first, second = module(folder, **choices)[0], module(folder, **choices)[0]
    first.configure_optimizers()
    for value in (0.5, 0.4, 0.3):
        first._plateau.step(value)
    checkpoint = {}
    first.on_save_checkpoint(checkpoint)
    if when == "after":
        second.configure_optimizers()
    second.on_load_checkpoint(checkpoint)
    second.configure_optimizers()
    assert (second._plateau.best, second._plateau.num_bad_epochs) == (0.5, 2)
