"""What a container says of its tracks: which to read, where its time begins and ends."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from av.stream import Disposition

from longscribe.adapters.media.headers import mp3_declares_length
from longscribe.adapters.media.limits import believable_length
from longscribe.errors import MediaError, UsageError
from longscribe.types import AudioTrack

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream

_MICROSECOND = 1e-6
_LONGEST_PRIMING = 1.0
"""Seconds. A start further below zero is a timestamp that wrapped, not a codec's priming."""
_ENCRYPTED_TAGS = ("drms", "enca")
_MEASURED = (
    *("wav", "w64", "aiff", "au", "caf", "flac", "wv", "tta", "ape", "tak", "mpc", "mpc8"),
    *("mov", "mp4", "matroska", "webm", "avi", "flv", "asf", "ogg"),
)
"""Formats that declare a length, or whose length follows from the size of the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """How long a track is by its header."""

    seconds: float | None
    """End of the track on the player's clock; None when nothing is declared."""
    exact: bool
    of_track: bool
    """False when only the whole container's length is known."""
    claimed: float | None = None
    """What the header says, where that is not believed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """What of a file bears on the length of its tracks."""

    path: Path
    size: int
    """Bytes."""
    lacking: float = 1.0
    """How many times longer than libav reports it declares its audio (`audio_chunks.py`)."""


def choose(container: InputContainer, wanted: int | None, path: Path) -> tuple[AudioStream, int]:
    """Return the audio track to read and its number among the audio tracks.

    Raises:
        UsageError: there is no track `wanted`.
        MediaError: there is no audio track, or the one chosen can't be decoded.
    """
    audio = container.streams.audio
    if not audio:
        raise MediaError(f"{path} has no audio track; {_inventory(container)}.")
    if wanted is not None and not 0 <= wanted < len(audio):
        listed = "; ".join(f"{n}: {_described(stream)}" for n, stream in enumerate(audio))
        raise UsageError(f"{path} has no audio track {wanted}.", f"Its audio tracks are {listed}.")
    number = _default(audio) if wanted is None else wanted
    stream = audio[number]
    if stream.codec_context is None:
        raise MediaError(
            f"audio track {number} of {path} is in a format that libav can't decode.",
            "Convert it with the program that made it"
            + (", or choose another --audio-track." if len(audio) > 1 else "."),
        )
    if _tag(stream) in _ENCRYPTED_TAGS:
        raise MediaError(
            f"audio track {number} of {path} is encrypted (DRM).",
            "Use a copy without copy protection.",
        )
    return stream, number


def origin(container: InputContainer) -> float | None:
    """Return the container time that a player shows as 0, in seconds; None if undeclared.

    MPEG-TS begins at 1.4 s or anywhere. A start slightly below zero is priming,
    which players cut away, so their 0 stays 0.
    """
    if container.start_time is None:
        return None
    start = container.start_time * _MICROSECOND
    return 0.0 if -_LONGEST_PRIMING < start < 0 else start


def declared_length(container: InputContainer, stream: AudioStream, file: FileFacts) -> Length:
    """Return how long the track is by what its container declares, as far as that is possible."""
    length = _declared(container, stream, file)
    if length.seconds is None or believable_length(length.seconds, file.size):
        return length
    return replace(length, seconds=None, exact=False, claimed=length.seconds)


def _declared(container: InputContainer, stream: AudioStream, file: FileFacts) -> Length:
    start = origin(container) or 0.0
    names = container.format.name.split(",")
    exact = any(name in _MEASURED for name in names)
    if "mp3" in names:
        exact = mp3_declares_length(file.path)
    tagged = _tagged_end(stream)
    whole = None if container.duration is None else container.duration * _MICROSECOND
    if stream.duration and stream.time_base:
        ticks = (stream.start_time or 0) + stream.duration
        seconds = float(ticks * stream.time_base) - start
        if "wav" in names or "w64" in names:  # libav reports what is there
            seconds *= file.lacking
        return Length(seconds=max(0.0, seconds), exact=exact, of_track=True)
    if tagged is not None and (whole is None or tagged <= start + whole + 1.0):
        return Length(seconds=max(0.0, tagged - start), exact=exact, of_track=True)
    alone = len(container.streams) == 1
    return Length(seconds=whole, exact=exact and whole is not None, of_track=alone)


def described(container: InputContainer) -> tuple[AudioTrack, ...]:
    """Return all audio tracks as the container describes them."""
    return tuple(
        AudioTrack(
            number=number,
            codec=_codec(stream),
            channels=getattr(stream.codec_context, "channels", None) or 0,
            language=_language(stream),
            title=stream.metadata.get("title", ""),
            default=bool(stream.disposition & Disposition.default),
        )
        for number, stream in enumerate(container.streams.audio)
    )


def _tagged_end(stream: AudioStream) -> float | None:
    """Return the DURATION tag of a Matroska track in seconds.

    It counts from 0, and a tool that cut the file may have left it as it was.
    """
    for key, value in stream.metadata.items():
        match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", value.strip("\0 "))
        if match and key.upper().startswith("DURATION"):
            hours, minutes, seconds = match.groups()
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return None


def _default(audio: tuple[AudioStream, ...]) -> int:
    for number, stream in enumerate(audio):
        if stream.disposition & Disposition.default:
            return number
    return 0


def _tag(stream: AudioStream) -> str:
    """Return the container's four-letter code for the codec."""
    try:
        return stream.codec_context.codec_tag
    except UnicodeDecodeError:  # in a damaged file
        return ""


def _inventory(container: InputContainer) -> str:
    return "it holds " + ", ".join(_described(stream) for stream in container.streams)


def _described(stream: Stream) -> str:
    codec = _codec(stream)
    channels = getattr(stream.codec_context, "channels", None) if stream.type == "audio" else None
    parts = [
        codec if stream.type == "audio" else f"{stream.type} ({codec})",
        f"{channels} channel{'s' if channels != 1 else ''}" if channels else "",
        _language(stream),
        stream.metadata.get("title", ""),
    ]
    return ", ".join(part for part in parts if part)


def _codec(stream: Stream) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown codec"


def _language(stream: Stream) -> str:
    return stream.language if stream.language not in (None, "und") else ""
