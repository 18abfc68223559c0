"""The rule that accepts proposals: which way each piece of evidence pulls, and what must be reached."""

from __future__ import annotations

from dataclasses import replace

import pytest

from longscribe.core.bias import rule
from longscribe.core.bias.rule import (
    LONG_LIST,
    SAME_SOUND,
    SHORT_LIST,
    TermClass,
    limits,
    plausible,
    term_class,
)
from longscribe.types import Evidence, Term

SURE = Evidence(
    sound=0.0, acoustic=-5.0, margin=-1.0, confidence=0.7, commonness=0.0, second_pass=True,
    recurrence=0, timing=0, alias=False, small=False, probability=0.0, threshold=0.0,
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
    ],
)
def test_what_speaks_against_a_term_lowers_its_probability(worse):
    assert probability(replace(SURE, **worse)) < probability(SURE)


@pytest.mark.parametrize("better", [{"timing": 2}, {"acoustic": 3.0}, {"recurrence": 2}])
def test_what_speaks_for_a_term_raises_its_probability(better):
    assert probability(replace(SURE, **better)) > probability(SURE)


def test_an_alias_raises_it():
    assert probability(SURE, alias=True) > probability(SURE)


def test_a_name_that_sounds_the_same_passes_and_an_everyday_word_does_not():
    assert probability(SURE) > LONG_LIST.of(0).least(TermClass.PLAIN)
    everyday = replace(
        SURE, sound=0.2, acoustic=-30.0, confidence=0.99, commonness=0.7, second_pass=False
    )
    assert probability(everyday) < 0.01


def test_without_acoustics_the_rest_decides():
    without = replace(SURE, acoustic=None)
    assert probability(without) > LONG_LIST.of(0).least(TermClass.PLAIN)
    assert probability(replace(without, commonness=0.7)) < LONG_LIST.of(0).least(TermClass.PLAIN)


def test_beyond_its_range_the_acoustics_say_no_more():
    far, farther = replace(SURE, acoustic=-60.0), replace(SURE, acoustic=-600.0)
    assert probability(far) == probability(farther)


@pytest.mark.parametrize(
    ("text", "commonness", "kind"),
    [
        ("Geoffrey", 0.2, TermClass.PLAIN),
        ("Ann", 0.2, TermClass.SHORT),
        ("Market", 0.7, TermClass.COMMON),
        ("Mary Gold", 0.9, TermClass.PHRASE),
    ],
)
def test_classes(text, commonness, kind):
    assert term_class(Term(text=text), commonness) is kind


def test_a_long_list_demands_more():
    assert limits(100) is SHORT_LIST
    assert limits(101) is LONG_LIST
    assert LONG_LIST.recurring.farthest == SAME_SOUND < SHORT_LIST.recurring.farthest
    for kind in TermClass:
        for recurrence in (0, 1):
            long, short = LONG_LIST.of(recurrence), SHORT_LIST.of(recurrence)
            assert long.least(kind) > short.least(kind)


def test_what_is_easily_written_by_mistake_needs_more_in_any_list():
    for each in (SHORT_LIST, LONG_LIST):
        for kind in (TermClass.SHORT, TermClass.COMMON):
            for recurrence in (0, 1):
                limit = each.of(recurrence)
                assert limit.least(kind) > limit.least(TermClass.PLAIN)


@pytest.mark.parametrize("recurrence", [-2, -1, 0])
def test_in_a_long_list_a_single_mention_needs_more(recurrence):
    for kind in TermClass:
        assert LONG_LIST.of(recurrence).least(kind) > LONG_LIST.of(1).least(kind)
    assert LONG_LIST.of(recurrence).farthest == 0 < LONG_LIST.of(1).farthest


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
