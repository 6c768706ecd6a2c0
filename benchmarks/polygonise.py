"""Time and memory of polygons beside GDAL's own.

    python benchmarks/polygonise.py [--sizes 5000 20000] [--write docs/performance.md]

Rasters of classes as networks draw them: rounded patches, turned houses, a road, and one pixel in 500 of any class.
GDAL makes the bare polygons along the pixels, without a smallest area. All figures are from one run on one machine, so
only their ratios mean anything elsewhere.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from measured_run import Measured, print_table, run_engine, run_script
from rasterio.transform import from_origin
from rasterio.windows import Window
from scipy import ndimage

PIECE = 2000
PIECES = 4
CODES = np.array([9, 10, 8, 7, 3], dtype=np.uint8)
BEGIN = "<!-- benchmark: polygonise -->"
END = "<!-- end -->"
WAYS = {
    "along the pixels": {"outline": "pixels"},
    "simplified": {},
    "simplified, from 2 m²": {"minimum_area": 2},
    "smooth, from 2 m²": {"minimum_area": 2, "outline": "smooth"},
}


def piece_of(seed: int) -> npt.NDArray[np.uint8]:
    """Return the class codes of a piece of 400 x 400 m."""
    random = np.random.default_rng(seed)
    cells = PIECE // 16 + 1
    coarse = np.stack([ndimage.gaussian_filter(random.random((cells, cells)), 2) for _ in CODES])
    fields = ndimage.zoom(coarse, (1, 16, 16), order=3)[:, :PIECE, :PIECE]
    fields = (fields - fields.mean((1, 2), keepdims=True)) / fields.std((1, 2), keepdims=True)
    ragged = [ndimage.gaussian_filter(random.standard_normal((PIECE, PIECE)), 3) for _ in CODES]
    codes = CODES[(fields + 0.4 * np.stack(ragged)).argmax(0)]
    rows, columns = np.mgrid[:PIECE, :PIECE]
    codes[np.abs(rows - PIECE / 2 - PIECE / 20 * np.sin(columns / PIECE * 2 * np.pi)) < 14] = 4
    for _ in range(PIECE * PIECE // 12_000):
        row, column = random.integers(50, PIECE - 50, 2)
        angle, (height, width) = random.random() * np.pi, random.integers(10, 30, 2)
        down, right = np.mgrid[-50:50, -50:50]
        along, across = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
        part = codes[row - 50 : row + 50, column - 50 : column + 50]
        part[(np.abs(along) < width) & (np.abs(across) < height)] = 1
    specks = random.random(codes.shape) < 0.002
    codes[specks] = random.integers(1, 16, int(specks.sum()))
    return codes


def write_raster(path: Path, size: int) -> None:
    """Write a class raster, its pieces turned so that neighbours meet as mirrors."""
    pieces = [piece_of(seed) for seed in range(PIECES)]
    profile = {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": 1,
        "dtype": "uint8",
        "nodata": 0,
        "crs": "EPSG:2154",
        "transform": from_origin(650_000, 6_860_000, 0.2, 0.2),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
    }
    with rasterio.open(path, "w", **profile) as target:
        for row in range(0, size, PIECE):
            for column in range(0, size, PIECE):
                piece = pieces[(3 * (row // PIECE) + column // PIECE) % PIECES]
                piece = piece[:: 1 - 2 * (row // PIECE % 2), :: 1 - 2 * (column // PIECE % 2)]
                part = np.ascontiguousarray(piece[: size - row, : size - column])
                target.write(part, 1, window=Window(column, row, part.shape[1], part.shape[0]))


def line_of(size: int, name: str, run: Measured, bare: Measured, polygons: int) -> str:
    """Return a line of the table."""
    return (
        f"| {size:,} x {size:,} | {name} | {polygons:,} | {run.seconds:.0f} s | {run.seconds / bare.seconds:.2f} | "
        f"{run.peak_gb:.2f} GB |"
    )


def compare(sizes: list[int], folder: Path) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
    yield ""
    yield "| pixels | | polygons | time | of GDAL's | peak memory |"
    yield "|---|---|---:|---:|---:|---:|"
    for size in sizes:
        raster, output = folder / f"{size}.tif", folder / "made.gpkg"
        write_raster(raster, size)
        bare = run_script("bare_shapes.py", [str(raster), str(folder / "bare.gpkg")], folder)
        (folder / "bare.gpkg").unlink()
        yield line_of(size, "GDAL alone, along the pixels", bare, bare, int(bare.output.split()[-1]))
        for name, options in WAYS.items():
            request = {"input": str(raster), "output": str(output), "overwrite": True, **options}
            run = run_engine("polygonise", request, folder)
            yield line_of(size, name, run, bare, run.result["polygons"])
        raster.unlink()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 20_000])
    parser.add_argument("--write", type=Path, help="document to put the table into")
    parser.add_argument("--folder", type=Path, help="where temporary files go")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print_table(compare(arguments.sizes, Path(folder)), arguments.write, BEGIN, END)


if __name__ == "__main__":
    main()
