"""The patches of a data set: their splits and their names."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.data.dataset_file import SPLITS
from engine.errors import InputError
from engine.events import Reporter
from engine.extraction.split import Integers, assign_blocks, block_side, drop_overlapping, number_blocks
from engine.extraction.survey import Survey
from engine.nomenclature import Nomenclature


@dataclass(frozen=True)
class Patch:
    """A patch that will be written.

    Args:
        row: Its row in the grid.
        column: Its column in the grid.
        name: Folders and number, such as `D001_2021/Z003/000826`; a zone is a block.
        split: `train`, `val` or `test`.
    """

    row: int
    column: int
    name: str
    split: str


@dataclass(frozen=True)
class Choice:
    """All patches that will be written.

    Args:
        patches: By row and column.
        side: Side of the blocks that are split as a whole, in patches.
        pixels: Pixels by split and class code.
        holders: By class code, how many blocks hold the class.
    """

    patches: tuple[Patch, ...]
    side: int
    pixels: dict[str, dict[int, int]]
    holders: dict[int, int]

    @property
    def counts(self) -> dict[str, int]:
        """Patches by split."""
        return {split: sum(patch.split == split for patch in self.patches) for split in SPLITS}


def choose_patches(
    found: Survey,
    nomenclature: Nomenclature,
    *,
    reach: int,
    val_share: float,
    test_share: float,
    block: int | None,
    seed: int,
    domain: str,
    reporter: Reporter,
) -> Choice:
    """Split and name patches.

    Args:
        found: The patches.
        nomenclature: The classes; those that can be learnt are balanced.
        reach: How many patches away a patch still shares pixels.
        val_share: Share of patches for validation; 0 for none.
        test_share: Share of patches for testing; 0 for none.
        block: Side of the blocks in patches; None chooses by the area.
        seed: Seed of the split.
        domain: Name of the outer folder.
        reporter: Is told how the patches are split, and how many are left out.

    Raises:
        InputError: There are too few blocks or patches for all splits.
    """
    shares = dict(zip(SPLITS, (1 - val_share - test_share, val_share, test_share), strict=True))
    used = [index for index, split in enumerate(SPLITS) if shares[split] > 0]
    side = block or block_side(found.cells, reach)
    blocks = number_blocks(found.cells, side)
    count = int(blocks.max()) + 1
    learnt = [index for index, item in enumerate(nomenclature.classes) if not item.disabled]
    pixels = np.zeros((count, len(learnt)), dtype=np.int64)
    np.add.at(pixels, blocks, found.pixels[:, learnt])
    placed = assign_blocks(pixels, np.bincount(blocks), [shares[SPLITS[index]] for index in used], seed)
    splits = np.array(used)[placed][blocks]
    parts = ", ".join(f"{SPLITS[index]} {100 * shares[SPLITS[index]]:.3g} %" for index in used)
    reporter.log(f"{len(blocks)} patches in {count} blocks of {side} x {side} are to be split: {parts}.")
    # The smallest splits keep what they have: they have least to lose.
    kept = drop_overlapping(found.cells, splits, reach, sorted(used, key=lambda index: (shares[SPLITS[index]], -index)))
    if not kept.all():
        reporter.log(f"{int((~kept).sum())} patches that would share pixels with another split are left out.")
        found = replace(found, cells=found.cells[kept], pixels=found.pixels[kept], invalid=found.invalid[kept])
        blocks, splits = blocks[kept], splits[kept]
    empty = [SPLITS[index] for index in used if not (splits == index).any()]
    if empty:
        raise InputError(
            f"No patch is left for {' and '.join(empty)}, since patches of different splits must not share pixels.",
            "Give a smaller --overlap, or a larger --block.",
        )
    return Choice(
        _named(found.cells, blocks, splits, domain),
        side,
        {split: _by_code(found.pixels[splits == index], nomenclature) for index, split in enumerate(SPLITS)},
        {code: len(np.unique(blocks[found.pixels[:, index] > 0])) for index, code in enumerate(nomenclature.codes)},
    )


def _named(cells: Integers, blocks: Integers, splits: Integers, domain: str) -> tuple[Patch, ...]:
    zones = {block: number for number, block in enumerate(np.unique(blocks).tolist(), 1)}
    return tuple(
        Patch(row, column, f"{domain}/Z{zones[block]:03d}/{number:06d}", SPLITS[split])
        for number, ((row, column), block, split) in enumerate(
            zip(cells.tolist(), blocks.tolist(), splits.tolist(), strict=True), 1
        )
    )


def _by_code(pixels: Integers, nomenclature: Nomenclature) -> dict[int, int]:
    total = pixels.sum(axis=0).tolist()
    return {code: count for code, count in sorted(zip(nomenclature.codes, total, strict=True)) if count}
