"""Verify mode with a recognizer that says what it is told: what the glossary decides by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longscribe.adapters.language import tools
from longscribe.config import Options, PronouncerName
from longscribe.ports import Capabilities, WindowAudio
from longscribe.types import (
    NO_PROMPT,
    Glossary,
    Prompt,
    Segment,
    Span,
    Term,
    Window,
    WindowBias,
    WindowResult,
    Word,
    to_samples,
)
from longscribe.worker.verifying import CONTESTED, Verifier

SPAN = Span(start=0, end=to_samples(30))
WINDOW = Window(index=0, span=SPAN, owns=SPAN, speech=SPAN.length)


def heard(text: str, prompt: Prompt = NO_PROMPT, sure: float = 0.6) -> WindowResult:
    """Return a window of one phrase, its words a quarter of a second long."""
    step = to_samples(0.25)
    words = tuple(
        Word(start=n * step, end=(n + 1) * step, text=f" {word}", probability=sure)
        for n, word in enumerate(text.split())
    )
    segment = Segment(
        start=0, end=len(words) * step, text=f" {text}", words=words, chunk_id=0, window=0,
        bias_window_id=None, bias_terms=(), average_logprob=-0.1, no_speech_probability=0.0,
        compression_ratio=1.0,
    )  # fmt: skip
    return WindowResult(
        chunk_id=0, window=WINDOW, bias_window_id=None, prompt=prompt, segments=(segment,)
    )


class Told:
    """A recognizer whose second pass writes what it is told, if anything."""

    def __init__(self, again: str | None) -> None:
        self.again = again
        self.asked = 0
        self.capabilities = Capabilities(
            prompts=again is not None, word_times=True, scoring=True, batching=True,
            translate=False, languages=("en",),
        )  # fmt: skip

    def decode(self, members: Sequence[WindowAudio], *_: Any) -> Iterator[tuple[WindowResult, ...]]:
        assert self.again is not None
        self.asked += 1
        for member in members:
            terms = member.bias.terms
            yield (heard(self.again, Prompt(terms=terms, text="", token_ids=(1,))),)

    def score(self, member: WindowAudio, texts: Sequence[str], *_: Any) -> tuple[float, ...]:
        return (0.0,) * len(texts)


def verify(
    text: str,
    *terms: Term | str,
    again: str | None = None,
    language: str = "en",
    sure: float = 0.6,
    never: tuple[str, ...] = (),
) -> WindowResult:
    options = Options(model="x", language=language, glossary=Path("names.txt"))
    whole = tuple(Term(text=term) if isinstance(term, str) else term for term in terms)
    verifier = Verifier(
        Told(again),  # type: ignore[arg-type]
        Glossary(terms=whole, never=never),
        options.bias_settings,
        tools.load(PronouncerName.LETTERS, language),
    )
    audio = WindowAudio(
        window=WINDOW, bias=WindowBias(bias_window_id=None, terms=()), pcm=np.zeros(1, np.int16)
    )
    running = verifier.verify([heard(text, sure=sure)], [audio], options.decode_settings, 0)
    while True:
        try:
            next(running)
        except StopIteration as end:
            (result,) = end.value
            return result


def written(text: str, *terms: Term | str, **more: Any) -> str:
    return "".join(segment.text for segment in verify(text, *terms, **more).segments).strip()


# --- what is never right ----------------------------------------------------------


def test_what_is_never_right_is_replaced_however_often_it_is_heard() -> None:
    term = Term(text="okey", never=("okay",))
    times = CONTESTED + 5
    assert written(" ".join(["okay"] * times), term) == " ".join(["okey"] * times)


def test_of_too_many_candidates_the_likeliest_are_weighed_wherever_they_stand() -> None:
    far, near = "Bramok", "Branock"
    text = " and ".join([*[far] * CONTESTED, near, near])
    proposals = verify(text, "Brannock", sure=0.5).proposals
    assert len(proposals) == CONTESTED
    assert [p.heard for p in proposals[-2:]] == [near, near]
    assert [p.start for p in proposals] == sorted(p.start for p in proposals)


def test_what_is_never_right_is_replaced_though_a_part_of_it_is_a_term() -> None:
    lake = Term(text="Lyndon Lake", never=("Linden Lake",))
    assert written("at Linden Lake today", "Linden", lake) == "at Lyndon Lake today"


def test_the_very_capitals_that_are_never_right_are_replaced() -> None:
    term = Term(text="Captain", never=("captain",))
    assert written("the captain, the captain’s", term) == "the Captain, the Captain’s"
    assert written("the CAPTAIN told the Captain", term) == "the CAPTAIN told the Captain"


def test_signs_are_written_where_they_are_heard_as_words() -> None:
    terms = [Term(text="C#", never=("C sharp",)), Term(text="C++", never=("C plus plus",))]
    assert written("in C sharp, C plus plus and C.", *terms) == "in C#, C++ and C."


# --- capitals -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "terms", "expected"),
    [
        ("we saw harwick today", ["Harwick"], "we saw Harwick today"),
        ("(harwick’s) lamp", ["Harwick"], "(Harwick’s) lamp"),
        ("the Iphone and the Nasa", ["iPhone", "NASA"], "the iPhone and the NASA"),
        ("well. Iphone is here", ["iPhone"], "well. iPhone is here"),
        ("in new york today", ["New York"], "in New York today"),
        ("says Van Gogh. Van Gogh said", ["van Gogh"], "says van Gogh. Van Gogh said"),
        ("we use yahoo, o’brien", ["Yahoo!", "O'Brien"], "we use Yahoo, O’Brien"),
        ("at Mcdonald's place", ["McDonald's"], "at McDonald's place"),
    ],
)
def test_a_term_is_written_in_the_glossarys_capitals(
    text: str, terms: list[str], expected: str
) -> None:
    assert written(text, *terms) == expected


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("the captain told us it is so", ["Captain", "US", "IT"]),  # words of every day
        ("the HARWICK lamp, HARWICK'S", ["Harwick"]),  # shouted
        ("Mitochondria die. So do they", ["mitochondria"]),
        ("the Mitochondria die", ["mitochondria"]),  # a term without capitals says nothing of them
        ("the Harwick lamp", ["Harwick", "harwick", "HARWICK"]),
        ("the harwick Club is here", ["Harwick", "the harwick Club", "Harwick club"]),
    ],
)
def test_other_capitals_stay(text: str, terms: list[str]) -> None:
    result = verify(text, *terms)
    assert result.segments == heard(text).segments
    assert not any(proposal.accepted for proposal in result.proposals)


def test_capitals_stay_where_no_list_tells_everyday_words_from_names() -> None:
    assert written("vi ser kapten harwick", "Kapten", language="sv") == "vi ser kapten harwick"


def test_an_anti_term_is_not_written_for_its_capitals() -> None:
    assert written("we saw harwick", "Harwick", never=("harwick",)) == "we saw harwick"


def test_capitals_are_on_record_and_need_no_second_pass() -> None:
    result = verify("we went to new york", "New York", again="nonsense")
    (proposal,) = result.proposals
    assert (proposal.heard, proposal.written) == ("new york", "New York")
    assert proposal.accepted
    assert proposal.reason == "the glossary's capitals"
    assert proposal.evidence.acoustic is None
    assert not result.prompt.terms
    before = heard("we went to new york").segments[0].words
    after = result.segments[0].words
    assert [word.text for word in after] == [" we", " went", " to", " New", " York"]
    assert [replace(word, text="") for word in after] == [replace(w, text="") for w in before]


def test_another_term_comes_before_capitals() -> None:
    lane = Term(text="Harwick Lane", never=("harwick lain",))
    assert written("in harwick lain", "Harwick", lane) == "in Harwick Lane"


# --- plurals ------------------------------------------------------------------------


def test_a_plural_stays_a_plural() -> None:
    text = "we met the Branochs there"
    assert written(text, "Brannock", again="we met the Brannocks there") == (
        "we met the Brannocks there"
    )


# --- long lists -----------------------------------------------------------------------

OTHERS = tuple(
    f"{begin}{middle}{end} Quux"
    for begin in "BDFGKLMNPRSTVZ"
    for middle in "iu"
    for end in ("zz", "shsh", "ff", "ll")
)
"""Over a hundred terms that sound like nothing that is heard."""


def test_a_rival_that_is_less_likely_counts_against_what_may_be() -> None:
    result = verify("then Corbannoc came", "Corbenock", "Corbanneck", *OTHERS)
    near, far = sorted(result.proposals, key=lambda p: p.evidence.sound)
    assert (near.term, far.term) == ("Corbenock", "Corbanneck")
    assert near.evidence.margin == pytest.approx(near.evidence.sound - far.evidence.sound)
    assert not far.accepted
    assert far.reason == "probability under the threshold"


def test_in_a_long_list_what_sounds_far_is_never_accepted() -> None:
    again = "then Corbenock and Corbenock came"
    result = verify("then Corbennoc and Hollis came", "Corbenock", *OTHERS, again=again)
    near, far = result.proposals
    assert (near.heard, near.accepted) == ("Corbennoc", True)
    assert (far.heard, far.accepted) == ("Hollis", False)
    assert far.reason == "too far in sound for so long a glossary"


def test_in_a_long_list_one_mention_of_a_short_name_must_sound_the_same() -> None:
    def accepted(heard: str, name: str) -> bool:
        text = "then {} came".format
        terms = (name, *OTHERS)
        return verify(text(heard), *terms, again=text(name)).proposals[0].accepted

    assert accepted("Corbannoc", "Corbenock")
    assert not accepted("Cannoc", "Kenock")
    assert accepted("Kennoc", "Kenock")


def test_what_the_second_pass_was_told_of_and_did_not_write_must_sound_the_same() -> None:
    text = "then Corbannoc came"
    assert not verify(text, "Corbenock", again=text).proposals
    assert verify(text, "Corbenock", again="then Corbenock came").proposals
    assert verify(text, "Corbenock").proposals  # it could not be told
    assert verify(text, "Corbannock", again=text).proposals  # the same sound


# --- capitals of what was heard -------------------------------------------------------


def small(text: str, term: str) -> bool:
    (proposal,) = verify(text, term).proposals
    return proposal.evidence.small


def test_a_name_heard_in_small_letters_is_noted_where_there_are_others() -> None:
    assert small("Then the harwik came", "Harwick")
    assert not small("Then the Harwik came", "Harwick")
    assert not small("then the harwik came", "Harwick")  # a recognizer that writes no capitals
    assert not small("Then the mitokondria came", "mitochondria")
