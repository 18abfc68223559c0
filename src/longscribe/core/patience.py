"""How long to wait for a sign of progress before a child is taken to hang.

Progress, not liveness: a heartbeat thread goes on beating while native code
hangs, so only finished work counts. The allowance comes from the measured speed.
Time is counted while we are watching: a clock set back or forward does not
matter (the clock is monotonic), nor does a laptop that slept or a supervisor that
was stopped, since a long step between two looks does not count at all.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from longscribe.config import DeadlineSettings

LONGEST_STEP = 3.0
"""Seconds. More than this between two looks means that we ourselves were not running."""
REMEMBERED = 8
"""Batches whose speed counts."""


@dataclass(kw_only=True)
class Stopwatch:
    """Adds up the time in which we were watching."""

    watched: float = 0.0
    """Seconds."""
    _last: float | None = None

    def look(self, now: float) -> float:
        """Take the monotonic time `now`; return the seconds watched so far."""
        if self._last is not None and 0 < now - self._last <= LONGEST_STEP:
            self.watched += now - self._last
        self._last = now
        return self.watched


@dataclass(kw_only=True)
class Pace:
    """The speed of decoding, in seconds a window: an encoder pass costs the same for any length."""

    settings: DeadlineSettings
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def record(self, windows: int, seconds: float) -> None:
        """Note that `windows` took `seconds`."""
        if windows > 0:
            self._recent.append(seconds / windows)

    def expected(self, windows: int) -> float | None:
        """Return the seconds that `windows` may take, by the slowest of the recent batches."""
        return windows * max(self._recent) if self._recent else None

    def allowance(self, windows: int) -> float:
        """Return how many seconds without progress are tolerated."""
        expected = self.expected(windows)
        if expected is None:
            return max(self.settings.floor, self.settings.first)
        return max(self.settings.floor, self.settings.factor * expected)


WRITING_SHARE = 20
"""After writing the outputs, this many times as long is spent otherwise before they are again."""


@dataclass(kw_only=True)
class WritingPace:
    """Keeps the writing of outputs, which grows with the transcript, to a twentieth of the time."""

    _again_at: float = 0.0

    def is_due(self, now: float) -> bool:
        return now >= self._again_at

    def wrote(self, started: float, ended: float) -> None:
        """Note that the outputs were written from `started` to `ended`, in watched seconds."""
        self._again_at = ended + WRITING_SHARE * (ended - started)
