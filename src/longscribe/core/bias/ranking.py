"""Which terms matter where: bias windows slide over the recording, terms are ranked in each.

A bias window is 45 s long and a new one begins every 15 s. A decode window is
offered the union of the terms of all bias windows that touch it, ranked; the one
whose middle lies nearest to its own gives it its `bias_window_id`. Nothing is
ever drawn from an unordered set: the same glossary gives the same ranking.

Verifying has no use for bias windows: there a term counts within `NEARBY` of its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from longscribe.config import BiasMode, BiasSettings
from longscribe.types import BiasWindow, Chunk, Glossary, Span, Term, WindowBias, to_samples

VERIFYING_VERSION = 4
"""Raised when retrieval, rule or patching change what is written: results are then redone."""
NEARBY = to_samples(45)
"""A term's range this near to a decode window counts as near when it is verified."""


def of_language(glossary: Glossary, language: str | None) -> Glossary:
    """Return the glossary without the terms of other languages."""
    terms = (t for t in glossary.terms if not t.languages or language in t.languages)
    return replace(glossary, terms=tuple(terms))


def timing_of(term: Term, window: Span) -> int:
    """Return how well a term's time fits a decode window that is verified.

    2: one of its ranges covers the window, 1: is near, 0: it has none; -1: it is of another time.
    """
    if not term.ranges:
        return 0
    reach = Span(start=max(0, window.start - NEARBY), end=window.end + NEARBY)
    if any(window.overlap(part) for part in term.ranges):
        return 2
    return 1 if any(reach.overlap(part) for part in term.ranges) else -1


@dataclass(frozen=True, kw_only=True)
class BiasPlan:
    """The glossary laid over time."""

    glossary: Glossary
    settings: BiasSettings

    def windows(self, span: Span) -> Iterator[BiasWindow]:
        """Yield every bias window that touches `span`, in order."""
        for window_id in self._touching(span):
            bounds = self._bounds(window_id)
            yield BiasWindow(
                window_id=window_id, span=bounds, terms=tuple(self._ranked([bounds], bounds))
            )

    def _touching(self, span: Span) -> range:
        """Return the ids of the bias windows that touch `span`."""
        first = max(0, (span.start - self.settings.window) // self.settings.stride + 1)
        last = max(first, (span.end - 1) // self.settings.stride)
        return range(first, last + 1)

    def _bounds(self, window_id: int) -> Span:
        start = window_id * self.settings.stride
        return Span(start=start, end=start + self.settings.window)

    def for_chunk(self, chunk: Chunk) -> tuple[WindowBias, ...]:
        """Return the terms for each window of a chunk."""
        return tuple(self.for_decode_window(window.owns) for window in chunk.windows)

    def verifying(self, windows: Sequence[Span], pronouncer: str) -> tuple[Any, ...]:
        """Return all that decides how the terms of a chunk are verified.

        Args:
            windows: what each decode window of the chunk owns.
            pronouncer: the one that decides on this machine.
        """
        if self.settings.mode is not BiasMode.VERIFY or not self.glossary.terms:
            return ()
        settings = asdict(self.settings)
        # Bias windows shape only prompts. The results name theirs, but that is in their biases.
        for unused in ("window", "stride", "max_terms"):
            del settings[unused]
        terms = [t for t in self.glossary.terms if any(timing_of(t, each) >= 0 for each in windows)]
        return (
            VERIFYING_VERSION,
            pronouncer,
            settings,
            [asdict(replace(term, note="")) for term in terms],
            self.glossary.never,
        )

    def for_decode_window(self, span: Span) -> WindowBias:
        """Return the terms for the decode window over `span`, best first."""
        if not self.glossary.terms or self.settings.mode is BiasMode.OFF:
            return WindowBias(bias_window_id=None, terms=())
        touching = self._touching(span)
        nearest = min(touching, key=lambda each: abs(self._bounds(each).middle - span.middle))
        if self.settings.mode is BiasMode.VERIFY:
            # Heard without a prompt first; the worker then chooses terms by what it heard.
            return WindowBias(bias_window_id=nearest, terms=())
        ranked = self._ranked([self._bounds(each) for each in touching], span)
        return WindowBias(
            bias_window_id=nearest,
            terms=tuple(term.text for term in ranked[: self.settings.max_terms]),
        )

    def _ranked(self, reach: list[Span], span: Span) -> list[Term]:
        """Rank by time match, weight and order in the file; leave out terms of other times."""

        def time_match(term: Term) -> int:
            if any(span.overlap(part) for part in term.ranges):
                return 2  # said to occur right here
            if any(bounds.overlap(part) for part in term.ranges for bounds in reach):
                return 1  # said to occur nearby
            return -1 if term.ranges else 0

        matches = [(time_match(term), term) for term in self.glossary.terms]
        here = [(match, term) for match, term in matches if match >= 0]
        # `sorted` is stable: equals keep the order of the file.
        return [term for match, term in sorted(here, key=lambda it: (-it[0], -it[1].weight))]
