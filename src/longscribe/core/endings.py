"""Where a recording ends, against where its header said it would."""

from __future__ import annotations

from longscribe.types import SAMPLE_RATE, Gap, MediaInfo, Span

TOLERANCE_SECONDS = 1.0
TOLERANCE_SHARE = 0.005
"""Headers round, and codecs pad their last frame: less than this is no loss."""


def missing_tail(read: int, info: MediaInfo, reason: str | None = None) -> Gap | None:
    """Return the gap from the end of what was read to the end that the header promised.

    Args:
        read: samples that were read.
        info: what the header said.
        reason: why reading ended there; None when the file simply ended.
    """
    if info.duration is None or not (info.duration_is_exact or reason):
        return None
    tolerance = max(TOLERANCE_SECONDS * SAMPLE_RATE, TOLERANCE_SHARE * info.duration)
    if reason is None and info.duration - read <= tolerance:
        return None
    if info.duration <= read:
        return None
    return Gap(
        span=Span(start=read, end=info.duration),
        reason=reason or "the file ends earlier than its header says",
    )
