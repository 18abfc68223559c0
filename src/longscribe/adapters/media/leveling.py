"""Makes a quiet recording loud enough to be heard, and leaves every other as it is.

The speech detector hears nothing of a voice whose peaks stay under about -50 dBFS,
though a recognizer would understand it down to -70 (docs/decisions/0021). So where
six minutes nowhere reach -40 dBFS, they are raised before they are brought to
16 bits. The gain of a second follows from the five minutes before it and the
minute behind it alone: the same whatever the pieces in which the audio comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from longscribe.types import SAMPLE_RATE

if TYPE_CHECKING:
    from longscribe.adapters.media.pcm import Mono

BLOCK = SAMPLE_RATE
"""Samples that are measured together and get one gain."""
_PARTS = 100
_LOUDEST_PART = 3
"""A block is as loud as its fourth loudest hundredth: a click of a switch is not speech."""
BEHIND = 300
"""Blocks that still count when they are past."""
AHEAD = 60
"""Blocks that are looked at before one is given away: 4 MB of samples."""
QUIET = 10 ** (-40 / 20)
"""Level under which a stretch is raised; full scale is 1."""
NOTHING = 10 ** (-80 / 20)
"""Level under which there is nothing to raise: three steps of 16 bits."""
TARGET = 10 ** (-20 / 20)
"""Level to which it is raised."""


class Leveler:
    """Takes 16 kHz mono sound, gives it back with the quiet stretches raised.

    Args:
        report: told, with the samples given so far, that quiet sound is raised.
    """

    def __init__(self, report: Callable[[int, str], Any]) -> None:
        self._report = report
        self._rest: list[Mono] = []
        self._length = 0
        self._waiting: deque[Mono] = deque()
        self._levels: deque[float] = deque()
        """Of the blocks behind, the present one, and those ahead."""
        self._behind = 0
        self._gain = 1.0
        self._given = 0
        self._told = False
        self.peak = 0.0
        """Largest sample so far, as it was recorded; full scale is 1."""

    def feed(self, sound: Mono) -> Iterator[Mono]:
        """Take more sound; yield what is decided."""
        self._rest.append(sound)
        self._length += len(sound)
        if self._length < BLOCK:
            return
        joined = np.concatenate(self._rest)
        whole = len(joined) - len(joined) % BLOCK
        for at in range(0, whole, BLOCK):
            self._take(joined[at : at + BLOCK])
            if len(self._waiting) > AHEAD:
                yield self._leveled()
        self._rest = [joined[whole:].copy()]
        self._length = len(joined) - whole

    def flush(self) -> Iterator[Mono]:
        """Yield the rest."""
        if self._length:
            self._take(np.concatenate(self._rest))
            self._rest, self._length = [], 0
        while self._waiting:
            yield self._leveled()

    def _take(self, block: Mono) -> None:
        self._waiting.append(block)
        self._levels.append(_level(block))
        self.peak = max(self.peak, float(np.abs(block).max()))

    def _leveled(self) -> Mono:
        """Return the oldest block that waits, with its gain."""
        block = self._waiting.popleft()
        before, self._gain = self._gain, _gain(max(self._levels))
        self._behind += 1
        if self._behind > BEHIND:
            self._levels.popleft()
            self._behind -= 1
        at, self._given = self._given, self._given + len(block)
        if self._gain > 1.0 and not self._told:
            self._told = True
            self._report(
                at,
                f"the recording is very quiet (peaks of {decibels(TARGET / self._gain):.0f} dBFS); "
                f"its level is raised by {decibels(self._gain):.0f} dB",
            )
        if before == self._gain:
            return block if before == 1.0 else block * np.float32(before)
        share = np.arange(1, len(block) + 1) / BLOCK
        return (block * before * (self._gain / before) ** share).astype(np.float32)


def _level(block: Mono) -> float:
    """Return how loud a block is: as most of it, not as its loudest click."""
    parts = np.abs(block[: len(block) - len(block) % _PARTS]).reshape(_PARTS, -1)
    if not parts.size:
        return 0.0
    return float(np.sort(parts.max(axis=1))[-1 - _LOUDEST_PART])


def _gain(level: float) -> float:
    return TARGET / level if NOTHING <= level < QUIET else 1.0


def decibels(ratio: float) -> float:
    """Return a ratio of amplitudes in dB."""
    return 20 * float(np.log10(max(ratio, 1e-10)))
