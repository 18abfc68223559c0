"""How often a term seems to be said elsewhere in the chunk: a name that was said is said again.

One mention alone leaves open which of two names that sound nearly the same was meant. Another
speaker, or another sentence, bends the sounds another way, so the name that was said leads again
and its rival does not. `bench/bias_tuning.py` says what that is worth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from longscribe.core.bias.retrieval import Hit, overlap
from longscribe.core.bias.rule import SAME_SOUND

MOST_RECURRENCE = 2
"""More places say nothing more."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The words `[first, stop)` of one of the chunk's windows."""

    window: int
    first: int
    stop: int

    def overlaps(self, other: Place) -> bool:
        """Tell whether the two share a word."""
        same = self.window == other.window
        return same and self.first < other.stop and other.first < self.stop


@dataclass(frozen=True, kw_only=True)
class Recurrence:
    """Where in a chunk each term leads: sounds like what was heard, and nearer than all others."""

    places: Mapping[str, tuple[Place, ...]]
    """Text of a term → its places, none of which overlap."""

    @classmethod
    def of(cls, windows: Sequence[Sequence[Hit]]) -> Recurrence:
        """Return it for the hits of all windows of a chunk, each place in one window only."""
        places: dict[str, list[Place]] = defaultdict(list)
        for number, hits in enumerate(windows):
            for hit in sorted(hits, key=lambda hit: (hit.sound_distance, hit.first, hit.last)):
                here = Place(window=number, first=hit.first, stop=hit.last + 1)
                known = places[hit.term.text]
                if _leads(hit, hits) and not any(map(here.overlaps, known)):
                    known.append(here)
        return cls(places={term: tuple(known) for term, known in places.items() if known})

    def lead(self, term: str, rivals: Iterable[str], here: Place) -> int:
        """Return in how many more other places a term leads than the rival that leads most often.

        Args:
            term: text of the term.
            rivals: texts of the other terms that may stand `here`.
            here: the place in question, which does not count.

        Returns:
            From `-MOST_RECURRENCE` to `MOST_RECURRENCE`.
        """
        mine = self._elsewhere(term, here)
        theirs = max((self._elsewhere(rival, here) for rival in rivals), default=0)
        return max(-MOST_RECURRENCE, min(MOST_RECURRENCE, mine - theirs))

    def _elsewhere(self, term: str, here: Place) -> int:
        return sum(not place.overlaps(here) for place in self.places.get(term, ()))


def _leads(hit: Hit, hits: Sequence[Hit]) -> bool:
    """Tell whether a hit sounds the same as what was heard, and nearer than every other term."""
    rivals = (
        other.sound_distance for other in hits if other.term != hit.term and overlap(hit, other)
    )
    return hit.sound_distance <= SAME_SOUND and hit.sound_distance < min(rivals, default=1.0)
