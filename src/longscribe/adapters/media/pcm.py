"""From a decoded frame of any format to mono samples at 16 kHz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np

from longscribe.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt
    from av.audio.frame import AudioFrame
    from av.audio.layout import AudioLayout

    from longscribe.ports import Pcm

    Mono = npt.NDArray[np.float32]
    """One channel, shape (n,), full scale ±1."""

_WEIGHTS = {"FC": 2.0, "FL": 1.0, "FR": 1.0, "FLC": 1.0, "FRC": 1.0, "DL": 1.0, "DR": 1.0}
_SURROUND_WEIGHT = 0.5
_SILENT = ("LFE", "LFE2")
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31}
_ZERO = {"u8": np.float32(128)}


class Mixer:
    """Mixes the channels of frames of any format and layout to one.

    Done here rather than by libswresample because that refuses layouts it
    doesn't know (ten microphones in one WAV), and because a change of layout or
    sample format in mid-stream then needs no special care.
    """

    def __init__(self) -> None:
        self._source = ("", "", 0)
        self._weights: tuple[float, ...] = ()
        self._packer: av.AudioResampler | None = None

    def to_mono(self, frame: AudioFrame) -> Mono:
        """Return the frame's sound as one channel."""
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self._source:
            self._source = source
            self._weights = mix_weights(frame.layout)
            self._packer = _packer_for(frame)
        if self._packer is not None:
            [frame] = self._packer.resample(frame)
        kind = frame.format.name
        samples = frame.to_ndarray()
        if not kind.endswith("p"):
            samples = samples.reshape(-1, len(self._weights)).T
        return _weighted(samples, self._weights, kind.removesuffix("p"))


def _packer_for(frame: AudioFrame) -> av.AudioResampler | None:
    """Return a converter to packed floats where PyAV can't give us the frame as an array.

    It knows no 64-bit integers, and its list of planes runs past the end of the
    frame when there are eight or more (PyAV 18.1: a segmentation fault).
    """
    planar = frame.format.is_planar
    if frame.format.name.startswith("s64") or (planar and frame.layout.nb_channels >= 8):
        return av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
    return None


def _weighted(samples: npt.NDArray[Any], weights: tuple[float, ...], kind: str) -> Mono:
    """Return the sum of `samples`, shape (channels, n), by `weights`, brought to full scale 1."""
    mono = np.zeros(samples.shape[1], dtype=np.float32)
    scale = _FULL_SCALE.get(kind, 1.0)
    for channel, weight in zip(samples, weights, strict=True):
        if weight:
            mono += (channel.astype(np.float32) - _ZERO.get(kind, np.float32(0))) * np.float32(
                weight / scale
            )
    if not np.isfinite(mono.sum()):
        np.nan_to_num(mono, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return mono


def mix_weights(layout: AudioLayout) -> tuple[float, ...]:
    """Return the share of each channel in the mix; the shares sum to 1, so it can't clip.

    Dialogue sits in the centre of a film, so the centre counts twice a front
    channel and a surround channel half of one; the low-frequency effects stay
    out. Channels without a known place share equally: they may be microphones.
    """
    names = [channel.name for channel in layout.channels]
    if any(name.startswith("AMBI") for name in names):
        raw = [1.0 if name == "AMBI0" else 0.0 for name in names]  # the omnidirectional one
    elif len(names) != layout.nb_channels or "NONE" in names:
        raw = [1.0] * layout.nb_channels
    else:
        raw = [0.0 if n in _SILENT else _WEIGHTS.get(n, _SURROUND_WEIGHT) for n in names]
    if not sum(raw):
        raw = [1.0] * layout.nb_channels
    return tuple(weight / sum(raw) for weight in raw)


class Resampler:
    """Takes mono audio at one rate, gives 16 kHz s16.

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

    def take(self) -> Pcm:
        """Return what can be told so far; libswresample still holds some back."""
        mono = np.concatenate([np.zeros(0, dtype=np.float32), *self._waiting])
        self._waiting.clear()
        self._waiting_length = 0
        self._taken += len(mono)
        pcm = _quantised(mono) if self.rate == SAMPLE_RATE else self._convert(mono)
        self._given += len(pcm)
        return pcm

    def flush(self) -> Pcm:
        """Return the rest: in all, exactly as long as what was fed."""
        rest = self.take()
        owed = round(self._taken * SAMPLE_RATE / self.rate) - self._given
        tail = np.zeros(0, dtype=np.int16)
        if self.rate != SAMPLE_RATE:
            tail = _joined(self._swr.resample(None))[:owed]
        return np.concatenate((rest, np.pad(tail, (0, owed - len(tail)))))

    def _convert(self, mono: Mono) -> Pcm:
        frames: list[AudioFrame] = []
        for at in range(0, len(mono), self.rate):
            piece = mono[at : at + self.rate].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout="mono")
            frame.sample_rate = self.rate
            frames += self._swr.resample(frame)
        return _joined(frames)


def _joined(frames: list[AudioFrame]) -> Pcm:
    if not frames:
        return np.zeros(0, dtype=np.int16)
    parts = (frame.to_ndarray().reshape(-1).astype(np.float32, copy=False) for frame in frames)
    return np.concatenate([_quantised(part) for part in parts])


def _quantised(mono: Mono) -> Pcm:
    """Return the nearest s16; what lies beyond full scale is held at it."""
    scaled = np.rint(mono * np.float32(32768))
    pcm: Pcm = np.clip(scaled, -32768, 32767).astype(np.int16)
    return pcm
