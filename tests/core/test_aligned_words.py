"""Words from an aligner are put back into their text: none is lost, moved or invented."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from longscribe.core.aligned_words import NOT_ALIGNED, AlignedWord, not_aligned, words_in
from longscribe.types import NO_PROMPT, ChunkResult, Span, Window, WindowResult

SECOND = 16_000
NAN = math.nan


def aligned(text: str, start: float = NAN, end: float = NAN, score: float = 0.5) -> AlignedWord:
    return AlignedWord(text=text, start=start, end=end, score=score)


def test_words_get_their_spaces_back_and_their_times() -> None:
    sentences = [
        [aligned("Good", 0.1, 0.4), aligned("evening.", 0.5, 1.0)],
        [aligned("Yes.", 2, 3)],
    ]
    found = words_in(" Good evening. Yes.", sentences, 4 * SECOND)
    assert [[word.text for word in words] for words in found] == [[" Good", " evening."], [" Yes."]]
    assert [(word.start, word.end) for word in found[0]] == [(1600, 6400), (8000, 16000)]
    assert found[0][0].probability == 0.5


def test_a_language_without_spaces() -> None:
    found = words_in(
        "今日は。", [[aligned(char, n, n + 1) for n, char in enumerate("今日は。")]], 5 * SECOND
    )
    assert "".join(word.text for word in found[0]) == "今日は。"


def test_a_word_without_a_time_stands_between_its_neighbours() -> None:
    sentences = [[aligned("in", 1, 2), aligned("1984"), aligned("it", 3, 4)]]
    ((_, number, _),) = words_in(" in 1984 it", sentences, 5 * SECOND)
    assert SECOND <= number.start <= number.end <= 3 * SECOND


def test_times_run_forward_and_stay_in_the_window() -> None:
    sentences = [[aligned("a", 2, 1), aligned("b", 1, 9), aligned("c", -1, -1, NAN)]]
    (words,) = words_in("a b c", sentences, 4 * SECOND)
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(0 <= word.start <= word.end <= 4 * SECOND for word in words)
    assert words[2].probability == 0


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["one", "three"], id="one is missing"),
        pytest.param(["one", "two"], id="the last is missing"),
        pytest.param(["two", "one", "three"], id="out of order"),
        pytest.param(["one", "too", "three"], id="another"),
        pytest.param([], id="none"),
    ],
)
def test_other_words_than_were_given_are_none(words: list[str]) -> None:
    assert words_in(" one two three", [[aligned(word, 1, 2) for word in words]], SECOND) == []


def test_a_chunk_tells_how_its_words_were_timed_if_not_by_alignment() -> None:
    span = Span(start=0, end=SECOND)
    plain = WindowResult(
        chunk_id=0,
        window=Window(index=0, span=span, owns=span, speech=SECOND),
        bias_window_id=None,
        prompt=NO_PROMPT,
        segments=(),
        remarks=("it repeats itself: decoded again without a prompt",),
    )
    remark = f"{NOT_ALIGNED}: no model"
    other = replace(plain, remarks=(*plain.remarks, remark))
    assert not_aligned(ChunkResult(chunk_id=0, windows=(plain,))) is None
    assert not_aligned(ChunkResult(chunk_id=0, windows=(plain, other))) == remark
