"""Reads the pieces of a playlist as one recording; what is missing is a declared loss.

Pieces that follow one another are one stream of bytes, as HLS has it, and are read
by one reader. Where some are missing, a new one begins behind silence of their length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from longscribe.adapters.media.limits import most_filled
from longscribe.adapters.media.pyav import PyAVReader, open_parts
from longscribe.errors import MediaError
from longscribe.playlists import Piece, Playlist
from longscribe.types import SAMPLE_RATE, Loss, MediaInfo, Span, to_samples

if TYPE_CHECKING:
    from longscribe.ports import Pcm

_LEAST = 1.0
"""Seconds that stand for what is missing, however short the playlist says it is."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Pieces that can be read in one go, or that are missing together."""

    pieces: tuple[Piece, ...]
    is_there: bool

    @property
    def parts(self) -> tuple[Path, ...]:
        head = self.pieces[0].head
        paths = tuple(piece.path for piece in self.pieces)
        return paths if head is None else (head, *paths)

    @property
    def seconds(self) -> float:
        return sum(piece.seconds for piece in self.pieces)

    @property
    def names(self) -> str:
        first, last = self.pieces[0].path.name, self.pieces[-1].path.name
        return first if first == last else f"{first} to {last}"


class PlaylistReader:
    """One audio track of a playlist's pieces. Fulfils `MediaReader`; can be read once.

    Raises:
        UsageError: there is no track of that number.
        MediaError: no piece can be read.
    """

    def __init__(self, path: Path, playlist: Playlist, audio_track: int | None) -> None:
        self._path = path
        self._track = audio_track
        self._runs = _runs(playlist)
        self._reader: PyAVReader | None = None
        self._opened: int | None = None
        self._base = 0
        """Samples before the present reader's first."""
        self._given = 0
        self._losses: list[Loss] = []
        self._told: list[tuple[int, str]] = []
        self._peak = 0.0
        size = sum(p.path.stat().st_size for p in playlist.pieces if p.is_there)
        self._fillable = most_filled(size)
        self._info = self._first(playlist)

    def _first(self, playlist: Playlist) -> MediaInfo:
        """Open the first run that can be opened, to see what the pieces hold."""
        refusal = MediaError(
            f"{self._path} names pieces of audio, and not one of them is there.",
            "Fetch them into the playlist's own folder.",
        )
        for number, run in enumerate(self._runs):
            if not run.is_there:
                continue
            try:
                self._reader = open_parts(run.parts, self._track)
            except MediaError as error:
                refusal = error
                continue
            self._opened = number
            return replace(
                self._reader.info,
                container="hls",
                duration=to_samples(playlist.seconds) or None,
                duration_is_exact=False,
            )
        raise refusal

    @property
    def info(self) -> MediaInfo:
        return self._info

    @property
    def peak(self) -> float:
        return max(self._peak, self._reader.peak if self._reader else 0.0)

    def blocks(self) -> Iterator[Pcm]:
        """Yield the audio of all pieces, with silence for those that are missing.

        Raises:
            MediaError: no piece yielded one sample.
        """
        heard = False
        for number, run in enumerate(self._runs):
            if not run.is_there:
                yield from self._missing(run, "missing")
                continue
            begun = self._given
            try:
                if number != self._opened:
                    self._reader = open_parts(run.parts, self._track)
                assert self._reader is not None
                self._base = begun
                for block in self._reader.blocks():
                    self._given += len(block)
                    yield block
            except MediaError as error:
                self._close()
                if self._given == begun:
                    yield from self._missing(run, f"unreadable ({error.found.rstrip('.')})")
                continue
            heard = True
            self._close()
        if not heard:
            raise MediaError(f"{self._path} names pieces in which no sound can be decoded.")

    def _missing(self, run: _Run, how: str) -> Iterator[Pcm]:
        """Yield silence for pieces that can't be read, and declare it a loss."""
        seconds = max(run.seconds, _LEAST)
        left_out = 0.0
        if seconds > max(self._fillable, _LEAST):
            seconds, left_out = _LEAST, seconds - _LEAST
        self._fillable -= seconds
        start, length = self._given, to_samples(seconds)
        several = len(run.pieces) > 1
        reason = f"{run.names} of the playlist {'are' if several else 'is'} {how}"
        self._losses.append(
            Loss(
                span=Span(start=start, end=start + length),
                reason=reason,
                left_out=to_samples(left_out),
            )
        )
        for at in range(0, length, SAMPLE_RATE):
            block = np.zeros(min(SAMPLE_RATE, length - at), dtype=np.int16)
            self._given += len(block)
            yield block

    def problems(self) -> list[tuple[int, str]]:
        if self._reader is not None:
            self._collect(self._reader)
        told, self._told = sorted(self._told), []
        return told

    def losses(self) -> list[Loss]:
        if self._reader is not None:
            self._collect(self._reader)
        taken, self._losses = self._losses, []
        return taken

    def _collect(self, reader: PyAVReader) -> None:
        """Take what a reader has to say, on the clock of the whole."""
        base = self._base
        self._told += [(base + at, told) for at, told in reader.problems()]
        self._losses += [
            replace(loss, span=Span(start=base + loss.span.start, end=base + loss.span.end))
            for loss in reader.losses()
        ]

    def _close(self) -> None:
        if self._reader is not None:
            self._collect(self._reader)
            self._peak = self.peak
            self._reader.close()
            self._reader = None

    def close(self) -> None:
        self._close()


def _runs(playlist: Playlist) -> list[_Run]:
    """Part the pieces where some are missing and where the clock starts anew."""
    groups: list[list[Piece]] = []
    for piece in playlist.pieces:
        before = groups[-1][-1] if groups else None
        if (
            before is None
            or piece.is_there != before.is_there
            or (piece.is_there and piece.starts_anew)
        ):
            groups.append([])
        groups[-1].append(piece)
    return [_Run(pieces=tuple(group), is_there=group[0].is_there) for group in groups]
