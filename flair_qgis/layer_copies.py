"""Where copies of services are kept between runs, and how their pieces become one raster.

    PROFILE/flair_land_cover/copies/HASH/0_1024.tif        a piece, by its first row and column
                                         0_2048.holes.tif  one that has holes, and is asked for again in the next run
                                         NAME.vrt          the whole

A run that was interrupted goes on with the pieces that are there, and the engine finds its input again where it was. A
copy is used for 7 days; all together take 10 GB at most, and those that were not used for longest go first.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple
from xml.etree import ElementTree  # it only writes; nothing is parsed  # nosec B405

import numpy as np
from osgeo import gdal, gdal_array

from .errors import failure
from .i18n import tr
from .paths import managed_folder

DAYS = 7
LARGEST_BYTES = 10_000_000_000
# Providers whose data lies on a server; what others show may change with a file or the project at any moment.
SERVICES = ("wms", "wcs", "arcgismapserver")
_DAY = 86400.0
_SECRET = re.compile(r"key|token|pass|pwd|secret|sig|auth|user|login|credential|http-header", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=//)[^/@&]*@")

Piece = Tuple[int, int, int, int]
"""First column and row, width and height in pixels."""


def service_folder(uri: str, grid: Sequence[object]) -> Path:
    """Return the folder in which the copy of a service is kept, after old copies are removed.

    Args:
        uri: What the provider was made from; passwords and keys in it do not count.
        grid: CRS, corners and size of the copy.

    Raises:
        QgsProcessingException: The folder cannot be made.
    """
    kept = managed_folder() / "copies"
    digest = hashlib.sha256(json.dumps([without_secrets(uri), *map(str, grid)]).encode("utf-8")).hexdigest()
    folder = kept / digest[:24]
    _remove_old(kept, folder)
    make_folder(folder)
    return folder


def make_folder(folder: Path) -> None:
    """Make the folder of a copy, and note that it is used.

    Raises:
        QgsProcessingException: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "begun").exists():
            (folder / "begun").touch()
        (folder / "used").touch()
    except OSError as error:
        raise cannot_write(folder, str(error.strerror or error)) from error


def without_secrets(uri: str) -> str:
    """Return what names a service, without user, password, key or other secrets."""
    plain = _CREDENTIALS.sub("", uri.replace("%26", "&").replace("%3F", "?").replace("%3D", "=").replace("%40", "@"))
    return "&".join(part for part in re.split(r"[&?]", plain) if not _SECRET.search(part.partition("=")[0]))


class Copy(NamedTuple):
    """The pieces of a copy.

    Args:
        folder: Where they lie.
        picture: Whether the last of four bands is transparency.
        nodata: Value of each band that means no data, or None.
    """

    folder: Path
    picture: bool
    nodata: List[Optional[float]]

    def whole(self, piece: Piece) -> bool:
        """Return whether a piece is there, without holes."""
        return self._path(piece, False).is_file()

    def file(self, piece: Piece) -> Optional[Path]:
        """Return the file of a piece; None while there is none."""
        for holes in (False, True):
            if self._path(piece, holes).is_file():
                return self._path(piece, holes)
        return None

    def add(self, piece: Piece, part: np.ndarray) -> None:
        """Keep a piece; one with as many holes as before changes nothing.

        Raises:
            QgsProcessingException: It cannot be written.
        """
        holes = self.picture and not bool(part[3].all())
        target, old = self._path(piece, holes), self._path(piece, True)
        if holes and old.is_file() and _valid(old) >= np.count_nonzero(part[3]):
            return
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        kind = int(gdal_array.NumericTypeCodeToGDALTypeCode(part.dtype.type))
        options = ["TILED=YES", "COMPRESS=DEFLATE", "ZLEVEL=1"]
        try:
            driver = gdal.GetDriverByName("GTiff")
            dataset = driver.Create(str(partial), piece[2], piece[3], len(part), kind, options=options)
            written = dataset is not None and (
                dataset.WriteRaster(0, 0, piece[2], piece[3], part.tobytes(), buf_type=kind) == gdal.CE_None
            )
            if dataset is not None:
                dataset.FlushCache()
            del dataset
            if not written:
                raise RuntimeError(gdal.GetLastErrorMsg())
            partial.replace(target)
            if not holes and old.is_file():
                old.unlink()
        except (RuntimeError, OSError) as error:
            if partial.exists():
                partial.unlink()
            raise cannot_write(target, str(error)) from error

    def _path(self, piece: Piece, holes: bool) -> Path:
        return self.folder / "{}_{}{}.tif".format(piece[1], piece[0], ".holes" if holes else "")

    def write_whole(
        self, name: str, pieces: Sequence[Piece], size: Tuple[int, int], transform: Sequence[float], crs: str
    ) -> Path:
        """Write the raster over the pieces that are there, and return its path; at least one is.

        Raises:
            QgsProcessingException: It cannot be written.
        """
        path = self.folder / ((re.sub(r"[^\w.-]+", "_", name)[:60].strip("._") or "layer") + "_copy.vrt")
        text = self._description(pieces, size, transform, crs)
        try:
            # Its time tells the engine whether a run that was interrupted may go on.
            if not path.is_file() or path.read_bytes() != text:
                partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
                partial.write_bytes(text)
                partial.replace(path)
        except OSError as error:
            raise cannot_write(path, str(error.strerror or error)) from error
        return path

    def _description(
        self, pieces: Sequence[Piece], size: Tuple[int, int], transform: Sequence[float], crs: str
    ) -> bytes:
        found = [(piece, file) for piece in pieces for file in [self.file(piece)] if file is not None]
        first = gdal.Open(str(found[0][1]))
        count, kind = first.RasterCount, gdal.GetDataTypeName(first.GetRasterBand(1).DataType)
        del first
        root = ElementTree.Element("VRTDataset", rasterXSize=str(size[0]), rasterYSize=str(size[1]))
        if crs:
            ElementTree.SubElement(root, "SRS").text = crs
        ElementTree.SubElement(root, "GeoTransform").text = ", ".join(repr(float(value)) for value in transform)
        for number in range(1, count + 1):
            band = ElementTree.SubElement(root, "VRTRasterBand", dataType=kind, band=str(number))
            nodata = None if self.picture else self.nodata[number - 1]
            if nodata is not None:
                ElementTree.SubElement(band, "NoDataValue").text = repr(float(nodata))
            names = ("Red", "Green", "Blue", "Alpha") if self.picture else ("Undefined",) * count
            ElementTree.SubElement(band, "ColorInterp").text = names[number - 1]
            for (column, row, width, height), file in found:
                source = ElementTree.SubElement(band, "SimpleSource")
                ElementTree.SubElement(source, "SourceFilename", relativeToVRT="1").text = file.name
                ElementTree.SubElement(source, "SourceBand").text = str(number)
                area = {"xSize": str(width), "ySize": str(height)}
                ElementTree.SubElement(
                    source, "SourceProperties", RasterXSize=str(width), RasterYSize=str(height), DataType=kind,
                    BlockXSize="256", BlockYSize="256",
                )  # fmt: skip
                ElementTree.SubElement(source, "SrcRect", xOff="0", yOff="0", **area)
                ElementTree.SubElement(source, "DstRect", xOff=str(column), yOff=str(row), **area)
        return ElementTree.tostring(root, encoding="utf-8")


def _valid(file: Path) -> int:
    dataset = gdal.Open(str(file))
    return 0 if dataset is None else int(np.count_nonzero(dataset.GetRasterBand(4).ReadAsArray()))


def _remove_old(kept: Path, wanted: Path) -> None:
    now, found = time.time(), []
    for folder in kept.iterdir() if kept.is_dir() else ():
        begun = _changed(folder / "begun") or _changed(folder)
        if now - begun > DAYS * _DAY:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            size = sum(item.stat().st_size for item in folder.glob("*") if item.is_file())
            found.append((_changed(folder / "used"), size, folder))
    total = sum(size for _, size, _ in found)
    for used, size, folder in sorted(found):
        # what was used within a day may be in use by another QGIS
        if total <= LARGEST_BYTES or now - used < _DAY:
            break
        if folder != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def cannot_write(target: Path, reason: str) -> Exception:
    """Return the error for a file of a copy that cannot be written."""
    return failure(
        tr("The temporary file {path} cannot be written: {reason}.").format(
            path=target, reason=reason or tr("unknown reason")
        ),
        tr("Check the free disk space."),
    )
