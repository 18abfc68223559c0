"""The rule that accepts a proposal: one calibrated probability, one threshold per class of term."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from operator import attrgetter

from longscribe.core.bias.spelling import letters
from longscribe.types import Evidence, Term


class TermClass(StrEnum):
    """How easily a term is written where it was not said."""

    SHORT = "short"
    """Few letters: much sounds like it."""
    COMMON = "common"
    """An everyday word itself."""
    PHRASE = "phrase"
    """Several words."""
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A number for each piece of evidence: how much it weighs, or what it is in one case."""

    bias: float
    sound: float
    exact_sound: float
    """Where both sound exactly the same: the first difference tells more than later ones."""
    acoustic: float
    margin: float
    confidence: float
    commonness: float
    second_pass: float
    recurrence: float
    covered: float
    """When a time range of the term covers the place."""
    alias: float
    small: float
    """When a term with a capital would stand for words without any."""
    letters: float
    """On the logarithm of their number."""
    phrase: float
    """When the term has several words."""


_numbers = attrgetter(*(each.name for each in fields(Weights)))


# Fitted by bench/bias_tuning.py on six tuning sets (6,687 proposals), but for `covered` and
# `alias`, of which they hold too few: those are set by hand.
WITH_ACOUSTICS = Weights(
    bias=-1.15, sound=-11.6, exact_sound=1.26, acoustic=0.0322, margin=-32.7, confidence=-3.14,
    commonness=-3.52, second_pass=2.27, recurrence=0.756, covered=0.15, alias=1.0, small=-2.14,
    letters=1.43, phrase=2.72,
)  # fmt: skip
WITHOUT_ACOUSTICS = Weights(
    bias=-0.624, sound=-12.4, exact_sound=1.2, acoustic=0.0, margin=-30.8, confidence=-3.48,
    commonness=-3.81, second_pass=2.36, recurrence=0.803, covered=0.15, alias=1.0, small=-2.2,
    letters=1.14, phrase=2.52,
)  # fmt: skip

SHORT_LETTERS = 4
EVERYDAY = 0.5
ACOUSTIC_RANGE = (-40.0, 2.0)
"""Nats. Beyond, one more says nothing more."""
MOST_MARGIN = 0.06
MOST_LETTERS = 20
"""More say nothing more."""
SAME_SOUND = 0.06
"""Distance up to which two spellings sound the same."""
RARE = 0.45
"""Commonness up to which a heard word may be a name that was heard wrongly."""
UNSURE = 0.8
"""Probability under which a common word may have been heard wrongly."""


def plausible(sound: float, commonness: float, confidence: float) -> bool:
    """Tell whether a term is worth a second pass where these words were heard.

    Ordinary words, surely heard, sound a little like some term in every long glossary;
    what tells a name that was heard wrongly is that the words are rare or unsure.
    """
    return sound <= SAME_SOUND or commonness <= RARE or confidence <= UNSURE


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What a proposal must reach where a certain number of terms may be said."""

    farthest: float
    """Distance in sound beyond which nothing is looked for, nor accepted from a second pass."""
    risky: float
    """Least probability of a short or common term."""
    others: float
    """The same of the others."""

    def least(self, kind: TermClass) -> float:
        """Return the least probability of a term of this class."""
        return self.risky if kind in (TermClass.SHORT, TermClass.COMMON) else self.others


# Chosen on the tuning sets, each recording judged by a rule fitted to the others. For long lists:
# so that fewer than one in a hundred accepted terms is wrong and none stands in speech without
# terms.
SHORT_LIST = Limit(farthest=1.0, risky=0.75, others=0.7)
LONG_LIST = Limit(farthest=0.12, risky=0.98, others=0.97)
NO_COMMON_WORDS = replace(LONG_LIST, farthest=SAME_SOUND)
"""Of every list where no word is known to be an everyday one: nothing else keeps terms off them."""
SHORT_LIST_TERMS = 100
"""In a longer list other terms sound nearly the same as any that was said."""


def limit_of(terms: int) -> Limit:
    """Return what a proposal must reach where so many terms may be said."""
    return SHORT_LIST if terms <= SHORT_LIST_TERMS else LONG_LIST


def term_class(term: Term, commonness: float) -> TermClass:
    """Return the class of a term, given how common its commonest word is."""
    if commonness >= EVERYDAY and " " not in term.text:
        return TermClass.COMMON
    if " " in term.text:
        return TermClass.PHRASE
    return TermClass.SHORT if letters(term.text) <= SHORT_LETTERS else TermClass.PLAIN


def values(evidence: Evidence) -> Weights:
    """Return what the weights weigh."""
    low, high = ACOUSTIC_RANGE
    return Weights(
        bias=1.0,
        sound=evidence.sound,
        exact_sound=float(evidence.sound == 0),
        acoustic=min(max(evidence.acoustic or 0.0, low), high),
        margin=min(max(evidence.margin, -MOST_MARGIN), MOST_MARGIN),
        confidence=evidence.confidence,
        commonness=evidence.commonness,
        second_pass=float(evidence.second_pass),
        recurrence=float(evidence.recurrence),
        covered=float(evidence.timing == 2),
        alias=float(evidence.alias),
        small=float(evidence.small),
        letters=math.log(min(max(evidence.letters, 1), MOST_LETTERS)),
        phrase=float(evidence.words > 1),
    )


def probability(evidence: Evidence) -> float:
    """Return the probability that the term was said, by all else that the evidence holds.

    A logistic regression.
    """
    weights = WITHOUT_ACOUSTICS if evidence.acoustic is None else WITH_ACOUSTICS
    pairs = zip(_numbers(weights), _numbers(values(evidence)), strict=True)
    return 1 / (1 + math.exp(-math.fsum(weight * value for weight, value in pairs)))
