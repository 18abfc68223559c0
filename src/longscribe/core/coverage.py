"""The coverage ledger: what every sample of the recording is.

Text, silence, speech without words, a declared gap, or still pending.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from longscribe.core.wordless import wordless
from longscribe.types import (
    SAMPLE_RATE,
    Chunk,
    CoverageEntry,
    CoverageKind,
    Gap,
    Segment,
    Span,
    WindowResult,
    Word,
)

NO_SPEECH = "no speech"
NO_WORDS = "no words"
"""Something was heard, but the recognizer found no words in it, and it is too short to matter."""
SPEECH_WITHOUT_WORDS = "speech without words"
MUCH_WORDLESS = 0.02
MUCH_WORDLESS_LEAST = 5 * SAMPLE_RATE
"""Speech without words over this share of all speech, and over 5 s, means that the recognizer
loses words: such a run is not complete. Read speech has 0.1 % before it is decoded again, laughter
and songs in a film add a little (docs/decisions/0020)."""


def chunk_entries(chunk: Chunk, heard: Mapping[int, bool]) -> Iterator[CoverageEntry]:
    """Yield the entries of a decoded chunk.

    Args:
        chunk: its plan.
        heard: for each window's index, whether it yielded text.
    """
    position = chunk.span.start
    for window in chunk.windows:
        decoded = window.span.clipped(window.owns)
        yield from _silence(position, decoded.start)
        if heard[window.index]:
            yield CoverageEntry(span=decoded, kind=CoverageKind.TEXT)
        else:
            yield CoverageEntry(span=decoded, kind=CoverageKind.SILENCE, reason=NO_WORDS)
        position = decoded.end
    yield from _silence(position, chunk.span.end)


def gap_entries(chunk: Chunk, gap: Gap) -> Iterator[CoverageEntry]:
    """Yield the entries of a chunk that was given up: the gap, and the silence around it."""
    yield from _silence(chunk.span.start, gap.span.start)
    yield CoverageEntry(span=gap.span, kind=CoverageKind.GAP, reason=gap.reason)
    yield from _silence(gap.span.end, chunk.span.end)


def speech_extent(chunk: Chunk) -> Span:
    """Return the part of a chunk from its first to its last speech: what is lost with it."""
    if not chunk.windows:
        return Span(start=chunk.span.start, end=chunk.span.start)
    return Span(
        start=max(chunk.windows[0].span.start, chunk.span.start),
        end=min(chunk.windows[-1].span.end, chunk.span.end),
    )


def audio_extent(chunk: Chunk) -> Span:
    """Return all the audio that shapes a chunk's result: its windows may reach past its edges."""
    return Span(
        start=min([chunk.span.start, *(window.span.start for window in chunk.windows)]),
        end=max([chunk.span.end, *(window.span.end for window in chunk.windows)]),
    )


def heard(results: Iterable[WindowResult]) -> dict[int, bool]:
    """Return for each window's index whether it yielded text."""
    return {
        result.window.index: any(segment.text.strip() for segment in result.segments)
        for result in results
    }


def _silence(start: int, end: int) -> Iterator[CoverageEntry]:
    if end > start:
        yield CoverageEntry(
            span=Span(start=start, end=end), kind=CoverageKind.SILENCE, reason=NO_SPEECH
        )


def merged(entries: Iterable[CoverageEntry]) -> list[CoverageEntry]:
    """Join neighbours of equal kind and reason (gaps stay apart); drop empty entries."""
    joined: list[CoverageEntry] = []
    for entry in entries:
        if entry.span.length == 0:
            continue
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.span.end == entry.span.start
            and (last.kind, last.reason) == (entry.kind, entry.reason)
            and entry.kind is not CoverageKind.GAP
        ):
            span = Span(start=last.span.start, end=entry.span.end)
            joined[-1] = CoverageEntry(span=span, kind=entry.kind, reason=entry.reason)
        else:
            joined.append(entry)
    return joined


def wordless_spans(windows: Iterable[WindowResult]) -> list[Span]:
    """Return the speech without words of a transcript, in order.

    Speech and words are held against each other a few windows at a time: at a seam a word
    may stand in the neighbour's result.

    Args:
        windows: stitched, in order; a few are held at a time.
    """
    spans: list[Span] = []
    near: deque[WindowResult] = deque(maxlen=4)
    for window in windows:
        near.append(window)
        spans += _wordless_in(list(near)[-3:-1], near)
    spans += _wordless_in(list(near)[-2:], near)
    return united(spans)


def _wordless_in(windows: Sequence[WindowResult], near: Iterable[WindowResult]) -> list[Span]:
    speech = [
        span.clipped(result.window.owns)
        for result in windows
        for span in result.window.voiced
        if span.overlap(result.window.owns)
    ]
    return wordless(speech, [said for result in near for said in said_in(result)])


def said_in(result: WindowResult) -> Iterator[Word | Segment]:
    """Yield the words of a window; the phrases as they are where there are no word times."""
    for segment in result.segments:
        if segment.words:
            yield from segment.words
        elif segment.text.strip():
            yield segment


def united(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, those that overlap as one."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start < found[-1].end:
            found[-1] = Span(start=found[-1].start, end=max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def declared_wordless(
    entries: Iterable[CoverageEntry], spans: Sequence[Span]
) -> Iterator[CoverageEntry]:
    """Yield the entries with `spans` taken out of text and silence as speech without words."""
    for entry in entries:
        if entry.kind not in (CoverageKind.TEXT, CoverageKind.SILENCE):
            yield entry
            continue
        position = entry.span.start
        for span in spans:
            if not span.overlap(entry.span):
                continue
            within = span.clipped(entry.span)
            yield replace(entry, span=Span(start=position, end=within.start))
            yield CoverageEntry(
                span=within, kind=CoverageKind.WORDLESS, reason=SPEECH_WITHOUT_WORDS
            )
            position = within.end
        yield replace(entry, span=Span(start=position, end=entry.span.end))


def loses_words(wordless_samples: int, text_samples: int) -> bool:
    """Return whether so much speech is without words that the transcript is not complete."""
    most = MUCH_WORDLESS * (wordless_samples + text_samples)
    return wordless_samples > max(most, MUCH_WORDLESS_LEAST)


def totals(entries: Sequence[CoverageEntry]) -> dict[CoverageKind, int]:
    """Return the samples of each kind."""
    sums = dict.fromkeys(CoverageKind, 0)
    for entry in entries:
        sums[entry.kind] += entry.span.length
    return sums


def assert_accounted(entries: Sequence[CoverageEntry], duration: int) -> None:
    """Check promise 2: the entries tile the recording, and nothing is pending.

    Raises:
        AssertionError: a sample is unaccounted for or counted twice. A defect of
            Longscribe, never of the input.
    """
    position = 0
    for entry in entries:
        assert entry.span.start == position, f"ledger jumps from {position} to {entry.span.start}"
        assert entry.kind is not CoverageKind.PENDING, f"pending at {entry.span.start}"
        position = entry.span.end
    assert position == duration, f"ledger ends at {position}, the recording at {duration}"
