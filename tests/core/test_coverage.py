"""The coverage ledger: every sample is text, silence or a declared gap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.coverage import (
    NO_SPEECH,
    NO_WORDS,
    assert_accounted,
    chunk_entries,
    gap_entries,
    heard,
    merged,
    speech_extent,
    totals,
)
from longscribe.types import Chunk, CoverageEntry, CoverageKind, Gap, Span, Window
from tests.core.plans import chunk, decoded

TEXT, SILENCE, GAP = CoverageKind.TEXT, CoverageKind.SILENCE, CoverageKind.GAP


def entry(start: int, end: int, kind: CoverageKind, reason: str = "") -> CoverageEntry:
    return CoverageEntry(span=Span(start=start, end=end), kind=kind, reason=reason)


def test_a_chunk_is_text_in_its_windows_and_silence_between():
    plan = chunk(0, 100, (10, 30), (50, 80))
    assert list(chunk_entries(plan, {0: True, 1: False})) == [
        entry(0, 10, SILENCE, NO_SPEECH),
        entry(10, 30, TEXT),
        entry(30, 50, SILENCE, NO_SPEECH),
        entry(50, 80, SILENCE, NO_WORDS),
        entry(80, 100, SILENCE, NO_SPEECH),
    ]


def test_a_chunk_without_windows_is_silence():
    assert list(chunk_entries(chunk(40, 90), {})) == [entry(40, 90, SILENCE, NO_SPEECH)]


def test_what_a_window_hears_beyond_its_chunk_does_not_count():
    plan = Chunk(
        chunk_id=1,
        span=Span(start=100, end=200),
        windows=(
            Window(index=0, span=Span(start=90, end=160), owns=Span(start=100, end=150), speech=50),
            Window(
                index=1, span=Span(start=140, end=210), owns=Span(start=150, end=200), speech=50
            ),
        ),
    )
    assert merged(chunk_entries(plan, {0: True, 1: True})) == [entry(100, 200, TEXT)]
    assert speech_extent(plan) == Span(start=100, end=200)


def test_a_gap_keeps_the_silence_around_it():
    plan = chunk(0, 100, (10, 30), (50, 80))
    gap = Gap(span=speech_extent(plan), reason="worker hung", chunk_id=0)
    assert list(gap_entries(plan, gap)) == [
        entry(0, 10, SILENCE, NO_SPEECH),
        entry(10, 80, GAP, "worker hung"),
        entry(80, 100, SILENCE, NO_SPEECH),
    ]


def test_a_silent_chunk_loses_nothing():
    assert speech_extent(chunk(40, 90)).length == 0


def test_a_window_was_heard_if_it_has_text():
    plan = chunk(0, 100, (0, 20), (30, 50), (60, 80))
    windows = decoded(plan, "words", "  ", "").windows
    assert heard(windows) == {0: True, 1: False, 2: False}


def test_neighbours_of_a_kind_are_joined_but_gaps_stay_apart():
    entries = [
        entry(0, 5, TEXT),
        entry(5, 9, TEXT),
        entry(9, 9, SILENCE, NO_SPEECH),
        entry(9, 12, SILENCE, NO_SPEECH),
        entry(12, 15, SILENCE, NO_WORDS),
        entry(15, 20, GAP, "worker hung"),
        entry(20, 30, GAP, "worker hung"),
    ]
    assert merged(entries) == [
        entry(0, 9, TEXT),
        entry(9, 12, SILENCE, NO_SPEECH),
        *entries[4:],
    ]


def test_parts_that_do_not_touch_are_not_joined():
    entries = [entry(0, 5, TEXT), entry(6, 9, TEXT)]
    assert merged(entries) == entries


CUTS = st.lists(st.integers(1, 9), max_size=12)
KINDS = st.sampled_from([TEXT, SILENCE, GAP])


@given(CUTS, st.data())
def test_joining_keeps_every_sample(lengths, data):
    position, entries = 0, []
    for length in lengths:
        kind = data.draw(KINDS)
        entries.append(entry(position, position + length, kind))
        position += length
    joined = merged(entries)
    assert_accounted(joined, position)
    assert totals(joined) == totals(entries)
    assert sum(totals(joined).values()) == position
    assert merged(joined) == joined


@pytest.mark.parametrize(
    ("entries", "duration"),
    [
        ([entry(0, 5, TEXT)], 6),
        ([entry(0, 5, TEXT)], 4),
        ([], 1),
        ([entry(1, 5, TEXT)], 5),
        ([entry(0, 5, TEXT), entry(6, 9, TEXT)], 9),
        ([entry(0, 5, TEXT), entry(4, 9, TEXT)], 9),
        ([entry(0, 5, CoverageKind.PENDING)], 5),
    ],
)
def test_a_ledger_that_lies_is_found_out(entries, duration):
    with pytest.raises(AssertionError):
        assert_accounted(entries, duration)


def test_nothing_is_accounted_for_by_nothing():
    assert_accounted([], 0)
