"""How good a model becomes on little data: real imagery of another country, and the sample scene from random weights.

    python benchmarks/accuracy.py --korea FOLDER --encoder-weights mobilenet_v2.pth [--write docs/performance.md]

FOLDER holds `img/IMG_*.tif` and `msk/MSK_*.tif`. Its tiles are split by position: the northern ones are learnt from,
but for two that choose the best epoch; the southern ones are unseen ground, looked at once, at the end. Tiles overlap
by a quarter, so what a tile shares with one of the splits before it is blanked in its mask. Codes 0 and 19 are ignored.
Figures are those of the definition `strict`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import rasterio
from measured_run import Measured, print_table, run_engine
from rasterio.windows import Window

from engine.data.sample_scene import write_sample_scene

BEGIN = "<!-- benchmark: accuracy -->"
END = "<!-- end -->"
SCENE = (2560, 1280)
SCENE_SEED = 3
PATCH = 256
JUDGED_EVERY = 8
SCENE_EPOCHS = 30
# Two northern tiles choose the best epoch: between them they hold all classes that occur in the south.
JUDGED = ("IMG_36701006_053", "IMG_36701006_071")


def split_korea(folder: Path, target: Path) -> None:
    """Write train.csv and val.csv (north) and test.csv (south) into a folder, with masks that share no ground."""
    tiles = []
    for image in sorted((folder / "img").glob("IMG_*.tif")):
        with rasterio.open(image) as file:
            tiles.append((image, file.bounds, file.transform))
    middle = (max(bounds.top for _, bounds, _ in tiles) + min(bounds.bottom for _, bounds, _ in tiles)) / 2
    split = {
        image: "test" if (bounds.bottom + bounds.top) / 2 < middle else "val" if image.stem in JUDGED else "train"
        for image, bounds, _ in tiles
    }
    rank = {"val": 0, "train": 1, "test": 2}
    (target / "msk").mkdir()
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for image, bounds, transform in tiles:
        mask = folder / "msk" / image.name.replace("IMG_", "MSK_")
        for other, theirs, _ in tiles:
            shares = theirs.left < bounds.right and theirs.right > bounds.left
            shares &= theirs.bottom < bounds.top and theirs.top > bounds.bottom
            if shares and rank[split[other]] < rank[split[image]]:
                left, top = ~transform * (theirs.left, theirs.top)
                right, bottom = ~transform * (theirs.right, theirs.bottom)
                rows, columns = (slice(max(0, int(a)), max(0, int(b) + 1)) for a, b in ((top, bottom), (left, right)))
                mask = _blanked(mask, target / "msk" / mask.name, (rows, columns))
        lists[split[image]].append(f"{image},{mask}\n")
    for name, lines in lists.items():
        (target / f"{name}.csv").write_text("".join(lines), encoding="utf-8")


def _blanked(mask: Path, target: Path, where: tuple[slice, slice]) -> Path:
    with rasterio.open(mask) as file:
        codes, profile = file.read(1), file.profile
    codes[where] = 0
    with rasterio.open(target, "w", **profile) as file:
        file.write(codes, 1)
    return target


def split_scene(folder: Path) -> None:
    """Write the sample scene as patches: the western half to learn from, the eastern half as unseen ground."""
    scene = write_sample_scene(folder / "scene", width=SCENE[0], height=SCENE[1], seed=SCENE_SEED)
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    with rasterio.open(scene.image) as image, rasterio.open(scene.labels) as labels:
        for row in range(0, SCENE[1], PATCH):
            for column in range(0, SCENE[0], PATCH):
                window = Window(column, row, PATCH, PATCH)
                names = []
                for source, prefix in ((image, "img"), (labels, "msk")):
                    path = folder / prefix / f"{row:05d}_{column:05d}.tif"
                    path.parent.mkdir(exist_ok=True)
                    profile = {**source.profile, "width": PATCH, "height": PATCH}
                    profile.update(transform=source.window_transform(window), blockxsize=PATCH, blockysize=PATCH)
                    with rasterio.open(path, "w", **profile) as file:
                        file.write(source.read(window=window))
                        file.descriptions = source.descriptions
                    names.append(str(path))
                learnt = len(lists["train"]) + len(lists["val"])
                west = "val" if learnt % JUDGED_EVERY == JUDGED_EVERY // 2 else "train"
                lists[west if column < SCENE[0] // 2 else "test"].append(",".join(names) + "\n")
    for split, lines in lists.items():
        (folder / f"{split}.csv").write_text("".join(lines), encoding="utf-8")


def train(data: Path, folder: Path, **options: object) -> Measured:
    """Train on a data set; return what the engine told."""
    request = {"data": str(data), "output": str(folder / "model.safetensors"), "overwrite": True, **options}
    return run_engine("train", request, folder / "cache")


def table(korea: Path | None, weights: Path | None, folder: Path, choices: dict[str, object]) -> Iterator[str]:
    """Train and yield the lines of the table."""
    yield "| data | start | judged on | patches learnt | overall accuracy | mean IoU | minutes |"
    yield "|---|---|---|---|---|---|---|"
    if korea is not None:
        data = folder / "korea"
        data.mkdir()
        split_korea(korea, data)
        start = {"architecture": "unet", "encoder": "mobilenet_v2", "encoder_weights": str(weights or "imagenet")}
        run = train(data, data, preset="fine-tune", ignore=[0, 19], **{**start, **choices})
        figures = run.result
        count = len((data / "train.csv").read_text().splitlines())
        yield (
            f"| Korea, 25 cm, RGB, 7 classes | ImageNet | southern tiles, unseen | {count} | "
            f"{figures['test_overall_accuracy']:.3f} | {figures['test_miou']:.3f} | {run.seconds / 60:.0f} |"
        )
    data = folder / "sample"
    data.mkdir()
    split_scene(data)
    run = train(data, data, preset="quick", epochs=SCENE_EPOCHS)
    figures = run.result
    count = len((data / "train.csv").read_text().splitlines())
    yield (
        f"| sample scene, 20 cm, 5 bands | random | eastern half, unseen | {count} | "
        f"{figures['test_overall_accuracy']:.3f} | {figures['test_miou']:.3f} | {run.seconds / 60:.0f} |"
    )


def main() -> None:
    """Print the table, and put it into a document on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--korea", type=Path, help="folder of the Korean tiles; left out without it")
    parser.add_argument("--encoder-weights", type=Path, help="torchvision's mobilenet_v2; default: from the hub")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="choices of the recipe to try")
    parser.add_argument("--write", type=Path, help="document whose marked part is replaced")
    options = parser.parse_args()
    choices: dict[str, object] = dict(item.split("=", 1) for item in options.set)
    with tempfile.TemporaryDirectory() as folder:
        print_table(table(options.korea, options.encoder_weights, Path(folder), choices), options.write, BEGIN, END)


if __name__ == "__main__":
    main()
