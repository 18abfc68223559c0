"""Reading by letters: spellings of one sound come out alike, names that differ do not."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.bias.letters import to_phones
from longscribe.core.bias.phones import distance
from tools.demo_model.corpus import load_corpus, respell


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Geoffrey", "Jeffrey"),
        ("Reinard", "Reynard"),
        ("Filippa", "Philippa"),
        ("Marygold", "Marigold"),
        ("Alyson", "Allison"),
        ("Kathryn", "Catherine"),
        ("Konrad", "Conrad"),
        ("Sophya", "Sofia"),
        ("Mary Gold", "Marygold"),
        ("Wright", "Right"),
        ("Knox", "Nocks"),
        ("Stefan", "Stephan"),
        ("Jacques", "Jack"),
        ("Françoise", "Francoise"),
        ("Straße", "Strasse"),
        ("O'Brien", "O’Brien"),
        ("Łukasz", "Lukas"),
        ("station", "stashon"),
    ],
)
def test_spellings_of_one_sound_are_near(one, other):
    assert distance(to_phones(one), to_phones(other)) < 0.12


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Geoffrey", "Gregory"),
        ("Rosalynd", "Konrad"),
        ("Harwick", "Brannock"),
        ("Annabell", "Alyson"),
    ],
)
def test_other_names_are_far(one, other):
    assert distance(to_phones(one), to_phones(other)) > 0.25


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("Лев", "лев"),
        ("東京タワー", "東京タワー"),
        ("Apollo 11", "apɒlo11"),
        ("", ""),
        ("?!", ""),
        ("की", "की"),
        ("हिंदी", "हिंदी"),
        ("ที่", "ที"),
        ("مُحَمَّد", "محمد"),
        ("שָׁלוֹם", "שלום"),
        ("\u2764\ufe0f", ""),
    ],
)
def test_what_is_not_latin_stands_for_itself(text, phones):
    assert to_phones(text) == phones


@given(st.text(max_size=40))
def test_any_text_can_be_read_and_always_alike(text):
    assert to_phones(text) == to_phones(text)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20))
def test_case_changes_nothing(word):
    assert to_phones(word.upper()) == to_phones(word)


def test_every_pair_of_letters_has_a_reading():
    letters = "abcdefghijklmnopqrstuvwxyz"
    silent = [a + b for a, b in itertools.product(letters, repeat=2) if not to_phones(a + b)]
    assert silent == ["gh"]


def test_respelt_names_are_near_and_other_names_far():
    """1,370 names that no training saw, respelt by the demo model's rules."""
    names = load_corpus("held_out").names
    rng = random.Random(7)
    respelt = [to_phones(respell(name, rng)) for name in names]
    spelt = [to_phones(name) for name in names]
    near = [distance(*pair) for pair in zip(respelt, spelt, strict=True)]
    others = rng.sample(spelt, len(spelt))
    far = [distance(*pair) for pair in zip(respelt, others, strict=True)]
    assert sum(each <= 0.15 for each in near) / len(near) > 0.97
    assert sum(each <= 0.15 for each in far) / len(far) < 0.005
