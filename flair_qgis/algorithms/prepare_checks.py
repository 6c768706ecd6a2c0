"""What can be known to be wrong with delivered products before they are put together."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Mapping, Sequence

from qgis.core import QgsRasterLayer

from ..errors import failure
from ..i18n import tr
from ..layer_rendering import draws_colours
from ..layers import extent_needed
from ..product_inputs import HEIGHTS
from .image_checks import check_band_numbers, parse_bands

BANDS = {"rgb": 3, "irc": 3, "nir": 1, "dsm": 1, "dtm": 1, "height": 1}
COLOURS = ("red", "green", "blue")


def check_products(given: Mapping[str, bool]) -> None:
    """Check which products are there.

    Args:
        given: Whether each product has a layer or a folder, by the engine's name of it.

    Raises:
        QgsProcessingException: One is missing, or two exclude each other.
    """
    if not given["rgb"]:
        raise failure(tr("No orthophoto is given."), tr("Choose its layers, or the folder of its tiles."))
    if given["irc"] and given["nir"]:
        raise failure(
            tr("The near infrared is given twice: with the colour-infrared orthophoto, and alone."),
            tr("Clear one of the two parameters."),
        )
    if given["height"] and (given["dsm"] or given["dtm"]):
        raise failure(
            tr("The height above ground is given, and the models it would be computed from too."),
            tr("Clear the one or the others."),
        )
    if given["dsm"] != given["dtm"]:
        raise failure(
            tr("A surface model and a terrain model belong together: the band is the height of one above the other."),
            tr("Choose both, or none."),
        )


def check_infrared_band(named: bool, given: Mapping[str, bool]) -> None:
    """Check that there is infrared where its band is named.

    Args:
        named: Whether its number is given.
        given: See `check_products`.

    Raises:
        QgsProcessingException: There is none.
    """
    if named and not (given["irc"] or given["nir"]):
        raise failure(
            tr("The number of the infrared band is given, but no infrared."),
            tr("Choose an infrared orthophoto, or clear the number."),
        )


def check_folders(folders: Mapping[str, str]) -> None:
    """Check that folders exist; what they hold is the engine's to say.

    Raises:
        QgsProcessingException: One does not.
    """
    for path in folders.values():
        if path and not Path(path).expanduser().is_dir():
            raise failure(tr("There is no folder {path}.").format(path=path), tr("Check the path."))


def check_product_layers(
    layers: Mapping[str, Sequence[QgsRasterLayer]], bands: Dict[str, int], bounded: bool, crs_given: bool
) -> None:
    """Check that the engine can read the layers, and that each can be the product it was chosen as.

    Args:
        layers: Layers by the engine's name of the product.
        bands: Band numbers of the orthophoto by name.
        bounded: Whether it is known which part services have to draw.
        crs_given: Whether a CRS for files without one is given.

    Raises:
        QgsProcessingException: A layer is no raster, has too few bands or no CRS, needs an extent, or holds colours
            where heights are wanted.
    """
    for product, found in layers.items():
        for layer in found:
            if not isinstance(layer, QgsRasterLayer) or layer.dataProvider() is None:
                raise failure(tr('The layer "{name}" is not a raster layer.').format(name=layer.name()))
            picture = layer.providerType() != "gdal" and draws_colours(layer.dataProvider())
            if picture and product in (*HEIGHTS, "nir"):
                raise _colours(product, layer.name())
            if layer.providerType() != "gdal" and not bounded:
                raise failure(*extent_needed(layer.name()))
            count = 3 if picture else layer.bandCount()
            _check_bands(product, layer, count)
            if product == "rgb":
                check_band_numbers(bands, layer.name(), count)
            if not layer.crs().isValid() and not crs_given:
                raise failure(
                    tr('The layer "{name}" has no CRS.').format(name=layer.name()),
                    tr("Set it in the layer's properties, or as the CRS of files that carry none."),
                )


def _colours(product: str, name: str) -> Exception:
    if product == "nir":
        return failure(
            tr('The layer "{name}" is a picture drawn by a service: it has three colours, not one band.').format(
                name=name
            ),
            tr("Choose it as the colour-infrared orthophoto if it shows near infrared, red and green."),
        )
    return failure(
        tr('The heights "{name}" are a picture drawn by a service: it holds colours, not metres.').format(name=name),
        tr("Choose a file of heights, or a service that hands out values (WCS)."),
    )


def _check_bands(product: str, layer: QgsRasterLayer, count: int) -> None:
    needed = BANDS[product]
    if needed > 1 and count < needed:
        raise failure(
            tr('The layer "{layer}" has {count} bands, and {needed} are needed.').format(
                layer=layer.name(), count=count, needed=needed
            ),
            tr("The orthophoto has red, green, blue; the colour-infrared one near infrared, red, green."),
        )
    if product in HEIGHTS and count > 1:
        raise failure(
            tr('The heights "{layer}" have {count} bands instead of one.').format(layer=layer.name(), count=count),
            tr("Choose a raster of metres above sea level or above ground."),
        )


def check_output(path: str, all_on_disk: bool) -> None:
    """Check the name of the image against what it would be made of.

    Args:
        path: File to write.
        all_on_disk: Whether all that is read are the user's own files.

    Raises:
        QgsProcessingException: A .vrt file would point to copies that are gone afterwards.
    """
    if path.lower().endswith(".vrt") and not all_on_disk:
        raise failure(
            tr("A .vrt file only points to files, and some of these layers are copied for this run alone."),
            tr("Choose a file that ends in .tif as the output."),
        )


def parse_pair(name: str, text: str) -> List[float]:
    """Return two numbers, the lower first; none for an empty text.

    Args:
        name: What the dialog calls the parameter.
        text: Such as `0.5,99.5`.

    Raises:
        QgsProcessingException: The text is not of that form.
    """
    parts = text.replace(",", " ").replace(";", " ").split()
    if not parts:
        return []
    try:
        pair = [float(part) for part in parts]
    except ValueError:
        pair = []
    if len(pair) != 2 or not pair[0] < pair[1]:
        raise failure(
            tr('{name}: "{text}" is not low,high.').format(name=name, text=text.strip()),
            tr("An example: 0.5,99.5."),
        )
    return pair


def parse_colours(text: str) -> Dict[str, int]:
    """Return band numbers of red, green and blue; empty for an empty text.

    Args:
        text: Such as `red=1,green=2,blue=3`.

    Raises:
        QgsProcessingException: The text is not of that form, or names another band.
    """
    bands = parse_bands(text, None)
    for name in bands:
        if name not in COLOURS:
            raise failure(
                tr('Bands: the orthophoto has no band "{name}".').format(name=name),
                tr("Its bands: {bands}.").format(bands=", ".join(COLOURS)),
            )
    return bands


def check_ranges(pairs: Dict[str, List[float]]) -> None:
    """Check that the values are stretched in one way.

    Args:
        pairs: Low and high by the engine's name, `percentiles` and `value_range`; empty for none.

    Raises:
        QgsProcessingException: Both are given, or the percentiles are none.
    """
    if pairs["percentiles"] and pairs["value_range"]:
        raise failure(
            tr("Percentiles and a range of values exclude each other."), tr("Clear one of the two parameters.")
        )
    if pairs["percentiles"] and not 0 <= pairs["percentiles"][0] < pairs["percentiles"][1] <= 100:
        raise failure(tr("Percentiles lie between 0 and 100."), tr("An example: 0.5,99.5."))
