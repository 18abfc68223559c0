"""Whisper's mel filters."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
MELS, FFT, HOP = 80, 400, 160


def mel_filters() -> npt.NDArray[np.float32]:
    """The 80 triangular filters of Whisper's features: Slaney's scale and normalisation."""

    def hertz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        linear = mels * 200 / 3
        logarithmic = 1000 * np.exp((mels - 15) * math.log(6.4) / 27)
        return np.where(mels < 15, linear, logarithmic)

    top = 15 + 27 * math.log(SAMPLE_RATE / 2 / 1000) / math.log(6.4)
    edges = hertz(np.linspace(0, top, MELS + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
