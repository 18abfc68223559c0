"""From a decoder's tokens to phrases and words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.phrases import (
    TIMESTAMP_STEP,
    Phrase,
    compression_ratio,
    join_punctuation,
    shorten_stretched,
    split_phrases,
)
from longscribe.types import Word, to_samples

END, BEGIN = 1000, 1100
LENGTH = to_samples(20)


def at(seconds: float) -> int:
    """Return the timestamp token of a time."""
    return BEGIN + round(seconds * 50)


def phrases(*tokens: int) -> list[Phrase]:
    return split_phrases(tokens, BEGIN, END, LENGTH)


def phrase(start: float, end: float, *tokens: int) -> Phrase:
    return Phrase(start=to_samples(start), end=to_samples(end), tokens=tokens)


# --- phrases -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        ((), []),
        ((at(0), at(2)), []),
        ((at(0), 1, 2, at(2.5)), [phrase(0, 2.5, 1, 2)]),
        ((at(0.5), 1, at(2), at(3), 2, at(4)), [phrase(0.5, 2, 1), phrase(3, 4, 2)]),
        ((at(0), 1, at(2), 2, at(4)), [phrase(0, 2, 1), phrase(2, 4, 2)]),  # one time for both
        ((at(3), 1, 2), [phrase(3, 20, 1, 2)]),  # not closed
        ((1, 2, at(5)), [phrase(0, 5, 1, 2)]),  # not opened
        ((1, 2), [phrase(0, 20, 1, 2)]),  # no time at all
        ((at(0), 1, END, 1050, at(2)), [phrase(0, 2, 1)]),  # special tokens are not text
        ((at(19), 1, at(30)), [phrase(19, 20, 1)]),  # past the window
        ((at(25), 1, at(30)), [phrase(20, 20, 1)]),
        ((at(5), 1, at(3)), [phrase(3, 3, 1)]),  # times that run backward
    ],
)
def test_split_phrases(tokens, found):
    assert phrases(*tokens) == found


TOKENS = st.lists(st.one_of(st.integers(0, BEGIN - 1), st.integers(BEGIN, BEGIN + 1500)))


@given(TOKENS)
def test_phrases_hold_all_text_in_order_inside_the_window(tokens):
    found = phrases(*tokens)
    assert [t for each in found for t in each.tokens] == [t for t in tokens if t < END]
    assert all(each.tokens for each in found)
    assert all(0 <= each.start <= each.end <= LENGTH for each in found)


def test_a_timestamp_is_20_milliseconds():
    assert to_samples(0.02) == TIMESTAMP_STEP


# --- words ---------------------------------------------------------------------


def words(*texts: str) -> list[Word]:
    return [
        Word(start=to_samples(n), end=to_samples(n + 0.5), text=text, probability=0.5)
        for n, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        ([" Hello", ",", " world", "."], [" Hello,", " world."]),
        ([" He", " said", " “", "Yes", "”", "."], [" He", " said", " “Yes”."]),
        ([" (", " [", "a", "]", ")"], [" ( [a])"]),
        ([",", " a"], [",", " a"]),  # nothing to belong to
        ([" a", " ("], [" a ("]),
        ([' "'], [' "']),
        ([" (", " ["], [" (", " ["]),
        ([], []),
        ([" a", " b"], [" a", " b"]),
    ],
)
def test_punctuation_joins_its_word(texts, joined):
    assert [word.text for word in join_punctuation(words(*texts))] == joined


MARKS = st.sampled_from(["a", " b", " (", "(", ' "', '"', ",", ".", " -", "-", "¿", " ", ""])


@given(st.lists(MARKS, max_size=10))
def test_joining_loses_no_text_and_keeps_the_order(texts):
    given_words = words(*texts)
    joined = join_punctuation(given_words)
    assert "".join(word.text for word in joined) == "".join(texts)
    assert all(a.start <= b.start for a, b in pairwise(joined))
    assert {word.start for word in joined} <= {word.start for word in given_words}


def timed(*lengths: float, text: str = " w") -> list[Word]:
    position, made = 0.0, []
    for length in lengths:
        start, end = to_samples(position), to_samples(position + length)
        made.append(Word(start=start, end=end, text=text, probability=0.5))
        position += length
    return made


def test_a_first_word_is_cut_in_front_and_a_last_one_behind():
    first = shorten_stretched(timed(3, 0.3, 0.3, 0.3, 0.3))[0]
    assert (first.start, first.end) == (to_samples(2.4), to_samples(3))
    last = shorten_stretched(timed(0.3, 0.3, 0.3, 0.3, 3))[-1]
    assert (last.start, last.end) == (to_samples(1.2), to_samples(1.8))


def test_a_long_word_inside_a_sentence_stays():
    inside = timed(0.3, 0.3, 3, 0.3, 0.3)
    assert shorten_stretched(inside) == inside


def test_sentences_inside_a_phrase_have_edges_too():
    ended = timed(0.3, 0.3, 3, 0.3, 0.3)
    ended[2] = Word(start=ended[2].start, end=ended[2].end, text=" end.", probability=0.5)
    assert shorten_stretched(ended)[2].end == ended[2].start + to_samples(0.6)
    begun = timed(0.3, 0.3, 3, 0.3, 0.3)
    begun[1] = Word(start=begun[1].start, end=begun[1].end, text=" end.", probability=0.5)
    assert shorten_stretched(begun)[2].start == begun[2].end - to_samples(0.6)


LENGTHS = st.lists(st.integers(0, 40).map(lambda n: n / 10), max_size=12)


@given(LENGTHS, st.sampled_from([" w", " w."]))
def test_shortening_only_ever_shortens_and_keeps_the_order(lengths, text):
    before = timed(*lengths, text=text)
    after = shorten_stretched(before)
    assert [word.text for word in after] == [word.text for word in before]
    for old, new in zip(before, after, strict=True):
        assert old.start <= new.start <= new.end <= old.end
        assert new.start == old.start or new.end == old.end


# --- text ------------------------------------------------------------------------


def test_text_that_repeats_itself_compresses_well():
    assert compression_ratio("") == 0.0
    assert compression_ratio(" la" * 100) > 2.4
    assert compression_ratio("The quick brown fox jumps over the lazy dog.") < 2.4
