"""Speech without words: where the detector hears speech and the text has nothing to say.

A recognizer may drop a clause and give no sign of it. So the words are held against
the speech: what no word covers is decoded again (`worker/wordless.py`), and what stays
without words is declared in the ledger (`core/coverage.py`), never counted as text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from longscribe.types import Segment, Span, Word, to_samples

LEAST = to_samples(1.0)
"""Samples of speech that must be there before it counts as speech without words."""
MARGIN = to_samples(0.3)
"""How far from the speech that it covers alignment may put a word. With 0.2 to 0.5 s the same
clauses were found in 88 minutes of read speech (docs/decisions/0020)."""
APART = to_samples(1.0)
"""Speech without words on both sides of a longer pause is counted apart."""
WORD_LENGTH = to_samples(0.35)
CHARACTER_LENGTH = to_samples(0.12)
"""A word covers at most 0.35 s and 0.12 s a character from where it begins: alignment stretches
the word before a dropped clause over all of it."""

SAME_WORD_APART = to_samples(0.7)
"""How far apart two decodes may put the same word."""
LEAST_PROBABILITY = 0.2
"""Mean probability (geometric) of words that may be put into speech without words."""


def wordless(speech: Sequence[Span], said: Iterable[Word | Segment]) -> list[Span]:
    """Return the stretches of speech that hold no word.

    Args:
        speech: where the detector hears speech, in order.
        said: words, or whole phrases where there are no word times, in any order.
    """
    covers = _merged(_cover(one) for one in said)
    bare = [piece for span in speech for piece in _without(span, covers)]
    groups: list[list[Span]] = []
    for piece in bare:
        if groups and _one_stretch(groups[-1][-1], piece, covers):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [
        Span(start=group[0].start, end=group[-1].end)
        for group in groups
        if sum(piece.length for piece in group) >= LEAST
    ]


def _cover(said: Word | Segment) -> Span:
    """Return the part of the recording that a word, or a phrase without words, accounts for."""
    end = _plausible_end(said) if isinstance(said, Word) else said.end
    return Span(start=max(0, said.start - MARGIN), end=end + MARGIN)


def _plausible_end(word: Word) -> int:
    return min(word.end, word.start + WORD_LENGTH + CHARACTER_LENGTH * len(word.text.strip()))


def _merged(covers: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for cover in sorted(covers):
        if merged and cover.start <= merged[-1].end:
            merged[-1] = Span(start=merged[-1].start, end=max(merged[-1].end, cover.end))
        else:
            merged.append(cover)
    return merged


def _without(span: Span, covers: Sequence[Span]) -> Iterator[Span]:
    """Yield the parts of `span` that no cover reaches."""
    position = span.start
    for cover in covers:
        if cover.end <= position or cover.start >= span.end:
            continue
        if cover.start > position:
            yield Span(start=position, end=cover.start)
        position = max(position, cover.end)
    if position < span.end:
        yield Span(start=position, end=span.end)


def _one_stretch(left: Span, right: Span, covers: Sequence[Span]) -> bool:
    between = Span(start=left.end, end=right.start)
    return between.length < APART and not any(cover.overlap(between) for cover in covers)


# --- words found by decoding again -------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Found:
    """Words that another decode has for a stretch, fitted between those around it."""

    words: tuple[Word, ...]
    """The words of the whole window, with those that were found."""
    new: tuple[Word, ...]

    @property
    def probability(self) -> float:
        """Geometric mean of the new words' probabilities."""
        return math.exp(fmean(math.log(max(word.probability, 1e-4)) for word in self.new))


def fitted(words: Sequence[Word], stretch: Span, heard: Sequence[Word]) -> Found | None:
    """Put what another decode heard in a stretch between the words around it.

    Where the other decode reaches past the stretch and comes upon a word that stands
    there already, the old words go on from that one; else they go on where the stretch ends.

    Args:
        words: of the window, in order.
        stretch: speech without words.
        heard: the words of the other decode, in order.

    Returns:
        None if the other decode has no word for the stretch either.
    """
    # By where a word begins: the word before a dropped clause may be stretched over all of it.
    before = [word for word in words if word.start < stretch.start]
    after = [word for word in words if word.start >= stretch.start]
    fresh = [word for word in heard if _middle(word) >= stretch.start - MARGIN]
    while fresh and before and _same(fresh[0], before[-1]):
        fresh.pop(0)
    kept, after = _up_to_meeting(fresh, after, stretch.end)
    new = tuple(_clipped(kept, before, after))
    if not any(_overlaps(word, stretch) for word in new):
        return None
    if before:
        last = before[-1]
        before[-1] = replace(last, end=max(last.start, min(last.end, new[0].start)))
    return Found(words=(*before, *new, *after), new=new)


def _up_to_meeting(
    fresh: Sequence[Word], after: Sequence[Word], end: int
) -> tuple[list[Word], list[Word]]:
    """Return the new words up to one that stands in `after`, and `after` from there on."""
    for i, word in enumerate(fresh):
        for j, old in enumerate(after[:3]):
            if _same(word, old):
                return list(fresh[:i]), list(after[j:])
    limit = min(end + MARGIN, after[0].start if after else end + MARGIN)
    return [word for word in fresh if _middle(word) < limit], list(after)


def _same(one: Word, other: Word) -> bool:
    near = abs(_middle(one) - _middle(other)) <= SAME_WORD_APART
    return near and bool(_bare(one)) and _bare(one) == _bare(other)


def _bare(word: Word) -> str:
    return re.sub(r"\W", "", word.text).casefold()


def _middle(word: Word) -> int:
    return (word.start + word.end) // 2


def _overlaps(word: Word, stretch: Span) -> bool:
    return word.end > stretch.start and word.start < stretch.end


def _clipped(new: Sequence[Word], before: Sequence[Word], after: Sequence[Word]) -> Iterator[Word]:
    """Yield the new words within the time between their neighbours."""
    earliest = _plausible_end(before[-1]) if before else 0
    for word in new:
        latest = after[0].start if after else max(word.end, earliest)
        start = min(max(word.start, earliest), latest)
        yield replace(word, start=start, end=max(start, min(word.end, latest)))
