"""The bytes of a media file as libav is given them: it opens nothing by itself.

libav's playlist formats open whatever they name, by any protocol, and other
formats may name files too. So libav gets this object instead of a path, and
`NO_PROTOCOL` keeps it from opening anything else. Two repairs are made here on
the way, without a copy: pieces are joined, and wrong header fields are shown right.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

NO_PROTOCOL = {"protocol_whitelist": "none"}
"""Options for libav: whatever a file names, it can't be opened."""
BUFFER = 256 * 1024
"""Bytes libav asks for at a time."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Bytes to show in the place of those that are there."""

    at: int
    data: bytes


class MediaSource(io.RawIOBase):
    """Files one behind the other as one stream of bytes, with patches laid over it.

    Args:
        paths: at least one.
        patches: places in the whole stream.

    Raises:
        OSError: a file can't be opened.
    """

    def __init__(self, paths: Sequence[Path], patches: Sequence[Patch] = ()) -> None:
        super().__init__()
        self.name = str(paths[0])
        """By its ending libav knows formats that have no mark of their own."""
        self._paths = tuple(paths)
        self._patches = tuple(patches)
        self._ends: list[int] = []
        self._at = 0
        self._number = 0
        self._file = self._opened(0)
        end = 0
        for path in paths:
            end += path.stat().st_size
            self._ends.append(end)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._ends[-1]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes: as many as asked for unless the end is near."""
        left = max(0, self.size - self._at)
        left = left if size < 0 else min(left, size)
        start, parts = self._at, []
        while left > 0:
            data = self._piece(left)
            if not data:  # a file has shrunk meanwhile
                break
            parts.append(data)
            left -= len(data)
            self._at += len(data)
        return self._patched(start, b"".join(parts))

    def _opened(self, number: int) -> BinaryIO:
        """Open one file: a playlist may name more than a process may have open."""
        file = self._paths[number].open("rb", buffering=0)
        self._number = number
        return file

    def _piece(self, most: int) -> bytes:
        """Return bytes of the one file that holds the present place."""
        number = bisect_right(self._ends, self._at)
        if number != self._number:
            self._file.close()
            self._file = self._opened(number)
        begin = self._ends[number - 1] if number else 0
        self._file.seek(self._at - begin)
        return self._file.read(min(most, self._ends[number] - self._at))

    def _patched(self, start: int, data: bytes) -> bytes:
        for patch in self._patches:
            first = max(start, patch.at)
            last = min(start + len(data), patch.at + len(patch.data))
            if first < last:
                shown = patch.data[first - patch.at : last - patch.at]
                data = data[: first - start] + shown + data[last - start :]
        return data

    def close(self) -> None:
        self._file.close()
        super().close()
