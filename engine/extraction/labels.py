"""What the two kinds of labels, polygons and rasters, have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.extraction.class_mapping import LabelValue
from engine.rasters.windows import PixelWindow

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LabelWindow:
    """The labels of a window.

    Args:
        codes: Class codes, 0 without a label, shape (height, width).
        values: Pixels by label value, where pixels are what is counted.
        contested: Pixels to which labels of different classes lay claim.
    """

    codes: Codes
    values: dict[LabelValue, int] = field(default_factory=dict)
    contested: int = 0


class LabelReader(Protocol):
    """Reads labels; to be used in one thread and closed."""

    def read(self, window: PixelWindow, *, examine: bool = False) -> LabelWindow:
        """Return the labels of a window of the image's grid.

        Args:
            window: Window inside the image.
            examine: Whether to count values and contested pixels too.

        Raises:
            InputError: A file cannot be read there.
        """

    def close(self) -> None:
        """Close all files."""

    def __enter__(self) -> LabelReader:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all files."""


class Labels(Protocol):
    """Labels on an image's grid; holds no open file, so that all threads can share it."""

    @property
    def contested_rule(self) -> str:
        """What holds where labels of different classes overlap, such as "there the later file lies on top"."""

    def touches(self, window: PixelWindow) -> bool:
        """Return False only when surely no pixel of a window has a label; quick."""

    def reader(self) -> LabelReader:
        """Return a reader."""

    def check(self, values: Mapping[LabelValue, int]) -> None:
        """Check the values that were met in all windows.

        Raises:
            InputError: Some are unknown.
        """
