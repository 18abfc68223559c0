"""The rule that accepts a proposal: one calibrated probability, one threshold per class of term."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

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
    """Coefficients of a logistic regression on `Evidence`."""

    bias: float
    sound: float
    near_sound: float
    """On the distance up to `SAME_SOUND`: the first differences tell more than later ones."""
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


# Fitted by bench/bias_tuning.py on two tuning sets (3,128 proposals), but for `covered` and
# `alias`, of which they hold too few: those are set by hand.
WITH_ACOUSTICS = Weights(
    bias=4.03, sound=-11.4, near_sound=-23.8, acoustic=0.0184, margin=-31.8, confidence=-4.63,
    commonness=-5.72, second_pass=2.47, recurrence=0.889, covered=0.15, alias=1.0, small=-2.68,
)  # fmt: skip
WITHOUT_ACOUSTICS = Weights(
    bias=3.95, sound=-11.6, near_sound=-22.9, acoustic=0.0, margin=-31.1, confidence=-4.88,
    commonness=-5.9, second_pass=2.53, recurrence=0.902, covered=0.15, alias=1.0, small=-2.78,
)  # fmt: skip

SHORT_LETTERS = 4
EVERYDAY = 0.5
ACOUSTIC_RANGE = (-40.0, 2.0)
"""Nats. Beyond, one more says nothing more."""
MOST_MARGIN = 0.06
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
    """What a proposal must reach."""

    farthest: float
    """Distance in sound beyond which nothing is accepted."""
    risky: float
    """Least probability of a short or common term."""
    others: float
    """The same of the others."""

    def least(self, kind: TermClass) -> float:
        """Return the least probability of a term of this class."""
        return self.risky if kind in (TermClass.SHORT, TermClass.COMMON) else self.others


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What proposals must reach where a certain number of terms may be said."""

    recurring: Limit
    """For a term that leads in other places of the chunk as well."""
    alone: Limit
    """For one that does not. In an hour of speech that has none of the terms, something always
    sounds nearly like one of a long list, but seldom twice."""

    def of(self, recurrence: int) -> Limit:
        """Return what a term of this recurrence (`Evidence.recurrence`) must reach."""
        return self.recurring if recurrence > 0 else self.alone

    @property
    def reach(self) -> float:
        """Distance in sound up to which terms are looked for.

        Those a little beyond what can be accepted are rivals of what can (`Evidence.margin`).
        """
        return max(self.recurring.farthest, self.alone.farthest) + MOST_MARGIN


# Chosen on the tuning sets, each recording judged by a rule fitted to the others. For long lists:
# so that one in a hundred accepted terms is wrong and none stands in speech without terms.
SHORT_LIST = Limits(
    recurring=Limit(farthest=1.0, risky=0.7, others=0.6),
    alone=Limit(farthest=1.0, risky=0.8, others=0.75),
)
LONG_LIST = Limits(
    recurring=Limit(farthest=SAME_SOUND, risky=0.92, others=0.9),
    alone=Limit(farthest=0.0, risky=0.975, others=0.97),
)
SHORT_LIST_TERMS = 100
"""In a longer list other terms sound nearly the same as any that was said."""


def limits(terms: int) -> Limits:
    """Return what a proposal must reach where so many terms may be said."""
    return SHORT_LIST if terms <= SHORT_LIST_TERMS else LONG_LIST


def term_class(term: Term, commonness: float) -> TermClass:
    """Return the class of a term, given how common its commonest word is."""
    if commonness >= EVERYDAY and " " not in term.text:
        return TermClass.COMMON
    if " " in term.text:
        return TermClass.PHRASE
    return TermClass.SHORT if len(term.text) <= SHORT_LETTERS else TermClass.PLAIN


def probability(evidence: Evidence) -> float:
    """Return the probability that the term was said, by all else that the evidence holds."""
    weights = WITHOUT_ACOUSTICS if evidence.acoustic is None else WITH_ACOUSTICS
    low, high = ACOUSTIC_RANGE
    total = (
        weights.bias
        + weights.sound * evidence.sound
        + weights.near_sound * min(evidence.sound, SAME_SOUND)
        + weights.acoustic * min(max(evidence.acoustic or 0.0, low), high)
        + weights.margin * min(max(evidence.margin, -MOST_MARGIN), MOST_MARGIN)
        + weights.confidence * evidence.confidence
        + weights.commonness * evidence.commonness
        + weights.second_pass * evidence.second_pass
        + weights.recurrence * evidence.recurrence
        + weights.covered * (evidence.timing == 2)
        + weights.alias * evidence.alias
        + weights.small * evidence.small
    )
    return 1 / (1 + math.exp(-total))
