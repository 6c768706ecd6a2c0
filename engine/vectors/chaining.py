"""Links between elements that each touch two others: chains and rings, put in order.

An element knows its neighbour at either end. Walking from one to the next in
Python would take seconds a million; here scipy's compiled searches walk, once
all chains have been laid end to end as a single long one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components

Indices = npt.NDArray[np.int64]
NONE = -1


@dataclass(frozen=True)
class Chains:
    """Elements in the order in which they follow each other.

    Args:
        order: All elements, chain after chain.
        forward: Which of these, in this order, are walked from their first end to their second.
        starts: Where each chain begins in `order`; the last entry is the number of elements.
        closed: Whether each chain is a ring; it begins at its lowest element.
    """

    order: Indices
    forward: npt.NDArray[np.bool_]
    starts: Indices
    closed: npt.NDArray[np.bool_]


def chain(neighbours: npt.NDArray[np.int64], corners: npt.NDArray[np.int64]) -> Chains:
    """Put elements in order.

    Args:
        neighbours: The element at the first and at the second end of each, -1 for none, shape (elements, 2). Changed.
        corners: The place of the ends, shape (elements, 2); linked ends lie at the same place.
    """
    count = len(neighbours)
    if not count:
        nothing = np.empty(0, dtype=np.bool_)
        return Chains(np.empty(0, dtype=np.int64), nothing, np.zeros(1, dtype=np.int64), nothing)
    chains, label = connected_components(_graph(neighbours), directed=False)
    has_end = np.zeros(chains, dtype=np.bool_)
    has_end[label[(neighbours == NONE).any(axis=1)]] = True
    closed = ~has_end
    _cut_rings(neighbours, corners, label, closed)
    linked = neighbours.copy()
    missing = (neighbours == NONE).sum(axis=1)
    # A chain of one element ends twice in it.
    ends = np.repeat(np.arange(count), missing)
    ends = ends[np.argsort(label[ends], kind="stable")]
    first, last = ends[0::2], ends[1::2]
    tail, head = last[:-1], first[1:]
    slot = np.where(neighbours[tail, 1] == NONE, 1, 0)
    neighbours[tail, slot] = head
    slot = np.where(neighbours[head, 0] == NONE, 0, 1)
    neighbours[head, slot] = tail
    order = breadth_first_order(_graph(neighbours), int(first[0]), directed=True, return_predecessors=False)
    order = order.astype(np.int64)
    sorted_label = label[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(sorted_label)) + 1, [count]]).astype(np.int64)
    return Chains(order, _directions(linked, order, starts), starts, closed[sorted_label[starts[:-1]]])


def _directions(neighbours: Indices, order: Indices, starts: Indices) -> npt.NDArray[np.bool_]:
    forward = np.ones(len(order), dtype=np.bool_)
    forward[1:] = neighbours[order[1:], 0] == order[:-1]
    first, several = starts[:-1], np.diff(starts) > 1
    forward[first] = True
    begin = first[several]
    forward[begin] = neighbours[order[begin], 1] == order[begin + 1]
    return forward


def _cut_rings(
    neighbours: npt.NDArray[np.int64],
    corners: npt.NDArray[np.int64],
    label: npt.NDArray[np.int32],
    closed: npt.NDArray[np.bool_],
) -> None:
    """Take the link at the first end of each ring's lowest element away."""
    members = np.flatnonzero(closed[label])
    if not len(members):
        return
    lowest = members[np.unique(label[members], return_index=True)[1]]
    other = neighbours[lowest, 0]
    slot = np.where((neighbours[other, 0] == lowest) & (corners[other, 0] == corners[lowest, 0]), 0, 1)
    neighbours[lowest, 0] = NONE
    neighbours[other, slot] = NONE


def _graph(neighbours: npt.NDArray[np.int64]) -> csr_matrix:
    linked = neighbours != NONE
    pointers = np.zeros(len(neighbours) + 1, dtype=np.int32)
    np.cumsum(linked.sum(axis=1), out=pointers[1:])
    targets = neighbours[linked].astype(np.int32)
    return csr_matrix((np.ones(len(targets)), targets, pointers), shape=(len(neighbours), len(neighbours)))
