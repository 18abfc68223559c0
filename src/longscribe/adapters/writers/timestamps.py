"""Times as subtitle files write them."""

from __future__ import annotations


def clock(milliseconds: int, separator: str) -> str:
    """Return `HH:MM:SS` and three decimals after `separator`; hours may have more digits."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{separator}{rest:03d}"
