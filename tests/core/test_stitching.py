"""Stitching: what two overlapping windows heard becomes one text, each word once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.core.stitching import stitch
from longscribe.types import NO_PROMPT, Segment, Span, Window, WindowResult, Word, to_samples

SEAM = 30.0
REACH = 1.0


def word(start: float, end: float, text: str, probability: float = 0.9) -> Word:
    return Word(
        start=to_samples(start), end=to_samples(end), text=f" {text}", probability=probability
    )


def segment(words: list[Word], window: int = 0) -> Segment:
    return Segment(
        start=words[0].start,
        end=words[-1].end,
        text="".join(word.text for word in words),
        words=tuple(words),
        chunk_id=0,
        window=window,
        bias_window_id=None,
        bias_terms=(),
        average_logprob=-0.2,
        no_speech_probability=0.0,
        compression_ratio=1.0,
    )


def wordless(start: float, end: float, text: str) -> Segment:
    return replace(segment([word(start, end, text)]), words=())


def result(
    span: tuple[float, float], owns: tuple[float, float], *segments: Segment
) -> WindowResult:
    bounds, owned = (
        Span(start=to_samples(start), end=to_samples(end)) for start, end in (span, owns)
    )
    window = Window(index=0, span=bounds, owns=owned, speech=bounds.length)
    return WindowResult(
        chunk_id=0, window=window, bias_window_id=None, prompt=NO_PROMPT, segments=segments
    )


def around_seam(left: list[Word], right: list[Word]) -> list[WindowResult]:
    """Two windows over a cut in speech at `SEAM`, each with one phrase (or none)."""
    return [
        result((0, SEAM + REACH), (0, SEAM), *([segment(left)] if left else [])),
        result((SEAM - REACH, 60), (SEAM, 60), *([segment(right)] if right else [])),
    ]


def texts(results: list[WindowResult]) -> list[list[str]]:
    """Return the words that each window contributes."""
    return [
        [word.text.strip() for segment in result.segments for word in segment.words]
        for result in stitch(results)
    ]


# --- windows that don't overlap ------------------------------------------------


def test_windows_parted_by_a_pause_pass_untouched():
    results = [
        result((0, 9), (0, 10), segment([word(1, 9.9, "long")])),
        result((11, 20), (10, 20), segment([word(9.5, 12, "early")])),
    ]
    assert list(stitch(results)) == results


def test_windows_that_are_not_neighbours_pass_untouched():
    """Between them a chunk is missing: what the first heard past its end is all there is."""
    results = [
        result((0, 11), (0, 10), segment([word(9, 10.9, "past")])),
        result((10.5, 20), (12, 20), segment([word(10.6, 12, "before")])),
    ]
    assert list(stitch(results)) == results


def test_nothing_and_one():
    assert list(stitch([])) == []
    alone = around_seam([word(29, 30.9, "word")], [])[:1]
    assert list(stitch(alone)) == alone


# --- seams, by hand -------------------------------------------------------------


def test_each_word_comes_from_the_window_that_owns_its_middle():
    both = [word(28.0, 28.6, "one"), word(29.1, 29.6, "two"), word(30.2, 30.7, "three")]
    right = [*both[1:], word(31, 31.5, "four")]
    assert texts(around_seam(both, right)) == [["one", "two"], ["three", "four"]]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((29.8, 30.3), (29.7, 30.2)),  # left says beyond the seam, right says before it
        ((29.7, 30.2), (29.8, 30.3)),
        ((29.8, 30.3), (29.8, 30.3)),
        ((30.05, 30.3), (29.7, 29.95)),  # each hears it wholly on the other's side
        ((29.7, 29.95), (30.05, 30.3)),  # each hears it wholly on its own side
    ],
)
@pytest.mark.parametrize("spelling", ["seam", "Seam,", "scene"])
def test_a_word_over_the_seam_is_kept_once(left, right, spelling):
    apart = left[1] <= right[0] or right[1] <= left[0]
    if spelling == "scene" and apart:
        return  # heard apart and spelt differently: they may be two words
    heard = texts(
        around_seam(
            [word(28, 28.5, "before"), word(*left, "seam")],
            [word(*right, spelling), word(31, 31.5, "after")],
        )
    )
    flat = [text for side in heard for text in side]
    assert len(flat) == 3
    assert (flat[0], flat[-1]) == ("before", "after")


def test_a_word_said_twice_is_kept_twice():
    left = [word(29.5, 29.9, "very"), word(30.1, 30.5, "very")]
    right = [word(29.55, 29.95, "very"), word(30.05, 30.45, "very"), word(30.6, 31.2, "old")]
    assert texts(around_seam(left, right)) == [["very"], ["very", "old"]]


def test_what_only_one_side_heard_at_the_seam_is_kept():
    assert texts(around_seam([word(29.8, 30.3, "left")], [])) == [["left"], []]
    assert texts(around_seam([], [word(29.6, 30.1, "right")])) == [[], ["right"]]


def test_one_word_against_two_is_not_doubled():
    left = [word(29.0, 29.6, "in"), word(29.7, 29.95, "New"), word(29.96, 30.4, "York")]
    right = [word(29.7, 30.4, "NewYork"), word(30.5, 31, "today")]
    flat = [text for side in texts(around_seam(left, right)) for text in side]
    assert flat in (["in", "New", "York", "today"], ["in", "NewYork", "today"])


def test_the_left_window_keeps_what_only_it_could_hear():
    """Speech broke off right behind the seam, so the right window begins later than the seam."""
    results = [
        result((0, 31), (0, 30), segment([word(29.5, 29.9, "the"), word(30.05, 30.2, "end")])),
        result((30.5, 60), (30, 60), segment([word(30.7, 31, "Then")])),
    ]
    assert texts(results) == [["the", "end"], ["Then"]]


def test_a_trimmed_phrase_keeps_its_times_and_text_in_step():
    left = [word(28, 28.5, "kept"), word(30.4, 30.8, "gone")]
    trimmed = next(iter(stitch(around_seam(left, [word(30.4, 30.8, "gone")])))).segments[0]
    assert (trimmed.start, trimmed.end) == (to_samples(28), to_samples(28.5))
    assert trimmed.text == " kept"


def test_phrases_without_word_times_are_taken_whole():
    results = [
        result((0, 31), (0, 30), wordless(20, 29, "one"), wordless(29.3, 31, "two")),
        result((29, 60), (30, 60), wordless(29, 29.2, "one"), wordless(29.3, 36, "two")),
    ]
    found = [[segment.text for segment in item.segments] for item in stitch(results)]
    assert found == [[" one"], [" two"]]


def test_a_short_phrase_over_the_seam_is_kept_once_without_word_times():
    results = [
        result((0, 31), (0, 30), wordless(29.2, 30.9, "yes")),
        result((29, 60), (30, 60), wordless(29.1, 30.8, "yes"), wordless(33, 40, "and")),
    ]
    found = [segment.text for item in stitch(results) for segment in item.segments]
    assert found == [" yes", " and"]


def test_a_window_between_two_seams_is_trimmed_at_both():
    results = [
        result((0, 31), (0, 30), segment([word(29, 29.4, "a"), word(30.2, 30.6, "b")])),
        result(
            (29, 58),
            (30, 57),
            segment(
                [
                    word(29, 29.4, "a"),
                    word(30.2, 30.6, "b"),
                    word(56, 56.5, "c"),
                    word(57.2, 58, "d"),
                ]
            ),
        ),
        result((56, 80), (57, 80), segment([word(56, 56.5, "c"), word(57.2, 58, "d")])),
    ]
    assert texts(results) == [["a"], ["b", "c"], ["d"]]


# --- seams, simulated -------------------------------------------------------------

NUMBER = 40


@st.composite
def speech(draw: st.DrawFn) -> list[tuple[float, float, str]]:
    """Words without a pause, said around the seam, of 60 to 600 ms; no two alike in a row."""
    position = SEAM - draw(st.floats(3, 4))
    said = []
    for n in range(NUMBER):
        length = draw(st.integers(60, 600)) / 1000
        said.append((position, position + length, "abcdefgh"[n % 8]))
        position += length + draw(st.integers(0, 80)) / 1000
    return said


def hearing(
    said: list[tuple[float, float, str]], shifts: list[int], *, start: float, end: float
) -> list[Word]:
    """Return what a window hears: only whole words, with shifted times, in order."""
    heard = []
    before = 0.0
    for (begin, stop, text), shift in zip(said, shifts, strict=True):
        if start <= begin and stop <= end:
            first = max(before, begin + shift / 1000)
            last = max(first + 0.02, stop + shift / 1000)
            heard.append(word(first, last, text))
            before = last
    return heard


SHIFTS = st.lists(st.integers(-100, 100), min_size=NUMBER, max_size=NUMBER)


@settings(max_examples=60, deadline=None)
@given(said=speech(), left_shifts=SHIFTS, right_shifts=SHIFTS)
def test_no_word_is_lost_or_doubled_whatever_the_word_times(said, left_shifts, right_shifts):
    left = hearing(said, left_shifts, start=0, end=SEAM + REACH)
    right = hearing(said, right_shifts, start=SEAM - REACH, end=60)
    expected = [text for begin, stop, text in said if stop <= 60]
    assert [text for side in texts(around_seam(left, right)) for text in side] == expected


@settings(max_examples=60, deadline=None)
@given(said=speech(), left_shifts=SHIFTS, right_shifts=SHIFTS)
def test_stitched_phrases_are_made_of_their_words_in_order(said, left_shifts, right_shifts):
    left = hearing(said, left_shifts, start=0, end=SEAM + REACH)
    right = hearing(said, right_shifts, start=SEAM - REACH, end=60)
    for item in stitch(around_seam(left, right)):
        for phrase in item.segments:
            assert phrase.text == "".join(word.text for word in phrase.words)
            assert (phrase.start, phrase.end) == (phrase.words[0].start, phrase.words[-1].end)
            assert all(a.start <= b.start for a, b in pairwise(phrase.words))
