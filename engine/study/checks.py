"""What may lie behind a difference between one's own figures and published ones: each possible cause, looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.band import Band
from engine.data.official_split import OfficialSplit, domain_of
from engine.data.pairs import Pair
from engine.errors import InputError
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.published import load_published
from engine.evaluation.scores import score
from engine.events import SilentReporter
from engine.models.catalogue import CatalogueEntry, load_catalogue
from engine.models.resolve import ResolvedModel
from engine.nomenclature import Nomenclature
from engine.rasters.ground_sampling import ground_sampling_distance
from engine.study.against_published import Against
from engine.study.labelled_set import LabelledSet

Verdict = Literal["same", "differs", "cannot be told"]
# Networks have seen one distance only, yet a few per cent are within what cameras and terrain do.
_SAME_DISTANCE = 0.05
_SHOWN = 6


@dataclass(frozen=True)
class Check:
    """One possible cause of a difference.

    Args:
        name: What was looked at.
        verdict: Whether it is as published.
        text: What was found, in a sentence or two.
    """

    name: str
    verdict: Verdict
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {"name": self.name, "verdict": self.verdict, "text": self.text}


def model_checks(model: ResolvedModel, published_as: str | None) -> list[Check]:
    """Compare a model with the published one of the catalogue: weights, bands, normalisation, classes.

    Args:
        model: The model.
        published_as: Name in the published figures, under which the catalogue may know it too.
    """
    entry = load_catalogue().get(published_as or "")
    return [
        _weights(model, entry),
        _bands(model, entry),
        _normalisation(model, entry),
        _class_order(model, entry),
        _disabled(model, entry),
    ]


def data_checks(model: ResolvedModel, test: LabelledSet, matrix: ConfusionMatrix, definition: str) -> list[Check]:
    """Look at patches: distance, type of the values, whether the model learnt from them, and which classes they lack.

    Args:
        model: The model.
        test: The patches.
        matrix: What was counted on them.
        definition: What the figures count.
    """
    return [_distance(model, test), _values(test), _learnt(model, test), _absent(matrix, definition)]


def result_checks(against: Against, test: LabelledSet) -> list[Check]:
    """Compare how a published result came about: its rule, and the patches it was measured on."""
    return [_definition(against), _patches(against, test)]


def _weights(model: ResolvedModel, entry: CatalogueEntry | None) -> Check:
    # A model of the catalogue that was downloaded is a file made here, and remembers what it was made of.
    ours = str(model.manifest.provenance.get("source_sha256") or model.sha256)
    text = f"The weights have the SHA-256 {ours}"
    if entry is None or not entry.sha256:
        return Check("Weights", "cannot be told", f"{text}; no published checksum is known.")
    if entry.sha256.lower() == ours:
        return Check("Weights", "same", f"{text}, that of the published file.")
    return Check("Weights", "differs", f"{text}, but the published file has {entry.sha256}: it is another file.")


def _bands(model: ResolvedModel, entry: CatalogueEntry | None) -> Check:
    ours = model.manifest.band_names
    if entry is None:
        return Check("Bands", "cannot be told", f"The model takes {', '.join(ours)}; the catalogue does not know it.")
    theirs = entry.manifest.band_names
    if ours == theirs:
        return Check("Bands", "same", f"Both take {', '.join(ours)}, in this order.")
    return Check("Bands", "differs", f"The model takes {', '.join(ours)}, the published one {', '.join(theirs)}.")


def _normalisation(model: ResolvedModel, entry: CatalogueEntry | None) -> Check:
    if entry is None:
        return Check("Normalisation", "cannot be told", "The catalogue does not know the model.")
    theirs = {band.name: band for band in entry.manifest.bands}
    wrong = [
        f"{band.name} {_statistics(band)} instead of {_statistics(theirs[band.name])}"
        for band in model.manifest.bands
        if band.name in theirs and not _alike(band, theirs[band.name])
    ]
    if wrong:
        return Check("Normalisation", "differs", f"Mean and deviation are others: {'; '.join(wrong)}.")
    if not set(model.manifest.band_names) & set(theirs):
        return Check("Normalisation", "cannot be told", "The two models have no band in common.")
    return Check("Normalisation", "same", "Every band has the published mean and deviation.")


def _statistics(band: Band) -> str:
    return f"{band.mean:g} / {band.std:g}"


def _alike(one: Band, other: Band) -> bool:
    return math.isclose(one.mean, other.mean, abs_tol=0.01) and math.isclose(one.std, other.std, abs_tol=0.01)


def _class_order(model: ResolvedModel, entry: CatalogueEntry | None) -> Check:
    if entry is None:
        return Check("Order of classes", "cannot be told", "The catalogue does not know the model.")
    ours, theirs = _outputs(model.manifest.nomenclature), _outputs(entry.manifest.nomenclature)
    if ours == theirs:
        return Check("Order of classes", "same", f"All {len(ours)} outputs mean what they mean in the published model.")
    first = next((at for at, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), None)
    text = (
        f"The model has {len(ours)} outputs, the published one {len(theirs)}."
        if first is None
        else f"Output {first} is {_named(ours[first])}, in the published model {_named(theirs[first])}."
    )
    return Check("Order of classes", "differs", text)


def _outputs(nomenclature: Nomenclature) -> list[tuple[int, str]]:
    return [(item.code, item.name.casefold()) for item in nomenclature.classes]


def _named(output: tuple[int, str]) -> str:
    return f"{output[0]} {output[1]}"


def _disabled(model: ResolvedModel, entry: CatalogueEntry | None) -> Check:
    if entry is None:
        return Check("Disabled classes", "cannot be told", "The catalogue does not know the model.")
    ours = {item.name for item in model.manifest.nomenclature.classes if item.disabled}
    theirs = {item.name for item in entry.manifest.nomenclature.classes if item.disabled}
    if ours == theirs:
        names = ", ".join(sorted(ours)) or "none"
        return Check("Disabled classes", "same", f"The same classes can never win: {names}.")
    parts = []
    if ours - theirs:
        parts.append(f"{', '.join(sorted(ours - theirs))} can win in the published model only")
    if theirs - ours:
        parts.append(f"{', '.join(sorted(theirs - ours))} can win in this one only")
    return Check("Disabled classes", "differs", f"{_sentence('; '.join(parts))}.")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _distance(model: ResolvedModel, test: LabelledSet) -> Check:
    name, wanted = "Ground sampling distance", model.manifest.ground_sampling_distance
    header = test.index.header
    found = test.dataset.ground_sampling_distance
    if header.crs is not None:
        try:
            sides = ground_sampling_distance(
                header.crs, header.transform, header.width, header.height, SilentReporter()
            )
            found = sum(sides) / 2
        except InputError:
            pass  # what the data set says of itself is left
    if found is None:
        return Check(name, "cannot be told", f"The patches carry no CRS; the model is made for {wanted:.3g} m.")
    if abs(found / wanted - 1) <= _SAME_DISTANCE:
        return Check(
            name, "same", f"A pixel of the patches measures {found:.3g} m, as the model wants ({wanted:.3g} m)."
        )
    return Check(
        name,
        "differs",
        f"A pixel of the patches measures {found:.3g} m, but the model is made for {wanted:.3g} m: things look "
        f"{wanted / found:.2g} times as large as it learnt them.",
    )


def _values(test: LabelledSet) -> Check:
    dtype = test.index.header.dtype
    if dtype == "uint8":
        return Check("Type of the values", "same", "The patches hold 8-bit values, as those of FLAIR.")
    return Check("Type of the values", "differs", f"The patches hold values of type {dtype}; FLAIR's have 8 bits.")


def _learnt(model: ResolvedModel, test: LabelledSet) -> Check:
    """Say whether the model may have learnt from the patches that it is judged by."""
    name = "Held out"
    data = model.manifest.provenance.get("data")
    if isinstance(data, dict) and data.get("name") == test.dataset.name and test.split != "test":
        use = "learnt from" if test.split == "train" else "was chosen by"
        return Check(name, "differs", f"The model {use} the {test.split} patches of '{test.dataset.name}'.")
    official = OfficialSplit.load("flair-1")
    found, silent = _domains(test.pairs)
    if not found:
        return Check(name, "cannot be told", "No name of a file or folder tells its domain, such as D012_2019.")
    learnt = [domain for domain in found if domain not in official.test | official.val]
    chosen = [domain for domain in found if domain in official.val]
    if learnt or chosen:
        parts = []
        if learnt:
            parts.append(
                f"{_some(learnt)} {_are(learnt)} no test or validation domain of FLAIR #1, which trains on all others"
            )
        if chosen:
            parts.append(f"{_some(chosen)} {_are(chosen)} for validation, by which FLAIR #1 chooses models")
        return Check(
            name,
            "differs",
            f"{_sentence('; '.join(parts))}: a published model may have learnt from these patches, and its figures "
            "on them are then too good.",
        )
    if silent:
        return Check(name, "cannot be told", f"{silent} of {len(test.pairs)} patches do not tell their domain.")
    if len(found) == 1:
        return Check(name, "same", f"Their only domain, {found[0]}, is a test domain of FLAIR #1.")
    return Check(name, "same", f"All {len(found)} domains are test domains of FLAIR #1 ({_some(found)}).")


def _domains(pairs: Sequence[Pair]) -> tuple[list[str], int]:
    """Return the domains that the images' names tell, and how many tell none."""
    found = [domain_of(pair.image.as_posix()) for pair in pairs]
    return sorted(set(found) - {""}), found.count("")


def _are(names: Sequence[str]) -> str:
    return "are" if len(names) > 1 else "is"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _definition(against: Against) -> Check:
    name, rule, ours = "Definition of the figures", against.result.rule, against.ours
    published = against.result.averages.miou
    if rule == "printed":
        return Check(name, "cannot be told", f"The source does not say how it averages; ours is '{ours.definition}'.")
    if rule == ours.definition:
        return Check(name, "same", f"Both are by the rule '{rule}'.")
    if against.theirs_rule is None:
        return Check(
            name, "differs", f"Theirs is '{rule}', which does not suit these classes; ours '{ours.definition}'."
        )
    by_theirs = 100 * against.theirs_rule.miou
    text = f"Theirs is '{rule}', ours '{ours.definition}'. By theirs our mean IoU is {by_theirs:.2f} %"
    if published is None:
        return Check(name, "differs", f"{text}.")
    gap = 100 * ours.miou - published
    share = 100 * (ours.miou - against.theirs_rule.miou)
    return Check(name, "differs", f"{text}: the definition makes {share:+.2f} of the {gap:+.2f} points.")


def _absent(matrix: ConfusionMatrix, definition: str) -> Check:
    """Say what classes that are nowhere in the truth do to a mean over all classes."""
    ours = score(matrix, definition)
    name, absent = "Classes in the truth", ours.absent
    if not absent:
        return Check(name, "same", "Every class of the model is in the truth.")
    names = ", ".join(absent)
    if definition != "ign":
        return Check(name, "differs", f"Not in the truth, and left out of the means: {names}.")
    without = score(matrix, "ign-present").miou
    cost = 100 * (ours.miou - without)
    return Check(
        name,
        "differs",
        f"Not in the truth, and counted as 0 by the rule 'ign': {names}. "
        f"Without {'it' if len(absent) == 1 else 'them'} our mean IoU is {100 * without:.2f} %, so that this makes "
        f"{cost:+.2f} points; IGN's own test set lacks snow.",
    )


def _patches(against: Against, test: LabelledSet) -> Check:
    name = "Test set"
    found, _ = _domains(test.pairs)
    domains = f" of {len(found)} domain{'s' if len(found) > 1 else ''} ({_some(found)})" if found else ""
    count = len(test.pairs)
    ours = f"these are {count:,} patches{domains}" if count > 1 else f"this is one patch{domains}"
    known = load_published().sets.get(against.result.data)
    if known is None:
        return Check(name, "cannot be told", f"The source does not say which patches it took; {ours}.")
    theirs = f"Theirs are {known.patches:,} patches of {known.domains} domains ({against.result.data})"
    if len(test.pairs) == known.patches and (not found or len(found) == known.domains):
        return Check(name, "same", f"{theirs}; {ours}.")
    return Check(name, "differs", f"{theirs}; {ours}: figures on other patches are other figures.")
