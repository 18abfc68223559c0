"""How words are read aloud: by espeak-ng in several accents, and by flite.

Pronunciations are *folded*: stress and length are left out, and vowels that voices hardly keep
apart are one. Two words are the same when ANY reader folds them alike, and different only when
every reader tells them apart.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rapidfuzz.distance import Levenshtein

ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-029")
READERS = (*ACCENTS, "flite")

# ruff: noqa: RUF001 - the letters of the IPA are meant
_LEFT_OUT = str.maketrans("", "", "ˈˌːˑ̩̃ʲ‍‿ -'")
_FOLDED = str.maketrans(
    {
        **dict.fromkeys("ɐʌɜɚɝᵊ", "ə"),
        **dict.fromkeys("iᵻyɨ", "ɪ"),
        **dict.fromkeys("ɔɒa", "ɑ"),
        "æ": "æ",
        "u": "ʊ",
        "e": "ɛ",
        "r": "ɹ",
        "ɾ": "t",
        "ʔ": "t",
        "g": "ɡ",
        "ɬ": "l",
        "ɫ": "l",
        "x": "k",
    }
)
_FLITE = {
    "ah": "ə", "ax": "ə", "er": "ɚ", "ih": "ɪ", "iy": "ɪ", "aa": "ɑ", "ao": "ɑ", "ae": "æ",
    "eh": "ɛ", "ey": "E", "ay": "I", "aw": "W", "ow": "O", "oy": "Y", "uh": "ʊ", "uw": "ʊ",
    "ch": "C", "jh": "J", "sh": "ʃ", "zh": "ʒ", "th": "θ", "dh": "ð", "ng": "ŋ", "hh": "h",
}  # fmt: skip


def fold_ipa(ipa: str) -> str:
    """Return espeak-ng's IPA folded, runs of one sound once."""
    return _without_runs(ipa.translate(_LEFT_OUT).translate(_FOLDED))


def fold_flite(segments: str) -> str:
    """Return flite's segments as one letter a sound, folded."""
    return _without_runs("".join(_FLITE.get(s, s) for s in segments.split() if s != "pau"))


def _without_runs(sounds: str) -> str:
    return "".join(s for s, before in zip(sounds, " " + sounds, strict=False) if s != before)


class Phones:
    """Pronunciations of words, asked for once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}

    def learn(self, texts: Iterable[str]) -> None:
        """Ask the readers for the words of `texts` in one go: starting them is what takes time."""
        words = {word for text in texts for word in text.split()}
        new = sorted(words - self._known.keys())
        if not new:
            return
        by_reader = [_by_espeak(new, accent) for accent in ACCENTS]
        by_reader.append(_by_flite(new))
        for word, sounds in zip(new, zip(*by_reader, strict=True), strict=True):
            self._known[word] = sounds

    def of(self, text: str) -> tuple[str, ...]:
        """Return the folded sounds of a word or several, by reader."""
        self.learn([text])
        parts = [self._known[word] for word in text.split()]
        return tuple("".join(part[i] for part in parts) for i in range(len(READERS)))

    def distances(self, one: str, other: str) -> tuple[int, ...]:
        """Return how many sounds two texts differ in, by reader."""
        pairs = zip(self.of(one), self.of(other), strict=True)
        return tuple(Levenshtein.distance(a, b) for a, b in pairs)

    def same(self, one: str, other: str) -> bool:
        """Say whether any reader reads both alike."""
        return any(a == b for a, b in zip(self.of(one), self.of(other), strict=True))

    def apart(self, one: str, other: str) -> float:
        """Return the mean distance of two texts, per sound of the first."""
        distances, sounds = self.distances(one, other), self.of(one)
        return sum(distances) / max(1, sum(map(len, sounds)))


def _by_espeak(words: list[str], accent: str) -> list[str]:
    text = "".join(f"{word}.\n" for word in words)
    command = ("espeak-ng", "-q", "--ipa", "-v", accent, "--stdin")
    lines = [line for line in _run(command, text).splitlines() if line.strip()]
    if len(lines) != len(words):  # a word was spelt out in several clauses: ask one by one
        print(len(lines), len(words))
        lines = [_run((*command[:-1], "--", word), "").replace("\n", " ") for word in words]
    return [fold_ipa(line) for line in lines]


def _by_flite(words: list[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.txt"
        path.write_text("".join(f"{word}.\n\n" for word in words))
        said = _run(("flite", "-ps", "-f", str(path), "none"), "")
    lines = [line for line in said.splitlines() if line.strip()]
    if len(lines) != len(words):
        lines = [_run(("flite", "-ps", "-t", word, "none"), "") for word in words]
    return [fold_flite(line) for line in lines]


def _run(command: tuple[str, ...], text: str) -> str:
    return subprocess.run(
        command, input=text, check=True, capture_output=True, text=True, timeout=300
    ).stdout
