"""Loudness frame by frame, in step with the speech detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from longscribe.ports import Pcm

FLOOR = -100.0
"""dBFS given to digital silence, below the least level of s16 (about -90)."""


class LevelMeter:
    """Gives the RMS level of each `frame` samples, in dBFS; same results however cut."""

    def __init__(self, frame: int) -> None:
        self.frame = frame
        self._rest = np.zeros(0, dtype=np.int16)

    def feed(self, pcm: Pcm) -> list[float]:
        """Take the next audio, return the levels of the frames it completes."""
        pcm = np.concatenate((self._rest, pcm))
        whole = len(pcm) - len(pcm) % self.frame
        self._rest = pcm[whole:].copy()
        return _levels(pcm[:whole].reshape(-1, self.frame))

    def flush(self) -> list[float]:
        """Return the level of the last frame, padded with silence, if one was begun."""
        if not len(self._rest):
            return []
        padded = np.pad(self._rest, (0, self.frame - len(self._rest)))
        self._rest = self._rest[:0]
        return _levels(padded.reshape(1, -1))


def _levels(frames: np.ndarray[tuple[int, int], np.dtype[np.int16]]) -> list[float]:
    # Integers until the last step: a sum of floats could depend on how it was cut.
    energy = np.square(frames.astype(np.int64)).sum(axis=1)
    with np.errstate(divide="ignore"):
        level = 10.0 * np.log10(energy / (frames.shape[1] * 32768.0**2))
    return [float(value) for value in np.maximum(level, FLOOR)]
