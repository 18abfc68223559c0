"""Audio that the media should hold and does not: gaps within the recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from longscribe.types import CoverageEntry, CoverageKind, Gap, Loss, MediaInfo, Span


def loss_gaps(losses: Iterable[Loss]) -> tuple[Gap, ...]:
    """Return the losses as gaps, in order."""
    ordered = sorted(losses, key=lambda loss: loss.span)
    return tuple(Gap(span=loss.span, reason=loss.reason) for loss in ordered)


def promised(info: MediaInfo, losses: Iterable[Loss]) -> MediaInfo:
    """Return what the header said, less the time for which a shorter silence stands."""
    if info.duration is None:
        return info
    left_out = sum(loss.left_out for loss in losses)
    return replace(info, duration=max(0, info.duration - left_out))


def with_losses(entries: Iterable[CoverageEntry], gaps: Sequence[Gap]) -> Iterator[CoverageEntry]:
    """Yield the entries of a coverage with `gaps` laid over them: there is nothing to hear."""
    for entry in entries:
        at = entry.span.start
        for gap in gaps:
            part = gap.span.clipped(entry.span)
            if part.length == 0 or part.start < at:
                continue
            yield replace(entry, span=Span(start=at, end=part.start))
            yield CoverageEntry(span=part, kind=CoverageKind.GAP, reason=gap.reason)
            at = part.end
        yield replace(entry, span=Span(start=at, end=entry.span.end))
