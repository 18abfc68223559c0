"""Proposals and patches: what may be written where, and that nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.bias.proposals import (
    Candidate,
    Heard,
    candidates,
    fitted,
    patched,
    with_candidate,
)
from longscribe.core.bias.retrieval import Hit
from longscribe.types import NO_PROMPT, Segment, Span, Term, Window, WindowResult, Word

STEP = 4000
"""Samples a word."""


def result(*phrases: str, offset: int = 0) -> WindowResult:
    """Return a window in which each word of the phrases takes a quarter of a second."""
    segments, at = [], offset
    for phrase in phrases:
        words = []
        for text in phrase.split():
            words.append(Word(start=at, end=at + STEP, text=f" {text}", probability=0.9))
            at += STEP
        segments.append(
            Segment(
                start=words[0].start if words else at, end=at, text=f" {phrase}" if phrase else "",
                words=tuple(words), chunk_id=0, window=0, bias_window_id=None, bias_terms=(),
                average_logprob=-0.1, no_speech_probability=0.0, compression_ratio=1.0,
            )
        )  # fmt: skip
    span = Span(start=0, end=30 * 16_000)
    window = Window(index=0, span=span, owns=span, speech=span.length)
    return WindowResult(
        chunk_id=0, window=window, bias_window_id=None, prompt=NO_PROMPT, segments=tuple(segments)
    )


def hit(first: int, last: int, text: str, **changes: object) -> Hit:
    term = Term(text=text)
    base = Hit(
        first=first, last=last, term=term, sound_distance=0.1, score=1.0, timing=0,
        exact_alias=False, already_right=False,
    )  # fmt: skip
    return replace(base, **changes)


def candidate(first: int, stop: int, written: str) -> Candidate:
    return Candidate(
        first=first, stop=stop, term=Term(text=written.strip()), written=written, sound=0.1,
        timing=0, second_pass=False, by_rule_of_user=False,
    )  # fmt: skip


def far(first: int, stop: int, term: Term) -> float:
    """Stands for the distance of sounds where retrieval has found none."""
    return 0.9


def text(done: WindowResult) -> str:
    return "".join(segment.text for segment in done.segments)


# --- what is proposed ----------------------------------------------------------


def test_what_sounds_alike_is_proposed() -> None:
    heard = Heard.of(result("We met Leonard today."))
    (found,) = candidates(heard, [hit(2, 2, "Lennard")], None, far, from_sound=True)
    assert (found.first, found.stop, found.written) == (2, 3, " Lennard")
    assert not found.second_pass


def test_what_sounds_alike_is_not_proposed_without_that_stage() -> None:
    heard = Heard.of(result("We met Leonard today."))
    assert candidates(heard, [hit(2, 2, "Lennard")], None, far, from_sound=False) == []


def test_what_the_second_pass_wrote_is_proposed_where_it_was_said() -> None:
    heard = Heard.of(result("We met Leonard today."))
    second = result("We met Lennard today.")
    (found,) = candidates(heard, [hit(2, 2, "Lennard")], second, far, from_sound=False)
    assert found.second_pass
    assert (found.first, found.stop, found.sound) == (2, 3, 0.1)


def test_a_term_that_the_second_pass_wrote_for_two_words_takes_both() -> None:
    heard = Heard.of(result("On the Mary Gold we sailed."))
    second = result("On the Marygold we sailed.")
    (found,) = candidates(heard, [hit(2, 3, "Marygold")], second, far, from_sound=False)
    assert (found.first, found.stop, found.written) == (2, 4, " Marygold")


def test_what_stands_there_already_is_not_proposed() -> None:
    heard = Heard.of(result("We met Lennard today."))
    second = result("We met Lennard today.")
    hits = [hit(2, 2, "Lennard", already_right=True)]
    assert candidates(heard, hits, second, far, from_sound=True) == []


def test_a_spelling_that_is_never_right_needs_no_other_proof() -> None:
    heard = Heard.of(result("We met Leonard's sister."))
    term = Term(text="Lennard", never=("leonard",))
    (found,) = candidates(heard, [hit(2, 2, "Lennard", term=term)], None, far, from_sound=False)
    assert found.by_rule_of_user
    assert found.written == " Lennard's"


def test_words_that_their_segment_does_not_hold_as_they_stand_alone_are_left() -> None:
    window = result("We met Leonard today.")
    joined = replace(window, segments=(replace(window.segments[0], text=" We met Leo-nard."),))
    assert candidates(Heard.of(joined), [hit(2, 2, "Lennard")], None, far, from_sound=True) == []


def test_other_digits_and_signs_are_not_taken_from_the_second_pass() -> None:
    heard = Heard.of(result("He flew Apollo 13 and wrote C."))
    second = result("He flew Apollo 11 and wrote C++.")
    hits = [hit(0, 0, "Apollo 11"), hit(0, 0, "C++")]
    assert candidates(heard, hits, second, far, from_sound=False) == []


def test_the_second_pass_needs_no_words() -> None:
    heard = Heard.of(result("So we met Leonard today.", "Then Mary left."))
    second = result("We met a Lennard today then Merry left.")
    second = replace(second, segments=(replace(second.segments[0], words=()),))
    hits = [hit(0, 0, "Lennard"), hit(0, 0, "Merry")]
    found = candidates(heard, hits, second, far, from_sound=False)
    assert [(one.first, one.stop, one.term.text) for one in found] == [
        (3, 4, "Lennard"), (6, 7, "Merry"),
    ]  # fmt: skip


def test_a_term_within_a_longer_word_was_not_written() -> None:
    heard = Heard.of(result("We met Leonard today."))
    second = result("We met Lennards today.")
    assert candidates(heard, [hit(2, 2, "Lennard")], second, far, from_sound=False) == []


PLURAL = Term(text="Brannock")


@pytest.mark.parametrize(
    ("said", "again", "term", "expected"),
    [
        ("Branochs,", "Brannocks", PLURAL, " Brannocks,"),
        ("Branochs’", "Brannocks", PLURAL, " Brannocks’"),
        ("Linches", "Lynches", Term(text="Lynch"), " Lynches"),
        ("Branochs", "Brannock", PLURAL, " Brannock"),  # written as it was heard
        ("Branoch", "Brannocks", PLURAL, None),
        ("brannocks", "Brannocks", PLURAL, None),
        ("Branochs", "Brannocks", replace(PLURAL, inflect=False), None),
        ("Branochs", "Brannocks", replace(PLURAL, aliases=("Branochs",)), None),
        ("Jonas", "Joness", Term(text="Jones"), None),
        ("Apollo 11s", "Apollo 13s", Term(text="Apollo 13"), None),
    ],
)
def test_the_plural_that_the_second_pass_wrote_is_kept(
    said: str, again: str, term: Term, expected: str | None
) -> None:
    heard = Heard.of(result(f"We met the {said} there."))
    second = result(f"We met the {again} there.")
    last = 3 + said.count(" ")
    hits = [hit(3, last, term.text, term=term)]
    found = candidates(heard, hits, second, far, from_sound=False)
    assert [one.written for one in found] == ([] if expected is None else [expected])
    assert all(one.second_pass for one in found)


def test_the_plural_is_compared_as_it_sounds() -> None:
    heard = Heard.of(result("We met the Branochs there."))

    def apart(first: int, stop: int, term: Term) -> float:
        return {"Brannock": 0.2, "Brannocks": 0.02}[term.text]

    second = result("We met the Brannocks there.")
    (found,) = candidates(heard, [hit(3, 3, "Brannock")], second, apart, from_sound=True)
    assert (found.term.text, found.sound) == ("Brannock", 0.02)


def test_a_plural_that_is_a_term_itself_is_that_term() -> None:
    heard = Heard.of(result("We met the Branochs there."))
    second = result("We met the Brannocks there.")
    hits = [hit(3, 3, "Brannock"), hit(3, 3, "Brannocks")]
    found = candidates(heard, hits, second, far, from_sound=False)
    assert [(one.term.text, one.written) for one in found] == [("Brannocks", " Brannocks")]


def test_in_a_script_without_spaces_a_term_may_stand_anywhere() -> None:
    heard = Heard.of(result("昨日 田仲 さん に 会った。"))
    second = result("昨日田中さんに会った。")
    (found,) = candidates(heard, [hit(1, 1, "田中")], second, far, from_sound=False)
    assert (found.first, found.stop, found.second_pass) == (1, 2, True)


def test_no_proposal_reaches_over_two_phrases() -> None:
    heard = Heard.of(result("We met Mary", "Gold was found"))
    second = result("We met Marygold Marygold was found")
    assert candidates(heard, [hit(0, 0, "Zed")], second, far, from_sound=False) == []


def test_the_span_that_sounds_like_the_term_is_taken_where_the_second_pass_is_longer() -> None:
    heard = Heard.of(result("We met Leonard today."))
    second = result("We met Lennard there.")
    (found,) = candidates(heard, [hit(2, 2, "Lennard")], second, far, from_sound=False)
    assert (found.first, found.stop) == (2, 3)


def test_where_retrieval_found_no_span_the_place_decides_and_the_sound_is_measured() -> None:
    heard = Heard.of(result("We met Leonard today."))
    second = result("We met Lennard today.")
    (found,) = candidates(heard, [hit(0, 0, "Lennard")], second, far, from_sound=False)
    assert (found.first, found.stop, found.sound) == (2, 3, 0.9)


# --- how it is written -----------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "term", "expected"),
    [
        ("Leonard,", Term(text="Lennard"), " Lennard,"),
        ("“Leonard”", Term(text="Lennard"), " “Lennard”"),
        ("Leonard's", Term(text="Lennard"), " Lennard's"),
        ("Leonard’s.", Term(text="Lennard"), " Lennard’s."),
        ("Leonard's", Term(text="Lennard", inflect=False), " Lennard"),
        ("Mitokondria", Term(text="mitochondria"), " Mitochondria"),
        ("(leonard)?", Term(text="Lennard"), " (Lennard)?"),
        ("«Leonard»", Term(text="Lennard"), " «Lennard»"),
        ("„Leonard“", Term(text="Lennard"), " „Lennard“"),
        ("‘Leonard’", Term(text="Lennard"), " ‘Lennard’"),
        ("‘Leonard’s’,", Term(text="Lennard"), " ‘Lennard’s’,"),
        ("'Leonard.'", Term(text="Lennard"), " 'Lennard.'"),
        ("*Leonard*—", Term(text="Lennard"), " *Lennard*—"),
        ("احمد،", Term(text="محمد"), " محمد،"),
        ("सीते।", Term(text="सीता"), " सीता।"),
        ("MacDonald's", Term(text="McDonald's"), " McDonald's"),
        ("MacDonalds", Term(text="McDonald's"), " McDonald's"),
        ("MacDonald’s,", Term(text="McDonald’s"), " McDonald’s,"),
        ("Inck.", Term(text="Inc."), " Inc."),
        ("Inck...", Term(text="Inc."), " Inc..."),
        ("Inck,", Term(text="Inc."), " Inc.,"),
        ("Jahoo!", Term(text="Yahoo!"), " Yahoo!"),
        (".Nett", Term(text=".NET"), " .NET"),
        ("sharp.", Term(text="C#"), " C#."),
        ("Eyephone", Term(text="iPhone"), " iPhone"),
        ("Eyephone", Term(text="iPhone mini"), " iPhone mini"),
        ("Fan", Term(text="van Gogh"), " Van Gogh"),
    ],
)
def test_a_term_takes_spaces_punctuation_and_ending(heard: str, term: Term, expected: str) -> None:
    assert fitted(term, Heard.of(result(heard)), 0, 1) == expected


def test_a_term_in_small_letters_gets_a_capital_only_where_a_sentence_begins() -> None:
    heard = Heard.of(result("The Mitokondria. Mitokondria die."))
    term = Term(text="mitochondria")
    assert fitted(term, heard, 1, 2) == " mitochondria."
    assert fitted(term, heard, 2, 3) == " Mitochondria"


def test_the_text_to_be_scored_is_that_of_the_window_as_far_as_is_asked() -> None:
    heard = Heard.of(result("a b Leonard c", "d e"))
    lennard = candidate(2, 3, " Lennard")
    assert with_candidate(heard, lennard, len(heard.words)) == " a b Lennard c d e"
    assert with_candidate(heard, lennard, 5) == " a b Lennard c d"
    assert with_candidate(heard, lennard, 3) == " a b Lennard"


# --- patching ----------------------------------------------------------------------


def test_only_the_accepted_words_change() -> None:
    before = result("We met Leonard today.", "Leonard, was Leonard there?")
    heard = Heard.of(before)
    done = patched(before, heard, [(candidate(4, 5, " Lennard,"), 0.8)])
    assert text(done) == " We met Leonard today. Lennard, was Leonard there?"
    assert done.segments[0] == before.segments[0]
    assert [w.text for w in done.segments[1].words] == [" Lennard,", " was", " Leonard", " there?"]
    assert done.segments[1].words[0].probability == 0.8
    assert done.segments[1].words[1:] == before.segments[1].words[1:]


def test_several_words_for_one_share_its_time() -> None:
    before = result("We met Marygold today.")
    done = patched(before, Heard.of(before), [(candidate(2, 3, " Mary Gold"), 0.8)])
    assert text(done) == " We met Mary Gold today."
    first, second = done.segments[0].words[2:4]
    assert (first.start, second.end) == (2 * STEP, 3 * STEP)
    assert first.end == second.start


def test_one_word_for_several_takes_their_time() -> None:
    before = result("On the Mary Gold we sailed.")
    done = patched(before, Heard.of(before), [(candidate(2, 4, " Marygold"), 0.8)])
    assert text(done) == " On the Marygold we sailed."
    assert (done.segments[0].words[2].start, done.segments[0].words[2].end) == (2 * STEP, 4 * STEP)


WORDS = st.lists(
    st.sampled_from(["a", "Ann", "ann", "an", "annex", "Ann's", "Ann,", "an."]), min_size=1
)


@given(WORDS, st.data())
def test_words_outside_stay_to_the_letter(words: list[str], data: st.DataObject) -> None:
    before = result(" ".join(words))
    place = data.draw(st.integers(0, len(words) - 1))
    stop = data.draw(st.integers(place + 1, min(len(words), place + 4)))
    done = patched(before, Heard.of(before), [(candidate(place, stop, " Xyz"), 0.5)])
    expected = [*words[:place], "Xyz", *words[stop:]]
    assert text(done).split() == expected
    assert [word.text.strip() for word in done.segments[0].words] == expected


@given(WORDS)
def test_nothing_accepted_changes_nothing(words: list[str]) -> None:
    before = result(" ".join(words))
    assert patched(before, Heard.of(before), []) == before
