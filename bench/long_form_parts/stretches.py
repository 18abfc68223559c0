"""Speech in which no word stands: found with a detector and word times, held against the ledger.

Longscribe lists such stretches itself. That all of them are listed must not be taken from it:
here other code over the same kind of detector says where there is speech (Silero as
faster-whisper runs it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[float, float]
"""Begin and end in seconds."""

MARGIN = 0.3
"""Seconds that a word may begin or end late or early: the times come from attention."""
LEAST = 1.5
"""Seconds of the shortest stretch that must be listed: longer than the margins around a word."""


def without_words(speech: Sequence[Span], words: Iterable[Span]) -> list[Span]:
    """Return the stretches of speech, of at least `LEAST` seconds, that no word comes near."""
    widened = [(start - MARGIN, end + MARGIN) for start, end in words]
    return [span for span in less(speech, widened) if span[1] - span[0] >= LEAST]


def less(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """Return `spans` without what `taken` covers."""
    left = list(spans)
    for start, end in sorted(taken):
        kept: list[Span] = []
        for begin, stop in left:
            if end <= begin or stop <= start:
                kept.append((begin, stop))
                continue
            if begin < start:
                kept.append((begin, start))
            if end < stop:
                kept.append((end, stop))
        left = kept
    return left


def total(spans: Iterable[Span]) -> float:
    """Return the seconds of spans together."""
    return sum(end - start for start, end in spans)
