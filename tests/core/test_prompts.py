"""Fitting terms into prompts and windows into batches."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from longscribe.core.bias.prompts import (
    LENGTH_STEP,
    FittedPrompt,
    fit_prompt,
    make_batches,
    pad_prompt,
)

Encode = Callable[[str], Sequence[int]]
TOKENIZER = Path(__file__).parents[2] / "demo" / "model" / "tokenizer.json"


def toy(text: str) -> list[int]:
    """One token a character: what fits can be counted by hand."""
    return [ord(character) for character in text]


def read(tokens: Sequence[int]) -> str:
    return "".join(map(chr, tokens))


def fitted(*terms: str, budget: int = 100, intro: str = "") -> FittedPrompt:
    return fit_prompt(terms, intro, budget, toy)


# --- fitting -------------------------------------------------------------------


def test_the_best_term_stands_last():
    prompt = fitted("best", "good", "fair")
    assert read(prompt.token_ids) == " fair, good, best"
    assert prompt.terms == ("best", "good", "fair")
    assert prompt.text == "fair, good, best"


def test_a_term_that_does_not_fit_is_skipped_for_a_shorter_one():
    prompt = fitted("best", "much too long for it", "ok", budget=9)
    assert prompt.terms == ("best", "ok")
    assert read(prompt.token_ids) == " ok, best"


def test_the_introduction_stands_first_and_gives_way_from_its_beginning():
    assert read(fitted("Foo", intro="A talk.").token_ids) == " A talk. Foo"
    assert read(fitted("Foo", intro="A talk.", budget=9).token_ids) == "talk. Foo"
    assert read(fitted("Foo", intro="A talk.", budget=4).token_ids) == " Foo"
    assert fitted("Foo", intro="A talk.", budget=4).text == "Foo"
    assert read(fitted(intro="A talk.").token_ids) == " A talk."


@pytest.mark.parametrize("prompt", [fitted(), fitted("Foo", budget=0), fitted(intro="A", budget=0)])
def test_nothing_to_say_is_no_prompt(prompt):
    assert (prompt.terms, prompt.text, prompt.token_ids) == ((), "", ())


WORDS = st.text("abcdé' ", min_size=1, max_size=12).filter(lambda text: text.strip() == text)
LISTS = st.lists(WORDS, max_size=12, unique=True)


@given(LISTS, st.one_of(st.just(""), WORDS), st.integers(0, 80))
def test_a_prompt_fits_and_holds_exactly_its_terms(terms, intro, budget):
    prompt = fit_prompt(terms, intro, budget, toy)
    assert len(prompt.token_ids) <= budget
    assert [term for term in terms if term in prompt.terms] == list(prompt.terms)
    listing = " " + ", ".join(reversed(prompt.terms)) if prompt.terms else ""
    assert read(prompt.token_ids).endswith(listing)
    assert fit_prompt(terms, intro, budget, toy) == prompt


# --- padding ---------------------------------------------------------------------


def test_padding_repeats_the_prompts_own_terms():
    padded = pad_prompt(fitted("one", "two"), 30)
    assert len(padded.token_ids) == 30
    assert (" two, one," * 9 + " two, one").endswith(read(padded.token_ids))
    assert padded.terms == ("one", "two")


@given(LISTS.filter(bool), st.one_of(st.just(""), WORDS), st.integers(0, 200))
def test_padding_is_exact_and_leaves_the_prompt_at_the_end(terms, intro, more):
    prompt = fit_prompt(terms, intro, 60, toy)
    length = len(prompt.token_ids)
    assume(length > 0)
    padded = pad_prompt(prompt, length + more).token_ids
    assert padded[more:] == prompt.token_ids
    assert len(padded) == length + more
    repeated = prompt.filler * (more + 1)
    assert padded[:more] == repeated[len(repeated) - more :]


def test_an_introduction_alone_is_padded_with_itself():
    padded = pad_prompt(fitted(intro="Hi."), 10)
    assert read(padded.token_ids) == "i. Hi. Hi."


# --- batches -----------------------------------------------------------------------

LENGTHS = st.lists(st.one_of(st.just(0), st.integers(1, 223)), max_size=40)


@given(LENGTHS, st.integers(1, 12))
def test_batches_hold_every_window_once_and_never_mix(lengths, size):
    batches = make_batches(lengths, size, 223)
    assert sorted(index for batch in batches for index in batch.indices) == list(
        range(len(lengths))
    )
    for batch in batches:
        assert 1 <= len(batch.indices) <= size
        assert list(batch.indices) == sorted(batch.indices)
        members = [lengths[index] for index in batch.indices]
        assert all(members) or not any(members)
        assert batch.prompt_length >= max(members)
        assert batch.prompt_length <= 223
        assert (batch.prompt_length == 0) == (not any(members))
        assert batch.prompt_length < max(members) + LENGTH_STEP
    assert [batch.indices[0] for batch in batches] == sorted(b.indices[0] for b in batches)


@given(LENGTHS, st.integers(1, 12))
def test_batches_are_as_few_as_can_be(lengths, size):
    plain = sum(not length for length in lengths)
    prompted = len(lengths) - plain
    assert len(make_batches(lengths, size, 223)) == -(-plain // size) + -(-prompted // size)


def test_windows_of_like_length_share_a_batch():
    batches = make_batches([10, 100, 12, 98, 0, 9, 0], 2, 223)
    assert {batch.indices for batch in batches} == {(0, 5), (2, 3), (1,), (4, 6)}
    assert make_batches([], 8, 223) == []


def test_lengths_are_rounded_up_but_never_over_the_budget():
    (batch,) = make_batches([17, 20], 8, 223)
    assert batch.prompt_length == 24
    (tight,) = make_batches([17, 20], 8, 22)
    assert tight.prompt_length == 22


# --- with the tokenizer of the demo model ---------------------------------------------


@pytest.fixture(scope="module")
def encode() -> Encode:
    if importlib.util.find_spec("tokenizers") is None or not TOKENIZER.exists():
        pytest.skip("needs demo/model/tokenizer.json and the package tokenizers")
    from tokenizers import Tokenizer  # noqa: PLC0415 - only if it is there

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


NAMES = ["Saoirse Ronan", "Kubernetes", "Łódź", "東京", "O'Brien-Smith", "Ng", "Xóchitl", "e\u0301"]


@settings(max_examples=40, deadline=None)
@given(
    terms=st.permutations(NAMES),
    intro=st.sampled_from(["", "A talk about cities, recorded in 東京."]),
    budget=st.integers(0, 60),
    more=st.integers(0, 40),
)
def test_the_real_tokenizer_gives_prompts_that_read_as_their_terms(
    encode, terms, intro, budget, more
):
    prompt = fit_prompt(terms, intro, budget, encode)
    assert len(prompt.token_ids) <= budget
    if prompt.terms:
        listing = tuple(encode(" " + ", ".join(reversed(prompt.terms))))
        assert prompt.token_ids[-len(listing) :] == listing
        padded = pad_prompt(prompt, len(prompt.token_ids) + more)
        assert len(padded.token_ids) == len(prompt.token_ids) + more


@given(st.lists(st.integers(0, 223), max_size=40), st.integers(1, 16), st.integers(1, 16))
def test_a_batch_made_smaller_leaves_every_prompt_as_long_as_it_was(lengths, asked, smaller):
    def padded(batches) -> dict[int, int]:
        return {index: batch.prompt_length for batch in batches for index in batch.indices}

    smaller = min(smaller, asked)
    whole = make_batches(lengths, asked, 223)
    parted = make_batches(lengths, smaller, 223, asked)
    assert padded(parted) == padded(whole)
    assert all(len(batch.indices) <= smaller for batch in parted)
    assert sorted(padded(parted)) == list(range(len(lengths)))
