"""Products as they are delivered (orthophoto, infrared, heights) as options of an engine's request."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from qgis.core import QgsCoordinateReferenceSystem, QgsProcessingFeedback, QgsRasterLayer, QgsRectangle

from .catalogue import DEFAULT_GROUND_SAMPLING_DISTANCE
from .image_inputs import COPY_PART
from .layer_rendering import metres_per_unit, round_distance
from .layers import LayerInput, crs_text, describe_layer, readable_path, with_crs
from .paths import absolute
from .progress import Progress

HEIGHTS = ("dsm", "dtm", "height")


class ProductLayer(NamedTuple):
    """A raster layer of a product.

    Args:
        layer: The layer, taken apart.
        pixel: Metres on the ground per pixel; None where a service has no pixels of its own.
    """

    layer: LayerInput
    pixel: Optional[float]

    @staticmethod
    def of(layer: QgsRasterLayer) -> ProductLayer:
        """Take a layer apart. Call it on the main thread.

        Raises:
            QgsProcessingException: The layer is not valid.
        """
        described = describe_layer(layer)
        columns = layer.dataProvider().xSize()
        if columns < 1:
            return ProductLayer(described, None)
        metres, _ = metres_per_unit(described.crs, described.extent.center())
        pixel = described.extent.width() / columns * metres
        # the columns that a service states are a rounded number
        return ProductLayer(described, pixel if described.path is not None else round_distance(pixel))

    @property
    def lies_on_disk(self) -> bool:
        """Whether the engine reads the layer's own file, not a temporary copy or description."""
        return self.layer.path is not None and self.layer.crs_text is None


class ProductInputs:
    """The products of an algorithm. Made on the main thread; what it does afterwards may happen in any.

    Args:
        layers: Raster layers by product, as the engine's request calls it (`rgb`, `irc`, `nir`, `dsm` ...).
        folders: Folders of tiles by product; those that are empty do not count.

    Attributes:
        extent: Part that is wanted, and its CRS; that of the orthophoto where it is not valid.

    Raises:
        QgsProcessingException: A layer cannot be read.
    """

    def __init__(self, layers: Mapping[str, Sequence[QgsRasterLayer]], folders: Mapping[str, str]) -> None:
        self._layers: Dict[str, List[ProductLayer]] = {
            name: [ProductLayer.of(layer) for layer in found] for name, found in layers.items()
        }
        self._folders = {name: folder for name, folder in folders.items() if folder}
        self.extent: Optional[Tuple[QgsRectangle, QgsCoordinateReferenceSystem]] = None

    @property
    def crs(self) -> QgsCoordinateReferenceSystem:
        """CRS of the first layer of the orthophoto; not valid where all of it lies in a folder."""
        return self._layers["rgb"][0].layer.crs if self._layers["rgb"] else QgsCoordinateReferenceSystem()

    @property
    def all_on_disk(self) -> bool:
        """Whether the engine reads the user's own files alone."""
        return all(item.lies_on_disk for found in self._layers.values() for item in found)

    def add_to(self, options: Dict[str, Any], folder: Path, feedback: QgsProcessingFeedback) -> float:
        """Add products and extent to the options of a request; layers that are no files are copied first.

        Args:
            options: Options by name, with `ground_sampling_distance` where a person chose it; changed.
            folder: Where copies go.
            feedback: Where messages are shown and cancelling is asked.

        Returns:
            Where the progress bar stands afterwards, in per cent.

        Raises:
            QgsProcessingException: A layer could not be copied.
        """
        if self.extent is not None:
            options["extent"] = _extent_text(*self.extent)
        wanted = options.get("ground_sampling_distance") or self._distance()
        bounds = self.extent or self._bounds()
        copied = sum(item.layer.path is None for found in self._layers.values() for item in found)
        share, done = COPY_PART / max(1, copied), 0
        for name, found in self._layers.items():
            paths: List[str] = []
            for number, item in enumerate(found):
                # heights are copied as they are: nothing is gained by pixels finer than the service's
                distance = max(wanted, item.pixel or 0.0) if name in HEIGHTS else wanted
                progress = Progress(feedback, done * share, (done + 1) * share)
                target = folder / f"{name}_{number}.tif"
                path = readable_path(item.layer, bounds, distance, target, feedback, progress)
                own = item.layer.crs_text
                paths.append(with_crs(path, own, folder / f"{name}_{number}.vrt") if own else path)
                done += item.layer.path is None
            if name in self._folders:
                paths.append(absolute(self._folders[name]))
            if paths:
                options[name] = paths
        return COPY_PART if copied else 0.0

    def _distance(self) -> float:
        """Return the metres on the ground per pixel that copies have where nobody said it: the orthophoto's."""
        pixels = [item.pixel for item in self._layers["rgb"] if item.layer.path is not None and item.pixel]
        return min(pixels) if pixels else DEFAULT_GROUND_SAMPLING_DISTANCE

    def _bounds(self) -> Optional[Tuple[QgsRectangle, QgsCoordinateReferenceSystem]]:
        """Return the part to copy of services where nobody said it: the orthophoto's, where it is layers of files."""
        files = [item.layer for item in self._layers["rgb"]]
        if not files or "rgb" in self._folders or any(layer.needs_extent for layer in files):
            return None
        box = QgsRectangle(files[0].extent)
        for layer in files[1:]:
            if layer.crs == files[0].crs:
                box.combineExtentWith(layer.extent)
        return box, files[0].crs


def _extent_text(box: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> str:
    corners = ",".join(repr(value) for value in (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum()))
    text = crs_text(crs)
    return f"{corners} [{text}]" if text else corners
