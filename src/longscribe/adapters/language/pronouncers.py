"""How words sound: by espeak-ng where it is installed and knows the language, else by letters.

Texts are pronounced word by word, and the sounds put in a row. So a name sounds the
same alone, in a term of several words, and where it was heard as several words.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Sequence

from longscribe.config import PronouncerName
from longscribe.core.bias.letters import to_phones
from longscribe.core.bias.phones import from_ipa, join
from longscribe.errors import RecognizerError, UsageError
from longscribe.ports import Pronouncer

LETTERS = "letters 1"
"""Raise the number when the rules change: what a pronouncer says decides what is proposed."""
TIMEOUT = 60.0
"""Seconds for one call of espeak-ng. Measured: 1,600 words a second, on one core."""
LONGEST_WORD = 100
"""Characters. What is longer is no word, and espeak-ng breaks long lines."""
BATCH = 2000
"""Words a call."""

_PROGRAM = "espeak-ng"
_INSTALL = (
    "Install it (Debian, Ubuntu: apt install espeak-ng; macOS: brew install espeak-ng), or leave "
    "out --pronouncer."
)
# Whisper's code → espeak-ng's, where they differ.
_VOICES = {
    "en": "en-us",
    "zh": "cmn",
    "no": "nb",
    "nn": "nb",
    "jw": "id",
    "tl": "id",
    "fr": "fr-fr",
}
# Scripts, by the first word of their letters' Unicode names, that espeak-ng reads in the languages
# that use them. Latin letters are read in all languages but Japanese; another script would be
# spelt out, letter by letter, in English.
_SCRIPTS = """
ARABIC: ar fa ps sd ur
ARMENIAN: hy
BENGALI: as bn
CYRILLIC: ba be bg kk mk mn ru sr tg tt uk
DEVANAGARI: hi mr ne sa
ETHIOPIC: am
GEORGIAN: ka
GREEK: el
GUJARATI: gu
GURMUKHI: pa
HANGUL: ko
HEBREW: he yi
HIRAGANA: ja
KANNADA: kn
KATAKANA: ja
KHMER: km
LAO: lo
MALAYALAM: ml
MYANMAR: my
SINHALA: si
TAMIL: ta
TELUGU: te
THAI: th
TIBETAN: bo
"""


class LettersPronouncer:
    """Reads by the letter-to-sound rules of `core/bias/letters.py`, in any language."""

    name = LETTERS

    def pronounce(self, texts: Sequence[str]) -> list[str]:
        """Return the phones of each text."""
        return [to_phones(text) for text in texts]


class EspeakPronouncer:
    """Asks the program espeak-ng, one call for all words that it wasn't asked before.

    Args:
        language: Whisper's code.

    Raises:
        UsageError: espeak-ng is not installed or does not know the language.
    """

    def __init__(self, language: str) -> None:
        version = espeak_version()
        if version is None:
            raise UsageError("espeak-ng is not on the PATH.", _INSTALL)
        voice = _voice(language)
        if voice is None:
            raise UsageError(
                f"espeak-ng has no voice for the language {language!r}.", "Leave out --pronouncer."
            )
        self.name = f"{_PROGRAM} {version}"
        self._voice = voice
        self._scripts = _scripts(language)
        self._known: dict[str, str] = {}

    def pronounce(self, texts: Sequence[str]) -> list[str]:
        """Return the phones of each text.

        Raises:
            RecognizerError: espeak-ng failed or did not answer in time.
        """
        split = [_words(text) for text in texts]
        asked = list(dict.fromkeys(w for words in split for w in words if w not in self._known))
        readable = [word for word in asked if _letters_of(word) <= self._scripts]
        self._known.update((word, to_phones(word)) for word in asked)
        for first in range(0, len(readable), BATCH):
            batch = readable[first : first + BATCH]
            self._known.update(zip(batch, self._ask(batch), strict=True))
        return [join(self._known[word] for word in words) for words in split]

    def _ask(self, words: Sequence[str]) -> list[str]:
        """Return the phones of words, which espeak-ng is given a line each.

        Between them go empty lines, which must come back at their places: so a line
        that was broken or joined is noticed even where another makes up for it.
        """
        text = "".join(f"{word}\n\n" for word in words)
        lines = _run(["-q", "--ipa", "-v", self._voice], text).splitlines()
        if len(words) == 1:
            return [from_ipa(" ".join(lines))]
        if len(lines) == 2 * len(words) and not any(lines[1::2]):
            return [from_ipa(line) for line in lines[::2]]
        half = len(words) // 2
        return self._ask(words[:half]) + self._ask(words[half:])


def find_pronouncer(name: PronouncerName, language: str) -> Pronouncer:
    """Return the pronouncer for Whisper's `language`; AUTO takes espeak-ng where it can.

    Raises:
        UsageError: espeak-ng was asked for and is absent or does not know the language.
    """
    known = espeak_version() is not None and _voice(language) is not None
    if name is PronouncerName.ESPEAK_NG or (name is PronouncerName.AUTO and known):
        return EspeakPronouncer(language)
    return LettersPronouncer()


@functools.cache
def espeak_version() -> str | None:
    """Return the version of the espeak-ng on the PATH, or None where there is none that runs."""
    if shutil.which(_PROGRAM) is None:
        return None
    try:
        said = _run(["--version"])
    except RecognizerError:
        return None
    # It says: eSpeak NG text-to-speech: 1.51  Data at: /usr/lib/...
    words = said.partition(":")[2].split()
    return words[0] if words else "of unknown version"


@functools.cache
def _voice(language: str) -> str | None:
    """Return espeak-ng's name for a language of Whisper, or None where it has no voice for it."""
    wanted = _VOICES.get(language, language)
    lines = (line.split() for line in _run(["--voices"]).splitlines()[1:])
    return wanted if any(wanted in fields[1:2] for fields in lines) else None


def _run(arguments: Sequence[str], text: str = "") -> str:
    try:
        done = subprocess.run(
            [shutil.which(_PROGRAM) or _PROGRAM, *arguments],
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RecognizerError(
            f"espeak-ng failed: {error}.", "Use --pronouncer letters to do without it."
        ) from error
    return done.stdout


def _words(text: str) -> list[str]:
    """Return the words to be said, without any sign that espeak-ng might obey or break lines at."""
    spelt = unicodedata.normalize("NFKC", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    plain = "".join(c if _is_spoken(c) else " " for c in spelt)
    return [word[:LONGEST_WORD] for part in plain.split() if (word := part.strip("'"))]


def _is_spoken(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"


def _letters_of(word: str) -> set[str]:
    """Return the scripts of a word's letters, by the first word of their Unicode names."""
    names = (unicodedata.name(letter, "") for letter in word if letter.isalpha())
    return {re.split(r"[ -]", name, maxsplit=1)[0] for name in names}


def _scripts(language: str) -> set[str]:
    """Return the scripts that the voice of a language reads."""
    lines = (line.split(": ") for line in _SCRIPTS.strip().splitlines())
    own = {script for script, languages in lines if language in languages.split()}
    return own if language == "ja" else own | {"LATIN"}
