"""Words of a decoded window, and the phrases that are made of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.phrases import (
    FRAME_STEP,
    LONGEST_PHRASE,
    PHRASE_PAUSE,
    compression_ratio,
    join_punctuation,
    segments_of,
    shorten_stretched,
    split_phrases,
)
from longscribe.types import Word, to_samples
from tests.core.plans import phrase

# --- phrases -------------------------------------------------------------------


def spoken(text: str, *, word: float = 0.3, pause: float = 0.0) -> list[Word]:
    """Return the words of `text`, each so long, with so much pause between; "|" is 1 s of it."""
    position, made = 0.0, []
    for part in text.split():
        if part == "|":
            position += 1
            continue
        start, end = to_samples(position), to_samples(position + word)
        made.append(Word(start=start, end=end, text=f" {part}", probability=0.5))
        position += word + pause
    return made


def phrases(words: list[Word]) -> list[str]:
    return ["".join(word.text for word in each).strip() for each in split_phrases(words)]


@pytest.mark.parametrize(
    "text",
    [
        "It was late. / The boat came.",
        "Was it late? / Yes! / So late… / It was.",
        "“It was late.” / She left.",
        'He said "no." / (She left!) / [They stayed.] / Then he came.',
        "«C'est tard.» / Elle part.",
        "他来了。 / 她走了！ / 真的？ / 真的。",
        "「行きます。」 / 「はい。」",
        "Mr. Gold met Dr. Reed and Mrs. Lamb in St. Ives. / They left.",
        "(Mr. Gold) “Mr. Gold” met Messrs. Reed.",
        "J. R. Reed wrote it. / E. Woodhouse read it.",
        "It was I. / He left.",
        "Is that J? / No! / It is Mr? / No.",  # only a full stop can stand for letters left out
        "It cost 3.50 and 1,000 more.",
        "no end at all",
        "",
    ],
)
def test_phrases_end_where_sentences_do(text):
    """The slashes stand where a phrase ends."""
    expected = [part.strip() for part in text.split("/") if part.strip()]
    assert phrases(spoken(text.replace("/", ""))) == expected


def test_phrases_end_at_pauses_of_a_second():
    assert phrases(spoken("he came | and went")) == ["he came", "and went"]
    assert phrases(spoken("he came and went", pause=0.99)) == ["he came and went"]
    assert phrases(spoken("he came and went", pause=1.01)) == ["he", "came", "and", "went"]
    exact = [
        Word(start=start, end=start + 1600, text=" a", probability=0.5)
        for start in (0, 1600 + PHRASE_PAUSE - 1, 2 * (1600 + PHRASE_PAUSE) - 1)
    ]
    assert phrases(exact) == ["a a", "a"]


def test_a_phrase_of_over_15_seconds_is_divided_at_its_longest_pause():
    words = spoken(" ".join(["w"] * 25), word=0.6)
    assert phrases(words) == [" ".join(["w"] * 25)], "15 s is not over 15 s"
    words = spoken(" ".join(["w"] * 26), word=0.6)
    assert [len(each) for each in split_phrases(words)] == [13, 13], "no pause: in the middle"
    longer = to_samples(0.2)
    moved = [
        Word(start=w.start + longer, end=w.end + longer, text=w.text, probability=0.5)
        for w in words[7:]
    ]
    assert [len(each) for each in split_phrases([*words[:7], *moved])] == [7, 19]


def test_one_word_is_a_phrase_however_long():
    [word] = spoken("well", word=40)
    assert split_phrases([word]) == [(word,)]


TIMED = st.lists(
    st.tuples(
        st.integers(0, 3 * PHRASE_PAUSE),
        st.integers(0, LONGEST_PHRASE // 2),
        st.sampled_from([" a", " b.", " Mr.", " J.", "。", " c?”", ""]),
    ),
    max_size=30,
)


@given(TIMED)
def test_phrases_hold_all_words_in_order_and_last_at_most_15_seconds(parts):
    position, words = 0, []
    for pause, length, text in parts:
        start = position + pause
        position = start + length
        words.append(Word(start=start, end=position, text=text, probability=0.5))
    found = split_phrases(words)
    assert [word for each in found for word in each] == words
    assert all(found)
    for each in found:
        assert len(each) == 1 or each[-1].end - each[0].start <= LONGEST_PHRASE
        assert all(b.start - a.end < PHRASE_PAUSE for a, b in pairwise(each))


def test_segments_share_what_is_said_of_their_window():
    like = phrase(0, 99, " something else", chunk_id=3, window=2)
    words = spoken("It was late. | The boat came and came and came")
    first, second = segments_of(words, like)
    assert (first.text, second.text) == (
        " It was late.",
        " The boat came and came and came",
    )
    assert first.words + second.words == tuple(words)
    assert (first.start, first.end) == (words[0].start, words[2].end)
    assert (second.start, second.end) == (words[3].start, words[-1].end)
    assert {(each.chunk_id, each.window, each.average_logprob) for each in (first, second)} == {
        (3, 2, like.average_logprob)
    }
    assert second.compression_ratio == compression_ratio(second.text)
    assert segments_of([], like) == ()


def test_a_frame_of_the_decoders_attention_is_20_milliseconds():
    assert to_samples(0.02) == FRAME_STEP


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
