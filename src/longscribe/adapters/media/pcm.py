"""From mono samples at any rate to 16 kHz, and to s16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from longscribe.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt
    from av.audio.frame import AudioFrame

    from longscribe.ports import Pcm

    Mono = npt.NDArray[np.float32]
    """One channel, shape (n,), full scale ±1."""


class Resampler:
    """Takes mono audio at one rate, gives 16 kHz.

    Output sample k lies at the same time as input sample k·rate/16000:
    libswresample centres its filter, so its delay holds samples back until
    `flush` but shifts nothing (measured: under 0.001 samples).
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._waiting: list[Mono] = []
        self._waiting_length = 0
        self._taken = 0
        self._given = 0
        self._swr = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)

    def feed(self, mono: Mono) -> None:
        """Take more audio."""
        self._waiting.append(mono)
        self._waiting_length += len(mono)

    @property
    def ready(self) -> bool:
        """Whether enough is waiting to be worth a call of libswresample (half a second)."""
        return self._waiting_length >= self.rate // 2

    def take(self) -> Mono:
        """Return what can be told so far; libswresample still holds some back."""
        mono = np.concatenate([np.zeros(0, dtype=np.float32), *self._waiting])
        self._waiting.clear()
        self._waiting_length = 0
        self._taken += len(mono)
        sound = mono if self.rate == SAMPLE_RATE else self._convert(mono)
        self._given += len(sound)
        return sound

    def flush(self) -> Mono:
        """Return the rest: in all, exactly as long as what was fed."""
        rest = self.take()
        owed = round(self._taken * SAMPLE_RATE / self.rate) - self._given
        tail = np.zeros(0, dtype=np.float32)
        if self.rate != SAMPLE_RATE:
            tail = _joined(self._swr.resample(None))[:owed]
        return np.concatenate((rest, np.pad(tail, (0, owed - len(tail)))))

    def _convert(self, mono: Mono) -> Mono:
        frames: list[AudioFrame] = []
        for at in range(0, len(mono), self.rate):
            piece = mono[at : at + self.rate].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout="mono")
            frame.sample_rate = self.rate
            frames += self._swr.resample(frame)
        return _joined(frames)


def _joined(frames: list[AudioFrame]) -> Mono:
    if not frames:
        return np.zeros(0, dtype=np.float32)
    parts = (frame.to_ndarray().reshape(-1).astype(np.float32, copy=False) for frame in frames)
    return np.concatenate(list(parts))


def quantised(mono: Mono) -> Pcm:
    """Return the nearest s16; what lies beyond full scale is held at it."""
    scaled = np.rint(mono * np.float32(32768))
    pcm: Pcm = np.clip(scaled, -32768, 32767).astype(np.int16)
    return pcm
