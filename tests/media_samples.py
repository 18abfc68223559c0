"""Media files made on the spot, with PyAV alone.

Sound is float32 of shape (channels, n), full scale ±1, and holds tone bursts at
known times, so that a test can ask where they came out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32]

RATE = 16_000
"""Of everything that comes out of a reader."""
BURST = 0.05
"""Length of a burst in seconds."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """One audio track to write."""

    sound: Sound
    rate: int
    codec: str
    layout: str = "mono"
    format: str | None = None
    """Sample format for the encoder; None takes the codec's first."""
    language: str | None = None
    default: bool = False
    retime: Callable[[float], float | None] = field(default=lambda seconds: seconds)
    """Where the packet at `seconds` goes; None drops it."""


def bursts(rate: int, seconds: float, at: Sequence[float], *, peak: float = 0.5) -> Sound:
    """Return mono sound, shape (1, n): a 1 kHz burst at each of the times, else silence."""
    sound = np.zeros((1, round(rate * seconds)), dtype=np.float32)
    times = np.arange(round(BURST * rate)) / rate
    burst = peak * np.sin(2 * np.pi * 1000 * times)
    for start in at:
        first = round(start * rate)
        room = sound[0, first : first + len(burst)]
        room += burst[: len(room)].astype(np.float32)
    return sound


def onsets(pcm: npt.NDArray[np.int16], *, threshold: float = 0.4) -> list[float]:
    """Return the times (s) at which bursts begin: loud after at least 0.2 s that weren't."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > threshold * np.abs(pcm).max())
    if not len(loud):
        return []
    starts = loud[np.flatnonzero(np.diff(loud, prepend=loud[0] - RATE) > 0.2 * RATE)]
    return [float(start) / RATE for start in starts]


def speechlike(seconds: float, *, seed: int = 0) -> npt.NDArray[np.int16]:
    """Return 16 kHz sound that a detector takes for speech: vowels of a glottal pulse train.

    Five seconds of it alternate with two of silence.
    """
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * times) + 8 * np.sin(2 * np.pi * 3.1 * times)
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0)
    vowels = [(700, 1200, 2600), (300, 2300, 3000), (400, 800, 2400), (500, 1800, 2500)]
    sound = np.zeros(len(times))
    syllable = round(0.18 * RATE)
    ring = np.arange(800) / RATE
    for start in range(0, len(times) - syllable, syllable):
        vowel = vowels[rng.integers(len(vowels))]
        for number, formant in enumerate(vowel):
            response = np.exp(-np.pi * (60 + 40 * number) * ring)
            response *= np.sin(2 * np.pi * formant * ring) / (number + 1)
            voiced = np.convolve(pulses[start : start + syllable], response)[:syllable]
            sound[start : start + syllable] += voiced * np.hanning(syllable) ** 0.5
        sound[start : start + 480] += rng.normal(size=480) * 0.3
    sound *= times % 7 < 5
    return (sound / np.abs(sound).max() * 12_000).astype(np.int16)


def write(
    path: Path,
    *tracks: Track,
    video: float = 0.0,
    video_codec: str = "mpeg4",
    format: str | None = None,  # noqa: A002 - PyAV's own name
    options: dict[str, str] | None = None,
) -> Path:
    """Write `tracks`, behind a video track of `video` seconds if that isn't 0."""
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        packets: list[tuple[float, av.Packet]] = []
        if video:
            packets += _video(container, video, video_codec)
        streams = [_add(container, track) for track in tracks]
        for track, stream in zip(tracks, streams, strict=True):
            packets += _encoded(track, stream)
        for _, packet in sorted(packets, key=lambda pair: pair[0]):
            container.mux(packet)
    return path


def _add(container: av.container.OutputContainer, track: Track) -> av.AudioStream:
    stream = container.add_stream(track.codec, rate=track.rate)
    stream.codec_context.layout = track.layout
    if track.format:
        stream.codec_context.format = track.format
    if track.language:
        stream.metadata["language"] = track.language
    if track.default:
        stream.disposition = av.stream.Disposition.default
    return stream


def _encoded(track: Track, stream: av.AudioStream) -> list[tuple[float, av.Packet]]:
    packets: list[tuple[float, av.Packet]] = []
    for at in range(0, track.sound.shape[1], track.rate):
        # Packed, because PyAV miscounts the planes of eight channels.
        piece = track.sound[:, at : at + track.rate].T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=track.layout)
        frame.sample_rate = track.rate
        frame.pts = at
        frame.time_base = Fraction(1, track.rate)
        packets += _retimed(stream.encode(frame), track)
    return packets + _retimed(stream.encode(None), track)


def _retimed(encoded: list[av.Packet], track: Track) -> list[tuple[float, av.Packet]]:
    kept = []
    for packet in encoded:
        seconds = float(packet.pts * packet.time_base)
        moved = track.retime(seconds)
        if moved is not None:
            ticks = round((moved - seconds) / packet.time_base)
            packet.pts += ticks
            packet.dts += ticks
            kept.append((moved, packet))
    return kept


def _video(
    container: av.container.OutputContainer, seconds: float, codec: str
) -> list[tuple[float, av.Packet]]:
    stream = container.add_stream(codec, rate=25)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    packets = []
    for number in range(round(25 * seconds)):
        picture = np.full((64, 64, 3), number % 256, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += stream.encode(frame)
    packets += stream.encode(None)
    return [(float(packet.dts * packet.time_base), packet) for packet in packets]


def damage(path: Path, start: float, end: float) -> Path:
    """Overwrite the audio packets between two times (s) with noise, where they lie in the file."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        places = [
            (packet.pos, packet.size)
            for packet in container.demux(stream)
            if packet.size and start <= float(packet.pts * packet.time_base) < end
        ]
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(1)
    for position, size in places:
        content[position : position + size] = rng.bytes(size)
    path.write_bytes(content)
    return path


def truncate(path: Path, share: float) -> Path:
    """Cut the file to `share` of its bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    return path
