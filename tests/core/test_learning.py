"""Learning names: only what is surely one, and the same in every run over the same files."""

from __future__ import annotations

import pytest

from longscribe.core.bias.learning import (
    SEEN,
    WEIGHT,
    Source,
    extended,
    learnt_elsewhere,
    learnt_terms,
    merged,
)
from longscribe.types import Glossary, Segment, Term, Word

NOTHING = Glossary()
A = Source(stem="a", fingerprint="aaaaaaaaaaaa0000")
B = Source(stem="b", fingerprint="bbbbbbbbbbbb0000")
C = Source(stem="c", fingerprint="cccccccccccc0000")


def phrase(text: str, *, sure: float = 0.95) -> Segment:
    return Segment(
        start=0, end=16_000, text=f" {text}",
        words=tuple(Word(start=0, end=1, text=f" {w}", probability=sure) for w in text.split()),
        chunk_id=0, window=0, bias_window_id=None, bias_terms=(), average_logprob=-0.1,
        no_speech_probability=0.0, compression_ratio=1.0,
    )  # fmt: skip


def learnt(*phrases: str | Segment, known: Glossary = NOTHING, language: str = "en") -> list[str]:
    segments = [phrase(each) if isinstance(each, str) else each for each in phrases]
    return [term.text for term in learnt_terms(segments, known, language)]


# --- what is a name ------------------------------------------------------------


def test_a_name_that_is_there_often_and_surely_is_learnt():
    found = learnt_terms([phrase("We saw Brannock today.")] * 3, NOTHING)
    assert found == (Term(text="Brannock", weight=WEIGHT),)


def test_two_times_are_not_often():
    assert learnt(*["We saw Brannock today."] * (SEEN - 1)) == []


def test_the_mean_of_the_probabilities_counts():
    doubtful = phrase("We saw Brannock today.", sure=0.5)
    sure = phrase("We saw Brannock today.", sure=0.99)
    assert learnt(doubtful, sure, sure) == ["Brannock"]
    assert learnt(doubtful, doubtful, sure, sure) == []


def test_a_capital_at_the_beginning_of_a_sentence_is_no_sign():
    assert learnt(*["Brannock is far."] * 9) == []
    assert learnt(*["It is late. Brannock is far."] * 9) == []
    assert learnt(*["He said: Brannock is far."] * 9) == []
    assert learnt(*['He said, "Brannock is far."'] * 9) == []
    assert learnt(*["- Brannock is far."] * 9) == []


def test_what_is_ever_in_lower_case_is_no_name():
    assert learnt(*["We saw Harbour lights."] * 5, "The harbour is far.") == []
    assert learnt(*["We saw Harbour lights."] * 5, "harbour lights") == []


def test_punctuation_and_endings_do_not_count():
    found = learnt(
        "We saw Brannock.", "We are in Brannock's hall, you know.", "So, Brannock, come!"
    )
    assert found == ["Brannock"]
    assert learnt(*["Then O'Brien'll come, with Saint-Exupéry."] * 3) == [
        "O'Brien",
        "Saint-Exupéry",
    ]


def test_short_words_are_no_names():
    assert learnt(*["Now I say OK, I'll and I'm and Mr Xi too."] * 5) == []


def test_words_that_english_writes_with_capitals_are_no_names():
    assert learnt(*["So on Monday in July Mrs Sturlington met Captain Orme."] * 3) == [
        "Orme",
        "Sturlington",
    ]


def test_words_wholly_in_capitals_say_nothing():
    assert learnt(*["And then STOP it said."] * 5) == []


def test_the_spelling_that_is_most_usual_is_learnt():
    phrases = ["We saw McKenna here."] * 3 + ["We saw Mckenna here."] * 2
    assert learnt(*phrases) == ["McKenna"]


def test_names_come_by_alphabet_whatever_the_order_in_the_text():
    assert learnt(*["They saw Zora and Arne and Milo."] * 3) == ["Arne", "Milo", "Zora"]


@pytest.mark.parametrize("language", ["de", "lb"])
def test_where_every_noun_has_a_capital_nothing_is_learnt(language: str):
    assert learnt(*["Wir sahen das Haus."] * 5, language=language) == []


def test_scripts_without_capitals_teach_nothing():
    assert learnt(*["我们 看见 布兰诺克 了"] * 5, language="zh") == []


def test_words_without_times_teach_nothing():
    bare = phrase("We saw Brannock today.")
    assert learnt(*[Segment(**{**bare.__dict__, "words": ()})] * 5) == []


# --- what is known already -------------------------------------------------------


@pytest.mark.parametrize(
    "known",
    [
        Glossary(terms=(Term(text="Rosalynd"),)),
        Glossary(terms=(Term(text="Rosalynd Franklin"),)),
        Glossary(terms=(Term(text="Kim", aliases=("Rosalynd",)),)),
        Glossary(terms=(Term(text="Kim", never=("Rosalynd",)),)),
        Glossary(never=("rosalynd",)),
    ],
)
def test_words_of_the_glossary_are_not_learnt(known: Glossary):
    assert learnt(*["We saw Rosalynd today."] * 3, known=known) == []


def test_what_sounds_like_a_term_may_be_that_term_misheard():
    known = Glossary(terms=(Term(text="Rosalynd"), Term(text="Brannock")))
    assert learnt(*["So Rosalind and Branok met Wilhelmina."] * 3, known=known) == ["Wilhelmina"]


def test_further_terms_stand_behind_those_of_the_glossary():
    glossary = Glossary(terms=(Term(text="Zora"),), never=("Adam",))
    extra = (Term(text="Arne", weight=0.5), Term(text="zora"), Term(text="adam"), Term(text="Arne"))
    found = extended(glossary, extra)
    assert found.terms == (Term(text="Zora"), Term(text="Arne", weight=0.5))
    assert found.never == ("Adam",)


# --- where it was learnt ---------------------------------------------------------


def file_after(*lessons: tuple[Source, str]) -> tuple[Term, ...]:
    terms: tuple[Term, ...] = ()
    for source, names in lessons:
        terms = merged(terms, [Term(text=name, weight=0.5) for name in names.split()], source)
    return terms


def texts(terms: tuple[Term, ...]) -> list[str]:
    return [term.text for term in terms]


def test_a_term_is_noted_with_its_file():
    assert file_after((A, "Milo")) == (
        Term(text="Milo", weight=0.5, note="learnt from a [aaaaaaaaaaaa]"),
    )


def test_terms_are_sorted_and_noted_with_every_file_once():
    found = file_after((B, "Zora Milo"), (A, "arne Milo"), (A, "Milo"))
    assert texts(found) == ["arne", "Milo", "Zora"]
    assert found[1].note == "learnt from b [bbbbbbbbbbbb]; a [aaaaaaaaaaaa]"


def test_what_the_user_changed_stays():
    mine = Term(text="Milo", weight=3.0, note="the cat")
    assert merged([mine], [Term(text="Milo", weight=0.5)], A) == (mine,)


def test_a_file_is_offered_what_was_learnt_elsewhere():
    terms = file_after((A, "Milo Zora"), (B, "Zora Arne"))
    assert texts(learnt_elsewhere(terms, {A.mark})) == ["Arne", "Zora"]
    assert texts(learnt_elsewhere(terms, {A.mark, B.mark})) == []
    assert texts(learnt_elsewhere(terms, ())) == ["Arne", "Milo", "Zora"]
    assert all(not term.note for term in learnt_elsewhere(terms, ())), "notes grow"


def test_terms_of_the_user_are_offered_everywhere():
    assert texts(learnt_elsewhere([Term(text="Milo", note="the cat")], {A.mark})) == ["Milo"]


@pytest.mark.parametrize("stem", ["two; [aaaaaaaaaaaa]", "a\nb\x00c\udce9", "名前 (1)"])
def test_no_name_of_a_file_can_spoil_the_note(stem: str):
    (term,) = merged((), [Term(text="Milo")], Source(stem=stem, fingerprint="b" * 32))
    assert term.note.isprintable()
    assert texts(learnt_elsewhere([term], {"b" * 12})) == []
    assert texts(learnt_elsewhere([term], {A.mark})) == ["Milo"]


def test_the_same_command_again_offers_each_file_the_same():
    """Each file teaches a name of its own, and all teach `Milo` unless they know it."""
    own = {A: "Arne", B: "Bela", C: "Cora"}

    def command(files: list[Source], terms: tuple[Term, ...]):
        offers = []
        for number, source in enumerate(files):
            offered = learnt_elsewhere(terms, {each.mark for each in files[number:]})
            offers.append(offered)
            names = {own[source], "Milo"} - {term.text for term in offered}
            terms = merged(terms, [Term(text=n, weight=0.5) for n in sorted(names)], source)
        return offers, terms

    first, terms = command([A, B, C], ())
    assert [texts(each) for each in first] == [[], ["Arne", "Milo"], ["Arne", "Bela", "Milo"]]
    assert command([A, B, C], terms) == (first, terms)
    turned, terms = command([C, A, B], terms)
    assert command([C, A, B], terms) == (turned, terms)
    assert command([A, B, C], terms)[0] == first, "going back costs nothing"
