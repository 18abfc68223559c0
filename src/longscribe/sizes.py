"""Amounts of memory as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([kmgt]?)(i?)b?", re.IGNORECASE)
_STEPS = "kmgt"


def parse_size(text: str) -> int:
    """Return the bytes that `1GB`, `1.5 GiB`, `800M` or `1000000` are.

    Raises:
        ValueError: the text is no such amount, or less than a byte.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"expected an amount such as 2GB, 1.5GiB or 800MB, got {text!r}")
    step = 1024 if match[3] else 1000
    power = _STEPS.index(match[2].lower()) + 1 if match[2] else 0
    size = round(float(match[1]) * float(step**power))
    if size < 1:
        raise ValueError(f"expected an amount such as 2GB, 1.5GiB or 800MB, got {text!r}")
    return size


def say_size(size: int) -> str:
    """Return bytes as a person reads them, in powers of ten as disks and GPUs are sold."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
