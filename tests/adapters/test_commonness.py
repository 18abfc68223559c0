"""How common a word is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from longscribe.adapters.language.commonness import LISTED, Commonness


@pytest.fixture(scope="module")
def english() -> Commonness:
    return Commonness("en")


def test_common_words_rank_over_rare_ones_and_those_over_unknown_ones(english):
    words = ["the", "time", "gold", "lighthouse", "marigold", "xyzzyq"]
    values = [english.of(word) for word in words]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == len(words)
    assert values[0] == 1
    assert values[-1] == 0


def test_case_and_apostrophe_do_not_matter(english):
    assert english.of("Don’t") == english.of("don't") > 0.5


def test_of_hyphenated_words_the_rarest_part_counts(english):
    assert english.of("well-known") == english.of("known") > 0
    assert english.of("well-xyzzyq") == 0


def test_nothing_is_not_common(english):
    assert english.of("") == english.of("-") == 0


def test_names_are_in_the_list_too(english):
    """The docstring says so: who uses the value must know."""
    assert 0.1 < english.of("Geoffrey") < english.of("Stephen") < english.of("house")


def test_each_language_has_its_own_list():
    assert Commonness("de").of("und") > 0.9 > Commonness("en").of("und")


@pytest.mark.parametrize("language", sorted(LISTED))
def test_every_listed_language_has_a_list(language):
    from importlib.resources import files  # noqa: PLC0415

    assert (files("spellchecker") / "resources" / f"{language}.json.gz").is_file()


def test_a_language_without_a_list_has_no_common_words():
    assert Commonness("ja").of("the") == 0
    assert Commonness("xx").of("the") == 0


def test_the_list_is_loaded_when_it_is_needed():
    code = (
        "from longscribe.adapters.language import commonness as c\n"
        "made = c.Commonness('en')\n"
        "assert c._frequencies.cache_info().currsize == 0\n"
        "made.of('the')\n"
        "assert c._frequencies.cache_info().currsize == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
