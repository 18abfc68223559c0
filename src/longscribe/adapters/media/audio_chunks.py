"""Files whose header says how many bytes of audio follow, and whether it is so.

A recorder that dies leaves a length from before, and past 4 GiB a 32-bit length
wraps. libav believes such a header and drops the rest without a word. Here the
length is held against what is there: beyond the declared end there must be
further chunks up to the end of the file, or tags, or padding; otherwise what
lies there is audio too, and `Patch`es show libav a length that covers it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from longscribe.adapters.media.source import Patch

_STREAMED = 0x7FFF_0000
"""Programs that write WAV to a pipe declare a size from here up, meaning `unknown`."""
_UNKNOWN = 0xFFFF_FFFF
_MOST_CHUNKS = 10_000
_MOST_PADDING = 64 * 1024
"""Bytes. Zeros at the end that are no audio, such as those that fill up a block of a disk."""
_LEAST_REST = 64
"""Bytes behind the declared end that are nobody's words."""
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICS")
_KNOWN = frozenset(
    b"LIST INFO id3_ ID3_ bext iXML axml chna cue_ smpl inst JUNK junk PAD_ FLLR afsp minf elm1 "
    b"_PMX plst fact PEAK MARK INST COMT NAME AUTH ANNO APPL AESD MIDI umid uuid free strg midi "
    b"info chan pakt desc kuki cart labl note levl slnt acid DISP aXML".replace(b"_", b" ").split(
        b" "
    )
)
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True, kw_only=True)
class _Field:
    """A length in the header: where it stands, how it is written, and what it counts besides."""

    at: int
    form: str
    extra: int = 0

    def patch(self, length: int) -> Patch:
        most = int.from_bytes(b"\xff" * struct.calcsize(self.form), "big")
        if self.form[-1] == "q":
            most >>= 1
        return Patch(at=self.at, data=struct.pack(self.form, min(length + self.extra, most)))


@dataclass(frozen=True, kw_only=True)
class AudioChunk:
    """Where a file keeps its audio, and how much it says there is."""

    start: int
    declared: int | None
    """Bytes; None where the header doesn't say."""
    size: int
    """Of the file, in bytes."""
    is_short: bool
    """More audio follows the declared end."""
    fields: tuple[_Field, ...] = ()
    is_large: bool = False
    """RF64, of which libav reports the length that is declared; else what is there of it."""

    @property
    def there(self) -> int:
        """Bytes from the start of the audio to the end of the file."""
        return max(0, self.size - self.start)

    @property
    def patches(self) -> tuple[Patch, ...]:
        """What to show libav, so that it reads everything."""
        return tuple(each.patch(self.there) for each in self.fields) if self.is_short else ()

    @property
    def lacking(self) -> float:
        """How many times longer than libav reports the file declares its audio; 1.0 if whole."""
        if not self.declared or not self.there or self.is_large:
            return 1.0
        return max(1.0, self.declared / self.there)

    @property
    def known(self) -> float:
        """Share of the audio that the header tells of; 1.0 if all."""
        return (self.declared or 0) / self.there if self.is_short else 1.0


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    name: bytes
    start: int
    """Of its content."""
    length: int
    field: _Field
    """Its length in the header."""

    def end(self, align: int) -> int:
        return self.start + self.length + -self.length % align


_Layout = Literal["<I", ">I", ">q", "w64"]
"""How chunks are headed: a 4-byte name and a length, or a GUID and a length."""


def audio_chunk(path: Path) -> AudioChunk | None:
    """Return where the audio of a WAV, RF64, W64, AIFF or CAF file lies; None for others.

    Raises:
        OSError: the file can't be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(40)
        if head[:4] in (b"RIFF", b"RF64", b"BW64", b"RIFX") and head[8:12] == b"WAVE":
            return _wav(file, size, large=head[1:4] == b"F64" or head[:4] == b"BW64")
        if head[:16] == _W64_RIFF and head[24:28] == b"wave":
            return _found(file, "w64", 40, b"data")
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return _found(file, ">I", 12, b"SSND")
        if head[:4] == b"caff":
            return _found(file, ">q", 8, b"data")
    return None


def _wav(file: BinaryIO, size: int, *, large: bool) -> AudioChunk | None:
    file.seek(0)
    layout: _Layout = ">I" if file.read(4) == b"RIFX" else "<I"
    ds64: _Chunk | None = None
    for chunk in _chunks(file, 12, layout):
        if chunk.name == b"ds64":
            ds64 = chunk
        if chunk.name != b"data":
            continue
        declared: int | None = chunk.length
        field = chunk.field
        if large and ds64 is not None:
            file.seek(ds64.start + 8)
            declared = int.from_bytes(file.read(8), "little")
            field = _Field(at=ds64.start + 8, form="<q")
        elif chunk.length >= _STREAMED and chunk.start + chunk.length > size:
            declared = None
        found = _judged(file, chunk.start, declared or None, layout, (field,))
        return replace(found, is_large=large)
    return None


def _found(file: BinaryIO, layout: _Layout, begin: int, name: bytes) -> AudioChunk | None:
    """Return the chunk `name`; AIFF and CAF put a few bytes before the audio in it."""
    before = {">I": 8, ">q": 4}.get(layout, 0)
    for chunk in _chunks(file, begin, layout):
        if chunk.name[:4] == name:
            length = chunk.length - before
            declared = length if length > 0 else None
            field = replace(chunk.field, extra=chunk.field.extra + before)
            return _judged(file, chunk.start + before, declared, layout, (field,))
    return None


def _judged(
    file: BinaryIO,
    start: int,
    declared: int | None,
    layout: _Layout,
    fields: tuple[_Field, ...],
) -> AudioChunk:
    size = file.seek(0, os.SEEK_END)
    short = declared is not None and not _is_accounted(file, start + declared, layout)
    return AudioChunk(start=start, declared=declared, size=size, is_short=short, fields=fields)


def _chunks(file: BinaryIO, at: int, layout: _Layout) -> Iterator[_Chunk]:
    """Yield the chunks from `at` on, for as long as the file goes."""
    align = _alignment(layout)
    for _ in range(_MOST_CHUNKS):
        chunk = _chunk(file, at, layout)
        if chunk is None:
            return
        yield chunk
        at = chunk.end(align)


def _alignment(layout: _Layout) -> int:
    return {"w64": 8, ">q": 1}.get(layout, 2)


def _chunk(file: BinaryIO, at: int, layout: _Layout) -> _Chunk | None:
    file.seek(at)
    if layout == "w64":
        head = file.read(24)
        if len(head) < 24:
            return None
        length = int.from_bytes(head[16:], "little") - 24
        field = _Field(at=at + 16, form="<q", extra=24)
        if length < 0 or head[4:16] != _W64_TAIL:
            return None
        return _Chunk(name=head[:4], start=at + 24, length=length, field=field)
    width = struct.calcsize(layout)
    head = file.read(4 + width)
    if len(head) < 4 + width:
        return None
    (length,) = struct.unpack(layout, head[4:])
    if length < 0:  # CAF: the last chunk, as long as the file
        length = max(0, file.seek(0, os.SEEK_END) - at - 4 - width)
    field = _Field(at=at + 4, form=layout)
    return _Chunk(name=head[:4], start=at + 4 + width, length=length, field=field)


def _is_accounted(file: BinaryIO, end: int, layout: _Layout) -> bool:
    """Tell whether what follows `end` is something other than audio."""
    size = file.seek(0, os.SEEK_END)
    if size - end < _LEAST_REST:
        return True
    file.seek(end)
    head = file.read(8)
    if head.startswith(_TAGS) or head[1:].startswith(_TAGS[:2]):
        return True
    if size - end <= _MOST_PADDING:
        file.seek(end)
        if not any(file.read()):
            return True
    at = end + -end % _alignment(layout) if layout == "w64" else end + end % 2
    return _is_chain(file, at, size, layout) or (
        layout in ("<I", ">I") and _is_chain(file, end, size, layout)
    )


def _is_chain(file: BinaryIO, at: int, size: int, layout: _Layout) -> bool:
    """Tell whether chunks, and nothing else, fill the file from `at` to its end."""
    for _ in range(_MOST_CHUNKS):
        if size - at < 8:
            return True
        chunk = _chunk(file, at, layout)
        if chunk is None or not chunk.name.isascii() or not chunk.name.decode().isprintable():
            return False
        if layout == "w64" or chunk.name in _KNOWN:
            return True  # even if it is cut off itself
        at = chunk.end(_alignment(layout))
        if at > size + 1:
            return False
    return False
