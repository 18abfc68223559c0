"""The glossary's capitals, where what was heard is the term but for them."""

from __future__ import annotations

from collections.abc import Sequence

from longscribe.core.bias.proposals import Candidate, Heard, changes_something, sentence_case
from longscribe.core.bias.retrieval import HeardWord, Hit
from longscribe.core.bias.spelling import POSSESSIVE, core_of, fold, spelt
from longscribe.types import Term

EVERYDAY_AS_WELL = 0.4
"""Commonness from which a word is likelier said in its own sense: not each captain is `Captain`."""


def recapitalised(heard: Heard, words: Sequence[HeardWord], hits: Sequence[Hit]) -> list[Candidate]:
    """Return the places where a term stands in other capitals than its own; none overlap.

    Of terms within each other the longest counts, so a term that stands as it should keeps
    its parts as they are. What is wholly in capitals stays, as do everyday words.
    """
    if not any(word.commonness for word in words if word.text):
        return []  # no list of words for this language: a term may be a word of every day
    found = []
    taken: set[int] = set()
    places: dict[tuple[int, int], list[Hit]] = {}
    for hit in hits:
        if hit.already_right:
            places.setdefault((hit.first, hit.last + 1), []).append(hit)
    for first, stop in sorted(places, key=lambda place: (place[0] - place[1], place)):
        if taken.isdisjoint(range(first, stop)):
            taken.update(range(first, stop))
            rarest = min(word.commonness for word in words[first:stop] if word.text)
            if rarest < EVERYDAY_AS_WELL:
                found += _one(heard, first, stop, places[first, stop])
    return [one for one in found if changes_something(one, heard)]


def _one(heard: Heard, first: int, stop: int, hits: Sequence[Hit]) -> list[Candidate]:
    """Return the term to write in a place; none if what stands there is a term as it should be."""
    said = heard.text(first, stop)
    ways = [(hit, with_capitals(hit.term, heard, first, stop)) for hit in hits]
    if any(way in (None, said) for _, way in ways):
        return []
    hit, way = min(ways, key=lambda each: each[0].term.text)
    assert way is not None
    return [
        Candidate(
            first=first,
            stop=stop,
            term=hit.term,
            written=way,
            sound=0.0,
            timing=hit.timing,
            second_pass=False,
            by_rule_of_user=False,
            capitals_only=True,
        )
    ]


def with_capitals(term: Term, heard: Heard, first: int, stop: int) -> str | None:
    """Return the words `[first, stop)` in the capitals of the term; None if they are to stay."""
    text = heard.text(first, stop)
    begin, end = core_of(text)
    name = spelt(term.text)
    ending = POSSESSIVE.search(text[begin:end])
    if ending and len(name) < end - begin:
        end = begin + ending.start()
    said = text[begin:end]
    shouted = len(said) > 1 and said.isupper()
    if shouted or name.islower() or len(said) != len(name) or fold(said) != fold(name):
        return None
    name = sentence_case(name, said, begins=heard.begins_sentence(first))
    # Letter by letter: an apostrophe stays as it was written.
    pairs = zip(said, name, strict=True)
    put = "".join(new if new.casefold() == old.casefold() else old for old, new in pairs)
    return text[:begin] + put + text[end:]
