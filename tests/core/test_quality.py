"""Quality as a fault: which output is complained of, and which hearing is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from longscribe.core.quality import (
    GREEDY,
    PLAIN,
    UNREPEATING,
    best_hearing,
    complaint,
    other_hearings,
    piles,
    without_piles,
)
from longscribe.types import (
    NO_PROMPT,
    SAMPLE_RATE,
    Prompt,
    Segment,
    Span,
    Window,
    WindowResult,
    Word,
    to_samples,
)

CAST = ("Geoffrey", "Rosalynd", "Mary Gold", "Harwick", "Brannock")
"""Best first, as results have them; the prompt lists them the other way round."""
ECHO = "Brannock, Harwick, Mary Gold, Rosalynd, Geoffrey"
SENTENCE = "We went down to the harbour before the light had gone and waited for the boat."
ECHOED = "an echo of the prompt"


def heard(
    *texts: str, seconds: float, terms: tuple[str, ...] = (), logprob: float = -0.3
) -> WindowResult:
    """Return the hearing of a window with so much speech."""
    speech = round(seconds * SAMPLE_RATE)
    span = Span(start=0, end=speech)
    segments = tuple(
        Segment(
            start=0, end=speech, text=f" {text}", words=(), chunk_id=0, window=0,
            bias_window_id=None, bias_terms=terms, average_logprob=logprob,
            no_speech_probability=0.0, compression_ratio=1.0,
        )
        for text in texts
    )  # fmt: skip
    prompt = Prompt(terms=terms, text=" " + ", ".join(reversed(terms)), token_ids=(1, 2))
    return WindowResult(
        chunk_id=0,
        window=Window(index=0, span=span, owns=span, speech=speech),
        bias_window_id=None,
        prompt=prompt if terms else NO_PROMPT,
        segments=segments,
    )


# --- emptiness -------------------------------------------------------------------


@pytest.mark.parametrize("texts", [(), ("",), (" ", "  ")])
def test_much_speech_without_words_is_complained_of(texts):
    assert complaint(heard(*texts, seconds=2)) == "nothing in 2 s of speech"
    assert complaint(heard(*texts, seconds=1.99)) is None
    assert complaint(heard(*texts, seconds=0)) is None


def test_a_sentence_is_not():
    assert complaint(heard(SENTENCE, seconds=5)) is None
    assert complaint(heard(SENTENCE, seconds=5, terms=CAST)) is None


# --- repetition ------------------------------------------------------------------


def test_a_text_that_repeats_itself_faster_than_it_can_be_said_is_complained_of():
    text = "no no " * 30  # 179 characters
    assert complaint(heard(text, seconds=8)) == "the text repeats itself"
    assert complaint(heard(*["And so on."] * 20, seconds=9)) == "the text repeats itself"


def test_what_is_said_again_and_again_is_no_fault():
    """Twelve equal sentences of a drill; a refrain; a roll call."""
    assert complaint(heard(*[SENTENCE] * 12, seconds=60)) is None  # 16 characters a second
    assert complaint(heard("no no " * 30, seconds=8.2)) is None  # 21.8
    assert complaint(heard(*["And so on."] * 20, seconds=20)) is None


def test_a_text_that_does_not_repeat_itself_may_be_faster():
    assert complaint(heard(SENTENCE, seconds=3)) is None  # 26 characters a second
    assert complaint(heard(SENTENCE * 6, seconds=18)) == "the text repeats itself"


def test_a_short_text_may_repeat_itself():
    assert complaint(heard("n" * 59, seconds=2.5)) is None
    assert complaint(heard("n" * 60, seconds=2.5)) == "the text repeats itself"


def test_a_refrain_is_no_repetition():
    assert complaint(heard(f"{SENTENCE} {SENTENCE}", seconds=20)) is None  # ratio about 1.8


# --- words piled on one instant ----------------------------------------------------


def timed(*words: tuple[str, float], seconds: float = 20.0, logprob: float = -0.3) -> WindowResult:
    """Return the hearing of a window with words that last so long, one after another."""
    position, made = 0.0, []
    for text, lasts in words:
        start, end = to_samples(position), to_samples(position + lasts)
        made.append(Word(start=start, end=end, text=f" {text}", probability=0.5))
        position += lasts
    result = heard("".join(word.text for word in made).strip(), seconds=seconds, logprob=logprob)
    [segment] = result.segments
    return replace(result, segments=(replace(segment, words=tuple(made)),))


SAID = [(word, 0.3) for word in SENTENCE.split()]


@pytest.mark.parametrize("lasts", [0.0, 0.02])
def test_five_words_without_time_are_a_loop(lasts):
    result = timed(*SAID, *[("boat", lasts)] * 5)
    assert [len(pile) for pile in piles(result)] == [5]
    assert complaint(result) == "words piled on one instant"
    assert not list(piles(timed(*SAID, *[("boat", lasts)] * 4)))
    assert complaint(timed(*SAID, *[("boat", lasts)] * 4)) is None


def test_two_frames_are_time():
    assert not list(piles(timed(*SAID, *[("boat", 0.04)] * 20)))


def test_words_without_time_that_do_not_follow_each_other_are_no_pile():
    one = [("boat", 0.0)] * 4 + [("waited", 0.3)]
    assert not list(piles(timed(*one * 3)))


def test_a_pile_may_lie_across_phrases():
    result = timed(*SAID, *[("boat.", 0.0)] * 6)
    [segment] = result.segments
    cut = len(SAID) + 3
    parts = (
        replace(segment, words=segment.words[:cut]),
        replace(segment, words=segment.words[cut:]),
    )
    assert [len(pile) for pile in piles(replace(result, segments=parts))] == [6]


def test_a_loop_is_taken_out_and_a_remark_says_so():
    cut = without_piles(timed(*SAID, *[("boat", 0.0)] * 7, ("came", 0.3)))
    text = "".join(segment.text for segment in cut.segments).strip()
    assert text == f"{SENTENCE} came"
    assert [word.text for segment in cut.segments for word in segment.words] == [
        f" {word}" for word in f"{SENTENCE} came".split()
    ]
    assert cut.remarks == ("7 words piled on one instant were taken out as a loop",)
    assert complaint(cut) is None


def test_a_loop_and_nothing_else_leaves_nothing():
    assert without_piles(timed(*[("boat", 0.0)] * 7)).segments == ()


def test_true_repetition_stays_as_it_is():
    drill = timed(*SAID * 4)
    assert without_piles(drill) is drill


# --- speed -----------------------------------------------------------------------


def test_more_text_than_anybody_says_in_the_time_is_complained_of():
    text = SENTENCE[:60]
    assert complaint(heard(text, seconds=2)) is None  # 30 characters a second
    assert complaint(heard(text, seconds=1.9)) == "60 characters in 1.9 s of speech"


def test_a_short_phrase_may_be_as_fast_as_it_likes():
    assert complaint(heard(SENTENCE[:39].strip(), seconds=0.2)) is None
    assert complaint(heard(SENTENCE[:40], seconds=0.2)) == "40 characters in 0.2 s of speech"


def test_no_speech_at_all_is_no_division_by_zero():
    assert complaint(heard(SENTENCE, seconds=0)) == "78 characters in 0.0 s of speech"


# --- echoes of the prompt ----------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["Harwick, Geoffrey, Gold", "Gold gold gold", "Geoffrey, Rosalynd, Harwick and Mary"]
)
def test_a_list_of_terms_in_little_speech_is_an_echo_in_any_order(text):
    assert complaint(heard(text, seconds=0.9, terms=CAST)) == ECHOED
    assert complaint(heard(text, seconds=1, terms=CAST)) is None
    assert complaint(heard(text, seconds=0.9)) is None  # there was no prompt


def test_one_term_or_two_words_in_little_speech_are_none():
    assert complaint(heard("Geoffrey!", seconds=0.9, terms=CAST)) is None
    assert complaint(heard("Mary Gold.", seconds=0.9, terms=CAST)) is None
    assert complaint(heard("Geoffrey, Harwick, come here", seconds=0.9, terms=CAST)) is None


@pytest.mark.parametrize("seconds", [1, 3, 5, 25])
@pytest.mark.parametrize(
    "text",
    [
        ECHO,
        ECHO.lower() + ".",
        f"{ECHO}, {ECHO}",  # a prompt that was filled by repeating its terms
        "Rosalynd, Geoffrey, Brannock, Harwick",  # that begins in the middle
        "Harwick, Mary Gold, Rosalynd",
        "Oh, Harwick, Mary Gold, Rosalynd, yes, right",  # 4 of 7 words
    ],
)
def test_the_terms_as_the_prompt_lists_them_are_an_echo_in_any_length_of_speech(text, seconds):
    assert complaint(heard(text, seconds=max(seconds, len(text) / 29), terms=CAST)) == ECHOED


@pytest.mark.parametrize(
    "text",
    [
        "Geoffrey, Rosalynd, Mary Gold, Harwick, Brannock",  # the other way round
        "Harwick, Brannock, Mary Gold, Geoffrey, Rosalynd",  # a roll call
        "Brannock, Mary Gold, Geoffrey",  # in order, but not one after another
        "Mary Gold, Rosalynd",  # two
        "Rosalynd, Geoffrey. Rosalynd, Geoffrey.",
        "Brannock and Harwick and Mary Gold and Rosalynd",
        "Oh, Harwick, Mary Gold, Rosalynd, yes, all right",  # 4 of 8 words
        "Geoffrey told Rosalynd that the ship was late.",
    ],
)
def test_names_that_people_say_are_no_echo(text):
    assert complaint(heard(text, seconds=5, terms=CAST)) is None


def test_two_terms_have_no_order_to_go_by():
    assert complaint(heard("Harwick, Mary Gold, Harwick", seconds=3, terms=CAST[2:4])) is None
    doubled = ("Geoffrey", "geoffrey", "Rosalynd", "?!")
    text = "Rosalynd, Geoffrey, Rosalynd, Geoffrey"
    assert complaint(heard(text, seconds=3, terms=doubled)) is None


# --- other hearings ----------------------------------------------------------------


def test_a_window_is_heard_again_without_its_prompt_first():
    assert other_hearings(prompted=True) == (PLAIN, GREEDY, UNREPEATING)
    assert other_hearings(prompted=False) == (GREEDY, UNREPEATING)
    assert not any(hearing.prompted for hearing in other_hearings(prompted=True))


def test_the_first_hearing_without_complaint_is_kept():
    bad, good = heard(seconds=5), heard(SENTENCE, seconds=5, logprob=-2.0)
    assert best_hearing([bad, good, replace(good, chunk_id=1)]) == 1


def test_else_the_surest_text():
    empty = heard(seconds=5)
    loop = heard("no " * 60, seconds=5, logprob=-0.6)
    fast = heard(SENTENCE, seconds=1, logprob=-0.9)
    surer = heard(SENTENCE, seconds=1, logprob=-0.5)
    assert best_hearing([empty, loop]) == 1
    assert best_hearing([fast, surer, loop, empty]) == 1
    assert best_hearing([fast, loop]) == 1, "that it compresses well makes a text no worse"


def test_a_text_without_words_on_one_instant_is_better_than_a_surer_one_with():
    piled = timed(*SAID, *[("boat", 0.0)] * 5, seconds=1, logprob=-0.1)
    fast = heard(SENTENCE, seconds=1, logprob=-0.9)
    assert best_hearing([piled, fast]) == 1
    assert best_hearing([heard(seconds=5), piled]) == 1, "and it is better than nothing"


def test_nothing_is_better_than_an_echo():
    echo, empty = heard(ECHO, seconds=5, terms=CAST), heard(seconds=5)
    assert best_hearing([echo, empty, empty]) == 1
