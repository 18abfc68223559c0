"""The rule that accepts proposals: which way each piece of evidence pulls, and what must be reached."""

from __future__ import annotations

from dataclasses import replace

import pytest

from longscribe.core.bias import rule
from longscribe.core.bias.rule import (
    LONG_LIST,
    NO_COMMON_WORDS,
    SHORT_LIST,
    TermClass,
    limit_of,
    plausible,
    term_class,
)
from longscribe.types import Evidence, Term

SURE = Evidence(
    sound=0.0, acoustic=-5.0, margin=-1.0, confidence=0.7, commonness=0.0, second_pass=True,
    recurrence=0, timing=0, alias=False, small=False, letters=8, words=1, probability=0.0, threshold=0.0,
)  # fmt: skip


def probability(evidence: Evidence, *, alias: bool = False) -> float:
    return rule.probability(replace(evidence, alias=alias))


@pytest.mark.parametrize(
    "worse",
    [
        {"sound": 0.03},
        {"sound": 0.2},
        {"acoustic": -15.0},
        {"margin": 0.02},
        {"confidence": 0.99},
        {"commonness": 0.4},
        {"second_pass": False},
        {"recurrence": -1},
        {"small": True},
        {"letters": 4},
    ],
)
def test_what_speaks_against_a_term_lowers_its_probability(worse):
    assert probability(replace(SURE, **worse)) < probability(SURE)


@pytest.mark.parametrize(
    "better", [{"timing": 2}, {"acoustic": 3.0}, {"recurrence": 2}, {"letters": 12}, {"words": 2}]
)
def test_what_speaks_for_a_term_raises_its_probability(better):
    assert probability(replace(SURE, **better)) > probability(SURE)


def test_an_alias_raises_it():
    assert probability(SURE, alias=True) > probability(SURE)


def test_a_name_that_sounds_the_same_passes_and_an_everyday_word_does_not():
    assert probability(SURE) > LONG_LIST.least(TermClass.PLAIN)
    everyday = replace(
        SURE, sound=0.2, acoustic=-30.0, confidence=0.99, commonness=0.7, second_pass=False
    )
    assert probability(everyday) < 0.01


def test_without_acoustics_the_rest_decides():
    without = replace(SURE, acoustic=None)
    assert probability(without) > LONG_LIST.least(TermClass.PLAIN)
    assert probability(replace(without, commonness=0.7)) < LONG_LIST.least(TermClass.PLAIN)


def test_beyond_its_range_the_acoustics_say_no_more():
    far, farther = replace(SURE, acoustic=-60.0), replace(SURE, acoustic=-600.0)
    assert probability(far) == probability(farther)


@pytest.mark.parametrize(
    ("text", "commonness", "kind"),
    [
        ("Geoffrey", 0.2, TermClass.PLAIN),
        ("Ann", 0.2, TermClass.SHORT),
        ("李明", 0.2, TermClass.PLAIN),
        ("Market", 0.7, TermClass.COMMON),
        ("Mary Gold", 0.9, TermClass.PHRASE),
    ],
)
def test_classes(text, commonness, kind):
    assert term_class(Term(text=text), commonness) is kind


def test_a_long_list_demands_more():
    assert limit_of(100) is SHORT_LIST
    assert limit_of(101) is LONG_LIST
    assert LONG_LIST.farthest < SHORT_LIST.farthest
    for kind in TermClass:
        assert LONG_LIST.least(kind) > SHORT_LIST.least(kind)


def test_where_no_word_is_known_to_be_common_more_is_demanded_still():
    assert NO_COMMON_WORDS.farthest < LONG_LIST.farthest
    for kind in TermClass:
        assert NO_COMMON_WORDS.least(kind) >= LONG_LIST.least(kind)


def test_what_is_easily_written_by_mistake_needs_more_in_any_list():
    for each in (SHORT_LIST, LONG_LIST, NO_COMMON_WORDS):
        for kind in (TermClass.SHORT, TermClass.COMMON):
            assert each.least(kind) > each.least(TermClass.PLAIN)


def test_in_a_long_list_a_single_mention_of_a_short_name_is_not_enough():
    once = replace(SURE, letters=5, margin=-0.02, confidence=0.8)
    least = LONG_LIST.least(TermClass.PLAIN)
    assert probability(once) < least
    assert probability(replace(once, recurrence=2)) >= least
    assert probability(replace(once, letters=14, words=2)) >= least


@pytest.mark.parametrize(
    ("sound", "commonness", "confidence", "expected"),
    [
        (0.0, 0.9, 1.0, True),  # sounds the same
        (0.2, 0.1, 1.0, True),  # a rare word: perhaps a name heard wrongly
        (0.2, 0.9, 0.5, True),  # an unsure word
        (0.2, 0.9, 1.0, False),  # an everyday word, surely heard
    ],
)
def test_what_is_worth_a_second_pass(sound, commonness, confidence, expected):
    assert plausible(sound, commonness, confidence) is expected
