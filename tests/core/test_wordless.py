"""Speech without words: what is found, and how words of another decode are put in its place."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.wordless import (
    APART,
    CHARACTER_LENGTH,
    LEAST,
    MARGIN,
    WORD_LENGTH,
    fitted,
    wordless,
)
from longscribe.types import Segment, Span, Word, to_samples
from tests.views import said


def span(start: float, end: float) -> Span:
    return Span(start=to_samples(start), end=to_samples(end))


def word(text: str, start: float, end: float, probability: float = 0.9) -> Word:
    return Word(
        text=f" {text}", start=to_samples(start), end=to_samples(end), probability=probability
    )


def spoken(text: str, start: float, *, pace: float = 0.4) -> list[Word]:
    return [
        word(part, start + n * pace, start + (n + 1) * pace) for n, part in enumerate(text.split())
    ]


def texts(words: tuple[Word, ...]) -> str:
    return "".join(each.text for each in words).strip()


# --- speech without words ------------------------------------------------------


def test_speech_with_words_is_none():
    assert wordless([span(0, 4)], spoken("it was late and the boat came not home", 0)) == []
    assert wordless([], []) == []
    assert wordless([], spoken("words without speech", 3)) == []


def test_a_dropped_clause_is_found_between_the_margins_of_its_neighbours():
    words = [*spoken("it was late", 0), *spoken("home", 6)]
    assert wordless([span(0, 6.4)], words) == [span(1.2 + 0.3, 6 - 0.3)]


def test_the_end_of_a_window_is_found():
    assert wordless([span(0, 6)], spoken("it was late", 0)) == [span(1.5, 6)]
    assert wordless([span(0, 6)], spoken("late", 5.6)) == [span(0, 5.3)]
    assert wordless([span(2, 6)], []) == [span(2, 6)]


def test_less_than_a_second_does_not_count():
    one = Span(start=0, end=LEAST)
    assert wordless([one], []) == [one]
    assert wordless([Span(start=0, end=LEAST - 1)], []) == []


def test_the_word_before_a_dropped_clause_is_stretched_over_it_and_does_not_hide_it():
    words = [*spoken("it was", 0), word("late", 0.8, 6), *spoken("home", 6)]
    longest = WORD_LENGTH + 4 * CHARACTER_LENGTH
    begun = to_samples(0.8) + longest + MARGIN
    assert wordless([span(0, 6.4)], words) == [Span(start=begun, end=to_samples(5.7))]


def test_a_long_word_may_be_said_slowly():
    slow = word("responsibility", 0, 2)
    assert wordless([span(0, 2.2)], [slow]) == []


def test_a_word_may_be_put_a_little_beside_its_speech():
    assert wordless([span(1, 1.9)], []) == []
    assert wordless([span(1, 2.5)], [word("responsibility", 2.8, 4.5)]) == [span(1, 2.5)]
    assert wordless([span(1, 2.5)], [word("responsibility", 1.2, 2.2)]) == []


def test_pieces_over_short_pauses_are_one_stretch():
    pieces = [span(0, 0.5), span(1, 1.4), span(2, 2.4)]
    assert wordless(pieces, []) == [span(0, 2.4)], "1.3 s of speech in three pieces"
    assert wordless(pieces[:2], []) == [], "0.9 s of speech"


def test_pieces_over_a_pause_of_a_second_are_counted_apart():
    left = Span(start=0, end=LEAST - 1)
    near, far = LEAST - 1 + APART - 1, LEAST - 1 + APART
    assert wordless([left, Span(start=near, end=near + LEAST - 1)], []) == [
        Span(start=0, end=near + LEAST - 1)
    ]
    assert wordless([left, Span(start=far, end=far + LEAST - 1)], []) == []


def test_pieces_with_a_word_between_are_counted_apart():
    assert wordless([span(0, 2)], [word("a", 0.9, 1.1)]) == []
    whole = wordless([span(0, 4)], [word("a", 1.9, 2.1)])
    assert whole == [span(0, 1.6), span(2.4, 4)]


def test_a_phrase_without_word_times_covers_all_of_its_length():
    phrase = said(0, 9, " it was late")
    assert wordless([span(0, 9.3)], [phrase]) == []
    assert wordless([span(0, 12)], [phrase]) == [span(9.3, 12)]


def test_words_may_come_in_any_order():
    words = [*spoken("it was late", 0), *spoken("home", 6)]
    assert wordless([span(0, 6.4)], words[::-1]) == wordless([span(0, 6.4)], words)


SPANS = st.lists(
    st.tuples(st.integers(1, 30_000), st.integers(1, 60_000)), max_size=8
)  # pause, length


def laid_out(parts: list[tuple[int, int]]) -> list[Span]:
    position, made = 0, []
    for pause, length in parts:
        made.append(Span(start=position + pause, end=position + pause + length))
        position = made[-1].end
    return made


@given(SPANS, SPANS)
def test_it_lies_in_speech_and_away_from_words(speech_parts, word_parts):
    speech = laid_out(speech_parts)
    words = [
        Word(text=" " + "a" * 99, start=one.start, end=one.end, probability=0.5)
        for one in laid_out(word_parts)
    ]
    found = wordless(speech, words)
    assert all(a.end < b.start for a, b in pairwise(found))
    for stretch in found:
        assert any(stretch.start >= one.start and stretch.start < one.end for one in speech)
        assert any(stretch.end > one.start and stretch.end <= one.end for one in speech)
        assert sum(one.overlap(stretch) for one in speech) >= LEAST
        for each in words:
            assert each.end + MARGIN <= stretch.start or each.start - MARGIN >= stretch.end


@given(SPANS)
def test_speech_covered_by_phrases_is_never_reported(parts):
    speech = laid_out(parts)
    phrases: list[Word | Segment] = [
        said(one.start / 16_000, one.end / 16_000, " words") for one in speech
    ]
    assert wordless(speech, phrases) == []
    assert sum(one.length for one in wordless(speech, [])) >= max(
        [one.length for one in speech if one.length >= LEAST], default=0
    )


# --- words put in place --------------------------------------------------------

BEFORE, CLAUSE, AFTER = "it was late", "and the boat came", "home at last"
STRETCH = span(1.5, 2.9)


def around() -> list[Word]:
    """Return the words around a clause of 1.6 s that was dropped."""
    return [*spoken(BEFORE, 0), *spoken(AFTER, 3.2)]


def test_words_of_another_decode_are_put_between():
    found = fitted(around(), STRETCH, spoken(CLAUSE, 1.4))
    assert found is not None
    assert texts(found.words) == f"{BEFORE} {CLAUSE} {AFTER}"
    assert texts(found.new) == CLAUSE
    assert list(found.words[:3]) == around()[:3]
    assert list(found.words[-3:]) == around()[-3:]


def test_the_word_before_is_not_said_twice():
    found = fitted(around(), STRETCH, spoken(f"Late, {CLAUSE}", 1.2, pace=0.38))
    assert found is not None
    assert texts(found.words) == f"{BEFORE} {CLAUSE} {AFTER}"


def test_a_word_that_is_said_twice_is_kept_twice():
    """The second *late* is too far from the first to be the same."""
    found = fitted(around(), STRETCH, [word("late", 1.9, 2.3), word("came", 2.3, 2.7)])
    assert found is not None
    assert texts(found.words) == f"{BEFORE} late came {AFTER}"


def test_the_old_words_go_on_from_one_that_stands_there_already():
    heard = spoken(f"{CLAUSE} home at lust and more", 1.5)
    found = fitted(around(), STRETCH, heard)
    assert found is not None
    assert texts(found.words) == f"{BEFORE} {CLAUSE} {AFTER}"


def test_a_wrong_word_behind_the_stretch_is_replaced_up_to_the_meeting():
    """The word after a dropped clause may be a mishearing of its end."""
    words = [*spoken(BEFORE, 0), word("om", 3.0, 3.2), *spoken(AFTER, 3.2)]
    found = fitted(words, STRETCH, spoken(f"{CLAUSE} home", 1.5))
    assert found is not None
    assert texts(found.words) == f"{BEFORE} {CLAUSE} {AFTER}"


def test_without_a_meeting_the_old_words_go_on_where_the_stretch_ends():
    found = fitted(around(), STRETCH, spoken(f"{CLAUSE} bone lost", 1.5))
    assert found is not None
    assert texts(found.words) == f"{BEFORE} {CLAUSE} {AFTER}"


def test_at_the_end_of_a_window_there_is_nothing_to_go_on_with():
    found = fitted(spoken(BEFORE, 0), span(1.5, 3.1), spoken(CLAUSE, 1.5))
    assert found is not None
    assert texts(found.words) == f"{BEFORE} {CLAUSE}"
    first = fitted(spoken(AFTER, 3.2), span(0, 2.9), spoken(f"{BEFORE} {CLAUSE}", 0.1))
    assert first is not None
    assert texts(first.words) == f"{BEFORE} {CLAUSE} {AFTER}"


def test_words_from_before_the_stretch_are_left_out():
    found = fitted(around(), STRETCH, [*spoken("it was lame", 0), *spoken(CLAUSE, 1.4)])
    assert found is not None
    assert texts(found.words) == f"{BEFORE} {CLAUSE} {AFTER}"


@pytest.mark.parametrize(
    "heard",
    [
        [],
        spoken(BEFORE, 0),  # nothing that is new
        spoken(AFTER, 3.2),
        [word("late", 0.9, 1.3), word("home", 3.2, 3.6)],
        [word("elsewhere", 9, 10)],
    ],
)
def test_a_decode_without_words_for_the_stretch_finds_nothing(heard):
    assert fitted(around(), STRETCH, heard) is None


def test_words_found_keep_out_of_their_neighbours():
    heard = [word("and", 1.15, 2), word("came", 2, 3.5)]
    found = fitted(around(), STRETCH, heard)
    assert found is not None
    assert [(each.start, each.end) for each in found.new] == [
        (to_samples(1.2), to_samples(2)),
        (to_samples(2), to_samples(3.2)),
    ]


def test_a_word_that_is_stretched_over_the_clause_stays_before_it_and_gets_its_length_back():
    words = [*spoken("it was", 0), word("late", 0.8, 4), *spoken(AFTER, 4)]
    [stretch] = wordless([span(0, 5.2)], words)
    found = fitted(words, stretch, spoken(CLAUSE, 1.8, pace=0.5))
    assert found is not None
    assert texts(found.words) == f"{BEFORE} {CLAUSE} {AFTER}"
    late, first = found.words[2:4]
    assert late.end == first.start < stretch.start
    assert len({(each.start, each.end) for each in found.new}) == 4, "not piled on one instant"


def test_how_sure_it_is_is_the_geometric_mean():
    heard = [word("boat", 1.6, 2, 0.9), word("came", 2, 2.6, 0.4)]
    found = fitted(around(), STRETCH, heard)
    assert found is not None
    assert found.probability == pytest.approx(0.6)
    never = fitted(around(), STRETCH, [word("boat", 1.6, 2.6, 0.0)])
    assert never is not None
    assert never.probability == pytest.approx(1e-4), "no logarithm of zero"


HEARD = st.lists(
    st.tuples(
        st.integers(0, 8_000),
        st.integers(0, 12_000),
        st.sampled_from(["it", "late", "home", "at", "boat", "came", "-"]),
    ),
    max_size=12,
)


@given(HEARD, HEARD, st.integers(0, 60_000), st.integers(LEAST, 40_000))
def test_what_is_put_together_is_in_order_and_loses_no_word_before_the_stretch(
    old_parts, heard_parts, start, length
):
    def timed(parts: list[tuple[int, int, str]]) -> list[Word]:
        position, made = 0, []
        for pause, lasts, text in parts:
            begun = position + pause
            position = begun + lasts
            made.append(Word(text=f" {text}", start=begun, end=position, probability=0.5))
        return made

    words, stretch = timed(old_parts), Span(start=start, end=start + length)
    found = fitted(words, stretch, timed(heard_parts))
    if found is None:
        return
    before = [each for each in words if each.start < start]
    assert list(found.words[: max(0, len(before) - 1)]) == before[:-1]
    assert [each.text for each in found.words[: len(before)]] == [each.text for each in before]
    assert any(each.end > stretch.start and each.start < stretch.end for each in found.new)
    assert all(each.start <= each.end for each in found.words)
    assert all(a.start <= b.start for a, b in pairwise(found.words))
    edge = len(before)
    assert found.words[edge : edge + len(found.new)] == found.new
    assert all(each.end <= found.words[edge].start for each in found.words[:edge][-1:])
    rest = found.words[edge + len(found.new) :]
    assert all(each.end <= rest[0].start for each in found.new if rest)
