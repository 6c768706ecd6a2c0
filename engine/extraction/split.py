"""Which patches serve to learn, to validate and to test.

Whole blocks of neighbouring patches go to one split, since a patch beside one
that was learnt from tells little of how a model does elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.errors import InputError

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

# Blocks wanted: enough to balance the classes, few enough to keep splits apart.
_BLOCKS = 30
_FEWEST_BLOCKS = 9
# A class that is missing from a split weighs more than any imbalance.
_MISSING = 1e3
_EMPTY = 1e6
# Exchanges of blocks are tried up to this many blocks; moves always.
_MOST_SWAPPED = 400
_MOST_STEPS = 400


def block_side(cells: Integers, reach: int = 0) -> int:
    """Return the side of blocks, in patches: the largest that still gives about 30 blocks or more.

    Where patches overlap, blocks are at least twice as wide as a patch reaches, since patches at their edges have to
    be left out; unless that gives too few blocks.

    Args:
        cells: Row and column of each patch in the grid, shape (patches, 2).
        reach: How many patches away a patch still shares pixels.
    """
    side = 2 * (1 + reach) if reach else 1
    while side > 1 and _count_blocks(cells, side) < _FEWEST_BLOCKS:
        side -= 1
    span = int((cells.max(axis=0) - cells.min(axis=0)).max()) + 1
    for larger in range(side + 1, span + 1):
        if _count_blocks(cells, larger) < _BLOCKS:
            break
        side = larger
    return side


def _count_blocks(cells: Integers, side: int) -> int:
    return len(np.unique(cells // side, axis=0))


def number_blocks(cells: Integers, side: int) -> Integers:
    """Return for each patch the number of its block, from 0, by row and column; shape (patches,)."""
    _, numbers = np.unique(cells // side, axis=0, return_inverse=True)
    return np.asarray(numbers, dtype=np.int64).reshape(-1)


def assign_blocks(pixels: Integers, patches: Integers, shares: Sequence[float], seed: int) -> Integers:
    """Assign blocks to splits so that each split gets its share of each class and of the patches.

    Blocks with the rarest classes are placed first, then blocks are moved and exchanged as long as that brings the
    shares nearer to what was asked for. A class that at least as many blocks hold as there are splits comes into each
    of them wherever that is found possible.

    Args:
        pixels: Pixels of each class in each block, shape (blocks, classes).
        patches: Patches in each block, shape (blocks,).
        shares: Share of each split, over 0, adding to 1.
        seed: Decides between equals; the same seed gives the same splits.

    Returns:
        Position of each block's split in `shares`, shape (blocks,).

    Raises:
        InputError: There are fewer blocks than splits.
    """
    count = len(patches)
    if count < len(shares):
        raise InputError(
            f"The patches lie in {count} block{'s' * (count != 1)}, too few for {len(shares)} splits.",
            "Give a smaller --patch-size or --block, more labels, or leave a split out, such as with --test-share 0.",
        )
    balance = _Balance(pixels, patches, np.asarray(shares, dtype=np.float64))
    generator = np.random.default_rng(seed)
    placed = np.full(count, -1, dtype=np.int64)
    holders = (pixels > 0).sum(axis=0)
    rarity = np.where(pixels > 0, holders, count + 1).min(axis=1, initial=count + 1)
    shuffled = generator.permutation(count)
    for block in shuffled[np.argsort(rarity[shuffled], kind="stable")]:
        placed[block] = balance.neediest(placed, int(block))
    for _ in range(_MOST_STEPS):
        if not (_move(balance, placed) or _swap(balance, placed)):
            break
    return placed


def drop_overlapping(cells: Integers, splits: Integers, reach: int, order: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Return which patches to keep so that no pixel is in patches of two splits.

    Args:
        cells: Row and column of each patch in the grid, shape (patches, 2).
        splits: Split of each patch, shape (patches,).
        reach: How many patches away a patch still shares pixels.
        order: Splits by who keeps a patch: a later one gives way to those before it.

    Returns:
        Shape (patches,).
    """
    kept = np.ones(len(cells), dtype=np.bool_)
    if reach == 0 or not len(cells):
        return kept
    place = cells - cells.min(axis=0) + reach
    shape = tuple((place.max(axis=0) + reach + 1).tolist())
    taken = np.zeros(shape, dtype=np.bool_)
    for split in order:
        mine = splits == split
        kept[mine] = ~taken[place[mine, 0], place[mine, 1]]
        own = np.zeros(shape, dtype=np.bool_)
        own[place[mine & kept, 0], place[mine & kept, 1]] = True
        taken |= _grown(_grown(own, reach, 0), reach, 1)
    return kept


def _grown(mask: npt.NDArray[np.bool_], reach: int, axis: int) -> npt.NDArray[np.bool_]:
    grown: npt.NDArray[np.bool_] = mask.copy()
    for shift in range(1, reach + 1):
        # The margin of `reach` around all patches keeps what is rolled over the edge empty.
        grown = grown | np.roll(mask, shift, axis) | np.roll(mask, -shift, axis)
    return grown


class _Balance:
    """How far splits are from their shares.

    Args:
        pixels: Pixels of each class in each block.
        patches: Patches in each block.
        targets: Share of each split.
    """

    def __init__(self, pixels: Integers, patches: Integers, targets: Reals) -> None:
        occurring = pixels[:, pixels.sum(axis=0) > 0]
        classes = occurring.shape[1]
        columns = np.column_stack([occurring, patches]).astype(np.float64)
        self.parts: Reals = columns / np.maximum(columns.sum(axis=0), 1)
        # The number of patches counts as much as all classes together: shares are shares of patches.
        self.weights: Reals = np.append(np.full(classes, 1 / max(1, classes)), 1.0)
        self.holds = np.column_stack([occurring > 0, np.ones(len(patches), dtype=np.bool_)]).astype(np.int64)
        enough = self.holds.sum(axis=0) >= len(targets)
        self.missing: Reals = np.append(np.where(enough[:-1], _MISSING, 0.0), _EMPTY)
        self.targets = targets

    def neediest(self, placed: Integers, block: int) -> int:
        """Return the split that lacks most of what a block holds."""
        have = self.sums(placed)
        lack = (self.targets[:, None] - have) / self.targets[:, None]
        absent = (self.held(placed) == 0) * self.holds[block] * np.minimum(self.missing, 1.0)
        need = ((lack + absent) * self.weights * (self.parts[block] > 0)).sum(axis=1)
        return int(np.argmax(np.round(need, 12)))

    def sums(self, placed: Integers) -> Reals:
        """Return the share that each split has of each class and of the patches."""
        return np.stack([self.parts[placed == split].sum(axis=0) for split in range(len(self.targets))])

    def held(self, placed: Integers) -> Integers:
        """Return how many blocks of each split hold each class."""
        return np.stack([self.holds[placed == split].sum(axis=0) for split in range(len(self.targets))])

    def cost(self, have: Reals, held: Integers, split: int) -> Reals:
        """Return how bad a split with such shares and blocks is; the last axis is that of classes."""
        off = (have - self.targets[split]) ** 2 / self.targets[split] * self.weights
        return np.asarray((off + (held == 0) * self.missing).sum(axis=-1))


def _move(balance: _Balance, placed: Integers) -> bool:
    """Move the block whose move helps most; return whether one did."""
    have, held = balance.sums(placed), balance.held(placed)
    now = np.array([balance.cost(have[s], held[s], s) for s in range(len(balance.targets))])
    best = (-1e-9, -1, -1)
    for source in range(len(now)):
        blocks = np.flatnonzero(placed == source)
        if not blocks.size:
            continue
        less = balance.cost(have[source] - balance.parts[blocks], held[source] - balance.holds[blocks], source)
        for target in range(len(now)):
            if target == source:
                continue
            more = balance.cost(have[target] + balance.parts[blocks], held[target] + balance.holds[blocks], target)
            gain = less + more - now[source] - now[target]
            index = int(np.argmin(gain))
            if gain[index] < best[0]:
                best = (float(gain[index]), int(blocks[index]), target)
    if best[1] < 0:
        return False
    placed[best[1]] = best[2]
    return True


def _swap(balance: _Balance, placed: Integers) -> bool:
    """Exchange the two blocks whose exchange helps most; return whether one did."""
    if len(placed) > _MOST_SWAPPED:
        return False
    have, held = balance.sums(placed), balance.held(placed)
    now = np.array([balance.cost(have[s], held[s], s) for s in range(len(balance.targets))])
    best = (-1e-9, -1, -1)
    for one in range(len(now)):
        ones = np.flatnonzero(placed == one)
        for other in range(one + 1, len(now)):
            others = np.flatnonzero(placed == other)
            for block in ones:
                parts = balance.parts[others] - balance.parts[block]
                holds = balance.holds[others] - balance.holds[block]
                gain = (
                    balance.cost(have[one] + parts, held[one] + holds, one)
                    + balance.cost(have[other] - parts, held[other] - holds, other)
                    - now[one]
                    - now[other]
                )
                if gain.size and gain.min() < best[0]:
                    best = (float(gain.min()), int(block), int(others[int(np.argmin(gain))]))
    if best[1] < 0:
        return False
    placed[best[1]], placed[best[2]] = placed[best[2]], placed[best[1]]
    return True
