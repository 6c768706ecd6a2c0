"""What the tests share: a scene, a trained model, the engine's map of the scene, a QGIS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import filelock
import pytest
import rasterio

from tests.end_to_end import rasters
from tests.end_to_end.processes import MINUTES, ROOT, Running, engine_command, engine_environment
from tests.end_to_end.qgis_runs import Answer, Qgis, program

# Names a folder in which scene and model stay from one session to the next, for whoever works on these tests.
KEPT = "FLAIR_TEST_FOLDER"
# Several workers share the cores. Threads of torch wait for each other busily: with one set for every engine that
# runs at the time, a training takes many times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Material:
    """Files that all tests may read.

    Args:
        folder: Where they lie.
    """

    folder: Path

    @property
    def image(self):
        return self.folder / "scene" / "image.tif"

    @property
    def labels(self):
        return self.folder / "scene" / "labels.tif"

    @property
    def polygons(self):
        return self.folder / "scene" / "labels.gpkg"

    @property
    def patches(self):
        """The data set of 128 x 128 pixels that the model learnt from."""
        return self.folder / "small_patches"

    @property
    def model(self):
        return self.folder / "small.safetensors"

    @property
    def cache(self):
        return self.folder / "cache"

    @property
    def large(self):
        """30 times the scene: long enough to be interrupted."""
        return self.folder / "large.vrt"

    @property
    def map(self):
        """What the engine makes of the whole scene, in one tile."""
        return self.folder / "map.tif"

    @property
    def transform(self):
        with rasterio.open(self.image) as dataset:
            return dataset.transform

    def start(self, *, wrapper=(), environment=None, folder=None, **options):
        """Start `python -m engine classify` with the model."""
        options = {"model": self.model, **options}
        command = [*wrapper, *engine_command("classify", options)]
        return Running(command, engine_environment(self.cache, **(environment or {})), folder or self.folder)

    def classify(self, *, code=0, **options):
        """Run it to its end and check the exit code."""
        with self.start(**options) as running:
            found = running.wait(MINUTES)
            answer = Answer(found, running.stdout, running.stderr)
        assert found == code, answer.text
        return answer


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory, worker_id):
    """A folder that all workers of a session share."""
    kept = os.environ.get(KEPT)
    base = tmp_path_factory.getbasetemp()
    folder = Path(kept) if kept else (base if worker_id == "master" else base.parent) / "end_to_end"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def material(session_folder):
    made = Material(session_folder)
    with filelock.FileLock(session_folder / "lock"):
        if not (session_folder / "complete").exists():
            made.cache.mkdir(exist_ok=True)
            done = subprocess.run(
                [sys.executable, "-m", "tests.end_to_end.make_material", "scene", str(session_folder)],
                env=engine_environment(made.cache),
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            rasters.repeated(made.image, made.large, 6, 5)
            made.classify(input=made.image, output=made.map, overwrite=True)
            (session_folder / "complete").touch()
    return made


@pytest.fixture(scope="session")
def qgis(material, tmp_path_factory):
    """qgis_process with the checkout as its plugin, enabled; one profile a worker."""
    if program("qgis_process") is None:
        pytest.skip("QGIS is not installed")
    return Qgis(tmp_path_factory.mktemp("qgis"), ROOT, material.cache).enable()


@pytest.fixture(scope="session")
def display():
    """A display of its own: its name."""
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [server, "-displayfd", str(writing), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    process.terminate()
    process.wait()
