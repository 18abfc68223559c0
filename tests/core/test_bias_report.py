"""The report on a glossary: what is found in the text, and what is added up."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.config import BiasMode
from longscribe.core.bias.places import PlacedText, Spelling
from longscribe.core.bias.report import (
    BiasReport,
    GlossaryState,
    Subject,
    named_terms,
    replaced_in,
    report_on,
)
from longscribe.types import (
    Evidence,
    Glossary,
    Prompt,
    Proposal,
    Segment,
    Span,
    Term,
    Window,
    WindowResult,
    Word,
)

STEP = 1000
"""Samples a word."""


def phrase(text: str, at: int = 0, *, words: bool = True) -> Segment:
    """Return a segment whose words take `STEP` each."""
    parts = [f" {part}" for part in text.split()]
    placed = tuple(
        Word(start=at + n * STEP, end=at + (n + 1) * STEP, text=part, probability=0.9)
        for n, part in enumerate(parts)
    )
    return Segment(
        start=at, end=at + len(parts) * STEP, text="".join(parts), words=placed if words else (),
        chunk_id=0, window=0, bias_window_id=None, bias_terms=(), average_logprob=-0.1,
        no_speech_probability=0.0, compression_ratio=1.0,
    )  # fmt: skip


def proposal(term: str, heard: str, start: int, *, accepted: bool, sure: float = 0.9) -> Proposal:
    evidence = Evidence(
        sound=0.1, acoustic=1.5, margin=-0.1, confidence=0.4, commonness=0.1, second_pass=True, recurrence=0,
        timing=0, alias=False, small=False, letters=8, words=1,
        probability=sure, threshold=0.5,
    )  # fmt: skip
    return Proposal(
        term=term, heard=heard, written=term, start=start, end=start + STEP, accepted=accepted,
        reason="a reason", evidence=evidence,
    )  # fmt: skip


def window(
    *segments: Segment, at: int = 0, terms: tuple[str, ...] = (), proposals: tuple = ()
) -> WindowResult:
    span = Span(start=at, end=at + 20 * STEP)
    prompt = Prompt(terms=terms, text=", ".join(terms), token_ids=tuple(range(len(terms))))
    return WindowResult(
        chunk_id=0, window=Window(index=0, span=span, owns=span, speech=span.length),
        bias_window_id=0, prompt=prompt, segments=segments, proposals=proposals,
    )  # fmt: skip


def report(
    *windows: WindowResult,
    glossary: Glossary,
    state: GlossaryState = GlossaryState.SAME,
) -> BiasReport:
    subject = Subject(
        media="film.mkv", mode=BiasMode.VERIFY, path="names.txt", state=state, extra_terms=(),
        complete=True, glossary=glossary,
    )  # fmt: skip
    return report_on(windows, subject)


def names(*texts: str) -> Glossary:
    return Glossary(terms=tuple(Term(text=text) for text in texts))


# --- spellings in the text -------------------------------------------------------


def found(spelling: str, *texts: str, any_case: bool = False) -> list[str]:
    text = PlacedText.of([phrase(each, n * 20 * STEP) for n, each in enumerate(texts)])
    return [place.text for place in text.find(Spelling.of(spelling, any_case=any_case))]


@pytest.mark.parametrize(
    ("spelling", "text", "times"),
    [
        ("Geoffrey", "Geoffrey, Geoffrey's and (Geoffrey).", 3),
        ("Geoffrey", "geoffrey GEOFFREY Geoffreys McGeoffrey", 0),
        ("Kate Winslet", "Then Kate Winslet came; Kate, Winslet.", 1),
        ("O’Brien", "O'Brien and O’Brien", 2),
        ("C++", "We write C++, not C.", 1),
        ("iPhone", "IPhone and iPhone, not Iphone", 2),
        ("José", "Jose\u0301 and José", 2),
        ("4K", "4K and 14K", 1),
        ("東京", "私は東京都に", 1),
        ("ירושלים", "בירושלים", 1),
    ],
)
def test_a_term_is_found_where_it_is_spelt_right(spelling: str, text: str, times: int):
    assert len(found(spelling, text)) == times


def test_anti_terms_are_found_whatever_their_capitals():
    assert found("Jeffrey", "jeffrey, JEFFREY!", any_case=True) == ["jeffrey", "JEFFREY"]


def test_a_place_has_the_times_of_its_words():
    text = PlacedText.of([phrase("So then"), phrase("Kate Winslet came", 20 * STEP)])
    (place,) = text.find(Spelling.of("Kate Winslet"))
    assert (place.start, place.end) == (20 * STEP, 22 * STEP)


def test_without_word_times_a_place_has_those_of_its_phrase():
    text = PlacedText.of([phrase("So then", words=False), phrase("it is Kate", 5000, words=False)])
    (place,) = text.find(Spelling.of("Kate"))
    assert (place.start, place.end) == (5000, 8000)


def test_phrases_without_a_space_between_them_are_not_run_together():
    one, other = phrase("Anna"), phrase("bell", STEP)
    bare = Segment(**{**other.__dict__, "text": "bell", "words": ()})
    assert not list(PlacedText.of([one, bare]).find(Spelling.of("Annabell")))


@given(st.text(max_size=8), st.lists(st.text(max_size=12), max_size=4))
def test_any_text_can_be_searched_for_any_spelling(spelling: str, texts: list[str]):
    if spelling.strip():
        segments = [
            Segment(**{**phrase("x", n).__dict__, "text": text, "words": ()})
            for n, text in enumerate(texts)
        ]
        for place in PlacedText.of(segments).find(Spelling.of(spelling)):
            assert 0 <= place.start <= place.end


# --- terms -----------------------------------------------------------------------


def test_a_term_is_reported_with_the_windows_it_was_offered_to_and_its_places():
    windows = (
        window(phrase("So Anna came")),
        window(phrase("then Bea", 20 * STEP), at=20 * STEP, terms=("Bea", "Cora")),
        window(phrase("Bea and Bea", 40 * STEP), at=40 * STEP, terms=("Bea",)),
    )
    made = report(*windows, glossary=names("Anna", "Bea", "Cora", "Dora"))
    assert made.windows == 3
    anna, bea, cora = made.terms
    assert (anna.term, anna.offered, anna.first, anna.places) == ("Anna", 0, None, (STEP,))
    assert (bea.term, bea.offered) == ("Bea", 2)
    assert (bea.first, bea.last) == (20 * STEP, 60 * STEP)
    assert bea.places == (21 * STEP, 40 * STEP, 42 * STEP)
    assert (cora.term, cora.offered, cora.places) == ("Cora", 1, ())
    assert made.absent == ("Cora", "Dora")


def test_terms_that_are_in_no_glossary_are_reported_too():
    made = report(window(phrase("So"), terms=("Bea",)), glossary=names("Anna"))
    assert [use.term for use in made.terms] == ["Bea"]
    assert made.absent == ("Anna", "Bea")


def test_without_the_glossary_what_never_occurs_is_not_known():
    windows = [window(phrase("So Bea"), terms=("Bea", "Cora"))]
    terms = named_terms(windows)
    assert [term.text for term in terms] == ["Bea", "Cora"]
    made = report(*windows, glossary=Glossary(terms=terms), state=GlossaryState.GONE)
    assert made.absent is None
    assert [(use.term, len(use.places)) for use in made.terms] == [("Bea", 1), ("Cora", 0)]


def test_proposals_name_terms_as_well():
    weighed = (proposal("Bea", "bear", 0, accepted=False),)
    assert [t.text for t in named_terms([window(proposals=weighed)])] == ["Bea"]


# --- proposals -------------------------------------------------------------------


def test_proposals_are_parted_and_come_in_order_of_time():
    later, sooner = (proposal("Bea", "bear", at * STEP, accepted=True) for at in (5, 2))
    refused = proposal("Bea", "be a", STEP, accepted=False)
    windows = [window(phrase("a b Bea c d Bea"), proposals=(later, refused, sooner))]
    made = report(*windows, glossary=names("Bea"))
    assert tuple(each.proposal for each in made.accepted) == (sooner, later)
    assert tuple(each.proposal for each in made.rejected) == (refused,)
    (bea,) = made.terms
    assert (bea.proposed, bea.replaced) == (3, 2)


def test_a_proposal_is_reported_with_the_window_it_was_weighed_in():
    first = proposal("Bea", "bear", 0, accepted=True)
    second = proposal("Bea", "be a", 21 * STEP, accepted=False)
    here = window(phrase("Bea"), proposals=(first,))
    there = window(phrase("be a", 20 * STEP), at=20 * STEP, proposals=(second,))
    there = replace(there, chunk_id=3, window=replace(there.window, index=7))
    made = report(here, there, glossary=names("Bea"))
    assert [(each.chunk_id, each.window) for each in (*made.accepted, *made.rejected)] == [
        (0, 0),
        (3, 7),
    ]


def test_the_windows_are_held_one_at_a_time():
    made: list[weakref.ref[WindowResult]] = []

    def windows() -> Iterator[WindowResult]:
        for n in range(50):
            assert sum(each() is not None for each in made) <= 1
            result = window(phrase("Bea", n * 20 * STEP), at=n * 20 * STEP)
            made.append(weakref.ref(result))
            yield result
            del result

    subject = report(glossary=names("Bea")).subject
    assert len(report_on(windows(), subject).terms[0].places) == 50


def test_a_segment_knows_what_was_replaced_in_it():
    first, second = phrase("so Bea came"), phrase("and Bea went", 3 * STEP)
    here = proposal("Bea", "bear", STEP, accepted=True)
    there = proposal("Bea", "bear", 4 * STEP, accepted=True)
    not_done = proposal("Bea", "so", 0, accepted=False)
    everything = (here, there, not_done)
    assert replaced_in(first, everything) == (here,)
    assert replaced_in(second, everything) == (there,)
    untimed = [Segment(**{**each.__dict__, "words": ()}) for each in (first, second)]
    assert [replaced_in(each, everything) for each in untimed] == [(here,), (there,)]


# --- anti-terms ------------------------------------------------------------------


def test_wrong_spellings_in_the_text_are_reported_with_what_is_right():
    glossary = Glossary(
        terms=(Term(text="Geoffrey", never=("Jeffrey",)), Term(text="iPhone", never=("Iphone",))),
        never=("Lord",),
    )
    made = report(window(phrase("my lord Jeffrey has an iPhone no Iphone")), glossary=glossary)
    assert [(each.text, each.instead, each.start) for each in made.anti_terms] == [
        ("lord", None, STEP),
        ("Jeffrey", "Geoffrey", 2 * STEP),
        ("Iphone", "iPhone", 7 * STEP),
    ]


def test_an_anti_term_within_a_term_is_right_there():
    glossary = Glossary(terms=(Term(text="Lord Jim"),), never=("Lord",))
    made = report(window(phrase("Lord Jim and the Lord")), glossary=glossary)
    assert [each.start for each in made.anti_terms] == [4 * STEP]
