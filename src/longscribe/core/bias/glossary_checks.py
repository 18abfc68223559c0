"""What a glossary must not say: contradictions between its entries, which may stand far apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from longscribe.core.bias.glossary_cells import Entry, Place
from longscribe.errors import GlossaryError
from longscribe.types import Term


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A term, and the entries that it was joined from."""

    term: Term
    entries: tuple[Entry, ...]

    def spelt(self) -> Iterator[tuple[str, str]]:
        """Yield how the entries spell it, and where."""
        for entry in self.entries:
            if entry.term is not None:
                yield entry.term.text, entry.place.where

    def wrongs(self) -> Iterator[Wrong]:
        """Yield the spellings that are never right."""
        for entry in self.entries:
            if entry.term is not None:
                for spelling in entry.term.never:
                    yield Wrong(spelling=spelling, term=entry.term.text, place=entry.place)


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A spelling that is never right for a term, and where that is said."""

    spelling: str
    term: str
    place: Place

    def refused(self, why: str, remedy: str) -> GlossaryError:
        return self.place.wrong(
            f"{self.spelling!r} is never right for {self.term!r}, and {why}", remedy
        )


def refuse_contradictions(terms: Sequence[Joined], never: Mapping[str, Entry]) -> None:
    """Refuse what is wanted and unwanted at once, whatever its capitals.

    Heard words are compared without their case, so that the anti-term *harwick* would
    silently bar the term *Harwick*.

    Raises:
        GlossaryError: with the place of one and of the other.
    """
    known: dict[str, list[Joined]] = defaultdict(list)
    for each in terms:
        known[each.term.text.casefold()].append(each)
    for word, entry in never.items():
        for each in known.get(word.casefold(), ()):
            raise entry.place.wrong(
                f"the anti-term {word!r} is also a term{_as(word, each)}",
                "Leave out one of them: capitals don't count for an anti-term.",
            )
    for each in terms:
        for wrong in each.wrongs():
            _refuse_own(each, wrong)
            for other in known.get(wrong.spelling.casefold(), ()):
                if other is not each and _may_meet(each.term, other.term):
                    raise wrong.refused(
                        f"is a term itself{_as(wrong.spelling, other)}",
                        "Leave out one of them, or give both their times.",
                    )


def _refuse_own(each: Joined, wrong: Wrong) -> None:
    """Refuse a wrong spelling that the same term wants elsewhere.

    One that is the term but for its capitals is a wish: *iPhone*, and never *iphone*.
    """
    spelling = wrong.spelling
    if any(spelling == text for text, _ in each.spelt()):
        raise wrong.refused(f"is a term itself{_as(spelling, each)}", "Leave out one of them.")
    is_own = spelling.casefold() == each.term.text.casefold()
    for alias in each.term.aliases:
        if alias == spelling or (not is_own and alias.casefold() == spelling.casefold()):
            raise wrong.refused(
                f"{alias!r} is an alias of it",
                "Leave out the alias: what is never right is recognized as well.",
            )


def _as(word: str, term: Joined) -> str:
    """Return where `word` is a term, and how it is spelt there if not alike."""
    spelt = list(term.spelt())
    for text, where in spelt:
        if text == word:
            return f" ({where})"
    return f", {spelt[0][0]!r} ({spelt[0][1]})"


def _may_meet(one: Term, other: Term) -> bool:
    """Return whether both may be wanted at once: not where each has its times or its languages."""
    times = not one.ranges or not other.ranges
    languages = not one.languages or not other.languages
    return times and (languages or bool(set(one.languages) & set(other.languages)))
