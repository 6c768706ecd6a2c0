"""Amounts of data, as people read them."""

from __future__ import annotations


def readable(count: float) -> str:
    """Return an amount of bytes with three digits, such as `50.7 GB`, in powers of 1000 as download pages do."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
