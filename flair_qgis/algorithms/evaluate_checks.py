"""What can be known to be wrong before something is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Optional, Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeatureSource,
    QgsRasterLayer,
    QgsRectangle,
)

from ..errors import failure
from ..i18n import tr
from ..label_inputs import extent_in
from .extract_checks import is_yaml
from .train_checks import DATASET

CSV = ".csv"


def judges_rasters(prediction: bool, truth: int, model: bool, data: bool) -> bool:
    """Return whether a prediction is judged by its truth; else a model is, on a data set.

    Args:
        prediction: Whether a prediction is given.
        truth: How many truths are given.
        model: Whether a model is given.
        data: Whether a data set is given.

    Raises:
        QgsProcessingException: What is given is neither pair, or both.
    """
    if (prediction or truth) and (model or data):
        raise failure(
            tr("A prediction or its truth is given, and a model or a data set too."),
            tr("Clear the two of them that are not to be used."),
        )
    if truth > 1:
        raise failure(tr("The truth is given twice, as polygons and as a raster."), tr("Clear one of the two."))
    if prediction and not truth:
        raise failure(tr("The prediction has no truth."), tr("Choose polygons or a raster that say what is there."))
    if truth and not prediction:
        raise failure(tr("There is a truth, but no prediction."), tr("Choose the class raster to judge."))
    if model and not data:
        raise failure(tr("The model has no data set."), tr("Choose the folder of patches to judge it on."))
    if data and not model:
        raise failure(tr("There is a data set, but no model."), tr("Choose a model file, or a name of the catalogue."))
    if not prediction and not model:
        raise failure(
            tr("There is nothing to judge."),
            tr("Choose a prediction and its truth, or a model and a data set."),
        )
    return prediction


def check_idle(given: Mapping[str, bool]) -> None:
    """Check that nothing is given that has no effect on a model and a data set.

    Args:
        given: Whether each parameter is given, by its title.

    Raises:
        QgsProcessingException: One is.
    """
    for title, there in given.items():
        if there:
            raise failure(
                tr('"{title}" has no effect where a model is judged on a data set.').format(title=title),
                tr("Clear it."),
            )


def refuse_error_map(path: str) -> None:
    """Check that no map of errors is wanted of patches.

    Args:
        path: Where it is wanted; empty for nowhere in particular.

    Raises:
        QgsProcessingException: One is.
    """
    if path:
        raise failure(
            tr("There is no map of errors where a model is judged on a data set: its patches lie apart."),
            tr("Clear that output; the report shows the worst patches."),
        )


def check_prediction(layer: Optional[QgsRasterLayer]) -> None:
    """Check that a raster holds classes the engine can read.

    Raises:
        QgsProcessingException: It cannot be read, or a service draws it.
    """
    if layer is None or not layer.isValid():
        raise failure(tr("The prediction cannot be read."), tr("Check that its source exists."))
    if layer.providerType() != "gdal":
        raise failure(
            tr('The prediction "{name}" is a picture drawn by a service: it holds colours, not classes.').format(
                name=layer.name()
            ),
            tr("Choose a raster file of class codes."),
        )


def check_together(
    prediction: QgsRasterLayer,
    truth_extent: QgsRectangle,
    truth_crs: QgsCoordinateReferenceSystem,
    transform_context: QgsCoordinateTransformContext,
) -> None:
    """Check that prediction and truth can show the same place.

    Args:
        prediction: The prediction.
        truth_extent: Extent of the truth.
        truth_crs: Its CRS.
        transform_context: How to transform.

    Raises:
        QgsProcessingException: One of both has no CRS, or they lie apart.
    """
    crs = prediction.crs()
    if crs.isValid() != truth_crs.isValid():
        without = tr("The truth") if crs.isValid() else tr("The prediction")
        raise failure(
            tr("{what} has no CRS, and its counterpart has one.").format(what=without),
            tr("Set it in the properties of the layer, or assign it to the file."),
        )
    box = extent_in(truth_extent, truth_crs, crs, transform_context)
    if box is not None and not box.intersects(prediction.extent()):
        raise failure(
            tr("The truth lies outside the prediction."),
            tr("Choose layers of the same place, and check the CRS of both."),
        )


def check_field(source: Optional[QgsFeatureSource], name: str) -> None:
    """Check that a layer of polygons has a field.

    Args:
        source: The polygons.
        name: Name of the field; empty when the engine is to find it.

    Raises:
        QgsProcessingException: It has no such field, or cannot be read.
    """
    if source is None:
        raise failure(tr("The polygons cannot be read."), tr("Choose a polygon layer."))
    if name and source.fields().lookupField(name) < 0:
        raise failure(
            tr('The polygons have no field "{name}".').format(name=name),
            tr("Their fields: {fields}.").format(fields=", ".join(source.fields().names())),
        )


def check_patches(path: str, split: str, splits: Sequence[str]) -> None:
    """Check that a folder holds patches of a part; what a YAML file says is left to the engine.

    Args:
        path: The folder, its dataset.yaml, or a list.
        split: The part: train, val or test.
        splits: All parts.

    Raises:
        QgsProcessingException: There is no such folder, or it has no such patches.
    """
    folder = Path(path).expanduser()
    hint = tr('Choose a folder that "Extract training patches" made, or one with train.csv, val.csv and test.csv.')
    if folder.is_file() and (is_yaml(path) or folder.suffix.lower() == CSV):
        return
    if not folder.is_dir():
        raise failure(tr("There is no folder {path}.").format(path=path), hint)
    lists = {name: folder / f"{name}{CSV}" for name in splits}
    there = [name for name, file in lists.items() if file.is_file() and file.stat().st_size]
    if not there and not (folder / DATASET).is_file():
        raise failure(tr("The folder {path} holds no data set.").format(path=path), hint)
    if split not in there:
        raise failure(
            tr("The data set {path} has no patches of the part {split}: {name} is missing or empty.").format(
                path=path, split=split, name=lists[split].name
            ),
            tr("It has: {parts}.").format(parts=", ".join(there) or "-"),
        )


def check_zones(zones: Optional[QgsFeatureSource], name: str) -> None:
    """Check that the field that names zones is there, and that it is not given without zones.

    Raises:
        QgsProcessingException: One of the two is missing.
    """
    if zones is not None:
        check_field(zones, name)
    elif name:
        raise failure(tr("A field of the name is given, but no polygons."), tr("Clear it."))
