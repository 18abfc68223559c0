"""Our phones (`core/bias/phones.py`) in ARPAbet, as CMU's dictionaries and models write them."""

from __future__ import annotations

import re

_SOUNDS = {
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "g": "G", "ʔ": "",
    "m": "M", "n": "N", "ŋ": "NG", "ɲ": "N Y", "f": "F", "v": "V", "θ": "TH", "ð": "DH",
    "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "x": "K", "ɣ": "G", "h": "HH", "C": "CH", "J": "JH",
    "l": "L", "ʎ": "L Y", "r": "R", "j": "Y", "w": "W",
    "i": "IY", "y": "Y UW", "ɨ": "IH", "u": "UW", "ɪ": "IH", "ʊ": "UH", "e": "EY", "ø": "ER",
    "o": "OW", "ə": "AH", "ɜ": "ER", "ɛ": "EH", "œ": "ER", "ʌ": "AH", "ɔ": "AO", "æ": "AE",
    "a": "AA", "ɑ": "AA", "ɒ": "AA", "A": "AY", "W": "AW", "O": "OY",
    "ər": "ER", "ɜr": "ER",
}  # fmt: skip
"""Sounds that English lacks become what English speakers make of them."""
_SOUND = re.compile("|".join(sorted(_SOUNDS, key=len, reverse=True)) + "|.", re.DOTALL)


def to_arpabet(phones: str) -> str | None:
    """Return `phones` in ARPAbet; None if there are none, or signs that are no phones."""
    sounds = _SOUND.findall(phones)
    if any(sound not in _SOUNDS for sound in sounds):
        return None
    return " ".join(part for sound in sounds if (part := _SOUNDS[sound])) or None
