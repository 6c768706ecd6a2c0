"""Which pixels hang together: connected pixels of one class, strip by strip, for rasters of any height.

Pixels hang together by their edges, not by corners. scipy.ndimage.label and
rasterio's shapes need the whole raster in memory, and one class at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Codes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]


def label_strip(codes: Codes) -> tuple[Labels, Codes]:
    """Number the components of some rows.

    Args:
        codes: Class codes, shape (rows, columns); 0, for no class, makes components too.

    Returns:
        The number of each pixel's component, from 0 in the order of their first pixels, row by row; and the class of
        each component.
    """
    rows, columns = codes.shape
    starts = np.ones((rows, columns), dtype=np.bool_)
    starts[:, 1:] = codes[:, 1:] != codes[:, :-1]
    run = np.cumsum(starts.ravel(), dtype=np.int32).reshape(rows, columns)
    run -= 1
    runs = int(run[-1, -1]) + 1
    same = codes[1:] == codes[:-1]
    # One link for each stretch over which two runs touch.
    fresh = starts[1:] | starts[:-1]
    fresh[:, 1:] |= ~same[:, :-1]
    fresh &= same
    upper, lower = run[:-1][fresh], run[1:][fresh]
    graph = coo_matrix((np.ones(len(upper), dtype=np.int8), (upper, lower)), shape=(runs, runs))
    count, component = connected_components(graph, directed=False)
    component = component.astype(np.int32)
    classes = np.zeros(count, dtype=np.uint8)
    classes[component] = codes[starts]
    return component[run], classes


@dataclass
class Components:
    """The components of a raster that is fed strip by strip, from the top.

    Those that reach over the seam of two strips are joined at the end. Until then a pixel has a provisional number.
    """

    _classes: list[Codes] = field(default_factory=list)
    _sizes: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _seams: list[Labels] = field(default_factory=list)
    _last: tuple[Codes, Labels] | None = None
    count: int = 0

    def add(self, codes: Codes) -> Labels:
        """Take the next rows, and return the provisional number of each of their pixels."""
        local, classes = label_strip(codes)
        sizes = np.bincount(local.ravel(), minlength=len(classes))
        labels = local
        labels += np.int32(self.count)
        if self._last is not None:
            above_codes, above = self._last
            same = above_codes == codes[0]
            self._seams.append(np.unique(np.stack([above[same], labels[0][same]], axis=1), axis=0))
        self._classes.append(classes)
        self._sizes.append(sizes)
        self._last = codes[-1].copy(), labels[-1].copy()
        self.count += len(classes)
        return labels

    @property
    def last_sizes(self) -> npt.NDArray[np.int64]:
        """Pixels of the components that began in the rows taken last, as far as they lie in these."""
        return self._sizes[-1]

    def joined(self) -> tuple[Labels, npt.NDArray[np.int64], Codes]:
        """Join what the seams part.

        Returns:
            The component of each provisional number; and the pixels and the class of each component. Components count
            from 0 in the order of their first pixels, whatever the strips.
        """
        seams = np.concatenate(self._seams) if self._seams else np.empty((0, 2), dtype=np.int32)
        links = np.ones(len(seams), dtype=np.int8)
        graph = coo_matrix((links, (seams[:, 0], seams[:, 1])), shape=(self.count, self.count))
        count, component = connected_components(graph, directed=False)
        component = component.astype(np.int32)
        sizes = np.bincount(component, weights=np.concatenate(self._sizes), minlength=count).astype(np.int64)
        classes = np.zeros(count, dtype=np.uint8)
        classes[component] = np.concatenate(self._classes)
        return component, sizes, classes
