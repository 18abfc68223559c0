"""Which terms sound like what was heard: the first stage of verifying a glossary.

What is missed here is lost, what is found too much is weighed by the acoustics
later; so the search is wide. Everything is decided by the words, the terms and
their order: the same input gives the same hits.

How wide was settled on held-out names of the demo model's corpus (1,370 names, 744 of
them misheard by that model, 1,240 respelt by rule) and its held-out sentences, 80 words a
window, with 1,000 of the names as terms and English lists:

    reading       respelt found   misheard found   false hits a window   time a window
    espeak-ng          99.6 %           93 %                16                80 ms
    letters            99.1 %           90 %                 8                50 ms

With 500 terms half as many hits are false. Of the misheard names, nine in ten are among
the twelve terms that score best. The index of 1,000 terms takes 1 MB.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from longscribe.core.bias.letters import to_phones
from longscribe.core.bias.phones import distance, join, outline
from longscribe.core.bias.ranking import timing_of
from longscribe.core.bias.spelling import POSSESSIVE, bare, distinction, fold
from longscribe.core.phrases import SENTENCE_ENDS
from longscribe.types import Span, Term, Word, to_samples

Pronounce = Callable[[Sequence[str]], list[str]]
"""Texts → their phones (`Pronouncer.pronounce`)."""

LONGEST_PAUSE = to_samples(0.5)
MOST_WORDS = 4
"""In a span; more where a term has as many, up to `MOST_WORDS_EVER`."""
MOST_WORDS_EVER = 8
CUT_OFF = 0.28
"""Most distance of a hit, where what was heard is long enough and no word of the language."""
STRICTER_IF_COMMON = 0.26
"""How much less is allowed where all that was heard are the commonest words."""
SHORT = 5
"""Phones. Under this, less is allowed in proportion: short strings are soon alike."""
OUTLINE_CUT_OFF = 0.34
"""Most edits between the outlines of both, by their longer length."""
LEAST_EDIT = 0.3
"""Cost of an edit that changes the outline (`phones.distance`): none costs less but u for w."""
MOST_KNOWN = 20_000
"""Spans whose terms are remembered: some hours of speech, a few megabytes."""
STEP = 2000
"""Texts that are prepared between two signs of progress: a second or two."""
HITS_PER_SPAN = 5
NEAR_TIE = 0.05
"""Overlapping spans for one term are kept when their distances differ no more than this."""

# What each thing counts for in the score. Closeness is 1 for the same sound, 0 at the cut-off.
_CLOSENESS, _TIMING, _WEIGHT, _BURST, _COMMONNESS = 2.0, 0.25, 0.25, 0.2, 1.0
_MOST_BURSTS = 3
_BURST_REACH = 2
"""Windows to either side in which a term counts."""
_MOST_DOUBLINGS = 2.0
"""Of the weight: over four times the usual, more weight counts no more."""

# `Mr.` or `J.` end no sentence.
_ABBREVIATION = re.compile(r"(?:[A-Z]\w{0,2}|\w)\.$")
_QUOTES = "\"')]»\N{RIGHT SINGLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"


@dataclass(frozen=True, kw_only=True)
class HeardWord:
    """One word of a decoded window."""

    raw: str
    """As decoded, with its space and punctuation."""
    text: str
    """Bare: without punctuation at its edges and without a possessive ending; may be empty."""
    phones: str
    """Of `text`, as the pronouncer has them."""
    spelt: str
    """Of `text`, as its letters have them."""
    start: int
    end: int
    """In samples, on the recording's clock."""
    probability: float
    commonness: float
    """From 0, unknown, to 1, an everyday word."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A term that sounds like the heard words from `first` to `last`, both included."""

    first: int
    last: int
    term: Term
    sound_distance: float
    """By `phones.distance`, of the nearest spelling of the term: 0 the same, up to the cut-off."""
    score: float
    """For ranking only."""
    timing: int
    """2: a range of the term covers the window, 1: is near, 0: the term has no range."""
    exact_alias: bool
    """Whether what was heard is, but for case, an alias or a `never` spelling of the term."""
    already_right: bool
    """Whether what was heard is, but for case, the term. Nothing else is proposed there."""
    always_wrong: bool = False
    """Whether what was heard is, but for case, a `never` spelling of the term."""


@dataclass(frozen=True, kw_only=True)
class _Readings:
    """How the terms sound by one way of reading."""

    owners: tuple[int, ...]
    """The term of each entry; a term has several if it has several spellings."""
    phones: tuple[str, ...]
    distinctions: tuple[str, ...]
    """What must be the same besides (`spelling.distinction`)."""
    outlines: tuple[str, ...]
    memo: dict[tuple[str, str, float, float], tuple[tuple[int, float], ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def near(
        self, heard: str, distinct: str, cut_off: float, farthest: float
    ) -> Sequence[tuple[int, float]]:
        """Return the terms that sound like `heard` and how far they are, in any order.

        A term may come several times. The same spans are asked for again and again.
        """
        key = heard, distinct, cut_off, farthest
        known = self.memo.get(key)
        if known is None:
            if len(self.memo) >= MOST_KNOWN:
                self.memo.clear()
            known = self.memo[key] = tuple(self._search(*key))
        return known

    def _search(
        self, heard: str, distinct: str, cut_off: float, farthest: float
    ) -> Iterator[tuple[int, float]]:
        similar = process.extract_iter(
            outline(heard),
            self.outlines,
            scorer=Levenshtein.normalized_distance,
            score_cutoff=min(OUTLINE_CUT_OFF, cut_off / LEAST_EDIT),
        )
        for _, _, entry in similar:
            if self.distinctions[entry] != distinct:
                continue
            phones = self.phones[entry]
            most = min(farthest, cut_off * min(1.0, max(len(heard), len(phones)) / SHORT))
            far = distance(heard, phones, most)
            if far <= most:
                yield self.owners[entry], far


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The heard words from `first` to `last`, both included."""

    first: int
    last: int
    texts: tuple[str, ...]
    """As heard and without the possessive ending, for comparison."""
    readings: tuple[str, str]
    """Its phones, as the pronouncer and as the letters have them."""
    distinct: str
    """Which digits and signs it has (`spelling.distinction`)."""
    commonness: float
    """Of the rarest of its words."""


@dataclass(frozen=True, kw_only=True)
class TermIndex:
    """The pronunciations of a glossary, to be searched. Built once, by `TermIndex.build`."""

    terms: tuple[Term, ...]
    readings: tuple[_Readings, _Readings]
    """As the pronouncer and as the letters have them: where one misreads an odd spelling,
    the other often does not. The nearer one counts."""
    by_text: Mapping[str, tuple[int, ...]]
    """Text, folded → the terms that are written so."""
    by_alias: Mapping[str, tuple[int, ...]]
    """Alias or `never` spelling, folded → its terms."""
    by_never: Mapping[str, tuple[int, ...]]
    """`never` spelling, folded → its terms."""
    most_words: int

    @classmethod
    def build(cls, terms: Sequence[Term], pronounce: Pronounce) -> TermIndex:
        """Return the index over `terms`; leave out those of other languages first."""
        building = cls.building(terms, pronounce)
        while True:
            try:
                next(building)
            except StopIteration as end:
                index: TermIndex = end.value
                return index

    @classmethod
    def building(
        cls, terms: Sequence[Term], pronounce: Pronounce
    ) -> Generator[None, None, TermIndex]:
        """Build the index step by step: of 100,000 terms that takes minutes."""
        written = [(number, text) for number, term in enumerate(terms) for text in _texts(term)]
        owners = [number for number, _ in written]
        texts = [text for _, text in written]
        spoken = yield from _read_aloud(owners, texts, pronounce)
        spelt = yield from _read_aloud(owners, texts, _by_letters)
        longest = max((len(text.split()) for _, text in written), default=0)
        return cls(
            terms=tuple(terms),
            readings=(spoken, spoken if spelt == spoken else spelt),
            by_text=_by_spelling((term.text,) for term in terms),
            by_alias=_by_spelling((*term.aliases, *term.never) for term in terms),
            by_never=_by_spelling(term.never for term in terms),
            most_words=max(MOST_WORDS, min(longest, MOST_WORDS_EVER)),
        )

    def find(
        self, words: Sequence[HeardWord], window: Span, farthest: float = CUT_OFF
    ) -> list[Hit]:
        """Return the terms that may have been said in `words`, best first.

        At most `HITS_PER_SPAN` for each span; spans overlap, also those of one term
        where the sound can't tell which is meant.

        Args:
            words: of one decode window, in order.
            window: its place, for the terms' time ranges.
            farthest: distance in sound beyond which nothing is of use.
        """
        timings = [timing_of(term, window) for term in self.terms]
        allowed = [timing >= 0 for timing in timings]
        hits: list[Hit] = []
        for place in _places(words, self._most_words(allowed)):
            here = [
                self._hit(place, number, far, timings[number])
                for number, far in self._near(place, allowed, farthest).items()
            ]
            ranked = sorted(
                here, key=lambda hit: (not hit.already_right, not hit.always_wrong, -hit.score)
            )
            hits += ranked[:HITS_PER_SPAN]
        return sorted(_resolved(hits), key=lambda hit: (-hit.score, hit.first, hit.last))

    def reachable(self, window: Span) -> int:
        """Return how many terms may be said in the time of a window."""
        return sum(timing_of(term, window) >= 0 for term in self.terms)

    def _most_words(self, allowed: Sequence[bool]) -> int:
        """Return how long a span may be: terms of other times must change nothing here."""
        if self.most_words == MOST_WORDS:
            return MOST_WORDS
        here = (term for term, may in zip(self.terms, allowed, strict=True) if may)
        longest = max((len(text.split()) for term in here for text in _texts(term)), default=0)
        return max(MOST_WORDS, min(longest, MOST_WORDS_EVER))

    def _near(self, place: _Place, allowed: Sequence[bool], farthest: float) -> dict[int, float]:
        """Return the terms that sound like `place` and how far they are, in file order."""
        nearest: dict[int, float] = {}
        for text in place.texts:
            for number in (*self.by_text.get(text, ()), *self.by_alias.get(text, ())):
                if allowed[number]:
                    nearest[number] = 0.0
        cut_off = CUT_OFF - STRICTER_IF_COMMON * place.commonness
        pairs = list(zip(self.readings, place.readings, strict=True))
        if self.readings[0] is self.readings[1] and place.readings[0] == place.readings[1]:
            pairs = pairs[:1]
        for readings, heard in pairs:
            if heard:
                for number, far in readings.near(heard, place.distinct, cut_off, farthest):
                    if allowed[number]:
                        nearest[number] = min(far, nearest.get(number, 1.0))
        return dict(sorted(nearest.items()))

    def _hit(self, place: _Place, number: int, far: float, timing: int) -> Hit:
        term = self.terms[number]
        doublings = max(-_MOST_DOUBLINGS, min(_MOST_DOUBLINGS, math.log2(term.weight)))
        return Hit(
            first=place.first,
            last=place.last,
            term=term,
            sound_distance=far,
            score=_CLOSENESS * (1 - far / CUT_OFF)
            + _TIMING * timing
            + _WEIGHT * doublings
            - _COMMONNESS * place.commonness,
            timing=timing,
            exact_alias=any(number in self.by_alias.get(text, ()) for text in place.texts),
            already_right=any(number in self.by_text.get(text, ()) for text in place.texts),
            always_wrong=any(number in self.by_never.get(text, ()) for text in place.texts),
        )


def _by_letters(texts: Sequence[str]) -> list[str]:
    return [to_phones(text) for text in texts]


def _read_aloud(
    owners: Sequence[int], texts: Sequence[str], pronounce: Pronounce
) -> Generator[None, None, _Readings]:
    """Return the reading by one way; yield after each step of it."""
    different = list(dict.fromkeys(texts))
    phones: dict[str, str] = {}
    for first in range(0, len(different), STEP):
        step = different[first : first + STEP]
        phones.update(zip(step, pronounce(step), strict=True))
        yield
    spoken = [phones[text] for text in texts]
    owned = zip(owners, spoken, (distinction(text) for text in texts), strict=True)
    entries = [entry for entry in dict.fromkeys(owned) if entry[1]]
    yield
    outlines: list[str] = []
    for first in range(0, len(entries), STEP):
        outlines += [outline(said) for _, said, _ in entries[first : first + STEP]]
        yield
    return _Readings(
        owners=tuple(owner for owner, _, _ in entries),
        phones=tuple(said for _, said, _ in entries),
        distinctions=tuple(distinct for _, _, distinct in entries),
        outlines=tuple(outlines),
    )


def heard_words(
    words: Sequence[Word], pronounce: Pronounce, commonness: Callable[[str], float]
) -> list[HeardWord]:
    """Return decoded words ready for `TermIndex.find`; none is left out, so indices stay."""
    texts = [bare(word.text) for word in words]
    phones = pronounce(texts)
    return [
        HeardWord(
            raw=word.text,
            text=text,
            phones=said,
            spelt=to_phones(text),
            start=word.start,
            end=word.end,
            probability=word.probability,
            commonness=commonness(text) if text else 1.0,
        )
        for word, text, said in zip(words, texts, phones, strict=True)
    ]


def with_bursts(hits: Sequence[Sequence[Hit]], number: int) -> list[Hit]:
    """Return the hits of one of several windows in a row, best first.

    Those of terms that the windows around it hold as well are raised: a name that was
    said once is said again soon.
    """
    around = [*hits[max(0, number - _BURST_REACH) : number]]
    around += hits[number + 1 : number + 1 + _BURST_REACH]
    bursts = Counter(text for window in around for text in {hit.term.text for hit in window})
    raised = [
        replace(hit, score=hit.score + _BURST * min(bursts[hit.term.text], _MOST_BURSTS))
        for hit in hits[number]
    ]
    return sorted(raised, key=lambda hit: (-hit.score, hit.first, hit.last))


def terms_for_prompt(hits: Sequence[Hit], limit: int) -> tuple[Term, ...]:
    """Return the terms to prompt a window with: at most `limit`, each once, best first."""
    ranked = sorted(hits, key=lambda hit: -hit.score)
    best = dict.fromkeys(hit.term.text for hit in ranked)
    terms = {hit.term.text: hit.term for hit in hits}
    return tuple(terms[text] for text in best)[:limit]


def _by_spelling(spellings: Iterable[Iterable[str]]) -> dict[str, tuple[int, ...]]:
    """Return each spelling, folded, with the numbers of those that have it."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, texts in enumerate(spellings):
        for text in texts:
            found[fold(text)].append(number)
    return {text: tuple(numbers) for text, numbers in found.items()}


def _texts(term: Term) -> Iterator[str]:
    """Yield every way to write the term, with and without a possessive ending of its own."""
    for text in (term.text, *term.aliases, *term.never):
        yield text
        if bare(text) != fold(text):
            yield POSSESSIVE.sub("", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def _places(words: Sequence[HeardWord], most: int) -> Iterator[_Place]:
    """Yield every stretch of up to `most` words without a pause or a sentence's end in it."""
    for first, begin in enumerate(words):
        for last in range(first, min(first + most, len(words))):
            end = words[last]
            if not begin.text or (last > first and _parted(words[last - 1], end)):
                break
            if end.text:
                yield _place(words, first, last)


def _parted(word: HeardWord, following: HeardWord) -> bool:
    if following.start - word.end > LONGEST_PAUSE:
        return True
    raw = word.raw.strip()
    ends = raw.rstrip(_QUOTES).endswith(tuple(SENTENCE_ENDS + "…"))
    return ends and _ABBREVIATION.fullmatch(raw) is None


def _place(words: Sequence[HeardWord], first: int, last: int) -> _Place:
    inside = words[first : last + 1]
    text = fold("".join(word.raw for word in inside))
    return _Place(
        first=first,
        last=last,
        texts=tuple(dict.fromkeys((text, POSSESSIVE.sub("", text)))),
        readings=(
            join(word.phones for word in inside),
            join(word.spelt for word in inside),
        ),
        distinct=distinction(text),
        commonness=min(word.commonness for word in inside if word.text),
    )


def _resolved(hits: Sequence[Hit]) -> list[Hit]:
    """Leave out what stands against a term that is right, or against a better span of its term."""
    right = [hit for hit in hits if hit.already_right]
    of_term: dict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        of_term[hit.term.text].append(hit)

    def stands(hit: Hit) -> bool:
        if hit.already_right:
            return True
        if hit.always_wrong:  # but not as a part of something that is right
            return not any(it.first <= hit.first and hit.last <= it.last for it in right)
        rivals = [other for other in of_term[hit.term.text] if overlap(hit, other)]
        if any(other.already_right for other in rivals):
            return False
        # `Geoffrey` is right, but that speaks for `Geoffrey Chaucer`, not against it.
        if any(overlap(hit, it) and fold(it.term.text) not in fold(hit.term.text) for it in right):
            return False
        return hit.sound_distance <= min(it.sound_distance for it in rivals) + NEAR_TIE

    return [hit for hit in hits if stands(hit)]


def overlap(one: Hit, other: Hit) -> bool:
    """Tell whether two hits of one window share a word."""
    return one.first <= other.last and other.first <= one.last
