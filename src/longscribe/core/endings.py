"""Where a recording ends, against where its header said it would."""

from __future__ import annotations

from longscribe.types import SAMPLE_RATE, Gap, MediaInfo, Span

TOLERANCE_SECONDS = 1.0
TOLERANCE_SHARE = 0.005
"""Headers round, and codecs pad their last frame: less than this is no loss."""

UNKNOWN = SAMPLE_RATE
"""Length that stands for a loss of unknown length, so that it can be seen."""


def missing_tail(read: int, info: MediaInfo, reason: str | None = None) -> Gap | None:
    """Return the gap from the end of what was read to the end that the header promised.

    Args:
        read: samples that were read.
        info: what the header said.
        reason: why reading ended there; None when the file simply ended.
    """
    if reason is not None and (info.duration is None or info.duration <= read):
        told = f"{reason}; how much is missing is not known"
        return Gap(span=Span(start=read, end=read + UNKNOWN), reason=told)
    if info.duration is None or not (info.duration_is_exact or reason):
        return None
    tolerance = max(TOLERANCE_SECONDS * SAMPLE_RATE, TOLERANCE_SHARE * info.duration)
    if reason is None and info.duration - read <= tolerance:
        return None
    return Gap(
        span=Span(start=read, end=info.duration),
        reason=reason or "the file ends earlier than its header says",
    )
