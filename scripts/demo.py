"""The demo: from nothing to a land-cover map drawn by QGIS.

Makes a scene, cuts patches from its western half, trains a small network on them, classifies the eastern half and
compares with the truth, all of it by the algorithms in QGIS. With an image and a model of the user's, it classifies
that image instead.

    .venv/bin/python -m scripts.demo [--input my.tif] [--model my.safetensors]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio.windows import Window

from engine.data.sample_scene import write_sample_scene
from engine.errors import EngineError
from engine.events import format_duration
from engine.nomenclature import load_nomenclature

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = "flair_land_cover"
SIZE = (2560, 1280)
SEED = 3
PATCH = 256
EPOCHS = 18


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, help="an image of your own")
    parser.add_argument("--model", type=Path, help="a model file of your own")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where the files go")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        run(options.input, options.model, options.folder.resolve())
    except (EngineError, DemoError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    print(f"Done in {format_duration(time.monotonic() - began)}.")
    return 0


class DemoError(Exception):
    """A step of the demo failed; the message says which."""


def run(image: Path | None, model: Path | None, folder: Path) -> None:
    """Classify the user's image, or a scene that is made here, and draw the map."""
    for path in (image, model):
        if path is not None and not path.is_file():
            raise DemoError(f"'{path}' does not exist.")
    if image is not None and model is None:
        raise DemoError("An image of your own needs a model: make demo INPUT=my.tif MODEL=my.safetensors.")
    folder.mkdir(parents=True, exist_ok=True)
    landcover, labels, area = folder / "landcover.tif", None, None
    if image is None:
        step("Making the scene")
        scene = write_sample_scene(folder / "scene", width=SIZE[0], height=SIZE[1], seed=SEED)
        image, labels = scene.image, scene.labels
        area = eastern_half(image, folder / "west.gpkg")
    with Qgis() as qgis:
        if model is None and labels is not None:
            model = folder / "model.safetensors"
            learn(qgis, image, labels, folder, model)
        step("Classifying" + (" the eastern half" if labels else ""))
        qgis.run(
            "classify",
            INPUT=image.resolve(),
            MODEL=model.resolve(),
            OUTPUT=landcover,
            OVERWRITE="true",
            **({"EXTENT": area} if area else {}),
        )
    if labels is not None:
        step("Comparing with the truth")
        print(accuracy_table(labels, landcover))
    step("Drawing the map")
    draw_map(image.resolve(), landcover, folder / "landcover.png", title(image, model, labels))
    print(f"Land cover: {landcover}\nMap:        {folder / 'landcover.png'}")


def step(text: str) -> None:
    """Say what begins."""
    print(f"\n== {text}", flush=True)


def title(image: Path, model: Path, labels: Path | None) -> str:
    """Return the map's title."""
    return "Land cover of the sample scene" if labels else f"Land cover of {image.name} by {model.stem}"


def learn(qgis: Qgis, image: Path, labels: Path, folder: Path, model: Path) -> None:
    """Cut patches from the western half and train on them."""
    step("Extracting patches from the western half")
    qgis.run(
        "extractpatches",
        IMAGE=image,
        LABELS=labels.with_suffix(".gpkg"),
        AREA=folder / "west.gpkg",
        PATCH_SIZE=PATCH,
        TEST_SHARE=0,
        OUTPUT=folder / "patches",
        TABLE=folder / "patches.html",
    )
    step("Training")
    qgis.run(
        "train", DATA=folder / "patches", PRESET="quick", EPOCHS=EPOCHS, OUTPUT=model, REPORT=folder / "training.html"
    )


def eastern_half(image: Path, west: Path) -> str:
    """Write the western half as a polygon, and return the eastern one as an extent for QGIS."""
    with rasterio.open(image) as file:
        middle = file.width // 2
        left, bottom, right, top = file.window_bounds(Window(0, 0, middle, file.height))
        pyogrio.raw.write(
            west, shapely.to_wkb(np.array([shapely.box(left, bottom, right, top)])), [], [], layer="west",
            driver="GPKG", geometry_type="Polygon", crs=str(file.crs),
        )  # fmt: skip
        left, bottom, right, top = file.window_bounds(Window(middle, 0, file.width - middle, file.height))
        return f"{left},{right},{bottom},{top} [{file.crs}]"


def qgis_process() -> str:
    """Return the program; Debian's wrapper of that name is broken in places, so what it wraps comes first."""
    for name in ("qgis_process.bin", "qgis_process"):
        found = shutil.which(name, path=f"/usr/bin{os.pathsep}{os.environ.get('PATH', '')}")
        if found:
            return found
    raise DemoError("QGIS is not installed: run 'make setup'.")


class Qgis:
    """qgis_process with a profile of its own, in which this checkout is the plugin; a context manager."""

    def __enter__(self) -> Qgis:
        self._folder = tempfile.TemporaryDirectory(prefix="flair_demo_")
        plugins = Path(self._folder.name) / "plugins"
        plugins.mkdir()
        (plugins / PLUGIN).symlink_to(ROOT, target_is_directory=True)
        self._environment = {
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "PYTHONWARNINGS": "ignore",  # of QGIS's own Python
            "QGIS_PLUGINPATH": str(plugins),
            "QGIS_CUSTOM_CONFIG_PATH": str(Path(self._folder.name) / "profile"),
            "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", self._folder.name),
            "FLAIR_ENGINE_PYTHON": os.environ.get("FLAIR_ENGINE_PYTHON", sys.executable),
        }
        self._program = qgis_process()
        enabled = subprocess.run(
            [self._program, "plugins", "enable", PLUGIN],
            env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if enabled.returncode:
            raise DemoError(f"QGIS could not load the plugin.\n{enabled.stdout}{enabled.stderr}")
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def run(self, algorithm: str, **parameters: object) -> None:
        """Run an algorithm of the plugin."""
        words = [f"{name}={value}" for name, value in parameters.items()]
        command = [self._program, "run", f"flair:{algorithm}", "--", *words]
        if subprocess.run(command, env=self._environment, check=False).returncode:
            raise DemoError(f"flair:{algorithm} failed; the reason stands above.")


def accuracy_table(labels: Path, landcover: Path) -> str:
    """Return the overall accuracy and one line a class, over the pixels that both rasters have."""
    nomenclature = load_nomenclature("flair")
    with rasterio.open(landcover) as result, rasterio.open(labels) as truth:
        window = truth.window(*result.bounds).round_offsets().round_lengths()
        predicted = result.read(1).ravel()
        wanted = truth.read(1, window=window).ravel()
    known = (wanted > 0) & (predicted > 0)
    matrix = np.bincount(wanted[known].astype(int) * 256 + predicted[known], minlength=256 * 256).reshape(256, 256)
    right, of_truth, of_map = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    lines = [f"{'class':<24}{'share %':>9}{'recall %':>10}{'precision %':>13}{'IoU %':>8}"]
    scores = []
    for item in nomenclature.classes:
        code = item.code
        if not of_truth[code]:
            continue
        scores.append(right[code] / (of_truth[code] + of_map[code] - right[code]))
        share, recall = of_truth[code] / matrix.sum(), right[code] / of_truth[code]
        precision = right[code] / of_map[code] if of_map[code] else 0.0
        lines.append(
            f"{item.title:<24}{100 * share:>9.1f}{100 * recall:>10.1f}{100 * precision:>13.1f}{100 * scores[-1]:>8.1f}"
        )
    lines.append(f"\nOverall accuracy {100 * right.sum() / matrix.sum():.1f} %, mean IoU {100 * np.mean(scores):.1f} %")
    return "\n".join(lines)


def draw_map(image: Path, landcover: Path, output: Path, heading: str) -> None:
    """Let QGIS draw the map, in the system's Python, which has PyQGIS."""
    command = ["/usr/bin/python3", str(ROOT / "scripts" / "render_map.py"), str(image), str(landcover), str(output)]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    if subprocess.run([*command, "--title", heading], env=environment, check=False).returncode:
        raise DemoError("The map could not be drawn; the reason stands above.")


if __name__ == "__main__":
    sys.exit(main())
