"""What can be known to be wrong with images and their bands before a run starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from qgis.core import QgsMapLayer, QgsProcessingContext, QgsProcessingUtils, QgsRasterLayer

from ..errors import failure
from ..i18n import tr
from ..layer_copies import without_secrets
from ..layer_rendering import draws_colours
from ..layers import extent_needed
from ..model_file import ModelDescription


def parse_bands(text: str, model: Optional[ModelDescription]) -> Dict[str, int]:
    """Return band numbers by name; empty for an empty text.

    Args:
        text: Such as `red=1,green=2`.
        model: Model whose bands the names must be, where known.

    Raises:
        QgsProcessingException: The text is not of that form, or a name is not the model's.
    """
    bands: Dict[str, int] = {}
    example = tr("An example: red=1,green=2,blue=3,infrared=4.")
    for part in text.replace(" ", "").replace(";", ",").split(","):
        if not part:
            continue
        name, _, number = part.partition("=")
        if not name or not number.isdigit() or int(number) < 1:
            raise failure(tr('Bands: "{part}" is not name=number.').format(part=part), example)
        if model is not None and model.bands and name not in model.bands:
            raise failure(
                tr('Bands: the model has no band "{name}".').format(name=name),
                tr("Its bands: {bands}.").format(bands=", ".join(model.bands)),
            )
        bands[name] = int(number)
    return bands


def check_images(value: Any, context: QgsProcessingContext) -> None:
    """Say which image cannot be read and why, where QGIS itself only names the parameter.

    Args:
        value: Value of the images' parameter.
        context: Where layers are looked up.

    Raises:
        QgsProcessingException: A file is missing or is no raster.
    """
    hint = QgsProcessingUtils.LayerHint.Raster
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if not isinstance(item, str) or not item or "\0" in item:
            continue
        if QgsProcessingUtils.mapLayerFromString(item, context, True, hint) is not None:
            continue
        if Path(item).is_dir():
            raise failure(
                tr("{path} is a folder, not an image.").format(path=item),
                tr("Choose the images in it, or give it where a folder of tiles is asked for."),
            )
        if Path(item).exists():
            raise failure(
                tr("{path} is no image that QGIS can read.").format(path=item),
                tr("Choose a GeoTIFF, or another raster that QGIS can open."),
            )
        if "://" in item:
            raise failure(
                tr("The service {address} cannot be opened.").format(address=without_secrets(item)),
                tr("Check its address and the name of the layer, and that it can be reached from here."),
            )
        raise failure(tr("There is no image {path}.").format(path=item), tr("Check the path."))


def check_layers(
    layers: Sequence[QgsMapLayer], model: Optional[ModelDescription], bands: Dict[str, int], bounded: bool
) -> None:
    """Check that the engine can read the layers, and that they have the bands that are wanted.

    Args:
        layers: The layers that were chosen.
        model: The model that is to classify them, where there is one and it is known.
        bands: Band numbers by name.
        bounded: Whether an extent or an area is given.

    Raises:
        QgsProcessingException: A layer is no raster, has too few bands, or needs an extent.
    """
    for layer in layers:
        if not isinstance(layer, QgsRasterLayer) or layer.dataProvider() is None:
            raise failure(tr('The layer "{name}" is not a raster layer.').format(name=layer.name()))
        service = layer.providerType() != "gdal"
        if service and not bounded:
            raise failure(*extent_needed(layer.name()))
        picture = service and draws_colours(layer.dataProvider())
        count = 3 if picture else layer.bandCount()
        check_band_numbers(bands, layer.name(), count)
        if model is not None and len(model.bands) > count:
            raise failure(
                tr('The layer "{layer}" has {count} bands, and the model {model} needs {needed}: {bands}.').format(
                    layer=layer.name(),
                    count=count,
                    model=model.name,
                    needed=len(model.bands),
                    bands=", ".join(model.bands),
                ),
                tr("Choose a model with fewer bands, or an image with more."),
            )


def check_band_numbers(bands: Dict[str, int], layer: str, count: int) -> None:
    """Check that a layer has the bands that are named.

    Args:
        bands: Band numbers by name.
        layer: Name of the layer.
        count: Its bands.

    Raises:
        QgsProcessingException: It has fewer.
    """
    for name, number in bands.items():
        if number > count:
            raise failure(
                tr('Bands: {name}={number}, but the layer "{layer}" has {count} bands.').format(
                    name=name, number=number, layer=layer, count=count
                )
            )
