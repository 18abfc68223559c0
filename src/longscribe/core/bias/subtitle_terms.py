"""Names in subtitles: words that have a capital where only a name has one.

No list of a language's words is needed, because the subtitles themselves say what
is common: a word that also stands in small letters is no name. A capital counts as
evidence only within a sentence; at its beginning, where any word has one, a word is
taken for a name if there is evidence elsewhere. Neighbouring names are one term:
*Saoirse Ronan*, *Ludwig van Beethoven*, *Shetland Island*; each alone is a lesser one.

Where in doubt, a word is left out: a name that is missing can be written down by
hand, while a common word that is taken for a name does harm everywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from longscribe.core.bias.glossary_cells import LONGEST_TERM
from longscribe.types import SAMPLE_RATE, Cue, Span, Term

REACH = 30 * SAMPLE_RATE
"""Samples before and after its cue in which a name may be said: other versions, other cuts."""
LONGEST_RUN = 5
"""Names in a row. More is a headline or a list of credits."""
PART_WEIGHT = Term.weight / 2
"""Of a single name that only ever stands within a longer one."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019\-\u2010\u2011][^\W_]+)*")
_HYPHEN = re.compile(r"[\-\u2010\u2011]")
_ELISION = re.compile(r"[^\W\d_]+['\u2019]")
_ENDING = re.compile(r"(?<=.)['\u2019](?:s|ll|d|ve|re|m)$", re.IGNORECASE)
_NEGATION = re.compile(r"(?<=.)n['\u2019]t$", re.IGNORECASE)
_STUTTER = re.compile(r"^(?:(\w{1,2})-(?=\1))+", re.IGNORECASE)

_BRACKETS = re.compile(r"\[[^\]]{0,300}\]|\([^)]{0,300}\)|\{[^}]{0,300}\}|<[^>]{0,300}>")
"""Sounds, stage directions, what is left of markup."""
_SPEAKER = re.compile(r"^[\s>\-\u2013\u2014]*([^:]{1,60}):(?=\s|$)")
"""Who speaks, if each of its words has a capital."""
_SONG = re.compile("[\u2669-\u266c]")
_BREAK = " \u2014 "
"""Stands where something was cut out, so that what follows may begin a sentence."""
_GOES_ON = re.compile(r"[\s,]*")
"""A gap between words of one sentence; any other may part two."""


def _words(listing: str) -> frozenset[str]:
    return frozenset(listing.split())


_TITLES = _words(
    "mr mrs ms dr prof st mt sr jr capt sgt lt col gen rev hon gov sen rep maj cpl pvt insp "
    "m mme mlle hr fr frl sra srta dra d ing sig dott"
)
"""Written with a full stop that ends no sentence, before names."""
_PARTICLES = _words("van von der den de da di do dos du del della la le ten ter bin ibn")
"""Small words within names."""
COMMON = _TITLES | _words(
    "i ok okay oh ah hey hi hello yes no yeah well so and but what why who how "
    "doc doctor officer detective captain lieutenant colonel general marshal sergeant professor "
    "sir madam ma'am miss mister mom mum mommy mummy dad daddy mama papa grandma grandpa "
    "god lord christ heaven majesty highness honor honour excellency tv "
    "monday tuesday wednesday thursday friday saturday sunday january february march april may "
    "june july august september october november december christmas easter"
)
"""Words with capitals in any English film, and such as begin reported speech."""
_ORDINARY = _words(
    "the a an of in on at by for to from with his her its our my your their this that one two "
    "three first second third last new old big little great grand high long good best north south "
    "east west northern southern eastern western upper lower central united royal national "
    "international american english british french german italian spanish black white red green "
    "blue golden silver street road avenue lane square place park garden hill mountain mount "
    "valley river lake sea ocean bay beach coast island islands forest wood bridge tower castle "
    "palace house home hall court gate port harbour harbor city town village county state states "
    "country kingdom republic empire church school college university hospital hotel station "
    "airport bank club company theatre theater museum library office department ministry "
    "committee union party army navy war world king queen prince princess duke duchess count "
    "countess baron lord lady saint san santa president minister father mother brother sister "
    "uncle aunt boy girl man woman day night morning news times post book el los las les"
)
"""Words of which names are made, and which alone are none: *New York*, *Baker Street*.

In a short file they need not stand in small letters.
"""


@dataclass(frozen=True, kw_only=True)
class _Token:
    """A word of a cue."""

    text: str
    """Without the ending of a possessive or a contraction."""
    begins: bool
    """Whether a sentence may begin with it."""
    joins: bool
    """Whether nothing but white space parts it from the word before."""
    cue: int

    @property
    def key(self) -> str:
        return self.text.casefold()

    @property
    def is_capitalised(self) -> bool:
        """Capital and small letters: words wholly in capitals say nothing."""
        return any(map(str.isupper, self.text)) and not self.text.isupper()


def names(cues: Sequence[Cue]) -> tuple[Term, ...]:
    """Return the names in `cues`, which are in order, by the time they first occur."""
    tokens = [token for number, cue in enumerate(cues) for token in _tokens(cue, number)]
    known = _known(tokens)
    alone = known - _ORDINARY
    whole: dict[str, _Found] = {}
    parts: dict[str, _Found] = {}
    for run in _runs(tokens, known):
        text = " ".join(token.text for token in run)
        if len(text) <= LONGEST_TERM:
            whole.setdefault(text.casefold(), _Found()).note(text, run[0].cue)
            for token in run:
                if token.key in alone and token.is_capitalised:
                    parts.setdefault(token.key, _Found()).note(token.text, token.cue)
    found = [(each, Term.weight) for each in whole.values()]
    # Who is called by a full name in one version may be called by half of it in another.
    found += [(each, PART_WEIGHT) for key, each in parts.items() if key not in whole]
    found.sort(key=lambda pair: pair[0].places[0])
    return tuple(each.term(cues, weight) for each, weight in found)


@dataclass(kw_only=True)
class _Found:
    """One name: how it is written, and the numbers of its cues."""

    spellings: Counter[str] = field(default_factory=Counter)
    places: list[int] = field(default_factory=list)

    def note(self, text: str, cue: int) -> None:
        self.spellings[text] += 1
        self.places.append(cue)

    def term(self, cues: Sequence[Cue], weight: float) -> Term:
        # Of several spellings the most frequent; of equals, `Counter` gives the first.
        text = self.spellings.most_common(1)[0][0]
        return Term(text=text, weight=weight, ranges=_around(cues[at] for at in self.places))


def _around(cues: Iterable[Cue]) -> tuple[Span, ...]:
    """Return the times around `cues`, which are in order; those that touch are one."""
    spans: list[Span] = []
    for cue in cues:
        start = max(0, cue.start_ms * SAMPLE_RATE // 1000 - REACH)
        end = cue.end_ms * SAMPLE_RATE // 1000 + REACH
        if spans and start <= spans[-1].end:
            spans[-1] = Span(start=spans[-1].start, end=max(end, spans[-1].end))
        else:
            spans.append(Span(start=start, end=end))
    return tuple(spans)


def _known(tokens: Iterable[_Token]) -> frozenset[str]:
    """Return the keys of the words that are names."""
    evident: set[str] = set()
    small: set[str] = set(COMMON)
    for token in tokens:
        if token.text == token.text.lower():
            small.add(token.key)
        elif _is_evident(token):
            evident.add(token.key)
    return frozenset(key for key in evident - small if len(key) > 1)


def _is_evident(token: _Token) -> bool:
    """Return whether it has a capital that not any word would have in its place."""
    return token.is_capitalised and (not token.begins or _is_humped(token.text))


def _is_humped(text: str) -> bool:
    """Return whether a capital follows a small letter or an apostrophe: no position does that."""
    return any(
        after.isupper() and (before.islower() or before in "'\u2019")
        for before, after in pairwise(text)
    )


def _runs(tokens: Iterable[_Token], known: frozenset[str]) -> Iterator[list[_Token]]:
    """Yield the longest rows of names. A particle counts between two of them."""
    run: list[_Token] = []
    between: list[_Token] = []
    for token in tokens:
        is_name = token.key in known and token.is_capitalised
        goes_on = bool(run) and token.joins and token.cue == run[-1].cue
        # A common word becomes part of the name before it: the *Island* of *Shetland Island*.
        belongs = is_name or (not between and _is_evident(token) and token.key not in COMMON)
        if goes_on and belongs:
            run += [*between, token]
            between = []
        elif goes_on and token.text in _PARTICLES and len(between) < 2:
            between.append(token)
        else:
            if 0 < len(run) <= LONGEST_RUN:
                yield run
            run, between = [token] if is_name else [], []
    if 0 < len(run) <= LONGEST_RUN:
        yield run


# --- words of a cue ------------------------------------------------------------


def _tokens(cue: Cue, number: int) -> Iterator[_Token]:
    """Yield the words of a cue."""
    text = _said(cue)
    last = ""
    end = 0
    joins = False
    for match in _WORD.finditer(text):
        gap = text[end : match.start()]
        begins = not last or _may_end(last, gap)
        joins = joins and not gap.strip()
        whole = _STUTTER.sub("", match[0])
        word = _ENDING.sub("", whole)
        if _NEGATION.search(word):
            word = _NEGATION.sub("", word).lower()  # a verb, however it is written
        for part in _parts(word):
            yield _Token(text=part, begins=begins, joins=joins, cue=number)
            begins = joins = False
        # Nothing joins what has an ending: *Geoffrey's Harwick* is no full name.
        last, end, joins = match[0], match.end(), word == whole


def _said(cue: Cue) -> str:
    """Return what is spoken in a cue: nothing if it is sung or in capitals."""
    text = _BRACKETS.sub(_BREAK, "\n".join(cue.lines))
    if _SONG.search(text):
        return ""
    text = "\n".join(_without_speaker(line) for line in text.split("\n"))
    return "" if sum(map(str.isupper, text)) > sum(map(str.islower, text)) else text


def _without_speaker(line: str) -> str:
    match = _SPEAKER.match(line)
    words = _WORD.findall(match[1]) if match else []
    if match and all(word[0].isupper() or word.isdecimal() for word in words):
        return _BREAK + line[match.end() :]
    return line


def _may_end(last: str, gap: str) -> bool:
    """Return whether a sentence may end in the gap after the word `last`."""
    is_title = last[0].isupper() and last.casefold() in _TITLES
    return not (_GOES_ON.fullmatch(gap) or (is_title and gap.strip() == "."))


def _parts(word: str) -> list[str]:
    """Return what a word is made of: *Jean-Luc* is one name, *Harwick-based* and *l'Afrique* two.

    Parts are told by small letters beside capitals; a word all in small letters stays whole.
    """
    if word == word.lower():
        return [word]
    parts = _HYPHEN.split(word)
    if any(part[0].islower() for part in parts):
        return [found for part in parts for found in _unelided(part)]
    return [word]


def _unelided(word: str) -> list[str]:
    elision = _ELISION.match(word)
    if elision and elision[0].islower() and word[elision.end() :][:1].isupper():
        return [elision[0][:-1], word[elision.end() :]]
    return [word]
