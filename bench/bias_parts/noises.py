"""Stretches in which nobody speaks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
Samples = npt.NDArray[np.int16]


def non_speech(kind: str, seconds: float, rng: np.random.Generator) -> Samples:
    """Return one of `KINDS` at a level from soft to loud."""
    length = round(seconds * SAMPLE_RATE)
    level = 10 ** (rng.uniform(-55, -20) / 20)
    sound = KINDS[kind](length, rng)
    return np.clip(sound * level * 32_768, -32_768, 32_767).astype(np.int16)


def _silence(length: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Digital silence, or a room's."""
    return rng.standard_normal(length) * rng.choice((0.0, 1e-3))


def _noise(length: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """White to brown, steady or swelling."""
    bins = np.arange(length // 2 + 1)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    coloured = np.fft.irfft(spectrum / np.maximum(bins, length // 500) ** rng.uniform(0, 1), length)
    swell = 1 + rng.choice((0.0, 0.8)) * np.sin(
        2 * np.pi * np.arange(length) / SAMPLE_RATE / rng.uniform(2, 9)
    )
    return coloured / coloured.std() * swell


def _hum(length: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Mains."""
    seconds = np.arange(length) / SAMPLE_RATE
    mains = rng.choice((50, 60))
    return np.sum([np.sin(2 * np.pi * mains * n * seconds) / n for n in (1, 2, 3, 5)], axis=0)


def _music(length: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Plucked notes, two voices, each with overtones."""
    sound = np.zeros(length)
    for beat in (0.5, 1.0):
        for begin in np.arange(0, length / SAMPLE_RATE, beat):
            at = int(begin * SAMPLE_RATE)
            since = np.arange(min(length - at, 3 * SAMPLE_RATE)) / SAMPLE_RATE
            pitch = 110 * 2 ** (rng.integers(0, 37) / 12)
            for overtone in (1, 2, 3):
                wave = np.sin(2 * np.pi * pitch * overtone * since) * np.exp(-since / 0.4)
                sound[at : at + len(since)] += wave / overtone**2
    return sound


def _applause(length: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A hall of people who clap, each at a pace of their own; it swells and dies away."""
    clap = rng.standard_normal(SAMPLE_RATE // 50) * np.exp(-np.arange(SAMPLE_RATE // 50) / 60)
    sound = np.zeros(length + len(clap))
    for _ in range(40):
        at, pace = rng.uniform(0, 0.5), rng.uniform(0.18, 0.35)
        loud = rng.uniform(0.2, 1)
        while at * SAMPLE_RATE < length:
            begin = int(at * SAMPLE_RATE)
            sound[begin : begin + len(clap)] += loud * clap
            at += pace * rng.uniform(0.85, 1.15)
    return sound[:length] * np.hanning(length + 2)[1:-1] ** 0.5 / 3


def _breath(length: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Somebody breathes in and out close to the microphone."""
    seconds = np.arange(length) / SAMPLE_RATE
    spectrum = np.fft.rfft(rng.standard_normal(length))
    hertz = np.arange(len(spectrum)) * SAMPLE_RATE / length
    air = np.fft.irfft(spectrum * np.exp(-(((hertz - 900) / 700) ** 2)), length)
    # In and, softer and longer, out; then a rest.
    phase = seconds / rng.uniform(3, 5) % 1
    inward = np.clip(np.sin(np.pi * phase / 0.3), 0, None) * (phase < 0.3)
    outward = 0.6 * np.clip(np.sin(np.pi * (phase - 0.35) / 0.45), 0, None)
    return air / air.std() * (inward + outward * ((phase > 0.35) & (phase < 0.8)))


KINDS = {
    "silence": _silence,
    "noise": _noise,
    "hum": _hum,
    "music": _music,
    "applause": _applause,
    "breath": _breath,
}
