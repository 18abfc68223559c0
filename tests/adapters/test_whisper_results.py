"""From a decoder's answer to segments: whether it holds words, and when they are said."""

from __future__ import annotations

import numpy as np
import pytest

from longscribe.adapters.recognizers.whisper.results import (
    INVENTED,
    NO_SPEECH,
    Decoded,
    Place,
    segments,
    timed_words,
)
from longscribe.ports import WindowAudio
from longscribe.types import NO_PROMPT, Prompt, Span, Window, WindowBias, Word, to_samples

END = 100
START = to_samples(60)
LENGTH = to_samples(20)


def decoded(average_logprob: float, no_speech: float, *tokens: int) -> Decoded:
    return Decoded.of(tokens or (1, 2, 3), END, average_logprob, no_speech)


# --- whether a window holds words ------------------------------------------------


@pytest.mark.parametrize(
    ("average_logprob", "no_speech"),
    [
        (-0.2, 0.0),
        (-0.7, 0.06),  # people who read, at their worst
        (-0.2, 0.99),  # surely silent, but the text is sure too
        (-0.39, 0.8),
        (-1.0, 0.2),
        (-3.0, 0.2),  # unsure, but there is something
        (-0.9, 0.3),
    ],
)
def test_what_was_said_is_kept(average_logprob: float, no_speech: float) -> None:
    assert decoded(average_logprob, no_speech).tokens == (1, 2, 3)


@pytest.mark.parametrize(
    ("average_logprob", "no_speech"),
    [
        (-0.4, 0.9),  # "Thank you." for music: openai/whisper keeps it
        (-0.91, 0.3),
        (-1.1, 0.21),
        (-2.0, 0.9),
    ],
)
def test_an_invention_is_not(average_logprob: float, no_speech: float) -> None:
    found = decoded(average_logprob, no_speech)
    assert found.tokens == ()
    assert (found.average_logprob, found.no_speech) == (average_logprob, no_speech)


def test_the_borders_themselves_are_no_invention() -> None:
    assert decoded(NO_SPEECH - 1.9, NO_SPEECH).tokens
    assert decoded(0.5 - INVENTED, 0.5).tokens
    assert not decoded(0.5 - INVENTED - 0.001, 0.5).tokens


def test_special_tokens_and_times_are_no_text() -> None:
    assert decoded(-0.2, 0.0, 1, END, 2, 101, 1700, 99).tokens == (1, 2, 99)


def test_numbers_are_rounded_as_they_stand_in_results() -> None:
    found = decoded(-0.123456, 0.012345)
    assert (found.average_logprob, found.no_speech) == (-0.1235, 0.0123)


# --- words -----------------------------------------------------------------------


def test_words_take_the_times_and_probabilities_of_their_tokens() -> None:
    words = timed_words(
        [(" He", (1,)), (" came", (2, 3)), (".", (4,))],
        [0, 1600, 3200, 4800, 6400],
        [0.5, 0.8, 0.6, 0.9],
    )
    assert [(word.text, word.start, word.end) for word in words] == [
        (" He", 0, 1600),
        (" came.", 1600, 4800),
    ]
    assert [word.probability for word in words] == [0.5, 0.7]


def test_no_words_have_no_times() -> None:
    assert timed_words([], [0], []) == []


def test_times_that_run_backward_give_words_without_length() -> None:
    words = timed_words([(" a", (1,)), (" b", (2,))], [3200, 1600, 4800], [0.5, 0.5])
    assert [(word.start, word.end) for word in words] == [(3200, 3200), (1600, 4800)]


# --- segments --------------------------------------------------------------------


def place(prompt: Prompt = NO_PROMPT) -> Place:
    span = Span(start=START, end=START + LENGTH)
    return Place(
        member=WindowAudio(
            window=Window(index=4, span=span, owns=span, speech=LENGTH),
            bias=WindowBias(bias_window_id=7, terms=prompt.terms),
            pcm=np.zeros(LENGTH, np.int16),
        ),
        prompt=prompt,
        chunk_id=2,
    )


def words(text: str) -> list[Word]:
    return [
        Word(start=n * 8000, end=n * 8000 + 6400, text=f" {part}", probability=0.9)
        for n, part in enumerate(text.split())
    ]


def test_phrases_are_cut_from_words_and_stand_on_the_recordings_clock() -> None:
    said = words("It was late. The boat came.")
    found = segments(place(), " It was late. The boat came.", said, decoded(-0.3, 0.01))
    assert [segment.text for segment in found] == [" It was late.", " The boat came."]
    assert [(segment.start, segment.end) for segment in found] == [
        (START, START + said[2].end),
        (START + said[3].start, START + said[5].end),
    ]
    assert [word.start - START for segment in found for word in segment.words] == [
        word.start for word in said
    ]


def test_segments_say_where_they_belong_and_how_sure_they_are() -> None:
    prompt = Prompt(terms=("Harwick",), text=" Harwick", token_ids=(5,))
    [found] = segments(place(prompt), " It was.", words("It was."), decoded(-0.3, 0.01))
    assert (found.chunk_id, found.window, found.bias_window_id) == (2, 4, 7)
    assert found.bias_terms == ("Harwick",)
    assert (found.average_logprob, found.no_speech_probability) == (-0.3, 0.01)


def test_without_words_the_text_is_one_segment_as_long_as_the_window() -> None:
    text = " It was late. The boat came."
    [found] = segments(place(), text, None, decoded(-0.3, 0.01))
    assert (found.text, found.words) == (text, ())
    assert (found.start, found.end) == (START, START + LENGTH)


@pytest.mark.parametrize("said", [None, []])
def test_no_text_has_no_segments(said: list[Word] | None) -> None:
    assert segments(place(), " ", said, decoded(-0.3, 0.01)) == ()
