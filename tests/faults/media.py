"""A reader and a detector without native code, so that a job of many chunks starts at once.

They run in the real reader process, which is told of them by name.
"""

from __future__ import annotations

import os
import random
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from longscribe.types import SAMPLE_RATE, Loss, MediaInfo
from tests.faults.recognizers import strike
from tests.faults.writes import note_count, reach

if TYPE_CHECKING:
    from longscribe.ports import Pcm

BLOCK = 10 * SAMPLE_RATE
FRAME = 512
SAMPLE = Path(__file__).parents[2] / "demo" / "sample.flac"
LOUD = 300.0
"""Level over which the detector takes a frame for speech."""


def make_speech(path: Path, seconds: float, seed: int = 1, channels: int = 1) -> Path:
    """Write noise that sounds like speech to `WaveDetector`: bursts with pauses, each of its own.

    Each channel is a track to `WaveReader`.
    """
    tracks = [_speech(seconds, seed + number) for number in range(channels)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.stack(tracks, axis=1).tobytes())
    return path


def _speech(seconds: float, seed: int) -> Pcm:
    dice, noise = random.Random(seed), np.random.default_rng(seed)
    parts, left = [], round(seconds * SAMPLE_RATE)
    while left > 0:
        burst = min(left, round(dice.uniform(3.0, 8.0) * SAMPLE_RATE))
        pause = min(left - burst, round(dice.uniform(0.6, 2.5) * SAMPLE_RATE))
        parts += [noise.integers(-4000, 4000, burst), np.zeros(pause)]
        left -= burst + pause
    return np.concatenate(parts).astype("<i2")


def cut_sample(path: Path, seconds: float) -> None:
    """Write the beginning of the demo's sample, as FLAC."""
    import av  # noqa: PLC0415 - native, and not for the reader of this file's WAVs

    with av.open(str(SAMPLE)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        left = round(seconds * SAMPLE_RATE)
        for frame in source.decode(audio=0):
            piece = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(frame.to_ndarray().reshape(1, -1)[:, :left]),
                format="s16",
                layout="mono",
            )
            piece.sample_rate = SAMPLE_RATE
            target.mux(stream.encode(piece))
            left -= piece.samples
            if left <= 0:
                break
        target.mux(stream.encode(None))


def open_media(path: Path, audio_track: int | None) -> WaveReader:
    """Fulfils `MediaReaderFactory`."""
    return WaveReader(path, audio_track or 0)


class WaveReader:
    """Fulfils `MediaReader` for 16 kHz WAV, of which each channel is a track."""

    def __init__(self, path: Path, track: int) -> None:
        self._track = track
        self._file = wave.open(str(path), "rb")  # noqa: SIM115 - closed in `close`
        self._sync = os.fsync
        os.fsync = self._reached_sync  # type: ignore[assignment]

    @property
    def info(self) -> MediaInfo:
        return MediaInfo(
            container="wav",
            codec="pcm_s16le",
            track=self._track,
            tracks=self._file.getnchannels(),
            sample_rate=SAMPLE_RATE,
            channels=1,
            duration=self._file.getnframes(),
            duration_is_exact=True,
        )

    def blocks(self) -> Iterator[Pcm]:
        number = 0
        while data := self._file.readframes(BLOCK):
            strike("read", number)
            reach("spool: block")
            frames = np.frombuffer(data, dtype="<i2").reshape(-1, self._file.getnchannels())
            yield np.ascontiguousarray(frames[:, self._track])
            number += 1

    def problems(self) -> list[tuple[int, str]]:
        return []

    def losses(self) -> list[Loss]:
        return []

    @property
    def peak(self) -> float:
        return 1.0

    def close(self) -> None:
        self._file.close()

    def _reached_sync(self, descriptor: int) -> None:
        reach("spool: before sync")
        self._sync(descriptor)
        reach("spool: after sync")
        note_count()  # now: at its end the reader is killed


class WaveDetector:
    """Fulfils `SpeechDetector`: loud is speech."""

    frame = FRAME

    def __init__(self) -> None:
        self._rest = np.zeros(0, dtype=np.int16)

    def probabilities(self, pcm: Pcm) -> Sequence[float]:
        joined = np.concatenate([self._rest, pcm])
        count = len(joined) // FRAME
        self._rest = joined[count * FRAME :]
        return self._judge(joined[: count * FRAME])

    def flush(self) -> Sequence[float]:
        if not len(self._rest):
            return []
        padded = np.pad(self._rest, (0, FRAME - len(self._rest)))
        self._rest = self._rest[:0]
        return self._judge(padded)

    @staticmethod
    def _judge(pcm: Pcm) -> list[float]:
        frames = pcm.reshape(-1, FRAME).astype(np.float32)
        levels = np.sqrt((frames * frames).mean(axis=1))
        return [0.95 if level > LOUD else 0.02 for level in levels]
