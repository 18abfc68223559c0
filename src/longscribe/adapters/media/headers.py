"""What libav doesn't tell about a file's own header, read from its first bytes."""

from __future__ import annotations

import os
import struct
from pathlib import Path

_MP3_PROBE = 8192
_SIZE_TOLERANCE = 1 / 16
"""As libav's: an MP3 whose size differs more from its header was joined or cut."""


def mp3_declares_length(path: Path) -> bool:
    """Tell whether an MP3 has a Xing, Info or VBRI header whose length fits the file.

    Without one libav guesses the length from the first frames' bit rate.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:
            a, b, c, d = head[6:]
            start = 10 + (a << 21 | b << 14 | c << 7 | d)
        file.seek(start)
        probe = file.read(_MP3_PROBE)
    for tag in (b"Xing", b"Info"):
        at = probe.find(tag)
        if at >= 0 and len(probe) >= at + 16:
            words = (probe[at + n : at + n + 4] for n in (4, 8, 12))
            flags, frames, declared = (int.from_bytes(word, "big") for word in words)
            if not flags & 1 or not frames:
                return False
            if not flags & 2:
                return True
            return size - start <= declared * (1 + _SIZE_TOLERANCE) + _MP3_PROBE
    return b"VBRI" in probe


def lacks_moov(path: Path) -> bool:
    """Tell whether this MP4 or MOV lacks all or the end of its index, as a broken download does."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        at = 0
        kinds: list[bytes] = []
        while at + 8 <= end and len(kinds) < 1000:
            file.seek(at)
            size, kind = struct.unpack(">I4s", file.read(8))
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
            elif size == 0:
                size = end - at
            if size < 8 or (kind == b"moov" and at + size > end):
                break
            kinds.append(kind)
            at += size
    return kinds[:1] == [b"ftyp"] and b"moov" not in kinds
