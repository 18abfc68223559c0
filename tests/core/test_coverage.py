"""The coverage ledger: every sample is text, silence, speech without words or a declared gap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.coverage import (
    MUCH_WORDLESS_LEAST,
    NO_SPEECH,
    NO_WORDS,
    SPEECH_WITHOUT_WORDS,
    assert_accounted,
    chunk_entries,
    declared_wordless,
    gap_entries,
    heard,
    loses_words,
    merged,
    said_in,
    speech_extent,
    totals,
    united,
    wordless_spans,
)
from longscribe.types import (
    NO_PROMPT,
    SAMPLE_RATE,
    Chunk,
    CoverageEntry,
    CoverageKind,
    Gap,
    Span,
    Window,
    WindowResult,
)
from tests.core.plans import chunk, decoded, phrase

TEXT, SILENCE, GAP = CoverageKind.TEXT, CoverageKind.SILENCE, CoverageKind.GAP
WORDLESS, PENDING = CoverageKind.WORDLESS, CoverageKind.PENDING


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


# --- speech without words --------------------------------------------------------

SECOND = SAMPLE_RATE


def window(
    owns: tuple[float, float],
    voiced: list[tuple[float, float]],
    words: list[tuple[float, float]],
    *,
    reach: float = 0.5,
) -> WindowResult:
    """Return a decoded window that has words at these times. In seconds."""

    def span(start: float, end: float) -> Span:
        return Span(start=round(start * SECOND), end=round(end * SECOND))

    spans = [span(start, end) for start, end in voiced]
    segments = tuple(
        phrase(span(a, b).start, span(a, b).end, " responsibilities") for a, b in words
    )
    return WindowResult(
        chunk_id=0,
        window=Window(
            index=0,
            span=span(owns[0] - reach if owns[0] else 0, owns[1] + reach),
            owns=span(*owns),
            speech=sum(one.length for one in spans),
            voiced=tuple(spans),
        ),
        bias_window_id=None,
        prompt=NO_PROMPT,
        segments=segments,
    )


def seconds(spans: list[Span]) -> list[tuple[float, float]]:
    return [(round(span.start / SECOND, 3), round(span.end / SECOND, 3)) for span in spans]


def every(start: float, end: float) -> list[tuple[float, float]]:
    """Return words of a second each."""
    return [(start + n, start + n + 1) for n in range(round(end - start))]


def test_a_window_that_drops_its_end_leaves_speech_without_words():
    whole = window((0, 30), [(1, 29)], every(1, 29))
    dropped = window((30, 60), [(31, 59)], every(31, 53))
    after = window((60, 90), [(61, 89)], every(61, 89))
    assert wordless_spans([whole]) == []
    assert seconds(wordless_spans([whole, dropped, after])) == [(53.3, 59)]
    assert seconds(wordless_spans([dropped])) == [(53.3, 59)]
    assert seconds(wordless_spans([whole, whole, dropped])) == [(53.3, 59)]
    assert wordless_spans([]) == []


def test_a_word_in_the_neighbours_result_covers_speech_at_the_seam():
    """Speech goes on over the seam at 30 s; the neighbour has the words up to 31.8 s."""
    left = window((0, 30), [(1, 30)], every(1, 28))
    right = window((30, 60), [(30, 59)], every(32, 59))
    assert seconds(wordless_spans([left, right])) == [(28.3, 31.7)]
    over = window((0, 30), [(1, 30)], every(1, 32))
    assert wordless_spans([over, right]) == []
    under = window((30, 60), [(30, 59)], every(28, 59))
    assert wordless_spans([left, under]) == []


def test_speech_is_counted_once_where_windows_overlap():
    """Both windows reach over the seam, and the detector's speech is told of both."""
    left = window((0, 30), [(1, 31)], every(1, 20))
    right = window((30, 60), [(29, 59)], every(40, 59))
    found = wordless_spans([left, right])
    assert sum(span.length for span in found) == round((39.7 - 20.3) * SECOND)


def test_speech_may_be_without_words_for_many_windows():
    windows = [window((30 * n, 30 * n + 30), [(30 * n + 1, 30 * n + 29)], []) for n in range(7)]
    assert seconds(wordless_spans(windows)) == [(30 * n + 1, 30 * n + 29) for n in range(7)]
    assert wordless_spans(iter(windows)) == wordless_spans(windows)


def test_windows_of_older_journals_do_not_say_where_speech_is():
    assert wordless_spans([window((0, 30), [], [])]) == []


def test_words_are_what_is_said_and_phrases_where_there_are_none():
    [result] = decoded(chunk(0, 100, (0, 20)), "words").windows
    [segment] = result.segments
    assert list(said_in(result)) == list(segment.words)
    bare = replace(segment, words=())
    assert list(said_in(replace(result, segments=(bare,)))) == [bare]
    silent = replace(bare, text="  ")
    assert list(said_in(replace(result, segments=(silent,)))) == []


def test_spans_that_overlap_are_one():
    spans = [
        Span(start=5, end=9),
        Span(start=0, end=3),
        Span(start=8, end=12),
        Span(start=8, end=9),
    ]
    assert united(spans) == [Span(start=0, end=3), Span(start=5, end=12)]
    assert united([]) == []


def test_speech_without_words_is_taken_out_of_text_and_silence_only():
    entries = [
        entry(0, 10, SILENCE, NO_SPEECH),
        entry(10, 40, TEXT),
        entry(40, 60, GAP, "worker hung"),
        entry(60, 80, PENDING),
        entry(80, 90, SILENCE, NO_WORDS),
    ]
    spans = [Span(start=5, end=20), Span(start=30, end=65), Span(start=80, end=90)]
    assert merged(declared_wordless(entries, spans)) == [
        entry(0, 5, SILENCE, NO_SPEECH),
        entry(5, 20, WORDLESS, SPEECH_WITHOUT_WORDS),
        entry(20, 30, TEXT),
        entry(30, 40, WORDLESS, SPEECH_WITHOUT_WORDS),
        entry(40, 60, GAP, "worker hung"),
        entry(60, 80, PENDING),
        entry(80, 90, WORDLESS, SPEECH_WITHOUT_WORDS),
    ]


@given(CUTS, st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=6), st.data())
def test_declaring_keeps_every_sample(lengths, parts, data):
    position, entries = 0, []
    for length in lengths:
        kind = data.draw(KINDS)
        entries.append(entry(position, position + length, kind))
        position += length
    at, spans = 0, []
    for pause, length in parts:
        spans.append(Span(start=at + pause, end=at + pause + length))
        at += pause + length
    found = merged(declared_wordless(entries, spans))
    assert_accounted(found, position)
    assert totals(found)[GAP] == totals(entries)[GAP]
    covered = sum(
        span.overlap(one.span) for span in spans for one in entries if one.kind in (TEXT, SILENCE)
    )
    assert totals(found)[WORDLESS] == covered


def test_a_recognizer_loses_words_when_much_speech_has_none():
    hour = 3600 * SECOND
    assert not loses_words(0, hour)
    assert not loses_words(hour // 50, hour)  # 1.96 %
    assert loses_words(hour // 48, hour)  # 2.04 %
    assert loses_words(hour, 0)


def test_a_few_seconds_in_a_short_recording_are_no_sign_of_it():
    assert not loses_words(MUCH_WORDLESS_LEAST, 10 * SECOND)
    assert loses_words(MUCH_WORDLESS_LEAST + 1, 10 * SECOND)
    assert not loses_words(0, 0)
