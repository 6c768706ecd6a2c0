# ruff: noqa: E402 - the profile has to be chosen before QGIS is imported
"""QGIS without a window, in a profile of its own for every test process."""

import atexit
import json
import math
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

PROFILE = tempfile.mkdtemp(prefix="flair_test_profile_")
atexit.register(shutil.rmtree, PROFILE, ignore_errors=True)
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["LC_ALL"] = "C.UTF-8"
os.environ["QGIS_CUSTOM_CONFIG_PATH"] = PROFILE
os.environ.setdefault("XDG_RUNTIME_DIR", PROFILE)
os.environ.pop("FLAIR_ENGINE_PYTHON", None)

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
sys.path.insert(0, "/usr/share/qgis/python/plugins")

import pytest
from helpers import HALF, TILE, ZOOM, Feedback, polygons, write_model, write_raster
from qgis.core import (
    QgsApplication,
    QgsCoordinateTransformContext,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor, QImage


@pytest.fixture(scope="session")
def qgis_app():
    """QGIS with Processing and the provider, once for all tests of a process."""
    app = QgsApplication.instance() or QgsApplication([], True)
    app.initQgis()
    from processing.core.Processing import Processing

    from flair_qgis.provider import FlairProvider

    Processing.initialize()
    provider = FlairProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    app.flair_provider = provider
    return app


@pytest.fixture(autouse=True)
def clean(qgis_app, monkeypatch):
    """No engine, no setting and an empty project to begin with."""
    from flair_qgis import settings

    monkeypatch.delenv(settings.VARIABLE, raising=False)
    monkeypatch.setattr(settings, "_setting", lambda: "")
    monkeypatch.setattr(settings, "plugin_root", lambda: Path(PROFILE) / "no_checkout")
    yield
    QgsProject.instance().clear()


class FakeEngine:
    """Starts the stand-in and remembers what it was asked."""

    def __init__(self, folder, monkeypatch):
        self._monkeypatch = monkeypatch
        self.folder = folder
        self.program = folder / "engine python"
        self.program.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).parent / "fake_engine.py"}" "$@"\n'
        )
        self.program.chmod(0o755)
        monkeypatch.setenv("FLAIR_ENGINE_PYTHON", str(self.program))
        monkeypatch.setenv("FAKE_ENGINE_RECORD", str(folder / "record.json"))
        monkeypatch.setenv("FAKE_ENGINE_PIDS", str(folder / "pids"))

    def mode(self, name):
        self._monkeypatch.setenv("FAKE_ENGINE", name)

    @property
    def record(self):
        return json.loads((self.folder / "record.json").read_text())

    @property
    def options(self):
        return self.record["request"]["options"]

    @property
    def requests(self):
        """All requests, from the first on."""
        return [json.loads(line) for line in (self.folder / "requests.jsonl").read_text().splitlines()]

    def pids(self, timeout=5.0):
        path = self.folder / "pids"
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if path.is_file() and len(path.read_text().split()) == 2:
                return [int(part) for part in path.read_text().split()]
            time.sleep(0.02)
        raise AssertionError("the fake engine did not start")


@pytest.fixture
def fake_engine(tmp_path, monkeypatch):
    folder = tmp_path / "fake"
    folder.mkdir()
    return FakeEngine(folder, monkeypatch)


@pytest.fixture
def feedback():
    return Feedback()


@pytest.fixture
def context():
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context


@pytest.fixture
def image(tmp_path):
    return write_raster(tmp_path / "image.tif")


@pytest.fixture
def raster(tmp_path):
    """A land-cover map of one class."""
    return write_raster(tmp_path / "map.tif", bands=1, value=4)


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "tiny.safetensors")


@pytest.fixture
def labels(qgis_app, tmp_path):
    """The polygons of `helpers.polygons` as the second layer of a file: its source."""
    path = tmp_path / "labels.gpkg"
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    for layer, name in ((QgsVectorLayer("Point?crs=EPSG:2154", "p", "memory"), "points"), (polygons(), "parcels")):
        options.layerName = name
        code = QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), QgsCoordinateTransformContext(), options)
        assert code[0] == QgsVectorFileWriter.WriterError.NoError, code
        options.actionOnExistingFile = QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
    return f"{path}|layername=parcels"


@pytest.fixture
def tiles(tmp_path):
    """A service of 2 x 2 tiles in Paris, of which the lower right one is missing: its layer and its extent."""
    column = int((2.35 + 180) / 360 * 2**ZOOM)
    row = int((1 - math.asinh(math.tan(math.radians(48.85))) / math.pi) / 2 * 2**ZOOM)
    for dx in range(2):
        for dy in range(2):
            if (dx, dy) == (1, 1):
                continue
            picture = QImage(256, 256, QImage.Format.Format_RGB32)
            picture.fill(QColor(10 + 100 * dx, 20 + 100 * dy, 200))
            folder = tmp_path / "tiles" / str(ZOOM) / str(column + dx)
            folder.mkdir(parents=True, exist_ok=True)
            assert picture.save(str(folder / f"{row + dy}.png"))
    address = f"file://{tmp_path}/tiles/%7Bz%7D/%7Bx%7D/%7By%7D.png"
    layer = QgsRasterLayer(f"type=xyz&url={address}&zmin=0&zmax={ZOOM}", "tiles", "wms")
    assert layer.isValid()
    left, top = -HALF + column * TILE, HALF - row * TILE
    return layer, QgsRectangle(left, top - 2 * TILE, left + 2 * TILE, top)
