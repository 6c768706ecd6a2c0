"""What is known to be true: label rasters or polygons, on the grid of a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.comparison.words import TruthReporter, speaking_of_truth
from engine.errors import InputError
from engine.events import Reporter
from engine.extraction.class_mapping import ClassMapping, LabelValue
from engine.extraction.labels import Labels
from engine.extraction.open_labels import open_labels
from engine.nomenclature import NODATA, Nomenclature
from engine.rasters.source import RasterSource


@dataclass(frozen=True)
class TruthMapping(ClassMapping):
    """Codes by label value, some of which are ignored.

    Args:
        ignored: Codes, of the labels or of the nomenclature, that are not counted.
    """

    ignored: frozenset[int] = frozenset()

    def code_of(self, value: LabelValue) -> int | None:
        """Return the code for a label value: 0 where it is ignored, None where the value is unknown."""
        if value in self.ignored and value not in self.given:
            return NODATA
        code = super().code_of(value)
        return NODATA if code in self.ignored else code

    def check(self, counts: Mapping[LabelValue, int], unit: str, reporter: Reporter) -> None:
        """Say what the truth holds; see `ClassMapping.check`.

        Raises:
            InputError: A value is neither given, ignored nor in the nomenclature; all are listed with their counts.
        """
        kept = {value: count for value, count in counts.items() if not self._left_out(value)}
        dropped = sum(counts.values()) - sum(kept.values())
        if dropped:
            reporter.log(f"{dropped} {unit} of the truth are ignored, as asked.")
        try:
            super().check(kept, unit, reporter)
        except InputError as error:
            codes = sorted(value for value in kept if isinstance(value, int) and self.code_of(value) is None)
            way = f" Or leave codes out, such as --ignore {','.join(map(str, codes[:6]))}." if codes else ""
            raise InputError(error.message, error.hint + way) from error

    def _left_out(self, value: LabelValue) -> bool:
        return self.code_of(value) == NODATA and self.given.get(value) != NODATA and value != NODATA


def open_truth(
    paths: Sequence[str],
    *,
    layer: str | None,
    class_field: str | None,
    classes: str | None,
    ignored: Sequence[int],
    nomenclature: Nomenclature,
    source: RasterSource,
    reporter: Reporter,
) -> Labels:
    """Open the truth on the grid of a prediction.

    Of rasters on another grid, or in another CRS, each pixel of the prediction takes the nearest, and it is said.

    Args:
        paths: Rasters of class codes, or vector files of polygons.
        layer: Layer of vector files.
        class_field: Field of vector files that holds the class.
        classes: Label values with codes or names of the nomenclature, see `ClassMapping.parse`.
        ignored: Codes that are not counted.
        nomenclature: Classes of the prediction.
        source: The prediction.
        reporter: Is told what was found.

    Raises:
        InputError: A file cannot be used, does not overlap the prediction, or holds unknown classes.
        RequestError: `classes` cannot be read.
    """
    parsed = ClassMapping.parse(classes, nomenclature)
    mapping = TruthMapping(parsed.nomenclature, parsed.given, parsed.titles, frozenset(ignored))
    with speaking_of_truth():
        return open_labels(paths, layer, class_field, mapping, source, TruthReporter(reporter))
