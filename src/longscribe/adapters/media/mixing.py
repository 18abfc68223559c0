"""From a decoded frame of any format and layout to one channel.

Channels are added up by fixed weights. Where that would lose what they hold,
because one is the inverse of another, the louder one is taken instead: balanced
cables wired the wrong way round do that to every word of a recording.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from av.audio.frame import AudioFrame
    from av.audio.layout import AudioLayout

    from longscribe.adapters.media.pcm import Mono

_WEIGHTS = {"FC": 2.0, "FL": 1.0, "FR": 1.0, "FLC": 1.0, "FRC": 1.0, "DL": 1.0, "DR": 1.0}
_SURROUND_WEIGHT = 0.5
_SILENT = ("LFE", "LFE2")
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31}
_ZERO = {"u8": np.float32(128)}

BLOCKS_A_SECOND = 10
LOOKAHEAD = 10
"""Blocks. The mix is judged by a second: words, not the swings of a sound wave."""
CANCELS = 10**-1.5
"""Share of the energy of uncorrelated channels that is left of them in the mix (-15 dB).

A channel inverted and 2 dB louder leaves less; music in opposite phase around a
voice in the middle leaves more, until it is 15 dB louder than the voice.
"""
RECOVERS = 10**-1.0
"""The same; from here up the mix is good again. The distance keeps it from flipping."""
FAINT = 0.01
"""Share of the energy that cancelled under which sound proves nothing: noise in a pause."""
INAUDIBLE = 1e-8
"""Mean square under which nothing is judged (-80 dBFS): silence cancels for no reason."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How the channels of one source become one."""

    weights: tuple[float, ...]
    scale: float
    """What full scale is in the samples."""
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Channels:
    """Sound of one or several channels."""

    samples: npt.NDArray[np.float32]
    """Shape (channels, n)."""
    rate: int
    mix: Mix

    def __len__(self) -> int:
        return int(self.samples.shape[1])

    def without(self, head: int) -> Channels:
        """Return the sound behind its first `head` samples."""
        return Channels(self.samples[:, head:], self.rate, self.mix) if head else self

    def silence(self, length: int) -> Channels:
        """Return as many samples of silence as `length` says, of the same kind."""
        shape = (len(self.samples), length)
        return Channels(np.zeros(shape, dtype=np.float32), self.rate, self.mix)


class Unpacker:
    """Takes frames of any format and layout apart into channels.

    Done here rather than by libswresample because that refuses layouts it
    doesn't know (ten microphones in one WAV), and because a change of layout or
    sample format in mid-stream then needs no special care.
    """

    def __init__(self) -> None:
        self._source = ("", "", 0)
        self._mix = Mix((), 1.0, ())
        self._packer: av.AudioResampler | None = None

    def channels(self, frame: AudioFrame) -> Channels:
        """Return the frame's sound."""
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self._source:
            self._source = source
            self._packer = _packer_for(frame)
            kind = "flt" if self._packer else frame.format.name.removesuffix("p")
            names = tuple(channel.name for channel in frame.layout.channels)
            self._mix = Mix(mix_weights(frame.layout), _FULL_SCALE.get(kind, 1.0), names)
        if self._packer is not None:
            [frame] = self._packer.resample(frame)
        kind = frame.format.name
        samples = frame.to_ndarray()
        if not kind.endswith("p"):
            samples = samples.reshape(-1, len(self._mix.weights)).T
        floats = np.ascontiguousarray(samples, dtype=np.float32)
        if (zero := _ZERO.get(kind.removesuffix("p"))) is not None:
            floats = floats - zero
        return Channels(floats, frame.sample_rate, self._mix)


def _packer_for(frame: AudioFrame) -> av.AudioResampler | None:
    """Return a converter to packed floats where PyAV can't give us the frame as an array.

    It knows no 64-bit integers, and its list of planes runs past the end of the
    frame when there are eight or more (PyAV 18.1: a segmentation fault).
    """
    planar = frame.format.is_planar
    if frame.format.name.startswith("s64") or (planar and frame.layout.nb_channels >= 8):
        return av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
    return None


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
    if not any(raw):  # nothing but low-frequency effects
        raw = [1.0] * len(raw)
    return tuple(weight / sum(raw) for weight in raw)


def mixed(sound: Channels) -> Mono:
    """Return the sum of the channels by their weights, brought to full scale 1."""
    mono = np.zeros(len(sound), dtype=np.float32)
    for channel, weight in zip(sound.samples, sound.mix.weights, strict=True):
        if weight:
            mono += channel * np.float32(weight / sound.mix.scale)
    return _numbers(mono)


def _numbers(mono: Mono) -> Mono:
    if not np.isfinite(mono.sum()):
        np.nan_to_num(mono, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return mono


@dataclass(frozen=True, slots=True)
class _Block:
    """A tenth of a second, mixed and measured."""

    sound: Channels
    mono: Mono
    energy: float
    """Of the mix."""
    shares: npt.NDArray[np.float64]
    """Energy that each channel alone would give the mix."""


class Downmix:
    """Mixes sound in order; the same result in whatever pieces it comes.

    Args:
        report: told, with the samples mixed so far, where channels cancel.
    """

    def __init__(self, report: Callable[[float, str], Any]) -> None:
        self._report = report
        self._parts: list[Channels] = []
        self._length = 0
        self._blocks: deque[_Block] = deque()
        self._seconds = 0.0
        self._alone: int | None = None
        """The channel that is taken alone, while the channels cancel."""
        self._cancelled = 0.0
        """Most energy of a block since they do."""

    def feed(self, sound: Channels) -> Iterator[Channels]:
        """Take more sound; yield what is decided, as one channel."""
        held = [*self._parts[:1], *(block.sound for block in itertools.islice(self._blocks, 1))]
        if not all(_alike(each, sound) for each in held):
            yield from self.flush()
        if len(sound.samples) == 1:
            yield self._given(sound, mixed(sound))
            return
        self._parts.append(sound)
        self._length += len(sound)
        size = max(1, sound.rate // BLOCKS_A_SECOND)
        if self._length < size:
            return
        joined = _joined(self._parts)
        at = 0
        while len(joined) - at >= size:
            piece = Channels(joined.samples[:, at : at + size], sound.rate, sound.mix)
            self._blocks.append(_measured(piece))
            at += size
            if len(self._blocks) > LOOKAHEAD:
                yield self._decided()
        rest = joined.without(at)
        self._length = len(rest)
        self._parts = [Channels(rest.samples.copy(), rest.rate, rest.mix)] if len(rest) else []

    def flush(self) -> Iterator[Channels]:
        """Yield the rest; what comes next is judged anew."""
        if self._parts:
            self._blocks.append(_measured(_joined(self._parts)))
            self._parts, self._length = [], 0
        while self._blocks:
            yield self._decided()
        self._alone = None

    def _decided(self) -> Channels:
        """Return the oldest block: the mix, or the channel that stands for it."""
        block = self._blocks[0]
        total = float(block.shares.sum())
        here = _left(block.energy, total)
        shares = np.sum([each.shares for each in self._blocks], axis=0)
        ahead = _left(sum(each.energy for each in self._blocks), float(shares.sum()))
        audible = _is_audible(block.sound, block.shares)
        if self._alone is None and audible and max(here, ahead) < CANCELS:
            self._alone, self._cancelled = int(np.argmax(shares)), 0.0
            name = block.sound.mix.names[self._alone : self._alone + 1] or ("",)
            self._report(
                self._seconds,
                f"the channels cancel each other when mixed; channel {self._alone + 1}"
                f"{f' ({name[0]})' if name[0] not in ('', 'NONE') else ''} of "
                f"{len(shares)}, the loudest, is read alone for as long as they do",
            )
        elif audible and min(here, ahead) > RECOVERS and total > FAINT * self._cancelled:
            self._alone = None
        if here < CANCELS:
            self._cancelled = max(self._cancelled, total)
        self._blocks.popleft()
        if self._alone is None:
            return self._given(block.sound, block.mono)
        sound = block.sound
        alone = sound.samples[self._alone] * np.float32(1.0 / sound.mix.scale)
        return self._given(sound, _numbers(alone))

    def _given(self, sound: Channels, mono: Mono) -> Channels:
        self._seconds += len(mono) / sound.rate
        return Channels(mono.reshape(1, -1), sound.rate, sound.mix)


def _alike(one: Channels, other: Channels) -> bool:
    return (one.rate, one.mix, len(one.samples)) == (other.rate, other.mix, len(other.samples))


def _joined(parts: list[Channels]) -> Channels:
    if len(parts) == 1:
        return parts[0]
    samples = np.concatenate([part.samples for part in parts], axis=1)
    return Channels(samples, parts[0].rate, parts[0].mix)


def _measured(sound: Channels) -> _Block:
    mono = mixed(sound)
    shares = np.zeros(len(sound.samples))
    for number, weight in enumerate(sound.mix.weights):
        if weight:
            channel = _numbers(sound.samples[number] * np.float32(weight / sound.mix.scale))
            shares[number] = np.dot(channel, channel)
    return _Block(sound, mono, float(np.dot(mono, mono)), shares)


def _left(energy: float, shares: float) -> float:
    """Return how much of the channels' energy the mix has; 1 where there is none."""
    return energy / shares if shares > 0 else 1.0


def _is_audible(sound: Channels, shares: npt.NDArray[np.float64]) -> bool:
    """Tell whether the loudest channel by itself could hold words."""
    loudest = int(np.argmax(shares))
    weight = sound.mix.weights[loudest]
    return len(sound) > 0 and float(shares[loudest]) > INAUDIBLE * weight**2 * len(sound)
