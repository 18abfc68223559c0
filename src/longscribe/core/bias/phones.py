"""Phones as plain characters, and how unlike two strings of them sound.

Every phone is one character, mostly its IPA letter; affricates and the closing
diphthongs of English have a letter of their own (`C` tʃ, `J` dʒ, `A` aɪ, `W` aʊ,
`O` ɔɪ). Stress, length and tone are not kept: who writes down a name that he
does not know keeps none of them either. So strings of phones can be searched as text.

The costs are articulatory. Places lie on the scale of ALINE (Kondrak 2002,
"Algorithms for Language Reconstruction", table of feature values), vowels on
the IPA chart. How a step on each scale compares with the others, and the list
of pairs that are confused more easily than the chart says, are our own, checked
on respelt names (see `retrieval.py` for what that yielded).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, groupby

# --- the alphabet -----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Consonant:
    place: float
    """From 1, the lips, to 0.1, the glottis (ALINE)."""
    manner: str
    voiced: bool


@dataclass(frozen=True, kw_only=True)
class _Vowel:
    """Where it begins and where it ends: (height, backness, rounding), each from 0 to 1."""

    begins: tuple[float, float, float]
    ends: tuple[float, float, float]


_PLACES = {
    "lips": 1.0, "lip and teeth": 0.95, "teeth": 0.9, "ridge": 0.85, "behind": 0.75,
    "palate": 0.7, "velum": 0.6, "uvula": 0.5, "glottis": 0.1,
}  # fmt: skip

# Place and manner, then the voiceless and the voiced phone (`-` for none).
_CONSONANT_TABLE = """
lips: stop p b, nasal - m, glide - w
lip and teeth: fricative f v
teeth: fricative θ ð
ridge: stop t d, nasal - n, fricative s z, lateral - l, rhotic - r
behind: affricate C J, fricative ʃ ʒ
palate: nasal - ɲ, lateral - ʎ, glide - j
velum: stop k g, nasal - ŋ, fricative x ɣ
glottis: stop ʔ -, fricative h -
"""

_OPENNESS = {
    "i": (1.0, 0.0, 0), "y": (1.0, 0.0, 1), "ɨ": (1.0, 0.5, 0), "u": (1.0, 1.0, 1),
    "ɪ": (0.85, 0.15, 0), "ʊ": (0.85, 0.85, 1),
    "e": (0.66, 0.0, 0), "ø": (0.66, 0.0, 1), "o": (0.66, 1.0, 1),
    "ə": (0.5, 0.5, 0), "ɜ": (0.4, 0.5, 0),
    "ɛ": (0.33, 0.1, 0), "œ": (0.33, 0.1, 1), "ʌ": (0.25, 0.7, 0), "ɔ": (0.33, 1.0, 1),
    "æ": (0.15, 0.15, 0), "a": (0.0, 0.4, 0), "ɑ": (0.0, 0.85, 0), "ɒ": (0.1, 1.0, 1),
}  # fmt: skip
_DIPHTHONGS = {"A": "aɪ", "W": "aʊ", "O": "ɔɪ"}


def _consonants() -> dict[str, _Consonant]:
    found = {}
    for line in _CONSONANT_TABLE.strip().splitlines():
        place, kinds = line.split(": ")
        for kind in kinds.split(", "):
            manner, *phones = kind.split()
            for phone, voiced in zip(phones, (False, True), strict=True):
                if phone != "-":
                    found[phone] = _Consonant(place=_PLACES[place], manner=manner, voiced=voiced)
    return found


def _vowels() -> dict[str, _Vowel]:
    found = {phone: _Vowel(begins=at, ends=at) for phone, at in _OPENNESS.items()}
    for phone, way in _DIPHTHONGS.items():
        found[phone] = _Vowel(begins=_OPENNESS[way[0]], ends=_OPENNESS[way[1]])
    return found


_CONSONANTS = _consonants()
_VOWELS = _vowels()
VOWELS = frozenset(_VOWELS)
PHONES = frozenset(_CONSONANTS) | VOWELS

# --- from IPA ---------------------------------------------------------------

# What is written with several letters, longest first; then other letters and what is nearest.
_SEQUENCES = {
    "aɪ": "A", "aj": "A", "ɑɪ": "A", "ai": "A", "aʊ": "W", "aw": "W", "au": "W", "ɑʊ": "W",
    "ɔɪ": "O", "ɔʏ": "O", "ɔø": "O", "ɔy": "O", "oɪ": "O", "ɔj": "O", "œy": "O",
    "eɪ": "e", "ej": "e", "ei": "e", "ɛɪ": "e", "oʊ": "o", "əʊ": "o", "ou": "o", "ow": "o",
    "ɪə": "iə", "eə": "ɛ", "ʊə": "ʊə", "aɪə": "Aə", "aʊə": "Wə",
    "tʃ": "C", "tɕ": "C", "ʈʂ": "C", "dʒ": "J", "dʑ": "J", "ɖʐ": "J",
}  # fmt: skip
_LETTERS = {
    "ɡ": "g", "q": "k", "ɢ": "g", "c": "k", "ɟ": "g", "ʈ": "t", "ɖ": "d", "ɾ": "r",
    "ɹ": "r", "ʁ": "r", "ʀ": "r", "ɻ": "r", "ɽ": "r", "ɺ": "r", "ɭ": "l", "ɫ": "l", "ɬ": "l",
    "ɮ": "l", "ʟ": "l", "ɱ": "m", "ɳ": "n", "ɴ": "ŋ", "β": "v", "ʋ": "v", "ɸ": "f", "ʍ": "w",
    "ɥ": "j", "ɰ": "ɣ", "ʝ": "j", "ç": "x", "χ": "x", "ħ": "h", "ʕ": "ʔ", "ɦ": "h", "ɕ": "ʃ",
    "ʑ": "ʒ", "ʂ": "ʃ", "ʐ": "ʒ", "ɧ": "ʃ", "ʏ": "y", "ʉ": "u", "ɯ": "ɨ", "ɤ": "ʌ", "ɘ": "ə",
    "ɵ": "ø", "ɚ": "ər", "ɝ": "ɜr", "ɐ": "ə", "ᵻ": "ɪ", "ɞ": "ɜ", "ɶ": "œ", "ɓ": "b", "ɗ": "d",
    "ɠ": "g", "ʄ": "J", "ʃ": "ʃ", "ᵊ": "ə", "ʦ": "ts", "ʣ": "dz", "ʧ": "C", "ʤ": "J",
}  # fmt: skip
_NASAL = "\N{COMBINING TILDE}"
_FOREIGN = re.compile(r"\([^)]*\)")  # espeak-ng marks a change of language, as in `(en)`
_MEMBERS = sorted((_SEQUENCES | _LETTERS | {phone: phone for phone in PHONES}), key=len)[::-1]
_TOKEN = re.compile("|".join(map(re.escape, _MEMBERS)) + rf"|{_NASAL}|\s+|.", re.DOTALL)


def from_ipa(ipa: str) -> str:
    """Return `ipa` in the phones of this module; whatever it holds, nothing is raised.

    A nasal vowel becomes the vowel and `n`. Letters that are no IPA become the phone
    of their base letter, or stand for themselves; signs that are no letters are dropped.
    """
    found: list[str] = []
    # Apart from the tilde, a diacritic changes less than the difference between two phones.
    spelt = unicodedata.normalize("NFD", _FOREIGN.sub(" ", ipa).replace("ç", "x"))
    spelt = "".join(c for c in spelt if c == _NASAL or not _is_modifier(c))
    for token in _TOKEN.findall(spelt):
        if token == _NASAL:
            found.append("n" if found and found[-1][-1:] in VOWELS else "")
        elif token in _SEQUENCES:
            found.append(_SEQUENCES[token])
        elif token in _LETTERS:
            found.append(_LETTERS[token])
        elif token in PHONES:
            found.append(token)
        elif token.isalpha():
            found.append(_nearest(token))
    return join(found)


def _is_modifier(character: str) -> bool:
    """Tell stress, length, ties, tones and diacritics from letters and spaces."""
    return unicodedata.category(character) in ("Mn", "Lm", "Sk", "Nd", "No")


def _nearest(letter: str) -> str:
    decomposed = unicodedata.normalize("NFKD", letter.casefold())
    base = next((part for part in decomposed if part.isalpha()), letter)
    return _LETTERS.get(base, base)


def join(parts: Iterable[str]) -> str:
    """Return the phones of words said without a pause: doubled phones are said once."""
    runs = ((phone, "".join(run)) for phone, run in groupby("".join(parts)))
    return "".join(phone if phone in PHONES else run for phone, run in runs)


# Letters of a word's outline. Sounds that are often taken for each other share one.
_OUTLINES = {
    **dict.fromkeys(VOWELS | {"j"}, "a"), **dict.fromkeys("pb", "p"), **dict.fromkeys("fvw", "f"),
    **dict.fromkeys("tdθð", "t"), **dict.fromkeys("szʃʒCJ", "s"), **dict.fromkeys("kgxɣ", "k"),
    **dict.fromkeys("mnɲŋ", "n"), **dict.fromkeys("lʎ", "l"), "h": "", "ʔ": "",
}  # fmt: skip
_OUTLINE_TABLE = str.maketrans(_OUTLINES)


def outline(phones: str) -> str:
    """Return the phones in a coarse alphabet of nine, in which sound-alikes differ little."""
    return join([phones.translate(_OUTLINE_TABLE)])


# --- how unlike -------------------------------------------------------------

_PLACE_STEP = 2.5
"""The whole way from lips to velum costs 1; one step (m n, s ʃ) costs 0.25 to 0.4."""
_VOICING = 0.2
_MANNERS = {
    "affricate fricative": 0.25, "affricate stop": 0.25, "fricative stop": 0.4, "nasal stop": 0.65,
    "glide rhotic": 0.5, "glide lateral": 0.65, "lateral rhotic": 0.5, "lateral nasal": 0.65,
    "nasal rhotic": 0.8, "fricative glide": 0.65,
}  # fmt: skip
_OTHER_MANNER = 1.0
_HEIGHT, _BACKNESS, _ROUNDING = 0.55, 0.35, 0.15
_WEAK = 0.5
"""ə differs from other vowels by this part of what the chart says: any may be reduced to it."""
_CONFUSED = {
    "tθ": 0.25, "dð": 0.25, "nŋ": 0.35, "vw": 0.35, "hx": 0.35, "jʒ": 0.45, "jJ": 0.55, "tr": 0.55,
    "dr": 0.45, "fh": 0.7, "ɲn": 0.25, "ʎj": 0.25, "ʎl": 0.25, "ij": 0.25, "ɪj": 0.35, "uw": 0.25,
    "ʊw": 0.35, "ər": 0.45, "ɜr": 0.55, "xr": 0.45, "ɣr": 0.45, "ɣg": 0.25, "xk": 0.3, "lu": 0.7,
}  # fmt: skip
"""Pairs closer than the chart says: neighbours in fast speech, or one sound written in two ways."""
_DROPPED = {"ʔ": 0.1, "ə": 0.3, "h": 0.3, "r": 0.4, "j": 0.4, "w": 0.5, "ɪ": 0.5}
"""Cost of a phone that is missing on one side. Weak vowels and breathy sounds are easily lost."""
_DROPPED_VOWEL = 0.6
_DROPPED_CONSONANT = 0.55


def _consonants_differ(one: _Consonant, other: _Consonant) -> float:
    manner = " ".join(sorted((one.manner, other.manner)))
    cost = _PLACE_STEP * abs(one.place - other.place) + _VOICING * (one.voiced != other.voiced)
    if one.manner != other.manner:
        cost += _MANNERS.get(manner, _OTHER_MANNER)
    return min(1.0, cost)


def _vowels_differ(one: _Vowel, other: _Vowel) -> float:
    weights = (_HEIGHT, _BACKNESS, _ROUNDING)
    ways = [(one.begins, other.begins), (one.ends, other.ends)]
    return sum(
        weight * abs(a - b) / len(ways)
        for begin, end in ways
        for weight, a, b in zip(weights, begin, end, strict=True)
    )


def _differ(one: str, other: str) -> float:
    """Return the cost of one phone of `PHONES` in the place of another."""
    if one == other:
        return 0.0
    confused = _CONFUSED.get(one + other, _CONFUSED.get(other + one))
    if confused is not None:
        return confused
    if one in _VOWELS and other in _VOWELS:
        weak = _WEAK if "ə" in (one, other) else 1.0
        return weak * _vowels_differ(_VOWELS[one], _VOWELS[other])
    if one in _CONSONANTS and other in _CONSONANTS:
        return _consonants_differ(_CONSONANTS[one], _CONSONANTS[other])
    return 1.0


_COSTS = {one: {other: _differ(one, other) for other in PHONES} for one in PHONES}
_GAPS = {
    phone: _DROPPED.get(phone, _DROPPED_VOWEL if phone in _VOWELS else _DROPPED_CONSONANT)
    for phone in PHONES
}
_NO_COSTS: dict[str, float] = {}


def distance(heard: str, term: str, most: float = 1.0) -> float:
    """Return how unlike two strings of phones sound: 0 the same, 1 nothing in common.

    The least cost of turning one into the other, phone by phone, by the longer of both
    lengths. Symmetric. Characters that are no phones equal only themselves.

    Args:
        heard: phones.
        term: phones.
        most: distances over this may be returned as 1, which is quicker.
    """
    if heard == term:
        return 0.0
    longer = max(len(heard), len(term))
    gap_costs = [_GAPS.get(phone, 1.0) for phone in term]
    row = [0.0, *accumulate(gap_costs)]
    for phone in heard:
        costs = _COSTS.get(phone, _NO_COSTS)
        gap = _GAPS.get(phone, 1.0)
        corner = row[0]
        left = corner + gap
        following = [left]
        for other, other_gap, above in zip(term, gap_costs, row[1:], strict=True):
            best = corner + (0.0 if phone == other else costs.get(other, 1.0))
            best = min(best, left + other_gap, above + gap)
            following.append(best)
            left = best
            corner = above
        if min(following) > most * longer:
            return 1.0
        row = following
    return min(1.0, row[-1] / longer)
