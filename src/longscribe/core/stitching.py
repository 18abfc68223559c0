"""Stitching: window results in order become one text, without loss or doubling at the seams.

Almost every window ends in a pause and passes through untouched. Where speech
had to be cut, two windows overlap; there each word is taken from the window
that owns its middle, and the words at the seam are compared once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from longscribe.types import Segment, Span, WindowResult, Word


def stitch(results: Iterable[WindowResult]) -> Iterator[WindowResult]:
    """Yield the windows with the words that each contributes. Holds one window at a time."""
    left: WindowResult | None = None
    for result in results:
        right = result
        if left is not None:
            if _overlap(left, right):
                left, right = _settle(left, right)
            yield left
        left = right
    if left is not None:
        yield left


def _overlap(left: WindowResult, right: WindowResult) -> bool:
    return (
        left.window.owns.end == right.window.owns.start
        and left.window.span.end > right.window.span.start
    )


def _settle(left: WindowResult, right: WindowResult) -> tuple[WindowResult, WindowResult]:
    """Divide what two overlapping windows heard at the seam between them."""
    seam = left.window.owns.end
    if not all(segment.words for side in (left, right) for segment in side.segments):
        return (
            replace(left, segments=tuple(s for s in left.segments if s.span.middle < seam)),
            replace(right, segments=tuple(s for s in right.segments if s.span.middle >= seam)),
        )
    left_words = [word for segment in left.segments for word in segment.words]
    right_words = [word for segment in right.segments for word in segment.words]
    kept_left = [word for word in left_words if _middle(word) < seam]
    kept_right = [word for word in right_words if _middle(word) >= seam]
    # A word over the seam may have its middle beyond it in both hearings: keep one of them.
    for word in left_words:
        if word.start < seam <= _middle(word) and not _claimed(word, kept_left, kept_right):
            kept_left.append(word)
    for word in reversed(right_words):
        if _middle(word) < seam < word.end and not _claimed(word, kept_left, kept_right):
            kept_right.insert(0, word)
    _drop_double(kept_left, kept_right)
    return _keep(left, kept_left), _keep(right, kept_right)


def _middle(word: Word) -> int:
    return (word.start + word.end) // 2


def _shares(one: Word, other: Word) -> bool:
    """Tell whether two words claim the same time: over half of the shorter one."""
    a, b = Span(start=one.start, end=one.end), Span(start=other.start, end=other.end)
    return 2 * a.overlap(b) > min(a.length, b.length)


def _claimed(word: Word, *sides: Sequence[Word]) -> bool:
    return any(_shares(word, other) for side in sides for other in side)


def _drop_double(left: list[Word], right: list[Word]) -> None:
    """Where both sides kept the same stretch of sound, drop the less certain word."""
    if left and right and _shares(left[-1], right[0]):
        worse = left if left[-1].probability < right[0].probability else right
        worse.pop(-1 if worse is left else 0)


def _keep(result: WindowResult, words: Sequence[Word]) -> WindowResult:
    return replace(result, segments=tuple(_trimmed(result.segments, words)))


def _trimmed(segments: Iterable[Segment], words: Sequence[Word]) -> Iterator[Segment]:
    for segment in segments:
        kept = tuple(word for word in segment.words if word in words)
        if kept == segment.words:
            yield segment
        elif kept:
            yield replace(
                segment,
                words=kept,
                start=kept[0].start,
                end=kept[-1].end,
                text="".join(word.text for word in kept),
            )
