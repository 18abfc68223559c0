"""Where a spelling stands in the text."""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from longscribe.types import Segment

_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A spelling in the text."""

    text: str
    """As it stands there."""
    start: int
    end: int
    """In samples: of the words it stands in, or of the phrase if there are no word times."""
    letters: range
    """Where it stands in the `PlacedText`."""


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """What is looked for."""

    folded: str
    """Stands in every folded text in which the pattern is found: quicker to look for."""
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, text: str, *, any_case: bool = False) -> Spelling:
        """Return a spelling to look for as whole words.

        Args:
            text: the spelling. Where it begins small, a capital is right as well.
            any_case: capitals don't count.
        """
        text = _plain(" ".join(text.split()))
        body = re.escape(text)
        if text[0].islower() and not any_case:
            body = f"[{re.escape(text[0] + text[0].upper())}]{re.escape(text[1:])}"
        before = r"(?<!\w)" if _parted(text[0]) else ""
        after = r"(?!\w)" if _parted(text[-1]) else ""
        flags = re.IGNORECASE if any_case else re.NOFLAG
        return cls(folded=text.lower(), pattern=re.compile(before + body + after, flags))


@dataclass(frozen=True, kw_only=True)
class PlacedText:
    """The text of a window, and when each piece of it is said."""

    text: str
    folded: str
    offsets: tuple[int, ...]
    """Where each piece begins in the text."""
    times: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, segments: Iterable[Segment]) -> PlacedText:
        """Return the text of phrases in order: word by word where words have times."""
        text, offsets, times = "", [], []
        for segment in segments:
            pieces = [(word.text, word.start, word.end) for word in segment.words]
            if text and segment.text[:1].strip():
                text += " "  # no word goes on in the next phrase
            for piece, start, end in pieces or [(segment.text, segment.start, segment.end)]:
                offsets.append(len(text))
                times.append((start, end))
                text += _plain(piece)
        return cls(text=text, folded=text.lower(), offsets=tuple(offsets), times=tuple(times))

    def find(self, spelling: Spelling) -> Iterator[Place]:
        """Yield where the spelling stands, in order."""
        if spelling.folded not in self.folded:
            return
        for found in spelling.pattern.finditer(self.text):
            first = bisect.bisect_right(self.offsets, found.start()) - 1
            last = bisect.bisect_left(self.offsets, found.end()) - 1
            yield Place(
                text=found.group(),
                start=self.times[first][0],
                end=self.times[last][1],
                letters=range(*found.span()),
            )


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).replace(_APOSTROPHE, "'")


def _parted(letter: str) -> bool:
    """Tell whether words that begin or end with `letter` are parted from others.

    Scripts without capitals write words in a row, or prefixes in front of a name.
    """
    return letter.lower() != letter.upper() or letter.isdigit()
