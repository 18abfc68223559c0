"""Names that a transcript holds often and surely: terms for the next files.

A term is noted with the files it was learnt from. For a file only those count that
were learnt elsewhere, so that transcribing it again offers what it was offered before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from longscribe.core.bias.letters import to_phones
from longscribe.core.bias.phones import distance, outline
from longscribe.core.bias.retrieval import CUT_OFF, OUTLINE_CUT_OFF
from longscribe.core.bias.spelling import bare, fold
from longscribe.core.bias.subtitle_terms import COMMON
from longscribe.core.composed import composed_term
from longscribe.core.phrases import PREPENDED, SENTENCE_ENDS
from longscribe.types import Glossary, Segment, Term

SEEN = 3
"""Times a name must stand within a sentence, where only names have capitals."""
SURE = 0.8
"""Mean probability of all its occurrences."""
WEIGHT = 0.5
"""Of a learnt term: those of the glossary go first."""
LETTERS = range(3, 41)
"""Shorter ones are `I`, `OK` and initials; longer ones are no names."""
NOUNS_HAVE_CAPITALS = frozenset({"de", "lb"})
"""Languages in which a capital is no sign of a name: nothing is learnt."""

# `I'll`, `Anna'd`: what is joined to the name is no part of it; `O'Brien` is whole.
_CONTRACTED = re.compile(r"'[a-z]+$")
_NO_START = (*SENTENCE_ENDS, ":", "…")
_CLOSING = "\"')]»\N{RIGHT SINGLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"

_FROM = "learnt from "
_MARK = re.compile(r"\[([0-9a-f]{12})\]")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that terms were learnt from."""

    stem: str
    fingerprint: str

    @property
    def mark(self) -> str:
        """By which the file is known again, whatever its name."""
        return self.fingerprint[:12]

    def __str__(self) -> str:
        plain = " ".join(self.stem.split()).translate(str.maketrans("[];", "(),"))
        name = "".join(letter if letter.isprintable() else "?" for letter in plain)
        return f"{name} [{self.mark}]"


@dataclass(kw_only=True)
class _Seen:
    """What was seen of one word, whatever its capitals."""

    spellings: Counter[str] = field(default_factory=Counter)
    within: int = 0
    """Times within a sentence."""
    small: bool = False
    """It stood in lower case: an everyday word."""
    sure: float = 0.0
    """Sum of its probabilities."""


# --- from a transcript -------------------------------------------------------


def learnt_terms(
    segments: Iterable[Segment], known: Glossary, language: str | None = None
) -> tuple[Term, ...]:
    """Return the names in a transcript that are worth offering to the next one, by alphabet.

    A name has a capital wherever it stands, is there often and surely, and is neither in
    `known` nor sounds like a term there: then it may be that term, misheard.

    Args:
        segments: of the whole transcript, with word times.
        known: what was offered, and what must not be written.
        language: of the text.
    """
    if language in NOUNS_HAVE_CAPITALS:
        return ()
    seen: dict[str, _Seen] = {}
    for segment in segments:
        for name, probability, within in _names(segment):
            each = seen.setdefault(name.casefold(), _Seen())
            each.spellings[name] += 1
            each.within += within and name[0].isupper()
            each.small |= name[0].islower()
            each.sure += probability
    names = sorted(_most_usual(each) for each in seen.values() if _is_name(each))
    sounds = _Sounds(known)
    return tuple(Term(text=name, weight=WEIGHT) for name in names if not sounds.like(name))


def _names(segment: Segment) -> Iterator[tuple[str, float, bool]]:
    """Yield each word, its probability, and whether it surely stands within a sentence."""
    before = ""
    for word in segment.words:
        raw = word.text.strip()
        name = _CONTRACTED.sub("", bare(raw))
        within = bool(bare(before)) and not before.rstrip(_CLOSING).endswith(_NO_START)
        if name:
            yield name, word.probability, within and raw[0] not in PREPENDED
        before = raw


def _is_name(seen: _Seen) -> bool:
    name = _most_usual(seen)
    return (
        not seen.small
        and name.casefold() not in COMMON
        and not name.isupper()  # shouted, or an abbreviation
        and seen.within >= SEEN
        and len(name) in LETTERS
        and seen.sure >= SURE * seen.spellings.total()
    )


def _most_usual(seen: _Seen) -> str:
    return min(seen.spellings, key=lambda name: (-seen.spellings[name], name))


class _Sounds:
    """How the words of a glossary sound."""

    def __init__(self, glossary: Glossary) -> None:
        texts = [
            text for term in glossary.terms for text in (term.text, *term.aliases, *term.never)
        ]
        self._words = {word for text in (*texts, *glossary.never) for word in fold(text).split()}
        self._phones = sorted({to_phones(word) for word in self._words})
        self._outlines = [outline(phones) for phones in self._phones]

    def like(self, name: str) -> bool:
        """Tell whether `name` is a word of the glossary, or may be one misheard."""
        if fold(name) in self._words:
            return True
        phones = to_phones(name)
        similar = process.extract_iter(
            outline(phones),
            self._outlines,
            scorer=Levenshtein.normalized_distance,
            score_cutoff=OUTLINE_CUT_OFF,
        )
        return any(distance(phones, self._phones[n]) <= CUT_OFF for _, _, n in similar)


# --- besides a glossary ------------------------------------------------------


def extended(glossary: Glossary, extra: Sequence[Term]) -> Glossary:
    """Return a glossary with further terms behind its own.

    What it has already, or says must never be written, is left out.
    """
    extra = [composed_term(term) for term in extra]
    known = {fold(term.text) for term in glossary.terms}
    known |= {fold(text) for text in glossary.never}
    known |= {fold(text) for term in glossary.terms for text in (*term.aliases, *term.never)}
    further = {fold(term.text): term for term in reversed(extra) if fold(term.text) not in known}
    terms = tuple(term for term in extra if further.get(fold(term.text)) is term)
    return replace(glossary, terms=glossary.terms + terms)


# --- in the file of learnt terms ---------------------------------------------


def learnt_elsewhere(terms: Iterable[Term], marks: Collection[str]) -> tuple[Term, ...]:
    """Return the terms that were not learnt from the files with these marks alone.

    Notes are left out: they grow, and nothing is to be decoded again for that.
    """
    return tuple(
        replace(term, note="")
        for term in terms
        if not (found := _MARK.findall(term.note)) or set(found) - set(marks)
    )


def merged(terms: Iterable[Term], learnt: Iterable[Term], source: Source) -> tuple[Term, ...]:
    """Return the terms of the file with those learnt from `source`, by alphabet.

    A term that was there keeps its weight and its place, and is noted with one source more.
    """
    found = {term.text: term for term in terms}
    for term in learnt:
        known = found.get(term.text, term)
        found[term.text] = replace(known, note=_noted(known, source, is_new=known is term))
    return tuple(sorted(found.values(), key=lambda term: (term.text.casefold(), term.text)))


def _noted(term: Term, source: Source, *, is_new: bool) -> str:
    if is_new:
        return f"{_FROM}{source}"
    marks = _MARK.findall(term.note)
    # A term without a mark is the user's own, and offered to every file.
    return f"{term.note}; {source}" if marks and source.mark not in marks else term.note
