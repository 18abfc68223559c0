"""Playlists: files that hold no audio themselves and name others that do.

One rule: of what a playlist names, only files in its own folder are read, and they
are part of the media (`parts_of`). Plain HLS is read; every other kind of list is
refused with a clear line (docs/decisions/0022). Pure Python: the supervisor uses
it to fingerprint, the reader process to read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from longscribe.errors import MediaError

_HEAD = 64 * 1024
"""Bytes by which a list is known."""
_LARGEST = 16 * 1024 * 1024
"""Bytes. A longer text is no playlist."""
_MOST_PIECES = 200_000
_LONGEST_PIECE = 24 * 3600.0
"""Seconds."""
_ENDINGS = frozenset(
    {".m3u", ".m3u8", ".pls", ".mpd", ".xspf", ".asx", ".wpl", ".concat", ".ffconcat", ".sdp"}
    | {".cue", ".ism", ".smil", ".smi"}
)
_MARKS = (
    (b"<mpd", "a DASH manifest"),
    (b"<smoothstreamingmedia", "a Smooth Streaming manifest"),
    (b"<compositionplaylist", "an IMF playlist"),
    (b"<assetmap", "an IMF list"),
    (b"<asx", "an ASX playlist"),
    (b"<smil", "a SMIL playlist"),
    (b"xspf.org", "an XSPF playlist"),
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.,-]*:")
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One file that a playlist names."""

    path: Path
    seconds: float
    """How long it is by the playlist."""
    is_there: bool
    head: Path | None
    """What must stand before its bytes (the initialisation section of fragmented MP4)."""
    starts_anew: bool
    """Its clock does not go on from the piece before."""


@dataclass(frozen=True, kw_only=True)
class Playlist:
    """A plain HLS playlist, in order."""

    pieces: tuple[Piece, ...]

    @property
    def seconds(self) -> float:
        return sum(piece.seconds for piece in self.pieces)


def parts_of(media: Path) -> tuple[Path, ...]:
    """Return the files that make up a media file: itself, and what it names if it is a playlist.

    A part may be missing: that it is counts as content too.

    Raises:
        MediaError: it is a list that is not read, or names what it may not.
        OSError: it can't be read.
    """
    playlist = read_playlist(media)
    if playlist is None:
        return (media,)
    named: dict[Path, None] = {}
    for piece in playlist.pieces:
        if piece.head is not None:
            named[piece.head] = None
        named[piece.path] = None
    return (media, *named)


def read_playlist(media: Path) -> Playlist | None:
    """Return what a playlist names; None if the file is none.

    Raises:
        MediaError: it is a list that is not read, or names what it may not.
        OSError: it can't be read.
    """
    if not media.is_file():
        return None
    with media.open("rb") as file:
        head = file.read(_HEAD)
    kind = _kind(head, media.suffix.lower())
    if kind is None:
        return None
    if kind != "HLS":
        raise MediaError(
            f"{media} is {kind}: it holds no audio, it names other files.",
            "Give the files that it names; of lists only HLS (.m3u8) is read.",
        )
    return _Hls(media=media).read()


def _kind(head: bytes, ending: str) -> str | None:
    """Return what sort of list a file is by its first bytes and its name; None: it is none."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"#EXTM3U"):
        return "HLS" if b"#EXT-X-" in text else "an M3U playlist"
    if text.startswith(b"ffconcat version"):
        return "a list for ffmpeg (ffconcat)"
    if text[:10].lower() == b"[playlist]":
        return "a PLS playlist"
    if text.startswith(b"v=0") and b"\nm=" in text:
        return "a session description (SDP)"
    if text.startswith(b"<"):
        lower = text.lower()
        for mark, kind in _MARKS:
            if mark in lower:
                return kind
    if ending in _ENDINGS and text and _is_text(head):
        return f"a list or text file by its name ({ending})"
    return None


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4
    return True


@dataclass(kw_only=True)
class _Hls:
    """Reads one plain playlist of HLS (RFC 8216)."""

    media: Path
    _seconds: float = 0.0
    _head: Path | None = None
    _anew: bool = False
    _is_gap: bool = False
    _pieces: list[Piece] = field(default_factory=list)

    def read(self) -> Playlist:
        for line in self._lines():
            if line.startswith("#"):
                self._tag(line)
            elif line:
                self._add(line)
        if not self._pieces:
            raise MediaError(f"{self.media} is an HLS playlist that names no piece of audio.")
        return Playlist(pieces=tuple(self._pieces))

    def _lines(self) -> Iterator[str]:
        with self.media.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise MediaError(f"{self.media} is too long for a playlist.")
        for line in data.decode("utf-8-sig", errors="replace").splitlines():
            yield line.strip()

    def _tag(self, line: str) -> None:
        name, _, value = line.partition(":")
        match name:
            case "#EXTINF":
                self._seconds = self._length(value.partition(",")[0])
            case "#EXT-X-DISCONTINUITY":
                self._anew = True
            case "#EXT-X-GAP":
                self._is_gap = True
            case "#EXT-X-MAP":
                self._map(_attributes(value))
            case "#EXT-X-STREAM-INF" | "#EXT-X-MEDIA" | "#EXT-X-I-FRAME-STREAM-INF":
                raise self._refused("offers several versions of a recording", "Give one of them.")
            case "#EXT-X-KEY" if _attributes(value).get("METHOD") != "NONE":
                raise self._refused("is encrypted", "Use a copy without encryption.")
            case "#EXT-X-BYTERANGE":
                raise self._refused("cuts up one file", "Give the file that it names.")
            case _:
                pass

    def _map(self, attributes: dict[str, str]) -> None:
        if "BYTERANGE" in attributes:
            raise self._refused("cuts up one file", "Give the file that it names.")
        head = self._inside(attributes.get("URI", ""))
        self._anew = self._anew or head != self._head
        self._head = head

    def _length(self, text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= _LONGEST_PIECE:
            raise self._refused(f"gives {text[:40]!r} as the length of a piece", "Make it again.")
        return seconds

    def _add(self, name: str) -> None:
        if len(self._pieces) >= _MOST_PIECES:
            raise self._refused(f"names more than {_MOST_PIECES:,} pieces", "Join them first.")
        path = self._inside(name)
        there = not self._is_gap and _holds_something(path)
        there = there and (self._head is None or _holds_something(self._head))
        self._pieces.append(
            Piece(
                path=path,
                seconds=self._seconds,
                is_there=there,
                head=self._head,
                starts_anew=self._anew,
            )
        )
        self._seconds, self._anew, self._is_gap = 0.0, False, False

    def _inside(self, name: str) -> Path:
        """Return the file `name`, which must lie in the playlist's own folder.

        Raises:
            MediaError: it lies elsewhere, also by way of a link, or is no file.
        """
        folder = self.media.absolute().parent
        if not name or "\0" in name or "\\" in name or _SCHEME.match(name):
            raise self._outside(name)
        shown = name.partition("?")[0].partition("#")[0]
        for spelt in (name, shown, unquote(shown)):
            path = folder / spelt
            if "\0" in spelt or not _lies_in(path, folder):
                raise self._outside(name)
            if path.exists():
                if not path.is_file():
                    raise self._refused(f"names {name[:200]!r}, which is no file", "Correct it.")
                return path
        return folder / unquote(shown)

    def _outside(self, name: str) -> MediaError:
        return self._refused(
            f"names {name[:200]!r}, which does not lie in its own folder",
            "Only pieces beside it are read: fetch them there, and name them without a path.",
        )

    def _refused(self, found: str, remedy: str) -> MediaError:
        return MediaError(f"{self.media} is an HLS playlist that {found}.", remedy)


def _lies_in(path: Path, folder: Path) -> bool:
    """Tell whether a file lies in a folder, links followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve()) and path.resolve() != folder
    except (OSError, RuntimeError, ValueError):
        return False


def _holds_something(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def _attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}
