# ruff: noqa: N802, N803 - the names of Qt
"""What several tests use."""

import json
import time
from pathlib import Path

from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsProcessingFeedback,
    QgsRectangle,
    QgsVectorLayer,
)

ROOT = Path(__file__).resolve().parents[2]
# the service of tiles that `conftest.tiles` makes: zoom, half the world's width, and the side of a tile
ZOOM, HALF = 17, 20037508.342789244
TILE = 2 * HALF / 2**ZOOM


class Feedback(QgsProcessingFeedback):
    """Remembers everything; cancels itself after a time in seconds when asked to."""

    def __init__(self, cancel_after=None):
        super().__init__(False)
        self.infos, self.warnings, self.console, self.texts, self.progresses = [], [], [], [], []
        self.errors = []
        self._cancel_at = None if cancel_after is None else time.monotonic() + cancel_after
        self.progressChanged.connect(lambda value: self.progresses.append((time.monotonic(), value)))

    def isCanceled(self):
        if self._cancel_at is not None and time.monotonic() > self._cancel_at:
            self.cancel()
        return super().isCanceled()

    def pushInfo(self, info):
        self.infos.append(info)

    def pushWarning(self, warning):
        self.warnings.append(warning)

    def pushConsoleInfo(self, info):
        self.console.append(info)

    def reportError(self, error, fatalError=False):
        self.errors.append(error)

    def setProgressText(self, text):
        self.texts.append(text)


def write_raster(path, bands=3, size=(20, 10), epsg=2154, value=50, origin=(700000.0, 6600000.0), pixel=0.2):
    """Write a small GeoTIFF whose band n holds value + n."""
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), size[0], size[1], bands, gdal.GDT_Byte)
    dataset.SetGeoTransform((origin[0], pixel, 0, origin[1], 0, -pixel))
    if epsg:
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(epsg)
        dataset.SetProjection(reference.ExportToWkt())
    for band in range(1, bands + 1):
        dataset.GetRasterBand(band).Fill(value + band)
    del dataset
    return str(path)


def write_model(path, bands=("red", "green", "blue"), gsd=0.2, version=1, season=()):
    """Write a model file with a header and no tensor."""
    manifest = {
        "format": version,
        "name": "tiny",
        "architecture": "unet",
        "encoder": "resnet34",
        "bands": [{"name": name, "mean": 100.0, "std": 50.0, "minimum": 0, "maximum": 255} for name in bands],
        "nomenclature": {
            "name": "flair",
            "classes": [
                {"code": 1, "name": "building", "color": "#db0e9a", "disabled": False, "french": "bâtiment"},
                {"code": 5, "name": "water", "color": "#1553ae", "disabled": False, "french": "eau"},
                {"code": 19, "name": "other", "color": "#000000", "disabled": True, "french": "indéterminé"},
            ],
        },
        "ground_sampling_distance": gsd,
        "elevation": None,
        "licence": "",
        "provenance": {},
    }
    if season:
        manifest.update({"format": 2, "architecture": "utt", "season": {"bands": [{"name": name} for name in season]}})
    header = json.dumps({"__metadata__": {"flair_manifest": json.dumps(manifest)}}).encode("utf-8")
    Path(path).write_bytes(len(header).to_bytes(8, "little") + header)
    return str(path)


def polygons(epsg=2154):
    """A layer in memory: three squares of classes Wald, Haus, Wald inside the image of the tests."""
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:{epsg}&field=landuse:string(20)&field=code:int", "labels", "memory")
    transform = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:2154"), layer.crs(), QgsCoordinateTransformContext()
    )
    for number, name in enumerate(("Wald", "Haus", "Wald")):
        box = QgsRectangle(700000 + number, 6599998.5, 700000.8 + number, 6599999.5)
        geometry = QgsGeometry.fromRect(box)
        geometry.transform(transform)
        feature = QgsFeature(layer.fields())
        feature.setAttributes([name, number + 1])
        feature.setGeometry(geometry)
        layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    return layer


def alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
