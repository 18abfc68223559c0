"""The rule that accepts a proposal: one calibrated probability, one threshold per class of term."""

from __future__ import annotations

import math
from collections.abc import Mapping
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


# Fitted by bench/bias_tuning.py on its tuning set (746 proposals), but for `covered` and `alias`,
# of which it holds too few: those are set by hand.
WITH_ACOUSTICS = Weights(
    bias=1.96, sound=-7.37, near_sound=-36.4, acoustic=0.07, margin=-37.9,
    confidence=-2.12, commonness=-4.80, second_pass=3.45, recurrence=1.0, covered=0.15, alias=1.0,
)  # fmt: skip
WITHOUT_ACOUSTICS = Weights(
    bias=1.43, sound=-6.94, near_sound=-43.9, acoustic=0.0, margin=-36.8,
    confidence=-2.68, commonness=-5.14, second_pass=3.65, recurrence=1.0, covered=0.15, alias=1.0,
)  # fmt: skip

SHORT_LETTERS = 4
EVERYDAY = 0.5
ACOUSTIC_RANGE = (-25.0, 10.0)
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
class Limits:
    """What a proposal must reach."""

    farthest: float
    """Distance in sound beyond which nothing is accepted."""
    thresholds: Mapping[TermClass, float]
    """Least probability."""


# Chosen on the tuning set, so that about one in a hundred accepted terms is wrong when each
# recording is judged by a rule fitted to the others.
SHORT_LIST = Limits(
    farthest=1.0,
    thresholds={
        TermClass.SHORT: 0.7,
        TermClass.COMMON: 0.7,
        TermClass.PHRASE: 0.6,
        TermClass.PLAIN: 0.6,
    },
)
LONG_LIST = Limits(
    farthest=SAME_SOUND,
    thresholds={
        TermClass.SHORT: 0.97,
        TermClass.COMMON: 0.97,
        TermClass.PHRASE: 0.96,
        TermClass.PLAIN: 0.96,
    },
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
    )
    return 1 / (1 + math.exp(-total))
