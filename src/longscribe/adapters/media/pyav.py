"""Reads any audio or video file that libav can, through PyAV.

The way of a frame: `_packets` → `_decoded` (errors become `_Damage`) → `_placed`
(the clock inserts silence or drops) → `_mixed` → `_resampled` → `_leveled` → blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Discard

from longscribe.adapters.media import tracks
from longscribe.adapters.media.audio_chunks import AudioChunk, audio_chunk
from longscribe.adapters.media.clock import LOOKAHEAD, MediaClock, Stamp
from longscribe.adapters.media.headers import lacks_moov
from longscribe.adapters.media.leveling import Leveler
from longscribe.adapters.media.limits import (
    check_rate,
    is_sane_rate,
    longest,
    most_filled,
    say_hours,
    unbelievable,
)
from longscribe.adapters.media.mixing import Channels, Downmix, Unpacker
from longscribe.adapters.media.pcm import Resampler, quantised
from longscribe.adapters.media.problems import ProblemLog
from longscribe.adapters.media.source import BUFFER, NO_PROTOCOL, MediaSource
from longscribe.errors import MediaError, UsageError
from longscribe.playlists import read_playlist
from longscribe.types import SAMPLE_RATE, Loss, MediaInfo, Span, to_samples, to_seconds

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

    from longscribe.adapters.media.pcm import Mono
    from longscribe.adapters.media.playlist_reader import PlaylistReader
    from longscribe.ports import Pcm

_LONGEST_BLOCK = SAMPLE_RATE
"""Samples."""
_MOST_HELD = 512
"""Most frames held back: enough for `LOOKAHEAD` in the shortest frames there are (2.5 ms)."""
_MOST_READ_ERRORS = 100
"""Failed reads in a row after which the rest of the file is given up."""
_EARLY_END = 1.0
"""Seconds by which a track may fall short of its declared end without a word."""


def open_media(path: Path, audio_track: int | None) -> PyAVReader | PlaylistReader:
    """Open a media file, or a plain HLS playlist, for reading.

    Args:
        path: the file.
        audio_track: number among the audio tracks, from 0; None takes the default track.

    Raises:
        UsageError: there is no such file or no such track.
        MediaError: the file holds no audio that can be decoded. A track that turns
            out to hold not one sample raises it at the end of `blocks()`.
    """
    # Here, because it opens its pieces with `open_parts` below.
    from longscribe.adapters.media.playlist_reader import PlaylistReader  # noqa: PLC0415

    _check_file(path)
    try:
        playlist = read_playlist(path)
    except OSError as error:
        raise MediaError(f"{path} can't be read: {error}.") from None
    if playlist is not None:
        return PlaylistReader(path, playlist, audio_track)
    return open_parts((path,), audio_track)


def open_parts(parts: Sequence[Path], audio_track: int | None) -> PyAVReader:
    """Open files that together are one stream of bytes; errors name the first.

    Raises:
        UsageError, MediaError: as `open_media`.
    """
    av.logging.set_level(None)  # what matters arrives as exceptions, with a position
    path = parts[0]
    try:
        chunk = audio_chunk(path) if len(parts) == 1 else None
        source = MediaSource(parts, chunk.patches if chunk else ())
    except OSError as error:
        raise MediaError(f"{path} can't be read: {error}.") from None
    container = _container(path, source)
    try:
        stream, number = tracks.choose(container, audio_track, path)
        check_rate(stream.codec_context.sample_rate, f"audio track {number} of {path}")
        return PyAVReader(source, chunk, container, stream, number)
    except BaseException:
        container.close()
        source.close()
        raise


class PyAVReader:
    """One audio track as 16 kHz mono s16 on the media's clock. Fulfils `MediaReader`.

    Made by `open_media`; can be read once.
    """

    def __init__(
        self,
        source: MediaSource,
        chunk: AudioChunk | None,
        container: InputContainer,
        stream: AudioStream,
        number: int,
    ) -> None:
        self._path = source.name
        self._source = source
        self._container = container
        self._stream = stream
        facts = tracks.FileFacts(
            path=Path(source.name), size=source.size, lacking=chunk.lacking if chunk else 1.0
        )
        self._length = tracks.declared_length(container, stream, facts)
        self._info = _describe(container, stream, number, self._length)
        # A length that libav took from the timestamps can't vouch for them.
        vouched = self._length.exact or self._length.claimed is not None
        self._clock = MediaClock(
            origin=tracks.origin(container),
            declared_end=(self._length.seconds or self._length.claimed) if vouched else None,
            most_filled=most_filled(source.size),
        )
        self._problems = ProblemLog()
        self._losses: list[Loss] = []
        self._leveler = Leveler(lambda at, told: self._problems.add("level", at, told))
        self._others_end = 0.0
        """How far the other tracks reached, in seconds of the container's time."""
        self._left_out = 0.0
        """Seconds of the header's time for which a shorter silence stands."""
        self._heard = False
        self._finished = False
        self._note_header(chunk)

    def _note_header(self, chunk: AudioChunk | None) -> None:
        """Say where the header is not believed."""
        if chunk is not None and chunk.is_short:
            self._problems.add(
                "header",
                0,
                f"the header tells of {chunk.known:.1%} of the audio that is there; all is read",
            )
        if self._length.claimed is not None:
            told = unbelievable(self._length.claimed, self._source.size)
            self._problems.add("header", 0, told)

    @property
    def info(self) -> MediaInfo:
        return self._info

    def blocks(self) -> Iterator[Pcm]:
        """Yield the audio in blocks of at most a second, an empty one for each damaged packet.

        Raises:
            MediaError: the track ended without one sample.
        """
        for pcm in self._leveled():
            for at in range(0, max(1, len(pcm)), _LONGEST_BLOCK):
                yield pcm[at : at + _LONGEST_BLOCK]
        self._finish()

    def problems(self) -> list[tuple[int, str]]:
        if self._finished:
            return self._problems.take_all()
        return self._problems.take(self._position)

    def losses(self) -> list[Loss]:
        taken, self._losses = self._losses, []
        return taken

    @property
    def peak(self) -> float:
        return self._leveler.peak

    def close(self) -> None:
        self._finished = True
        self._container.close()
        self._source.close()

    @property
    def _position(self) -> int:
        """End of the audio placed so far, in samples."""
        return to_samples(self._clock.position)

    # --- the steps, last one first ---

    def _leveled(self) -> Iterator[Pcm]:
        """Yield 16 kHz audio in s16; an empty array stands for damage."""
        for sound in self._resampled():
            if not len(sound):
                yield np.zeros(0, dtype=np.int16)
            for piece in self._leveler.feed(sound):
                yield quantised(piece)
        for piece in self._leveler.flush():
            yield quantised(piece)

    def _resampled(self) -> Iterator[Mono]:
        """Yield 16 kHz audio; an empty array stands for damage."""
        resampler: Resampler | None = None
        for piece in self._mixed():
            if isinstance(piece, _Damage):
                yield np.zeros(0, dtype=np.float32)
                continue
            if resampler is None or resampler.rate != piece.rate:
                if resampler is not None:
                    yield resampler.flush()
                resampler = Resampler(piece.rate)
            resampler.feed(piece.samples[0])
            if resampler.ready:
                yield resampler.take()
        if resampler is not None:
            yield resampler.flush()

    def _mixed(self) -> Iterator[Channels | _Damage]:
        """Yield the sound as one channel."""
        downmix = Downmix(lambda at, told: self._problems.add("mix", to_samples(at), told))
        for piece in self._placed():
            if isinstance(piece, _Damage):
                yield piece
            else:
                yield from downmix.feed(piece)
        yield from downmix.flush()

    def _placed(self) -> Iterator[Channels | _Damage]:
        """Yield the sound in order, with silence where the clock wants it."""
        most = to_samples(longest(self._source.size))
        for item, following in _with_following(self._decoded()):
            start = self._position
            if start >= most:
                told = f"the recording goes on beyond {say_hours(most / SAMPLE_RATE)}; split it"
                self._lose(start - SAMPLE_RATE, start, told)
                return
            if isinstance(item, _Damage):
                self._problems.add("damage", start, item.sentence)
                self._clock.align()
                yield item
                continue
            placement = self._clock.place(item.stamp, following)
            if placement.problem:
                self._problems.add("clock", start, placement.problem)
            rate = item.stamp.rate
            if placement.loss:
                end = start + to_samples(placement.silence / rate)
                self._lose(start, end, placement.loss, to_samples(placement.left_out))
            step = max(1, rate // 10)
            for at in range(0, placement.silence, step):
                yield item.sound.silence(min(step, placement.silence - at))
            self._heard = True
            yield item.sound.without(placement.skip)

    def _lose(self, start: int, end: int, reason: str, left_out: int = 0) -> None:
        span = Span(start=start, end=end)
        self._losses.append(Loss(span=span, reason=reason, left_out=left_out))
        self._left_out += to_seconds(left_out)

    def _decoded(self) -> Iterator[_Sound | _Damage]:
        unpacker = Unpacker()
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
                    if is_sane_rate(frame.sample_rate):
                        yield _sound(frame, unpacker.channels(frame))
                    else:
                        told = f"sound at {frame.sample_rate:,} Hz was passed over"
                        yield _Damage(told)

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
            except (FFmpegError, OSError) as error:
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
        if self._length.seconds is None or not self._length.exact:
            return
        promised = self._length.seconds - self._left_out
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
    """A decoded frame."""

    sound: Channels
    stamp: Stamp

    @property
    def seconds(self) -> float:
        return self.stamp.length / self.stamp.rate


@dataclass(frozen=True, slots=True)
class _Damage:
    """Audio that was lost at this point of the stream."""

    sentence: str
    seconds: float = 0.0


def _sound(frame: AudioFrame, sound: Channels) -> _Sound:
    time = None
    if frame.pts is not None and frame.time_base is not None:
        time = float(frame.pts * frame.time_base)
    return _Sound(sound, Stamp(time=time, length=len(sound), rate=frame.sample_rate))


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
        audio_tracks=tracks.described(container),
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


def _container(path: Path, source: MediaSource) -> InputContainer:
    """Open the source with libav, turning its errors into ours."""
    try:
        container = cast(
            "InputContainer",
            av.open(
                cast("BinaryIO", source),
                container_options=NO_PROTOCOL,
                metadata_errors="replace",
                buffer_size=BUFFER,
            ),
        )
    except (FFmpegError, OSError, ValueError) as error:
        source.close()
        raise _unreadable(path, _reason(error)) from error
    if not container.streams:
        container.close()
        source.close()
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


def _reason(error: Exception) -> str:
    """Return libav's words for an error, without its numbers and names."""
    return (getattr(error, "strerror", None) or type(error).__name__).rstrip(".")
