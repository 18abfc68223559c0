"""Which terms matter where: bias windows slide over the recording, terms are ranked in each.

A bias window is 45 s long and a new one begins every 15 s. A decode window is
offered the union of the terms of all bias windows that touch it, ranked; the one
whose middle lies nearest to its own gives it its `bias_window_id`. Nothing is
ever drawn from an unordered set: the same glossary gives the same ranking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from longscribe.config import BiasSettings
from longscribe.types import BiasWindow, Glossary, Span, Term, WindowBias


@dataclass(frozen=True, kw_only=True)
class BiasPlan:
    """The glossary laid over time."""

    glossary: Glossary
    settings: BiasSettings

    def windows(self, span: Span) -> Iterator[BiasWindow]:
        """Yield every bias window that touches `span`, in order."""
        settings = self.settings
        first = max(0, (span.start - settings.window) // settings.stride + 1)
        last = max(first, (span.end - 1) // settings.stride)
        for window_id in range(first, last + 1):
            start = window_id * settings.stride
            bounds = Span(start=start, end=start + settings.window)
            yield BiasWindow(
                window_id=window_id, span=bounds, terms=tuple(self._ranked([bounds], bounds))
            )

    def for_decode_window(self, span: Span) -> WindowBias:
        """Return the terms for the decode window over `span`, best first."""
        if not self.glossary.terms or self.settings.max_terms == 0:
            return WindowBias(bias_window_id=None, terms=())
        touching = list(self.windows(span))
        nearest = min(touching, key=lambda window: abs(window.span.middle - span.middle))
        ranked = self._ranked([window.span for window in touching], span)
        return WindowBias(
            bias_window_id=nearest.window_id,
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
