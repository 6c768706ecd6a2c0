"""A class raster with all that it is judged by, as options of an engine's request."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

from qgis.core import QgsCoordinateTransformContext, QgsMapLayer, QgsProcessingFeedback, QgsRasterLayer

from .image_inputs import COPY_PART, ImageInputs
from .label_inputs import extent_in, label_raster_path
from .layer_rendering import metres_per_unit
from .layers import LayerInput, describe_layer, readable_path
from .progress import Progress


class JudgedRaster:
    """A prediction and its truth. Made on the main thread; what `add_to` does may happen in any.

    Args:
        layer: The prediction.

    Attributes:
        polygons: Path and layer of the files that hold the polygons `truth` and `area`, where there are any.
        truth: The truth, where it is a raster.
        images: Images to show, where there are any.

    Raises:
        QgsProcessingException: The layer cannot be read.
    """

    def __init__(self, layer: QgsRasterLayer) -> None:
        self.layer: LayerInput = describe_layer(layer)
        metres, _ = metres_per_unit(layer.crs(), layer.extent().center())
        self.pixel_size = layer.rasterUnitsPerPixelX() * metres
        self.polygons: Dict[str, Tuple[str, str]] = {}
        self.truth: Optional[LayerInput] = None
        self.images: Optional[ImageInputs] = None

    def show(self, layers: Sequence[QgsMapLayer], transform_context: QgsCoordinateTransformContext) -> None:
        """Show images beside the worst places. Call it on the main thread.

        Args:
            layers: The images; of those without an end, the part that the prediction covers is copied.
            transform_context: How to transform.

        Raises:
            QgsProcessingException: There is no raster layer, or one cannot be read.
        """
        self.images = ImageInputs(layers)
        self.images.around = extent_in(self.layer.extent, self.layer.crs, self.images.crs, transform_context)

    def add_to(self, options: Dict[str, Any], folder: Path, feedback: QgsProcessingFeedback) -> float:
        """Add everything to the options of a request.

        Args:
            options: Options by name; changed.
            folder: Where copies go.
            feedback: Where messages are shown and cancelling is asked.

        Returns:
            Where the progress bar stands afterwards, in per cent.

        Raises:
            QgsProcessingException: A layer could not be copied.
        """
        progress = Progress(feedback)
        options["prediction"] = [readable_path(self.layer, None, 0.0, folder / "prediction.tif", feedback, progress)]
        if self.layer.crs_text:
            options["crs"] = self.layer.crs_text
        for name, (path, layer) in self.polygons.items():
            options[name] = [path] if name == "truth" else path
            if layer:
                options[f"{name}_layer"] = layer
        if self.truth is not None:
            options["truth"] = [label_raster_path(self.truth, folder, feedback)]
        if self.images is None:
            return 0.0
        options["image"] = self.images.paths(self.images.around, self.pixel_size, folder, feedback)
        return COPY_PART if self.images.copied else 0.0
