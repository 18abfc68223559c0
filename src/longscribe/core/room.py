"""How much of a disk the spool may take: never the last of it."""

from __future__ import annotations

from longscribe.sizes import say_size

BYTES_A_SAMPLE = 2
RESERVE = 256 * 2**20
"""Bytes that are left to others on the spool's file system."""
RESERVE_SHARE = 0.01
"""The same, as the share of a small file system."""
CHECK_EVERY = 16 * 2**20
"""Bytes spooled between two looks at the free space."""


def reserve(total: int) -> int:
    """Return the bytes that must stay free on a file system of `total` bytes."""
    return min(RESERVE, round(total * RESERVE_SHARE))


def shortage(samples: int, free: int, total: int) -> str | None:
    """Return in words why so much audio has no room; None if it has.

    Args:
        samples: still to be spooled, at 16 kHz.
        free: bytes that are free on the file system.
        total: bytes that it holds.
    """
    need, kept = samples * BYTES_A_SAMPLE, reserve(total)
    if need <= free - kept:
        return None
    return f"its audio takes {say_size(need)}, and {say_size(max(0, free - kept))} are free"


def is_short(free: int, total: int) -> bool:
    """Tell whether nothing more may be spooled."""
    return free < reserve(total)
