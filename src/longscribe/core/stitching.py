"""Stitching: window results in order become one text, without loss or doubling at the seams.

Almost every window ends in a pause and passes through untouched. Where speech
had to be cut, two windows overlap; there each word is taken from the window
that owns its middle. The two hearings give it slightly different times, so first
the words that are the same in both are paired, and each pair is judged as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from longscribe.core.phrases import APPENDED, PREPENDED
from longscribe.types import Segment, Span, WindowResult, Word, to_samples

Heard = TypeVar("Heard", Word, Segment)
"""What is divided at a seam: words, or whole phrases where there are no word times."""

JITTER = to_samples(0.5)
"""How far apart two hearings may put the middle of one word."""


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
    # Where the right window begins behind the seam, only the left one heard what lies between.
    seam = max(left.window.owns.end, right.window.span.start)
    if not all(segment.words for side in (left, right) for segment in side.segments):
        phrases = _divide(left.segments, right.segments, seam)
        return replace(left, segments=phrases[0]), replace(right, segments=phrases[1])
    left_words = [word for segment in left.segments for word in segment.words]
    right_words = [word for segment in right.segments for word in segment.words]
    kept_left, kept_right = _divide(left_words, right_words, seam)
    return _keep(left, kept_left), _keep(right, kept_right)


def _divide(
    left: Sequence[Heard], right: Sequence[Heard], seam: int
) -> tuple[tuple[Heard, ...], tuple[Heard, ...]]:
    """Return what each side contributes: of what both heard, each thing once."""
    pairs = _pairs(left, right)
    from_left, from_right = set[int](), set[int]()
    for i, j in pairs:
        if _middle(left[i]) + _middle(right[j]) < 2 * seam:
            from_left.add(i)
        else:
            from_right.add(j)
    # What only one side heard counts on its own side of the seam, or across it,
    # unless the other side contributes something else at the same time.
    paired_left, paired_right = {i for i, _ in pairs}, {j for _, j in pairs}
    rivals = [right[j] for j in from_right]
    from_left |= {
        i
        for i, one in enumerate(left)
        if i not in paired_left
        and (_middle(one) < seam or one.start < seam)
        and not _claimed(one, rivals)
    }
    rivals = [left[i] for i in from_left]
    from_right |= {
        j
        for j, one in enumerate(right)
        if j not in paired_right
        and (_middle(one) >= seam or one.end > seam)
        and not _claimed(one, rivals)
    }
    return tuple(left[i] for i in sorted(from_left)), tuple(right[j] for j in sorted(from_right))


def _pairs(left: Sequence[Heard], right: Sequence[Heard]) -> list[tuple[int, int]]:
    """Pair what is the same in both hearings, in order, so that the likeness is greatest."""
    if not left or not right:
        return []
    rows = [i for i, one in enumerate(left) if one.end > right[0].start - JITTER]
    columns = [j for j, one in enumerate(right) if one.start < left[-1].end + JITTER]
    likeness = [[_likeness(left[i], right[j]) for j in columns] for i in rows]
    # best[r][c]: the greatest likeness that the rows from r and the columns from c can reach.
    best = [[0.0] * (len(columns) + 1) for _ in range(len(rows) + 1)]
    for r in reversed(range(len(rows))):
        for c in reversed(range(len(columns))):
            together = likeness[r][c] + best[r + 1][c + 1]
            best[r][c] = max(best[r + 1][c], best[r][c + 1], together)
    pairs = []
    r = c = 0
    while r < len(rows) and c < len(columns):
        if best[r][c] == best[r + 1][c]:
            r += 1
        elif best[r][c] == best[r][c + 1]:
            c += 1
        else:
            pairs.append((rows[r], columns[c]))
            r, c = r + 1, c + 1
    return pairs


def _likeness(one: Heard, other: Heard) -> float:
    """Return how sure it is that both are the same sound: 0 not at all, 2 quite."""
    apart = abs(_middle(one) - _middle(other)) / JITTER
    nearness = max(0.0, 1 - apart) ** 2
    alike = 2 * nearness if _bare(one.text) == _bare(other.text) else 0.0
    # A phrase that one window heard only in part may have its middle far off.
    return max(alike, nearness, 0.1) if _shares(one, other) else alike


def _bare(text: str) -> str:
    return text.strip().strip(PREPENDED + APPENDED).casefold()


def _middle(heard: Word | Segment) -> int:
    return (heard.start + heard.end) // 2


def _shares(one: Word | Segment, other: Word | Segment) -> bool:
    """Tell whether two words claim the same time: over half of the shorter one."""
    a, b = Span(start=one.start, end=one.end), Span(start=other.start, end=other.end)
    return 2 * a.overlap(b) > min(a.length, b.length)


def _claimed(one: Word | Segment, others: Sequence[Word | Segment]) -> bool:
    return any(_shares(one, other) for other in others)


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
