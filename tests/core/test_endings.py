"""Where a recording ends, against where its header said it would."""

from __future__ import annotations

import pytest

from longscribe.core.endings import missing_tail
from longscribe.types import Gap, MediaInfo, Span, to_samples

EARLY = "the file ends earlier than its header says"


def media(duration: int | None, *, exact: bool = True) -> MediaInfo:
    return MediaInfo(
        container="matroska",
        codec="opus",
        track=0,
        tracks=1,
        sample_rate=48000,
        channels=2,
        duration=duration,
        duration_is_exact=exact,
    )


@pytest.mark.parametrize(
    ("promised", "read", "exact", "reason", "found"),
    [
        (60, 60, True, None, None),
        (60, 59, True, None, None),  # headers round
        (60, 58.9, True, None, EARLY),
        (60, 61, True, None, None),
        (60, 0, True, None, EARLY),
        (3600, 3582, True, None, None),  # half a percent of an hour
        (3600, 3581, True, None, EARLY),
        (60, 10, False, None, None),  # only an estimate
        (None, 10, False, None, None),
        (None, 10, True, None, None),
        (60, 59.9, True, "the reader died", "the reader died"),
        (60, 10, False, "the reader died", "the reader died"),
    ],
)
def test_missing_tail(promised, read, exact, reason, found):
    duration = None if promised is None else to_samples(promised)
    tail = missing_tail(to_samples(read), media(duration, exact=exact), reason)
    if found is None:
        assert tail is None
    else:
        assert duration is not None
        assert tail == Gap(span=Span(start=to_samples(read), end=duration), reason=found)
        assert tail.chunk_id is None


def test_a_file_that_ends_a_sample_early_loses_it_only_if_something_broke():
    assert missing_tail(15999, media(16000)) is None
    broken = missing_tail(15999, media(16000), "damaged")
    assert broken is not None
    assert broken.span.length == 1


@pytest.mark.parametrize(("promised", "read"), [(60, 60), (60, 70), (None, 10)])
def test_a_loss_of_unknown_length_is_seen_all_the_same(promised, read):
    """The reader died, and nobody knows how much there was: a second of gap says so."""
    duration = None if promised is None else to_samples(promised)
    tail = missing_tail(to_samples(read), media(duration, exact=False), "the reader died")
    assert tail is not None
    assert tail.span == Span(start=to_samples(read), end=to_samples(read + 1))
    assert tail.reason == "the reader died; how much is missing is not known"
