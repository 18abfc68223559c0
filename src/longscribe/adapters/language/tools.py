"""What verifying needs to know of a language, in one piece. Found by name in `wiring.py`."""

from __future__ import annotations

from longscribe.adapters.language.commonness import LISTED, Commonness
from longscribe.adapters.language.pronouncers import LETTERS, espeak_version, find_pronouncer
from longscribe.config import PronouncerName
from longscribe.ports import Pronouncer


class Tools:
    """Fulfils `LanguageTools`."""

    def __init__(self, pronouncer: Pronouncer, language: str) -> None:
        self.pronouncer = pronouncer
        self.knows_common_words = language in LISTED
        self._commonness = Commonness(language)

    def commonness(self, word: str) -> float:
        """Return how common a word is."""
        return self._commonness.of(word)


def load(pronouncer: PronouncerName, language: str) -> Tools:
    """Return the tools for a language; as `LanguageToolsFactory`."""
    return Tools(find_pronouncer(pronouncer, language), language)


def pronouncer_here(name: PronouncerName) -> str:
    """Return which pronouncer decides on this machine, for the keys of results.

    Without the version of espeak-ng: an upgrade in the middle of a job must not throw
    the work away (docs/decisions, number 3).
    """
    if name is PronouncerName.LETTERS:
        return LETTERS
    return "espeak-ng" if espeak_version() is not None else LETTERS
