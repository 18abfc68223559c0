"""A name that was said is said again: in how many other places a term leads, and what counts as one."""

from __future__ import annotations

from longscribe.core.bias.recurrence import MOST_RECURRENCE, Place, Recurrence
from longscribe.core.bias.retrieval import Hit
from longscribe.core.bias.rule import SAME_SOUND
from longscribe.types import Term


def hit(term: str, first: int, sound: float = 0.0, *, words: int = 1, right: bool = False) -> Hit:
    return Hit(
        first=first, last=first + words - 1, term=Term(text=term), sound_distance=sound, score=1.0,
        timing=0, exact_alias=False, already_right=right,
    )  # fmt: skip


def at(window: int, first: int, *, words: int = 1) -> Place:
    return Place(window=window, first=first, stop=first + words)


def test_other_places_count_and_the_place_itself_does_not():
    found = Recurrence.of([[hit("Kandri", 3)], [hit("Kandri", 5, 0.02)], []])
    assert found.lead("Kandri", [], at(0, 3)) == 1
    assert found.lead("Kandri", [], at(1, 5)) == 1
    assert found.lead("Kandri", [], at(2, 0)) == 2
    assert found.lead("Kandra", [], at(0, 3)) == 0


def test_the_rival_that_leads_most_often_is_taken_off():
    found = Recurrence.of([[hit("Kandri", 3)], [hit("Kandra", 1), hit("Candor", 4)]])
    assert found.lead("Kandri", ["Kandra"], at(0, 3)) == -1
    assert found.lead("Kandra", ["Kandri"], at(0, 3)) == 1
    assert found.lead("Kandra", ["Candor"], at(0, 3)) == 0


def test_it_is_limited_both_ways():
    found = Recurrence.of([[hit("Kandri", place)] for place in range(9)])
    assert found.lead("Kandri", [], at(9, 0)) == MOST_RECURRENCE
    assert found.lead("Kandra", ["Kandri"], at(9, 0)) == -MOST_RECURRENCE


def test_only_the_nearest_of_all_terms_leads():
    nearer = Recurrence.of([[hit("Kandri", 3, 0.01), hit("Kandra", 3, 0.03)]])
    assert nearer.lead("Kandri", [], at(1, 0)) == 1
    assert nearer.lead("Kandra", [], at(1, 0)) == 0
    tied = Recurrence.of([[hit("Kandri", 3, 0.01), hit("Kandra", 3, 0.01)]])
    assert tied.lead("Kandri", [], at(1, 0)) == tied.lead("Kandra", [], at(1, 0)) == 0


def test_what_only_sounds_alike_does_not_lead():
    assert not Recurrence.of([[hit("Kandri", 3, SAME_SOUND + 0.01)]]).places


def test_a_name_that_was_heard_rightly_counts():
    found = Recurrence.of([[hit("Kandri", 3, right=True)]])
    assert found.lead("Kandri", [], at(0, 9)) == 1


def test_overlapping_spans_of_a_term_are_one_place():
    found = Recurrence.of([[hit("Marygold", 3, 0.02, words=2), hit("Marygold", 4, 0.01)]])
    assert found.lead("Marygold", [], at(1, 0)) == 1
    assert found.lead("Marygold", [], at(0, 3, words=2)) == 0


def test_the_same_numbers_in_another_window_are_another_place():
    found = Recurrence.of([[hit("Kandri", 3)], [hit("Kandri", 3)]])
    assert found.lead("Kandri", [], at(0, 3)) == 1
