"""The coverage ledger: every sample is text, silence, a declared gap or still pending."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from longscribe.types import Chunk, CoverageEntry, CoverageKind, Gap, Span, WindowResult

NO_SPEECH = "no speech"
NO_WORDS = "no words"
"""Something was heard, but the recognizer found no words in it."""


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
