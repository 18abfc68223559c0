"""Words that an aligner has timed, found again in the text that they came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from longscribe.types import ChunkResult, Word, to_samples

NOT_ALIGNED = "words are timed by Whisper's attention"
"""How the remark on a window begins whose words no alignment model has timed."""


@dataclass(frozen=True, kw_only=True)
class AlignedWord:
    """A word as an aligner returns it: without spaces, and maybe without a time."""

    text: str
    start: float
    """Seconds from the window's start; NaN: not known."""
    end: float
    score: float
    """How well it fits, from 0 to 1; NaN: not known."""


def words_in(
    text: str, sentences: Sequence[Sequence[AlignedWord]], length: int
) -> list[list[Word]]:
    """Find aligned words in the text they came from; return them with their spaces.

    A word without a time starts where the one before it ends. No word starts before the
    one before it or ends after `length` samples.
    """
    position = time = 0
    found: list[list[Word]] = []
    for sentence in sentences:
        words = []
        for aligned in sentence:
            at = text.find(aligned.text, position)
            if at < 0 or text[position:at].strip():
                return []
            start = time if math.isnan(aligned.start) else to_samples(aligned.start)
            start = min(max(start, time), length)
            end = start if math.isnan(aligned.end) else to_samples(aligned.end)
            end = min(max(end, start), length)
            stop = at + len(aligned.text)
            score = 0.0 if math.isnan(aligned.score) else aligned.score
            words.append(
                Word(start=start, end=end, text=text[position:stop], probability=round(score, 4))
            )
            position, time = stop, start
        if words:
            found.append(words)
    return [] if text[position:].strip() else found


def not_aligned(result: ChunkResult) -> str | None:
    """Return how the words of a chunk were timed if they should have been aligned."""
    remarks = (remark for window in result.windows for remark in window.remarks)
    return next((remark for remark in remarks if remark.startswith(NOT_ALIGNED)), None)
