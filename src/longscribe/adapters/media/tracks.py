"""What a container says of its tracks: which to read, where its time begins and ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av.stream import Disposition

from longscribe.adapters.media.headers import mp3_declares_length, wav_shortfall
from longscribe.errors import MediaError, UsageError

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


def declared_length(container: InputContainer, stream: AudioStream, path: Path) -> Length:
    """Return how long the track is by what its container declares."""
    start = origin(container) or 0.0
    names = container.format.name.split(",")
    exact = any(name in _MEASURED for name in names)
    if "mp3" in names:
        exact = mp3_declares_length(path)
    tagged = _tagged_end(stream)
    whole = None if container.duration is None else container.duration * _MICROSECOND
    if stream.duration and stream.time_base:
        ticks = (stream.start_time or 0) + stream.duration
        seconds = float(ticks * stream.time_base) - start
        if "wav" in names:
            seconds *= wav_shortfall(path)
        return Length(seconds=max(0.0, seconds), exact=exact, of_track=True)
    if tagged is not None and (whole is None or tagged <= start + whole + 1.0):
        return Length(seconds=max(0.0, tagged - start), exact=exact, of_track=True)
    alone = len(container.streams) == 1
    return Length(seconds=whole, exact=exact and whole is not None, of_track=alone)


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
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown codec"
    channels = getattr(stream.codec_context, "channels", None) if stream.type == "audio" else None
    parts = [
        codec if stream.type == "audio" else f"{stream.type} ({codec})",
        f"{channels} channel{'s' if channels != 1 else ''}" if channels else "",
        stream.language if stream.language not in (None, "und") else "",
        stream.metadata.get("title", ""),
    ]
    return ", ".join(part for part in parts if part)
