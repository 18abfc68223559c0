"""An in-memory `TranscriptView`, and short ways to say what stands in it. Times in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from longscribe.types import (
    NO_PROMPT,
    CoverageEntry,
    CoverageKind,
    Evidence,
    Gap,
    Prompt,
    Proposal,
    Segment,
    Span,
    Window,
    WindowResult,
    Word,
    to_samples,
)


@dataclass(frozen=True, kw_only=True)
class MemoryView:
    """A transcript held whole."""

    media: str = "film.mp4"
    language: str | None = "en"
    spelt: str | None = None
    """Language of the text, where it is another."""
    duration: int = 0
    complete: bool = True
    all_segments: tuple[Segment, ...] = ()
    all_windows: tuple[WindowResult, ...] = ()
    all_gaps: tuple[Gap, ...] = ()
    ledger: tuple[CoverageEntry, ...] = ()

    @property
    def text_language(self) -> str | None:
        return self.spelt or self.language

    def segments(self) -> Iterator[Segment]:
        return iter(self.all_segments)

    def windows(self) -> Iterator[WindowResult]:
        return iter(self.all_windows)

    def gaps(self) -> Sequence[Gap]:
        return self.all_gaps

    def coverage(self) -> Sequence[CoverageEntry]:
        return self.ledger


def view_of(
    *items: Segment | Gap, complete: bool = True, language: str | None = "en"
) -> MemoryView:
    """Return a view of segments and gaps; each segment gets a window, the rest is silence."""
    segments = tuple(item for item in items if isinstance(item, Segment))
    gaps = tuple(item for item in items if isinstance(item, Gap))
    spans = sorted(
        [(item.span, CoverageKind.TEXT, "") for item in segments]
        + [(item.span, CoverageKind.GAP, item.reason) for item in gaps]
    )
    ledger, at = [], 0
    for span, kind, reason in spans:
        if span.start > at:
            ledger.append(
                CoverageEntry(span=Span(start=at, end=span.start), kind=CoverageKind.SILENCE)
            )
        ledger.append(CoverageEntry(span=span, kind=kind, reason=reason))
        at = span.end
    if not complete:
        rest = Span(start=at, end=at + to_samples(60))
        ledger.append(CoverageEntry(span=rest, kind=CoverageKind.PENDING))
        at = rest.end
    return MemoryView(
        language=language,
        duration=at,
        complete=complete,
        all_segments=segments,
        all_windows=tuple(_window_of(segment) for segment in segments),
        all_gaps=gaps,
        ledger=tuple(ledger),
    )


def said(
    start: float, end: float, text: str, *words: tuple[str, float, float], terms: Sequence[str] = ()
) -> Segment:
    """Return a segment; without `words` it has no word times."""
    return Segment(
        start=to_samples(start),
        end=to_samples(end),
        text=text,
        words=tuple(
            Word(text=word, start=to_samples(begins), end=to_samples(ends), probability=0.9)
            for word, begins, ends in words
        ),
        chunk_id=0,
        window=0,
        bias_window_id=0 if terms else None,
        bias_terms=tuple(terms),
        average_logprob=-0.25,
        no_speech_probability=0.01,
        compression_ratio=1.5,
    )


def spoken(start: float, text: str, *, pace: float = 0.3, separator: str | None = None) -> Segment:
    """Return a segment whose words (each with its leading space) follow each other at `pace`."""
    parts = [" " + word for word in text.split()] if separator is None else text.split(separator)
    words = [(part, start + pace * n, start + pace * (n + 1)) for n, part in enumerate(parts)]
    return said(start, start + pace * len(parts), "".join(parts), *words)


def proposed(start: float, end: float, term: str, heard: str, *, accepted: bool) -> Proposal:
    evidence = Evidence(
        sound=0.0412, acoustic=-1.5, margin=-0.1, confidence=0.4, commonness=0.1, second_pass=True, recurrence=0,
        timing=0, alias=False, small=False, letters=8, words=1,
        probability=0.91234, threshold=0.5,
    )  # fmt: skip
    return Proposal(
        term=term, heard=heard, written=term, start=to_samples(start), end=to_samples(end),
        accepted=accepted, reason="probability over the threshold", evidence=evidence,
    )  # fmt: skip


def with_proposals(view: MemoryView, *proposals: Proposal) -> MemoryView:
    """Return a view whose first window has `proposals`."""
    first, *rest = view.all_windows
    return replace(view, all_windows=(replace(first, proposals=proposals), *rest))


def missing(start: float, end: float, reason: str = "worker crashed") -> Gap:
    return Gap(span=Span(start=to_samples(start), end=to_samples(end)), reason=reason, chunk_id=1)


def _window_of(segment: Segment) -> WindowResult:
    prompt = NO_PROMPT
    if segment.bias_terms:
        text = " " + ", ".join(segment.bias_terms)
        prompt = Prompt(terms=segment.bias_terms, text=text, token_ids=(50361, 1, 2))
    return WindowResult(
        chunk_id=segment.chunk_id,
        window=Window(index=0, span=segment.span, owns=segment.span, speech=segment.span.length),
        bias_window_id=segment.bias_window_id,
        prompt=prompt,
        segments=(segment,),
    )
