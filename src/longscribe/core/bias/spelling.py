"""What belongs to a word and what only stands around it: one rule for finding and for writing."""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"
POSSESSIVE = re.compile(rf"['{_APOSTROPHE}][sS]?$")
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
"""Part of how some scripts write a letter."""
_SIGNS = "#+"
"""At the end of a word they make another word of it: C, C# and C++ are three languages."""
_DISTINCTION = re.compile(rf"\d|(?<=\w)[{_SIGNS}]+(?!\w)")


def core_of(text: str) -> tuple[int, int]:
    """Return where a text begins and ends without the signs and spaces around it.

    Marks are never parted from their letters: in many scripts they are the vowels.
    """
    if text and text[0].isalnum() and text[-1].isalnum():
        return 0, len(text)
    first, stop = 0, len(text)
    while first < stop and not _belongs(text[first]):
        first += 1
        while first < stop and _is_mark(text[first]):  # on the sign, as in a red heart
            first += 1
    while stop > first:
        base = stop
        while base > first and _is_mark(text[base - 1]):
            base -= 1
        # A text that is marks only goes on from the letter before: some decoders cut there.
        if base == first or _belongs(text[base - 1]):
            break
        stop = base - 1
    while first < stop < len(text) and text[stop] in _SIGNS:
        stop += 1
    return first, stop


def distinction(text: str) -> str:
    """Return the digits and the signs in a text, which must be the same for it to be the same.

    No sound tells them: to the ear `Apollo 13` is nearly `Apollo 11`, and `C++` is read `C`. So a
    term that has some is found in other spellings only where they are its aliases, also where it
    is heard in words (`Apollo eleven`, `C plus plus`).
    """
    return "".join(str(unicodedata.decimal(c, c)) for c in "".join(_DISTINCTION.findall(text)))


def _belongs(character: str) -> bool:
    return character.isalnum() or _is_mark(character)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or character in _JOINERS


def bare(text: str) -> str:
    """Return a word without the punctuation at its edges and without a possessive ending."""
    return POSSESSIVE.sub("", _core(text.replace(_APOSTROPHE, "'")))


def spelt(text: str) -> str:
    """Return `text` with its capitals, without punctuation around its words."""
    plain = unicodedata.normalize("NFC", text).replace(_APOSTROPHE, "'")
    return " ".join(word for part in plain.split() if (word := _core(part)))


def fold(text: str) -> str:
    """Return `text` as it is compared: without case and without punctuation around its words."""
    return spelt(text).casefold()


def compared(text: str) -> tuple[str, ...]:
    """Return the words of a text as they are compared: bare and without capitals."""
    plain = unicodedata.normalize("NFC", text)
    return tuple(word.casefold() for part in plain.split() if (word := bare(part)))


def letters(text: str) -> int:
    """Return how many letters a text has; a wide one stands for a syllable and counts as three."""
    return sum(3 if is_wide(character) else 1 for character in text if character.isalnum())


def is_wide(character: str) -> bool:
    """Tell whether a character takes the place of two (UAX #11), as Han, Hangul and kana do."""
    return unicodedata.east_asian_width(character) in "WF"


def _core(text: str) -> str:
    first, stop = core_of(text)
    return text[first:stop]
