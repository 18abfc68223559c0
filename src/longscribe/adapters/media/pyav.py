"""Reads any audio or video file that libav can, through PyAV.

The way of a frame: `_packets` → `_decoded` (errors become `_Damage`) → `_placed`
(the clock inserts silence or drops) → `_resampled` → blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Discard

from longscribe.adapters.media import tracks
from longscribe.adapters.media.clock import LOOKAHEAD, MediaClock, Stamp
from longscribe.adapters.media.headers import lacks_moov
from longscribe.adapters.media.pcm import Mixer, Resampler
from longscribe.adapters.media.problems import ProblemLog
from longscribe.errors import MediaError, UsageError
from longscribe.types import SAMPLE_RATE, MediaInfo, to_samples

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

    from longscribe.adapters.media.pcm import Mono
    from longscribe.ports import Pcm

_LONGEST_BLOCK = SAMPLE_RATE
"""Samples."""
_MOST_HELD = 512
"""Most frames held back: enough for `LOOKAHEAD` in the shortest frames there are (2.5 ms)."""
_MOST_READ_ERRORS = 100
"""Failed reads in a row after which the rest of the file is given up."""
_EARLY_END = 1.0
"""Seconds by which a track may fall short of its declared end without a word."""


def open_media(path: Path, audio_track: int | None) -> PyAVReader:
    """Open a media file for reading.

    Args:
        path: the file.
        audio_track: number among the audio tracks, from 0; None takes the default track.

    Raises:
        UsageError: there is no such file or no such track.
        MediaError: the file holds no audio that can be decoded. A track that turns
            out to hold not one sample raises it at the end of `blocks()`.
    """
    av.logging.set_level(None)  # what matters arrives as exceptions, with a position
    _check_file(path)
    container = _container(path)
    try:
        stream, number = tracks.choose(container, audio_track, path)
        return PyAVReader(path, container, stream, number)
    except BaseException:
        container.close()
        raise


class PyAVReader:
    """One audio track as 16 kHz mono s16 on the media's clock. Fulfils `MediaReader`.

    Made by `open_media`; can be read once.
    """

    def __init__(
        self, path: Path, container: InputContainer, stream: AudioStream, number: int
    ) -> None:
        self._path = path
        self._container = container
        self._stream = stream
        self._length = tracks.declared_length(container, stream, path)
        self._info = _describe(container, stream, number, self._length)
        # A length that libav took from the timestamps can't vouch for them.
        declared = self._length.seconds if self._length.exact else None
        self._clock = MediaClock(origin=tracks.origin(container), declared_end=declared)
        self._problems = ProblemLog()
        self._others_end = 0.0
        """How far the other tracks reached, in seconds of the container's time."""
        self._heard = False
        self._finished = False

    @property
    def info(self) -> MediaInfo:
        return self._info

    def blocks(self) -> Iterator[Pcm]:
        """Yield the audio in blocks of at most a second, an empty one for each damaged packet.

        Raises:
            MediaError: the track ended without one sample.
        """
        for pcm in self._resampled():
            for at in range(0, max(1, len(pcm)), _LONGEST_BLOCK):
                yield pcm[at : at + _LONGEST_BLOCK]
        self._finish()

    def problems(self) -> list[tuple[int, str]]:
        if self._finished:
            return self._problems.take_all()
        return self._problems.take(self._position)

    def close(self) -> None:
        self._finished = True
        self._container.close()

    @property
    def _position(self) -> int:
        """End of the audio placed so far, in samples."""
        return to_samples(self._clock.position)

    # --- the steps, last one first ---

    def _resampled(self) -> Iterator[Pcm]:
        """Yield 16 kHz audio; an empty array stands for damage."""
        resampler: Resampler | None = None
        for piece in self._placed():
            if isinstance(piece, _Damage):
                yield np.zeros(0, dtype=np.int16)
                continue
            if resampler is None or resampler.rate != piece.rate:
                if resampler is not None:
                    yield resampler.flush()
                resampler = Resampler(piece.rate)
            resampler.feed(piece.mono)
            if resampler.ready:
                yield resampler.take()
        if resampler is not None:
            yield resampler.flush()

    def _placed(self) -> Iterator[_Piece | _Damage]:
        """Yield the sound in order, with silence where the clock wants it."""
        for item, following in _with_following(self._decoded()):
            start = self._position
            if isinstance(item, _Damage):
                self._problems.add("damage", start, item.sentence)
                self._clock.align()
                yield item
                continue
            placement = self._clock.place(item.stamp, following)
            if placement.problem:
                self._problems.add("clock", start, placement.problem)
            rate = item.stamp.rate
            for at in range(0, placement.silence, rate):
                length = min(rate, placement.silence - at)
                yield _Piece(np.zeros(length, dtype=np.float32), rate)
            self._heard = True
            yield _Piece(item.mono[placement.skip :], rate)

    def _decoded(self) -> Iterator[_Sound | _Damage]:
        mixer = Mixer()
        for packet in self._packets():
            if isinstance(packet, _Damage):
                yield packet
                continue
            try:
                frames = packet.decode()
            except FFmpegError as error:
                yield _Damage(f"damaged audio was passed over ({_reason(error)})")
                continue
            for frame in frames:
                if frame.is_corrupt:
                    yield _Damage("damaged audio was decoded; it may not be as recorded")
                if frame.samples and frame.sample_rate:
                    yield _sound(frame, mixer.to_mono(frame))

    def _packets(self) -> Iterator[Packet[AudioStream] | _Damage]:
        failures = 0
        wanted = self._wanted()
        while True:
            try:
                for packet in self._container.demux(wanted):
                    failures = 0
                    if packet.stream.index == self._stream.index:
                        yield cast("Packet[AudioStream]", packet)
                    elif packet.pts is not None:
                        self._others_end = float(packet.pts * packet.time_base)
            except FFmpegError as error:
                failures += 1
                if failures == _MOST_READ_ERRORS:
                    yield _Damage(f"the file can't be read beyond this point ({_reason(error)})")
                    return
                yield _Damage(f"a damaged part of the file was passed over ({_reason(error)})")
            except IndexError:
                # A stream appeared in mid-file (MPEG-TS), and PyAV 18.1 trips over it
                # while it flushes the decoders; ours has been flushed before.
                return
            else:
                return

    def _wanted(self) -> list[Stream]:
        """Return the streams to demux; let libav skip the rest.

        Where only the container declares a length, the other tracks tell whether
        the file was cut off or this track merely ends before the picture.
        """
        if not self._length.of_track:
            return list(self._container.streams)
        for stream in self._container.streams:
            if stream.index != self._stream.index:
                stream.discard = Discard.all
        return [self._stream]

    def _finish(self) -> None:
        self._finished = True
        if not self._heard:
            raise MediaError(
                f"{self._path} has an audio track, but no sound in it can be decoded.",
                "It may be empty, damaged or encrypted.",
            )
        promised = self._length.seconds if self._length.exact else None
        if promised is None:
            return
        reached = max(
            self._clock.position, self._others_end - (tracks.origin(self._container) or 0)
        )
        if reached < promised - _EARLY_END:
            self._problems.add(
                "end", self._position, f"the audio ends here; the header declares {promised:.1f} s"
            )


# --- what flows between the steps ---


@dataclass(frozen=True, slots=True)
class _Sound:
    """A decoded frame, mixed to mono."""

    mono: Mono
    stamp: Stamp

    @property
    def seconds(self) -> float:
        return self.stamp.length / self.stamp.rate


@dataclass(frozen=True, slots=True)
class _Damage:
    """Audio that was lost at this point of the stream."""

    sentence: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Piece:
    """Mono audio in its place."""

    mono: Mono
    rate: int


def _sound(frame: AudioFrame, mono: Mono) -> _Sound:
    time = None
    if frame.pts is not None and frame.time_base is not None:
        time = float(frame.pts * frame.time_base)
    return _Sound(mono, Stamp(time=time, length=len(mono), rate=frame.sample_rate))


def _with_following(
    items: Iterable[_Sound | _Damage],
) -> Iterator[tuple[_Sound | _Damage, Iterator[Stamp]]]:
    """Yield each item with the stamps of what follows it for `LOOKAHEAD` seconds."""
    held: deque[_Sound | _Damage] = deque()
    seconds = 0.0

    def first() -> tuple[_Sound | _Damage, Iterator[Stamp]]:
        return held.popleft(), (later.stamp for later in held if isinstance(later, _Sound))

    for item in items:
        held.append(item)
        seconds += item.seconds
        while seconds - held[0].seconds >= LOOKAHEAD or len(held) > _MOST_HELD:
            seconds -= held[0].seconds
            yield first()
    while held:
        yield first()


def _describe(
    container: InputContainer, stream: AudioStream, number: int, length: tracks.Length
) -> MediaInfo:
    codec = stream.codec_context
    return MediaInfo(
        container=container.format.name,
        codec=codec.codec.canonical_name,
        track=number,
        tracks=len(container.streams.audio),
        sample_rate=codec.sample_rate,
        channels=codec.layout.nb_channels,
        duration=None if length.seconds is None else to_samples(length.seconds),
        duration_is_exact=length.exact,
    )


# --- errors ---


def _check_file(path: Path) -> None:
    """Say plainly what libav would wrap in an error number."""
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a directory, not a media file.", "Name a file in it.")
        with path.open("rb") as file:
            first = file.read(1)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist.", "Check the path.") from None
    except PermissionError:
        raise MediaError(
            f"{path} may not be read by this user.", "Change its permissions, or copy it."
        ) from None
    except (OSError, ValueError) as error:
        raise MediaError(f"{path} can't be read: {error}.") from None
    if not first:
        raise MediaError(f"{path} is empty (0 bytes).", "Copy or download it again.")


def _container(path: Path) -> InputContainer:
    """Open the file with libav, turning its errors into ours."""
    try:
        # `file:` keeps a name such as `12:30 call.mp3` from being read as a protocol.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise _unreadable(path, _reason(error)) from error
    if not container.streams:
        container.close()
        raise _unreadable(path, "it holds no track at all")
    return container


def _unreadable(path: Path, reason: str) -> MediaError:
    if lacks_moov(path):
        return MediaError(
            f"{path} lacks its index (the moov box): the recording or download was cut off.",
            "Download it again, or repair it with a tool such as untrunc.",
        )
    return MediaError(
        f"{path} is not an audio or video file that can be read ({reason}).",
        "Check that it is what its name says, and complete.",
    )


def _reason(error: OSError | FFmpegError) -> str:
    """Return libav's words for an error, without its numbers and names."""
    return (error.strerror or type(error).__name__).rstrip(".")
