"""Where a line of text may break: between words, and never within what is one character.

How long text is counts its code points, without those that combine with the one before:
an upper bound of what a viewer sees, which adds up.

Thai, Lao, Khmer and Burmese have no spaces between words, and only a dictionary knows
where a word ends. ICU has one; where it is installed (the extra `icu`) lines of these
scripts break between words, else at the edges of what the recognizer took for words, or
between syllables.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Protocol, cast

import regex


def width(text: str) -> int:
    """Return the number of characters, without those that combine with the one before."""
    if text.isascii():
        return len(text)
    return sum(unicodedata.category(character) not in _NO_WIDTH for character in text)


def bounded(text: str, line_length: int) -> list[str]:
    """Return `text` in stretches that fit a line, none of them longer.

    Broken between what a reader takes for one character (a letter with its marks, a family
    of joined emoji), but where one such is longer than a line, anywhere.
    """
    if width(text) <= line_length:
        return [text]
    parts, filled = [""], 0
    for cluster in _clusters(text, line_length):
        wide = width(cluster)
        if filled + wide > line_length:
            parts.append("")
            filled = 0
        parts[-1] += cluster
        filled += wide
    return parts


def _clusters(text: str, line_length: int) -> Iterator[str]:
    for cluster in _CLUSTER.findall(text):
        if width(cluster) <= line_length:
            yield cluster
        else:  # a letter keeps its marks all the same
            yield from _LETTER.findall(cluster)


def breakable(left: str, right: str) -> bool:
    """Return whether a line may break between two characters that touch.

    Only in scripts without spaces, and by their rules: no closing mark at the
    start of a line, no opening mark at its end (JIS X 4051; Unicode UAX 14).
    """
    if right in NEVER_FIRST or left in _NEVER_LAST or not width(right):
        return False
    return bool(UNSPACED.match(left) or UNSPACED.match(right))


def word_starts(text: str) -> frozenset[int] | None:
    """Return where words begin in scripts that only a dictionary can divide.

    A place is the number of letters of such scripts before it. None where the text has
    none of them, or no dictionary is installed.
    """
    if _BY_DICTIONARY.search(text) is None or (load := _breaker()) is None:
        return None
    starts: set[int] = set()
    before = 0
    for run in _BY_DICTIONARY.findall(text):
        starts.update(before + start for start, _ in load(run, "th").segments())
        before += len(run)
    return frozenset(starts)


def dictionary_letters(text: str) -> int:
    """Return how many letters are of a script that only a dictionary can divide."""
    return 0 if text.isascii() else sum(map(len, _BY_DICTIONARY.findall(text)))


def by_dictionary(left: str, right: str) -> bool:
    """Tell whether only a dictionary says if a word ends between two characters that touch."""
    return bool(_BY_DICTIONARY.match(left) and _BY_DICTIONARY.match(right))


class _Segments(Protocol):
    def segments(self) -> Iterable[tuple[int, int]]: ...


class _Breaker(Protocol):
    def __call__(self, text: str, locale: str) -> _Segments: ...


@cache
def _breaker() -> _Breaker | None:
    """Return ICU's, which most people don't need."""
    try:
        from icu4py.breakers import WordBreaker  # noqa: PLC0415
    except ImportError:
        return None
    return cast(_Breaker, WordBreaker)


_NO_WIDTH = frozenset({"Mn", "Mc", "Me", "Cf"})
_CLUSTER = regex.compile(r"\X")
_LETTER = regex.compile(r"[^\p{M}\p{Cf}][\p{M}\p{Cf}]*|[\p{M}\p{Cf}]+")

_SCRIPTS_WITHOUT_SPACES = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Tibetan; Burmese; Khmer
    "\u2e80-\u30ff\u31f0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"  # CJK
)
UNSPACED = re.compile(f"[{_SCRIPTS_WITHOUT_SPACES}]")
UNSPACED_RUNS = re.compile(f"[{_SCRIPTS_WITHOUT_SPACES}]|[^{_SCRIPTS_WITHOUT_SPACES}]+")
_BY_DICTIONARY = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+")

# Thai and Lao vowels that are written beside their consonant belong to it.
NEVER_FIRST = frozenset(
    ",.!?;:)]}%\u2026\u201d\u2019\u00bb"
    "\u3001\u3002\uff0c\uff0e\uff01\uff1f\uff1b\uff1a\uff09\u300b\u300d\u300f\u3011\u30fb\u30fc"
    "\u3005\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e\u30a1\u30a3\u30a5\u30a7"
    "\u30a9\u30c3\u30e3\u30e5\u30e7\u30ee\u0e30\u0e32\u0e33\u0e45\u0e46\u0e2f\u0eb0\u0eb2\u0eb3"
)
_NEVER_LAST = frozenset(
    "([{\u201c\u2018\u00ab\uff08\u300a\u300c\u300e\u3010"
    "\u0e40\u0e41\u0e42\u0e43\u0e44\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4\u200d"
)

# The small words that belong to what follows: break before one, never after.
_LEANING_WORDS = """
en a about after an and are as at because before but by for from if in into is my of on or our
   since so than that the their this through to was when where which while who will with your
de aber als an auf aus bei das dass dem den der des die durch ein eine einem einen einer für gegen
   im in mit nach oder ohne seit sich über um und unter von vor weil wenn wie wo zu zum zur
fr à au aux avec car chez comme contre dans de des donc du elle en et il la le les leur mais ou où
   par pas pour puis quand que qui sans ses si sous sur un une vers
es a al aunque como con cuando de del desde donde e el en entre hacia hasta la las los ni o para
   pero por porque que se si sin sobre su un una y
it a al alla che come con da dal della di dove e gli i il in la le lo ma nel nella o per perché
   quando se su tra un una
pt a ao as até com como da das de do dos e em entre mas na nas no nos o os ou para pela pelo por
   porque quando que se sem sobre um uma
nl aan als bij dat de die door een en het in maar met na naar of om omdat onder op over te tegen
   tot uit van voor want wanneer zonder
"""
LEANING: dict[str, frozenset[str]] = {
    entry[:2]: frozenset(entry[3:].split())
    for entry in _LEANING_WORDS.strip().replace("\n  ", "").split("\n")
}
"""Language → the small words that belong to what follows them."""
