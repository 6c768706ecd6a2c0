"""Speed and memory of classification beside the published way and the bare forward pass.

    python benchmarks/classify.py [--device cpu] [--quick] [--write docs/performance.md]

One raster of 4096 x 4096 pixels and 5 bands, U-Net with ResNet-34 and 19 classes
(random weights: they do not change the time). All figures are from one run on
one machine, so only their ratios mean anything elsewhere.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from measured_run import Measured, print_table, run_engine, run_script
from rasterio.transform import from_origin

from engine.models.architecture import network_of
from engine.models.catalogue import find_entry
from engine.models.model_file import save_model

SIZE = 4096
SPARSE_SIZE = 40_000
MODEL = "FLAIR-INC_rgbie_15cl_resnet34-unet"
BEGIN = "<!-- benchmark: classify -->"
END = "<!-- end -->"


def write_image(path: Path, size: int) -> None:
    """Write a raster that looks like parcels: squares of one colour with grain."""
    random = np.random.default_rng(0)
    colours = random.integers(30, 226, (5, size // 32 + 1, size // 32 + 1), dtype=np.int16)
    grain = random.integers(-20, 21, (5, 512, 512), dtype=np.int16)
    profile = {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": 5,
        "dtype": "uint8",
        "crs": "EPSG:2154",
        "transform": from_origin(900_000, 6_500_000, 0.2, 0.2),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
    }
    with rasterio.open(path, "w", **profile) as target:
        for index, name in enumerate(find_entry(MODEL).manifest.band_names, start=1):
            target.set_band_description(index, name)
        for row in range(0, size, 512):
            for column in range(0, size, 512):
                cells = colours[:, row // 32 : row // 32 + 16, column // 32 : column // 32 + 16]
                block = np.kron(cells, np.ones((1, 32, 32), dtype=np.int16)) + grain
                window = rasterio.windows.Window(column, row, 512, 512)
                target.write(block.clip(0, 255).astype(np.uint8), window=window)


def write_sparse(path: Path, image: Path) -> None:
    """Write a VRT of 40,000 x 40,000 pixels that holds the image in its middle and nothing else."""
    offset = (SPARSE_SIZE - SIZE) // 2
    with rasterio.open(image) as source:
        wkt, transform = source.crs.to_wkt(), source.transform
        names = source.descriptions
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"><Description>{name}</Description><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{image.name}</SourceFilename><SourceBand>{number}</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{SIZE}" ySize="{SIZE}"/>'
        f'<DstRect xOff="{offset}" yOff="{offset}" xSize="{SIZE}" ySize="{SIZE}"/>'
        "</SimpleSource></VRTRasterBand>"
        for number, name in enumerate(names, start=1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{SPARSE_SIZE}" rasterYSize="{SPARSE_SIZE}"><SRS>{wkt}</SRS>'
        f"<GeoTransform>{', '.join(map(str, transform.to_gdal()))}</GeoTransform>{bands}</VRTDataset>"
    )


def table(device: str, quick: bool, folder: Path) -> Iterator[str]:
    """Run everything and yield the lines of the table."""
    image, sparse, model, cache = (
        folder / "image.tif",
        folder / "sparse.vrt",
        folder / "model.safetensors",
        folder / "c",
    )
    write_image(image, SIZE)
    write_sparse(sparse, image)
    manifest = find_entry(MODEL).manifest
    save_model(model, network_of(manifest), manifest)

    def ours(precision: str, source: Path = image) -> Measured:
        options = {"model": str(model), "input": [str(source)], "output": str(folder / "ours.tif")}
        return run_engine("classify", {**options, "device": device, "precision": precision, "overwrite": True}, cache)

    def bare(precision: str) -> tuple[Measured, float, float]:
        arguments = ["--model", str(model), "--device", device, "--precision", precision, "--size", str(SIZE)]
        run = run_script("bare_forward.py", arguments, cache)
        words = run.output.splitlines()[-1].split()
        values = {key: float(value) for key, value in zip(words[::2], words[1::2], strict=True)}
        return run, values["rate"], values["seconds"]

    first = ours("auto")
    baseline = None
    if not quick:
        arguments = [
            "--model",
            str(model),
            "--input",
            str(image),
            "--output",
            str(folder / "a.tif"),
            "--device",
            device,
        ]
        baseline = run_script("published_way.py", arguments, cache)
    megapixels = SIZE * SIZE / 1e6
    yield f"{platform.machine()}, {device}; {SIZE} x {SIZE} pixels, 5 bands, U-Net with ResNet-34."
    yield ""
    yield "| | seconds | output Mpx/s | ratio to (a) | share of (c) | peak memory, GB | first tile after, s |"
    yield "|---|---|---|---|---|---|---|"

    def row(label: str, seconds: float, share: str, peak: float, tile: str) -> str:
        ratio = f"{baseline.seconds / seconds:.1f}" if baseline else "-"
        return f"| {label} | {seconds:.1f} | {megapixels / seconds:.2f} | {ratio} | {share} | {peak:.2f} | {tile} |"

    if baseline:
        yield row("(a) the published way", baseline.seconds, "", baseline.peak_gb, "")
    for precision in ["exact", "half"] if device != "cpu" else ["exact", "half", "int8"]:
        ours(precision)
        before, rate_before, seconds_before = bare(precision)
        run = ours(precision)
        _, rate_after, seconds_after = bare(precision)
        rate = (rate_before + rate_after) / 2
        computed = run.result["computed_ratio"] * megapixels
        share = f"{computed / run.seconds / rate:.2f}"
        yield row(f"(b) ours, {precision}", run.seconds, share, run.peak_gb, f"{run.first_tile_seconds:.1f}")
        bare_seconds = (seconds_before + seconds_after) / 2
        yield row(f"(c) bare forward, {precision}", bare_seconds, "1.00", before.peak_gb, "")
    far = ours("auto", sparse)
    yield row(
        f"(b) the same in a sparse {SPARSE_SIZE:,}²", far.seconds, "", far.peak_gb, f"{far.first_tile_seconds:.1f}"
    )
    yield row("(b) the first time with a model", first.seconds, "", first.peak_gb, f"{first.first_tile_seconds:.1f}")


def main() -> None:
    """Print the table, and put it into a document on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="leave the published way out")
    parser.add_argument("--write", type=Path, help="document whose marked part is replaced")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print_table(table(options.device, options.quick, Path(folder)), options.write, BEGIN, END)


if __name__ == "__main__":
    main()
