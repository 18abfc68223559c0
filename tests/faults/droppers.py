"""Recognizers that lose words and give no sign of it: no crash, no error, good grades.

What is said is a word for each second of the recording that holds sound, named by its
samples: so a window says the same in whatever way it is cut, and a word that one run
has and another lacks was dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from longscribe.config import DecodeSettings, RecognizerSettings
from longscribe.ports import WindowAudio
from longscribe.types import SAMPLE_RATE, Segment, WindowResult, Word
from tests.faults.recognizers import SYLLABLES, FakeRecognizer

HEARD = 0.2
"""The share of a second that must be loud for a word."""
LOUD = 300
WORD = round(0.9 * SAMPLE_RATE)
LOST_END = 6 * SAMPLE_RATE
"""The recognizer that drops ends says nothing in the last six seconds of any audio."""
WHOLE = 15 * SAMPLE_RATE
"""The recognizer that drops clauses does so only in audio longer than this,"""
LOST_CLAUSE = range(6, 10)
"""and drops the words of these seconds of it."""


def load_whole(settings: RecognizerSettings, model_path: str) -> SecondsRecognizer:
    """Fulfils `RecognizerFactory`: says all there is."""
    return SecondsRecognizer(settings)


def load_dropping_ends(settings: RecognizerSettings, model_path: str) -> SecondsRecognizer:
    """Fulfils `RecognizerFactory`: drops the end of every window, however it is cut."""
    return EndDropper(settings)


def load_dropping_clauses(settings: RecognizerSettings, model_path: str) -> SecondsRecognizer:
    """Fulfils `RecognizerFactory`: drops a clause of a window that is decoded whole."""
    return ClauseDropper(settings)


class SecondsRecognizer(FakeRecognizer):
    """Fulfils `Recognizer`."""

    def __init__(self, settings: RecognizerSettings) -> None:
        super().__init__(settings)
        self.asked: list[tuple[WindowAudio, DecodeSettings]] = []
        """What it was given, for tests in one process."""

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        heard = {member.window.index: self._hear(member, settings) for member in windows}
        for batch in super().decode(windows, settings, chunk_id):
            yield tuple(_saying(result, heard[result.window.index]) for result in batch)

    def _hear(self, member: WindowAudio, settings: DecodeSettings) -> list[Word]:
        self.asked.append((member, settings))
        words = list(_words(member))
        return [word for word in words if not self.drops(word, member)]

    def drops(self, word: Word, member: WindowAudio) -> bool:
        return False


class EndDropper(SecondsRecognizer):
    def drops(self, word: Word, member: WindowAudio) -> bool:
        return word.end > member.window.span.end - LOST_END


class ClauseDropper(SecondsRecognizer):
    def drops(self, word: Word, member: WindowAudio) -> bool:
        span = member.window.span
        second = (word.start - span.start) // SAMPLE_RATE
        return span.length > WHOLE and second in LOST_CLAUSE


def _words(member: WindowAudio) -> Iterator[Word]:
    span = member.window.span
    for second in range(span.start // SAMPLE_RATE, -(-span.end // SAMPLE_RATE)):
        start = max(second * SAMPLE_RATE, span.start)
        end = min((second + 1) * SAMPLE_RATE, span.end)
        pcm = member.pcm[start - span.start : end - span.start]
        if np.count_nonzero(np.abs(pcm.astype(np.int32)) > LOUD) < HEARD * SAMPLE_RATE:
            continue
        digest = hashlib.blake2b(pcm.tobytes(), digest_size=3).digest()
        text = " " + "".join(SYLLABLES[byte % len(SYLLABLES)] for byte in digest)
        yield Word(start=start, end=min(start + WORD, end), text=text, probability=0.5)


def _saying(result: WindowResult, words: list[Word]) -> WindowResult:
    if not words or not result.segments:
        return replace(result, segments=())
    segment: Segment = result.segments[0]
    return replace(
        result,
        segments=(
            replace(
                segment,
                start=words[0].start,
                end=words[-1].end,
                text="".join(word.text for word in words),
                words=tuple(words) if segment.words else (),
            ),
        ),
    )
