"""Which files of a data set, and which members of its archives, a person asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from engine.acquisition.directory import Member
from engine.acquisition.sources import BY_PATH, LISTS, Source, SourceFile
from engine.data.official_split import OfficialSplit, domain_of, is_domain
from engine.errors import RequestError

_SPLITS = ("train", "val", "test")
# In this order: the first that a folder or file name holds.
_MODALITY_MARKS = (
    ("label-lpis", "crops"),
    ("label", "labels"),
    ("msk-sc", "sentinel2"),
    ("sentinel1", "sentinel1"),
    ("sentinel2", "sentinel2"),
    ("_sen_", "sentinel2"),
    ("sen2_", "sentinel2"),
    ("dem_elev", "elevation"),
    ("spot_", "spot"),
    ("-rlt_", "historical"),
    ("msk_", "labels"),
    ("img_", "aerial"),
    ("aerial_rgbi", "aerial"),
    ("metadata", "metadata"),
    ("_mtd", "metadata"),
    ("aerial", "aerial"),
)


def modality_of(path: str) -> str:
    """Return what a member of a mixed archive holds, by its path; `metadata` where nothing tells."""
    lower = path.lower()
    if not lower.endswith((".tif", ".tiff", ".npy", ".txt")):
        return "metadata"
    return next((modality for mark, modality in _MODALITY_MARKS if mark in lower), "metadata")


@dataclass(frozen=True)
class Selection:
    """What is wanted of a data set.

    Args:
        modalities: Names of modalities, without `lists`.
        lists: Whether the lists of the official split are written.
        splits: Splits, or empty for all.
        domains: Departments or domains as a person names them, or empty for all.
        official: Split by domain, where the data set has one.
    """

    modalities: frozenset[str]
    lists: bool
    splits: frozenset[str]
    domains: tuple[str, ...]
    official: OfficialSplit | None

    @staticmethod
    def of(
        source: Source, modalities: list[str] | None, splits: list[str] | None, domains: list[str] | None
    ) -> Selection:
        """Check what a person asked for against what the data set has.

        Raises:
            RequestError: It has no such part; the nearest is named.
        """
        asked = list(source.default) if modalities is None else modalities
        for name in asked:
            _check(name, source.modalities, f"The data set '{source.name}' has no part")
        if splits and not source.splits:
            raise RequestError(
                f"'{source.name}' has no official split by domain, so no part of it can be chosen by 'splits'.",
                "Choose by 'domains' instead.",
            )
        for name in splits or ():
            _check(name, _SPLITS, "There is no split")
        return Selection(
            modalities=frozenset(asked) - {LISTS},
            lists=LISTS in asked,
            splits=frozenset(splits or ()),
            domains=tuple(domains or ()),
            official=OfficialSplit.load(source.splits) if source.splits else None,
        )

    def files(self, source: Source) -> tuple[SourceFile, ...]:
        """Return the files in which something wanted can be.

        Raises:
            RequestError: Every file is of one domain, and a domain that is asked for is not among them.
        """
        single = {file.domain for file in source.files if file.domain}
        if single:
            self.check_domains(single)
        return tuple(file for file in source.files if self._file(file))

    def members(self, file: SourceFile, members: Iterable[Member]) -> tuple[Member, ...]:
        """Return the members of an archive that are wanted."""
        return tuple(member for member in members if self._member(file, member.path))

    def check_domains(self, known: Iterable[str]) -> None:
        """Check that each domain that is asked for exists.

        Raises:
            RequestError: One does not; the nearest is named.
        """
        found = sorted(set(known))
        for name in self.domains:
            if not any(is_domain(domain, name) for domain in found):
                close = difflib.get_close_matches(name.replace("-", "_").upper(), found, n=3, cutoff=0.4)
                raise RequestError(
                    f"There is no domain '{name}' among the {len(found)} in what was chosen.",
                    f"{'Near' if close else 'There are'}: {', '.join(close or found)}.",
                )

    def _file(self, file: SourceFile) -> bool:
        if file.modality != BY_PATH and file.modality not in self.modalities:
            return False
        if self.splits and file.split:
            inside = {"test"} if file.split == "test" else {"train", "val"}
            if not inside & self.splits:
                return False
        return not (file.domain and self.domains) or any(is_domain(file.domain, name) for name in self.domains)

    def _member(self, file: SourceFile, path: str) -> bool:
        if file.modality == BY_PATH and modality_of(path) not in self.modalities:
            return False
        domain = domain_of(path)
        if not domain:
            # A read-me, or a table of all patches.
            return True
        if self.domains and not any(is_domain(domain, name) for name in self.domains):
            return False
        if not self.splits or self.official is None:
            return True
        split = "test" if file.split == "test" else self.official.of(path)
        return split in self.splits


def _check(name: str, known: Iterable[str], what: str) -> None:
    names = list(known)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        raise RequestError(f"{what} '{name}'.", f"{hint}There are: {', '.join(names)}.")
