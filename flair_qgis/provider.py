"""The Processing provider `flair`."""

from __future__ import annotations

from typing import List

from qgis.core import QgsApplication, QgsProcessingAlgorithm, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms.apply_style import ApplyStyleAlgorithm
from .algorithms.area_statistics import AreaStatisticsAlgorithm
from .algorithms.benchmark import BenchmarkAlgorithm
from .algorithms.change import ChangeAlgorithm
from .algorithms.check_dataset import CheckDatasetAlgorithm
from .algorithms.classify import ClassifyAlgorithm
from .algorithms.diagnostics import DiagnosticsAlgorithm
from .algorithms.download_dataset import DownloadDatasetAlgorithm
from .algorithms.download_model import DownloadModelAlgorithm
from .algorithms.evaluate import EvaluateAlgorithm
from .algorithms.extract_patches import ExtractPatchesAlgorithm
from .algorithms.polygonise import PolygoniseAlgorithm
from .algorithms.prepare_input import PrepareInputAlgorithm
from .algorithms.prepare_time_series import PrepareTimeSeriesAlgorithm
from .algorithms.remap_classes import RemapClassesAlgorithm
from .algorithms.setup_engine import SetupEngineAlgorithm
from .algorithms.train import TrainAlgorithm
from .i18n import tr
from .paths import plugin_version, resources
from .settings import add_settings, remove_settings
from .shipped_models import shipped_models


class FlairProvider(QgsProcessingProvider):
    """All algorithms of the plugin; none is ever hidden, `canExecute` says what is missing."""

    ID = "flair"

    def __init__(self) -> None:
        super().__init__()
        self.order: List[str] = []  # names in the order of work, which Processing does not keep

    def id(self) -> str:
        return self.ID

    def name(self) -> str:
        return tr("FLAIR land cover")

    def longName(self) -> str:
        return tr("FLAIR land cover")

    def versionInfo(self) -> str:
        return plugin_version()

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(resources() / "icons" / "flair.svg")

    def load(self) -> bool:
        add_settings(self.name(), self.icon())
        QgsApplication.processingRegistry().providerAdded.connect(self._add_chains)
        return super().load()

    def unload(self) -> None:
        registry = QgsApplication.processingRegistry()
        if registry is not None:  # when QGIS 3.44 ends, it is gone before its providers are
            registry.providerAdded.disconnect(self._add_chains)
        remove_settings()
        super().unload()

    def _add_chains(self, provider: str) -> None:
        # only now can a chain find its steps in the registry
        if provider == self.id():
            self.refreshAlgorithms()

    def loadAlgorithms(self) -> None:
        self.order = []
        # in the order of work
        for algorithm in (
            PrepareInputAlgorithm,
            PrepareTimeSeriesAlgorithm,
            DownloadModelAlgorithm,
            DownloadDatasetAlgorithm,
            CheckDatasetAlgorithm,
            ExtractPatchesAlgorithm,
            TrainAlgorithm,
            ClassifyAlgorithm,
            EvaluateAlgorithm,
            BenchmarkAlgorithm,
            ApplyStyleAlgorithm,
            RemapClassesAlgorithm,
            PolygoniseAlgorithm,
            AreaStatisticsAlgorithm,
            ChangeAlgorithm,
            SetupEngineAlgorithm,
            DiagnosticsAlgorithm,
        ):
            self._add(algorithm())
        if QgsApplication.processingRegistry().providerById(self.id()) is not None:
            for chain in shipped_models():
                self._add(chain)

    def _add(self, algorithm: QgsProcessingAlgorithm) -> None:
        self.order.append(algorithm.name())
        self.addAlgorithm(algorithm)

    def supportedOutputRasterLayerExtensions(self) -> List[str]:
        # the engine writes GeoTIFF, and a VRT over kilometric sheets
        return ["tif", "tiff", "vrt"]

    def defaultRasterFileExtension(self) -> str:
        return "tif"

    def supportedOutputVectorLayerExtensions(self) -> List[str]:
        return ["gpkg"]

    def supportsNonFileBasedOutput(self) -> bool:
        return False
