"""What was read from files is kept in memory, as far as that goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read", covariant=True)


class Source(Protocol[Read]):
    """Reads things by number."""

    def read(self, index: int) -> Read:
        """Return the thing with a number."""


class ReadCache(ABC, Generic[Item]):
    """Keeps what was read, as far as the memory allowed goes.

    Args:
        source: Reads it.
        limit: Bytes to keep at the most.
    """

    def __init__(self, source: Source[Item], limit: float) -> None:
        self._source = source
        self._limit = limit
        self._kept: dict[int, Item] = {}
        self._bytes = 0

    def read(self, index: int) -> Item:
        """Return the thing with a number."""
        if index in self._kept:
            return self._kept[index]
        item = self._source.read(index)
        size = self._size(item)
        # What is in stays in: in a set larger than the memory, throwing out would leave nothing for the next epoch.
        if self._bytes + size <= self._limit:
            self._kept[index] = item
            self._bytes += size
        return item

    @abstractmethod
    def _size(self, item: Item) -> int:
        """Return the bytes of a thing."""
