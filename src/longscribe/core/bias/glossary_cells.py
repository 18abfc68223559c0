"""What every form of a glossary is made of: places for messages, entries, and cells."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from longscribe.errors import GlossaryError
from longscribe.languages import LANGUAGES
from longscribe.types import Span, Term, to_samples

LONGEST_TERM = 200
"""Characters. A longer line is a sentence or a wrong file, not a term."""
FOREVER = to_samples(10 * 366 * 24 * 3600)
"""Where a range without an end ends."""

_CLOCK = re.compile(r"(?:(?:(\d{1,5}):)?(\d{1,2}):)?(\d{1,8}(?:\.\d{1,9})?)")
_HASHTAG = re.compile(r"#\w")
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where we are, for messages."""

    name: str
    where: str
    """Within the file: `line 3`, or `entry 3 ('Harwick')`."""

    def wrong(self, what: str, remedy: str) -> GlossaryError:
        return GlossaryError(f"{self.name}, {self.where}: {what}.", remedy)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one line, row or object says: a term, or anti-terms of the glossary."""

    place: Place
    term: Term | None = None
    never: tuple[str, ...] = ()


def term_entry(term: Term, place: Place) -> Entry:
    """Return the entry of a term that has been read."""
    if term.text in term.never:
        raise place.wrong(
            f"{term.text!r} is never right for itself", "Leave it out of the wrong spellings."
        )
    if term.text in term.aliases:  # which says nothing
        aliases = tuple(alias for alias in term.aliases if alias != term.text)
        term = replace(term, aliases=aliases)
    return Entry(place=place, term=term)


def is_noise(line: str) -> bool:
    """Return whether a line of a text form is empty or a comment.

    `#` with a letter or digit right behind it begins a term, such as *#MeToo*.
    """
    text = line.strip()
    return not text or (text.startswith("#") and not _HASHTAG.match(text))


def term_text(text: str, place: Place) -> str:
    """Return a term as it is to be spelt, white space made single."""
    text = tidied(text, place)
    if not text:
        raise place.wrong("the term is empty", "Write the term first.")
    if len(text) > LONGEST_TERM:
        raise place.wrong(
            f"a term of {len(text)} characters (at most {LONGEST_TERM})",
            "Give names, not sentences.",
        )
    return text


def spellings(texts: Iterable[str], place: Place) -> tuple[str, ...]:
    """Return aliases or wrong spellings, each once, empty ones left out."""
    found = [term_text(text, place) for text in texts if text.strip()]
    for text in found:
        refuse_mark(text, place)
    return tuple(dict.fromkeys(found))


def refuse_mark(text: str, place: Place) -> None:
    """Refuse the mark of the lines form where it means nothing and hardly is part of a name."""
    if text.startswith("!"):
        raise place.wrong(
            f"{text[:60]!r} begins with '!', which has a meaning in the form of lines only",
            "Put what is never to be written under 'never', without '!'.",
        )


def tidied(text: str, place: Place) -> str:
    """Return `text` with white space made single; what is no text is refused."""
    text = " ".join(text.split())
    if not text.isprintable():
        for letter in text:
            # Format characters stay: Persian needs its joiners.
            if unicodedata.category(letter) in {"Cc", "Cs"}:
                raise place.wrong(
                    f"the character U+{ord(letter):04X} is no part of a text", "Delete it."
                )
    return text


def weight(cell: str, place: Place) -> float:
    """Return how important a term is; empty is as usual."""
    if not cell:
        return Term.weight
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise place.wrong(f"weight {cell!r} is not a number over 0", "Leave it empty for 1.")
    return number


def time_range(start: str, end: str, place: Place) -> tuple[Span, ...]:
    """Return the range between two times, of which either may be empty; none if both are."""
    if not start and not end:
        return ()
    begin = _time(start, place) if start else 0
    stop = _time(end, place) if end else FOREVER
    if stop <= begin:
        raise place.wrong(f"the end {end!r} is not after the start {start!r}", "Swap them?")
    return (Span(start=begin, end=stop),)


def _time(cell: str, place: Place) -> int:
    match = _CLOCK.fullmatch(cell)
    if match is None:
        raise place.wrong(f"{cell!r} is not a time", "Write seconds (75.5) or [h:]m:s (1:15.5).")
    hours, minutes, seconds = match.groups()
    for count, unit, is_behind in (
        (minutes, "minutes", hours is not None),
        (seconds, "seconds", minutes is not None),
    ):
        if is_behind and float(count) >= 60:
            raise place.wrong(
                f"{cell!r} has {count} {unit} behind a colon",
                "There, write less than 60: 90 seconds are 1:30, or 90 alone.",
            )
    return to_samples(int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds))


def languages(cells: Iterable[str], place: Place) -> tuple[str, ...]:
    """Return the codes of languages given by code or name.

    Each cell holds one or several, parted by `;`, a comma or spaces.
    """
    found: list[str] = []
    for part in (part.strip().lower() for cell in cells for part in re.split("[;,]", cell)):
        # A name may hold a space: haitian creole.
        for given in [part] if part in LANGUAGES.by_name else part.split():
            code = LANGUAGES.by_name.get(given, given)
            if code not in LANGUAGES.by_code:
                raise place.wrong(
                    f"unknown language {given[:60]!r}", "Use a code such as en, de, fr or a name."
                )
            found.append(code)
    return tuple(dict.fromkeys(found))


def yes_or_no(cell: str, place: Place) -> bool:
    """Return whether endings are kept behind a term; empty is as usual."""
    if not cell:
        return Term.inflect
    answer = _YES.get(cell.lower())
    if answer is None:
        raise place.wrong(f"inflect {cell[:60]!r} is neither yes nor no", "Leave it empty for yes.")
    return answer
