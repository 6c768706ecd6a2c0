"""What the names of IGN's deliveries tell of a file: product, year, place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Product = Literal["rgb", "irc", "dsm", "dtm", "height"]

# BD ORTHO: 35-2020-0350-6790-LA93-0M20-E080.jp2, 35-2020-0350-6790-LA93-0M20-IRC-E080.jp2; 2A, 2B and 974 are
# departments too, and overseas the projection is UTM (U20N, U40S).
_ORTHO = re.compile(
    r"(?P<department>\d{2,3}|2[ab])-(?P<year>\d{4})-(?P<x>\d{4})-(?P<y>\d{4})-(?P<projection>[a-z0-9]+)-"
    r"(?P<pixel>\d+m\d+)(?P<irc>-irc)?(-rvb)?(-e\d+)?",
    re.IGNORECASE,
)
# LiDAR HD: LHD_FXX_0792_6272_MNT_O_0M50_LAMB93_IGN69.tif; the letter before the pixel size is not always there.
_LIDAR = re.compile(
    r"LHD_(?P<region>[a-z0-9]+)_(?P<x>\d{4})_(?P<y>\d{4})_(?P<product>MNT|MNS|MNH)_([a-z]_)?(?P<pixel>\d+m\d+)_",
    re.IGNORECASE,
)
_LIDAR_PRODUCTS: dict[str, Product] = {"mns": "dsm", "mnt": "dtm", "mnh": "height"}
_YEAR = re.compile(r"(?<!\d)(?:19[5-9]\d|20[0-4]\d)(?!\d)")


@dataclass(frozen=True)
class ProductName:
    """What a name tells.

    Args:
        product: What the file holds, or None where the name does not tell.
        year: Year of the flight, or None.
        corner: Kilometres east and north of the tile's upper left corner, or None.
    """

    product: Product | None = None
    year: int | None = None
    corner: tuple[int, int] | None = None


def read_name(name: str) -> ProductName:
    """Return what a file's name tells, with or without its ending.

    In names of no known product a number alone from 1950 to 2049 is taken for the year, if there is but one.
    """
    ortho = _ORTHO.match(name)
    if ortho:
        corner = (int(ortho["x"]), int(ortho["y"]))
        return ProductName("irc" if ortho["irc"] else "rgb", int(ortho["year"]), corner)
    lidar = _LIDAR.match(name)
    if lidar:
        return ProductName(_LIDAR_PRODUCTS[lidar["product"].casefold()], None, (int(lidar["x"]), int(lidar["y"])))
    years = {int(text) for text in _YEAR.findall(name)}
    return ProductName(year=years.pop() if len(years) == 1 else None)
