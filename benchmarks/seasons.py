"""What the season adds, and what each fault of the published U-T&T costs, on land made for the purpose.

    python benchmarks/seasons.py [--steps 120] [--runs none,unet,collapsed_from_first_item]
    python benchmarks/seasons.py --cost [--device cuda] [--dates 12]

Two crops look alike in the aerial image; one is green in April, the other in July. Hedges between the fields show in
the aerial image alone, a quarter of a satellite pixel wide. A network has to take the edges from the one and the crop
from the other. Each run learns from the same patches in the same order and is judged on others; the table gives the
mean IoU of the three classes and of the two crops (guessing: 0.33), and the share of pixels whose class changes when
the same patches come in other batches. All on one thread, minutes a run.

`--cost` tells what the season costs a classification, with the sizes of the FLAIR #2 baseline: seconds of the aerial
part for a window of 1024 pixels, and of the satellite part for the cells under it, which neighbouring windows share.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise

import numpy as np
import torch
from torch.utils.data import DataLoader

from engine.band import Band
from engine.data.time_series.days import days_to_mid_may
from engine.data.time_series.season_pieces import SeasonPieces, batch_pieces
from engine.data.time_series.series import TimeSeries
from engine.inference.season_network import CellFeatures, Lie, SeasonNetwork
from engine.models.architecture import network_of
from engine.models.manifest import Manifest
from engine.models.season_input import SeasonInput
from engine.models.utt.design import SatelliteDesign
from engine.models.utt.published_faults import NONE, PublishedFaults
from engine.models.utt.utt import UTT
from engine.nomenclature import LandCoverClass, Nomenclature
from engine.training.losses import SegmentationLoss
from engine.training.season_loss import SeasonLoss

SIDE, RATIO, AROUND, BANDS = 64, 8, 16, 10
HEDGE, WINTER, SUMMER = range(3)
# Days to 15 May of a crop's greenest day, and how fast it fades.
GREENEST, FADING = {WINTER: 35, SUMMER: -65}, 35.0
DESIGN = SatelliteDesign((16, 16, 32), (16, 16, 32), (8,), heads=8, attention_width=64)
LEARNT, JUDGED, BATCH, JUDGED_BATCH = 256, 96, 16, 16
RUNS = {
    "none": NONE,
    "unet": NONE,
    "collapsed_from_first_item": PublishedFaults(collapsed_from_first_item=True),
    "satellite_not_turned": PublishedFaults(satellite_not_turned=True),
    "padding_in_normalisation": PublishedFaults(padding_in_normalisation=True),
    "dropout_in_training": NONE,
    "modality_dropout_in_prediction": PublishedFaults(modality_dropout_in_prediction=True),
    "satellite_weight_0.1": NONE,
    "swapped_loss_weights": PublishedFaults(swapped_loss_weights=True),
}


def land(rng):
    """Return classes (128, 128): fields of one crop each between hedges, at angles to no grid."""
    size = AROUND * RATIO
    classes = np.zeros((size, size), np.uint8)
    rows = _cuts(rng, size)
    for top, bottom in pairwise(rows):
        columns = _cuts(rng, size)
        for left, right in pairwise(columns):
            classes[max(0, top + 1) : bottom - 1, max(0, left + 1) : right - 1] = rng.choice((WINTER, SUMMER))
    return classes


def _cuts(rng, size):
    cuts = [-int(rng.integers(1, 20))]
    while cuts[-1] < size:
        cuts.append(cuts[-1] + int(rng.integers(20, 34)))
    return cuts


class Land:
    """Patches and their seasons, made once from a seed."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.patches, self.seasons = [], []
        for _ in range(count):
            classes = land(rng)
            self.patches.append(_aerial(rng, classes))
            self.seasons.append(_season(rng, classes))

    def read(self, index):
        """Return image and target."""
        return self.patches[index]


class Seasons:
    """The seasons of some land, or none at all."""

    def __init__(self, place, empty):
        self.place, self.empty = place, empty

    def read(self, index):
        """Return a season."""
        series = self.place.seasons[index]
        return series.chosen(np.zeros(series.dates, bool)) if self.empty else series


def _aerial(rng, classes):
    edge = (classes.shape[0] - SIDE) // 2
    target = classes[edge : edge + SIDE, edge : edge + SIDE]
    image = np.where(target == HEDGE, 0.25, 0.55)[None] + rng.normal(0, 0.08, (5, SIDE, SIDE))
    return ((image - 0.5) / 0.2).astype(np.float32), target.copy()


def _season(rng, classes):
    dates = sorted(
        ((int(rng.integers(1, 13)), int(rng.integers(1, 29))) for _ in range(rng.integers(6, 14))), reverse=True
    )
    days = np.array([days_to_mid_may(*date) for date in dates])
    shares = np.stack([(classes == item).astype(float) for item in (HEDGE, WINTER, SUMMER)])
    shares = shares.reshape(3, AROUND, RATIO, AROUND, RATIO).mean((2, 4))
    green = np.full((len(days), AROUND, AROUND), 0.4) * shares[HEDGE]
    for crop, greenest in GREENEST.items():
        green += np.exp(-(((days - greenest) / FADING) ** 2))[:, None, None] * shares[crop]
    # Haze: a whole date is brighter or darker.
    green = green + rng.normal(0, 0.1, len(days))[:, None, None]
    bands = np.linspace(-1, 1, BANDS)[None, :, None, None] * green[:, None]
    pixels = bands + rng.normal(0, 0.1, bands.shape)
    return TimeSeries(pixels.astype(np.float32), days, np.array([month for month, _ in dates]))


def learn(name, steps, seed):
    """Train one network and return what `judge` says of it on land that it has not seen."""
    faults = RUNS[name]
    torch.manual_seed(seed)
    dropout = 0.3 if "dropout" in name else 0.0
    network = UTT("resnet18", 5, 3, pixel_ratio=RATIO, satellite=DESIGN, satellite_dropout=dropout, faults=faults).to(
        memory_format=torch.channels_last
    )
    satellite_weight = 0.1 if "weight" in name else 1.0
    plain = SegmentationLoss("cross-entropy", None)
    loss = SeasonLoss(plain, plain, 1.0, satellite_weight, swapped=faults.swapped_loss_weights)
    place = Land(LEARNT, seed=1)
    pieces = SeasonPieces(place, Seasons(place, name == "unet"), seed, satellite_too=not faults.satellite_not_turned)
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    network.train()
    for step in range(steps):
        chosen = rng.choice(LEARNT, BATCH, replace=False)
        batch = batch_pieces([pieces[0, step * BATCH + place, int(patch)] for place, patch in enumerate(chosen)])
        answer = network(batch["image"], batch["series"], batch["days"], batch["valid"])
        value = loss(answer.logits, answer.satellite_logits, batch["target"], batch["valid"])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    return judge(network.eval(), name == "unet")


@torch.no_grad()
def judge(network, empty):
    """Return the IoU of each class, shape (3,), and the share of pixels that depend on a patch's batch."""
    torch.manual_seed(0)
    place = Land(JUDGED, seed=2)
    pieces = SeasonPieces(place, Seasons(place, empty), 0, quarter_turns=False, flips=False)
    truth = np.stack([target for _, target in place.patches])
    answers = []
    for order in (np.arange(JUDGED), np.random.default_rng(0).permutation(JUDGED)):
        keys = [(0, 0, int(number)) for number in order]
        found = np.empty_like(truth)
        done = 0
        for batch in DataLoader(pieces, JUDGED_BATCH, sampler=keys, collate_fn=batch_pieces):
            classes = network(batch["image"], batch["series"], batch["days"], batch["valid"]).logits.argmax(1)
            found[order[done : done + len(classes)]] = classes.numpy()
            done += len(classes)
        answers.append(found)
    counts = np.bincount(truth.ravel() * 3 + answers[0].ravel(), minlength=9).reshape(3, 3)
    iou = np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))
    return iou, float((answers[0] != answers[1]).mean())


@torch.inference_mode()
def cost(device, dates, windows=2):
    """Print seconds of both parts for a square of windows, as `classify` does them."""
    side, cell = 1024, 512
    bands = tuple(Band(f"B{number}", 1000.0, 500.0) for number in range(BANDS))
    aerial = tuple(Band(name, 105.0, 50.0) for name in ("red", "green", "blue", "infrared", "elevation"))
    classes = Nomenclature("cost", tuple(LandCoverClass(code, str(code), "#808080") for code in range(1, 14)))
    described = Manifest("cost", "utt", "resnet34", aerial, classes, season=SeasonInput(bands))
    half = device != "cpu"
    network = SeasonNetwork(network_of(described), described).eval().to(device).to(memory_format=torch.channels_last)
    image = torch.rand(1, 5, side, side, device=device).mul_(255).contiguous(memory_format=torch.channels_last)
    series = torch.rand(side // cell * (side // cell), dates, BANDS, 40, 40, device=device).mul_(3000)
    days = torch.linspace(130, -200, dates, device=device).repeat(len(series), 1)

    # Of a CPU, the time that is spent on this work alone.
    clock = time.perf_counter if half else time.process_time

    def season():
        own, summaries = network.features(series, days, 10)
        found = [CellFeatures(item, summary, True) for item, summary in zip(own, summaries, strict=True)]
        return [found[: side // cell], found[side // cell :]]

    def taken(work):
        with torch.autocast(device, torch.bfloat16, enabled=half):
            seconds = []
            for _ in range(2 + 3 * windows):
                if device != "cpu":
                    torch.cuda.synchronize()
                start = clock()
                work()
                if device != "cpu":
                    torch.cuda.synchronize()
                seconds.append(clock() - start)
        return min(seconds[2:])

    cells = season()
    added = [item[None] for item in network.season(cells, Lie(0, 0, side, side, cell))]
    alone = taken(lambda: network(image))
    satellite = taken(season)
    between = taken(lambda: network.season(cells, Lie(0, 0, side, side, cell)))
    both = taken(lambda: network(image, added))
    print("| device | dates | aerial s | satellite s | brought to the maps s | added s | the season in all |")
    print("|---|---|---|---|---|---|---|")
    extra = satellite + between + max(0.0, both - alone)
    print(
        f"| {device} | {dates} | {alone:.4f} | {satellite:.4f} | {between:.4f} | {max(0.0, both - alone):.4f} "
        f"| {extra / alone:.1%} |"
    )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--runs", default=",".join(RUNS))
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dates", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.cost:
        cost(options.device, options.dates)
        return
    print("| run | seed | mIoU | IoU hedge | IoU of the two crops | changed in other batches | s |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in options.runs.split(","):
        for seed in range(options.seeds):
            start = time.perf_counter()
            iou, changed = learn(name, options.steps, seed)
            took = time.perf_counter() - start
            print(
                f"| {name} | {seed} | {iou.mean():.3f} | {iou[HEDGE]:.3f} | {iou[1:].mean():.3f} "
                f"| {changed:.2%} | {took:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
