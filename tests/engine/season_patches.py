"""Patches of two crops that look alike from the air; which is which, satellite images of the year alone tell."""

from __future__ import annotations

import json

import numpy as np
import rasterio
from rasterio.transform import from_origin

SIZE, RATIO, AROUND = 32, 4, 16
PIXEL = 0.2
WINTER, SUMMER, HEDGE = 9, 11, 8
LEFT, TOP = 700000.0, 6600000.0
DATES = ("0115", "0310", "0412", "0520", "0711", "0809", "1003")
GREEN = {WINTER: ("0310", "0412", "0520"), SUMMER: ("0711", "0809")}
# All that a tiny network needs.
TINY = {
    "encoder": "mobilenet_v2", "encoder_weights": "none", "satellite_side": AROUND, "satellite_widths": "16,16,32",
    "satellite_heads": 8,
}  # fmt: skip
FAST = {
    "preset": "quick", "batch_size": 8, "repeats": 2, "epochs": 2, "precision": "exact", "threads": 1, "device": "cpu",
    "workers": 0, **TINY,
}  # fmt: skip


def write_dataset(folder, counts=(24, 8, 8), seed=0, bands=4):
    """Write patches side by side with their lists, and a folder of dated images; returns both folders."""
    rng = np.random.default_rng(seed)
    number = sum(counts)
    under, margin = SIZE // RATIO, AROUND
    rows, columns = under + 2 * margin, number * under + 2 * margin
    crops = np.full((rows, columns), WINTER, dtype=np.uint8)
    place = 0
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        lines = []
        for _ in range(count):
            crop = rng.permutation([WINTER, SUMMER]) if rng.random() < 0.5 else np.repeat(rng.choice((9, 11)), 2)
            coarse = np.repeat(np.tile(crop, (under, 1)), under // 2, axis=1).astype(np.uint8)
            start = margin + place * under
            crops[margin : margin + under, start : start + under] = coarse
            lines.append(_write_patch(folder, place, coarse, rng))
            place += 1
        if count:
            (folder / f"{split}.csv").write_text("".join(lines))
    season = folder / "season"
    season.mkdir()
    for date in DATES:
        _write_date(season, date, crops, rng, bands)
    return folder, season


def _write_patch(folder, place, coarse, rng):
    mask = np.kron(coarse, np.ones((RATIO, RATIO), dtype=np.uint8))
    mask[:, :2] = HEDGE
    image = np.where(mask == HEDGE, 60, 130)[None] + rng.normal(0, 12, (3, SIZE, SIZE))
    names = (f"img/IMG_{place:06d}.tif", f"msk/MSK_{place:06d}.tif")
    transform = from_origin(LEFT + place * SIZE * PIXEL, TOP, PIXEL, PIXEL)
    for name, array in zip(names, (image.clip(0, 255).astype(np.uint8), mask[None]), strict=True):
        write(folder / name, array, transform)
    return ",".join(names) + "\n"


def _write_date(season, date, crops, rng, bands):
    green = np.zeros(crops.shape)
    for crop, dates in GREEN.items():
        green += (crops == crop) * (date in dates)
    values = (
        1000 + 800 * green[None] * np.linspace(-1, 1, bands)[:, None, None] + rng.normal(0, 100, (bands, *crops.shape))
    )
    pixel = PIXEL * RATIO
    transform = from_origin(LEFT - AROUND * pixel, TOP + AROUND * pixel, pixel, pixel)
    write(season / f"S2_2021{date}.tif", values.clip(1, 10000).astype(np.uint16), transform)


def write(path, array, transform, **options):
    """Write (bands, height, width) as GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(array), height=array.shape[1], width=array.shape[2], dtype=array.dtype,
        crs="EPSG:2154", transform=transform, **options,
    ) as file:  # fmt: skip
        file.write(array)


def write_metadata(path, count):
    """Write the metadata of the first patches."""
    values = {
        f"IMG_{place:06d}": {
            "patch_centroid_x": LEFT + place, "patch_centroid_y": TOP, "patch_centroid_z": 100.0 + place,
            "camera": "UCE-M3-f120-s06" if place % 2 else "DMC", "date": "2020-06-21", "time": "10h30",
        }
        for place in range(count)
    }  # fmt: skip
    path.write_text(json.dumps(values))
    return path


def write_areas(folder, counts=(8, 2, 2), seed=0):
    """Write patches in two areas as FLAIR #2 lays them out, with their satellite files; returns both folders."""
    rng = np.random.default_rng(seed)
    season, centroids = folder / "sen", {}
    place = 0
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        lines = []
        for _ in range(count):
            area = f"D001_2020/Z{1 + place % 2}_AA"
            line = _write_patch(folder / area, place, np.full((8, 8), (WINTER, SUMMER)[place % 3 % 2], np.uint8), rng)
            image, mask = line.strip().split(",")
            lines.append(f"{area}/{image},{area}/{mask}\n")
            centroids[f"IMG_{place:06d}.tif"] = [10 + place, 12]
            place += 1
        (folder / f"{split}.csv").write_text("".join(lines))
    for number in (1, 2):
        area = season / "D001_2020" / f"Z{number}_AA" / "sen"
        area.mkdir(parents=True)
        np.save(area / "SEN2_sp_data.npy", rng.integers(100, 3000, (4, 10, 40, 40)).astype(np.uint16))
        np.save(area / "SEN2_sp_masks.npy", np.zeros((4, 2, 40, 40), np.uint8))
        names = [f"S2A_MSIL2A_2021{date}T104021_N9999" for date in ("0412", "0420", "0711", "1003")]
        assert all(name[15:19].isdecimal() for name in names)
        (area / "SEN2_products.txt").write_text("\n".join(names))
    season.mkdir(exist_ok=True)
    (season / "flair-2_centroids_sp_to_patch.json").write_text(json.dumps(centroids))
    # 32 patches' pixels are 8 satellite pixels of 10.24 m.
    lists = "".join(f"{split}: {split}.csv\n" for split in ("train", "val", "test"))
    (folder / "data.yaml").write_text(f"{lists}ground_sampling_distance: 2.56\n")
    return folder / "data.yaml", season
