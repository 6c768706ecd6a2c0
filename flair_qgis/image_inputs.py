"""Raster layers, and the part of them that is wanted, as options of an engine's request."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureSource,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsRectangle,
)

from .area import area_extent, write_area
from .errors import failure
from .i18n import tr
from .layers import LayerInput, describe_layer, readable_path
from .progress import Progress

# share of the progress bar for copying layers that are not files
COPY_PART = 30.0


class ImageInputs:
    """The images of an algorithm. Made on the main thread; what it does afterwards may happen in any.

    Args:
        layers: What was chosen; only raster layers count.

    Attributes:
        extent: Part that is wanted, in the CRS of the first image.
        area: Polygons that bound that part, in any CRS.
        around: Part to copy of layers without an end where neither extent nor area says it, in the CRS of the first
            image.
        margin: Pixels to copy around the part that is wanted, for the network to see its neighbours.

    Raises:
        QgsProcessingException: There is no raster layer, or one cannot be read.
    """

    def __init__(self, layers: Sequence[QgsMapLayer]) -> None:
        rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer)]
        if not rasters:
            raise failure(tr("None of the images can be read."), tr("Check that their sources exist."))
        self.layers: List[LayerInput] = [describe_layer(layer) for layer in rasters]
        self.extent: Optional[QgsRectangle] = None
        self.area: Optional[QgsFeatureSource] = None
        self.around: Optional[QgsRectangle] = None
        self.margin = 0

    @property
    def crs(self) -> QgsCoordinateReferenceSystem:
        """CRS of the first image."""
        return self.layers[0].crs

    @property
    def copied(self) -> List[LayerInput]:
        """The layers that are no files and have to be copied."""
        return [layer for layer in self.layers if layer.path is None]

    def add_to(
        self,
        options: Dict[str, Any],
        name: str,
        ground_sampling_distance: float,
        folder: Path,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> float:
        """Add images, area and extent to the options of a request.

        Args:
            options: Options by name; changed.
            name: Name of the option for the images.
            ground_sampling_distance: Metres on the ground per pixel of a copy.
            folder: Where copies go.
            context: Where transformations are looked up.
            feedback: Where messages are shown and cancelling is asked.

        Returns:
            Where the progress bar stands afterwards, in per cent.

        Raises:
            QgsProcessingException: The area holds no polygon, or a layer could not be copied.
        """
        bounds = self.extent
        if self.area is not None:
            file = folder / "area.gpkg"
            write_area(self.area, file, self.crs, self.extent, context.transformContext(), feedback)
            options["area"] = str(file)
            box = area_extent(file)
            bounds = box if bounds is None else bounds.intersect(box)
        elif self.extent is not None:
            box = self.extent
            corners = (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum())
            options["extent"] = ",".join(repr(value) for value in corners)
        bounds = self.around if bounds is None else bounds
        options[name] = self.paths(bounds, ground_sampling_distance, folder, feedback)
        overrides = {layer.crs_text for layer in self.layers}
        if len(overrides) == 1 and overrides != {None}:
            options["crs"] = overrides.pop()
        return COPY_PART if self.copied else 0.0

    def paths(
        self,
        bounds: Optional[QgsRectangle],
        ground_sampling_distance: float,
        folder: Path,
        feedback: QgsProcessingFeedback,
    ) -> List[str]:
        """Return a path for each image, copying those that are no files; see `add_to`.

        Args:
            bounds: Part that is wanted, in the CRS of the first image; needed for layers without an end.
            ground_sampling_distance: Metres on the ground per pixel of a copy.
            folder: Where copies go.
            feedback: Where messages are shown and cancelling is asked.
        """
        found: List[str] = []
        share = COPY_PART / max(1, len(self.copied))
        done = 0
        for number, layer in enumerate(self.layers):
            progress = Progress(feedback, done * share, (done + 1) * share)
            extent = None if bounds is None else (bounds, self.crs)
            target = folder / f"image_{number}.tif"
            found.append(
                readable_path(layer, extent, ground_sampling_distance, target, feedback, progress, self.margin)
            )
            done += layer.path is None
        return found
