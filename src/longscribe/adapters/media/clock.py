"""The media clock: where on the recording's own time each decoded frame belongs.

Pure: it sees timestamps and lengths, never audio. Decoders hand us frames that
are contiguous as samples but whose timestamps may say otherwise. Four rules:

1. *Small errors are ignored* (`TOLERANCE`). Containers round timestamps (1 ms in
   Matroska and FLV) and muxers jitter; following that would chop speech. The
   error is always taken against the absolute timestamp, so it can't accumulate:
   a recorder whose sample clock drifts is put right each time it is 40 ms off.
2. *A jump counts only when the next half second agrees* (`LOOKAHEAD`). A stray
   timestamp, or MPEG-TS frames interpolated at a stale sample rate, come back to
   the old clock by themselves; their samples are simply counted. So is an overlap
   in the last half second, which nothing can confirm.
3. *A gap becomes silence, an overlap is dropped.* Up to a second of overlap, that
   is: losing more than that could lose words.
   And only so much silence is made as the file is worth (`most_filled`): a gap beyond
   that is a loss, for which a second of silence stands.
4. *Anything else is a discontinuity* (concatenated files, a timestamp that wraps
   or restarts, garbage): the audio goes right behind what came before, the clock
   is rebased, and a problem is reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

TOLERANCE = 0.040
"""Seconds a timestamp may be off and still be called contiguous.

Above the jitter of real muxers and the rounding of every container; about one
AAC frame and the span over which people begin to see that sound and picture part.
"""
LOOKAHEAD = 0.5
"""Seconds of later frames that must agree before a jump is believed.

More than the frames of one MPEG-TS packet, whose timestamps are interpolated.
"""
MOST_OVERLAP = 1.0
"""Seconds. Timestamps that step back further have restarted."""
TRUSTED_GAP = 60.0
"""Seconds. A gap up to this is believed even where it ends behind the declared end."""
MOST_GAP = 600.0
"""Seconds. The longest gap believed in a file that declares no length."""
END_SLACK = 10.0
"""Seconds that a true timestamp may lie behind the declared end."""
REPORTED_GAP = 0.5
"""Seconds. Shorter ones are common where a recorder leaves out silence (Opus DTX: 0.4 s)."""
REPORTED_OVERLAP = 0.1
"""Seconds."""
LOST = 1.0
"""Seconds that stand for a gap too long to be filled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """What a decoded frame says of itself."""

    time: float | None
    """Seconds on the container's own timeline; None when the frame has no timestamp."""
    length: int
    """In samples at `rate`."""
    rate: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """What to do with a frame: silence before it, samples to skip at its head (at its rate)."""

    silence: int = 0
    skip: int = 0
    problem: str = ""
    loss: str = ""
    """Why the silence is a loss; empty where it is silence."""
    left_out: float = 0.0
    """Seconds of the recording's own time that the silence of a loss is short of."""


_AS_IT_IS = Placement()


class MediaClock:
    """Places frames one after another.

    Args:
        origin: the container time that a player shows as 0; None takes the first frame's.
        declared_end: end of the track by its header, in seconds from `origin`; None if
            nothing vouches for it, and then no gap beyond `MOST_GAP` is believed.
        most_filled: seconds of silence that may be made in all.
    """

    def __init__(
        self, *, origin: float | None, declared_end: float | None, most_filled: float = math.inf
    ) -> None:
        self._origin = origin
        self._left = most_filled
        self._end = declared_end
        self._shift = 0.0
        """Added to timestamps since the last rebase."""
        self._base = 0.0
        self._count = 0
        self._rate = 1
        self._aligning = True
        """The next timestamp is followed to the sample: at the start and after damage."""

    @property
    def position(self) -> float:
        """Seconds placed so far."""
        return self._base + self._count / self._rate

    def align(self) -> None:
        """Follow the next timestamp exactly, because audio was lost before it."""
        self._aligning = True

    def place(self, stamp: Stamp, following: Iterable[Stamp]) -> Placement:
        """Decide where the frame goes, and count it as placed.

        Args:
            stamp: the frame.
            following: the frames after it, for as long as `LOOKAHEAD`.
        """
        if stamp.rate != self._rate:
            self._base, self._count, self._rate = self.position, 0, stamp.rate
        placement = self._judge(stamp, following)
        self._count += placement.silence + stamp.length - placement.skip
        return placement

    def _judge(self, stamp: Stamp, following: Iterable[Stamp]) -> Placement:
        if stamp.time is None:
            return _AS_IT_IS
        if self._origin is None:
            self._origin = stamp.time
        error = self._error(stamp.time, self.position)
        fits = 0.5 / stamp.rate if self._aligning else TOLERANCE
        if abs(error) <= fits:
            self._aligning = False
            return _AS_IT_IS
        near = self._aligning and abs(error) <= MOST_OVERLAP
        if not near and self._is_stray(stamp, following):
            return _AS_IT_IS
        self._aligning = False
        return self._jump(stamp, stamp.time)

    def _error(self, time: float, position: float) -> float:
        """Return how far `time` lies behind `position` on the recording, in seconds."""
        assert self._origin is not None
        return time - self._origin + self._shift - position

    def _is_stray(self, stamp: Stamp, following: Iterable[Stamp]) -> bool:
        """Tell whether later frames are back on the clock we have, so that this one errs."""
        position = self.position + stamp.length / stamp.rate
        horizon = position + 0.9 * LOOKAHEAD
        for later in following:
            if later.time is not None and abs(self._error(later.time, position)) <= TOLERANCE:
                return True
            position += later.length / later.rate
        assert stamp.time is not None
        overlaps = -MOST_OVERLAP <= self._error(stamp.time, self.position) < 0
        return overlaps and position < horizon

    def _jump(self, stamp: Stamp, time: float) -> Placement:
        """Follow a jump that is real: a gap, an overlap or a discontinuity."""
        problem = ""
        if self._is_discontinuity(time):
            problem = self._rebase(time)
        error = self._error(time, self.position)
        if error > max(self._left, LOST):
            self._shift -= error - LOST
            reason = (
                f"the timestamps jump by {error / 3600:.1f} h here, more than can be filled with "
                "silence; the audio goes on one second later"
            )
            return Placement(
                silence=round(LOST * stamp.rate),
                loss=reason,
                left_out=error - LOST,
            )
        if error >= 0:
            self._left -= error
            if error >= REPORTED_GAP and self._count + self._base > 0:
                problem = problem or f"no audio for {error:.1f} s; silence stands in its place"
            return Placement(silence=round(error * stamp.rate), problem=problem)
        skip = min(round(-error * stamp.rate), stamp.length)
        # A frame that goes whole leaves the rest of the overlap to the next one.
        self._aligning = skip == stamp.length
        if -error >= REPORTED_OVERLAP and self.position > 0 and not problem:
            problem = f"timestamps overlap by {-error:.1f} s; the repeated part is dropped"
        return Placement(skip=skip, problem=problem)

    def _is_discontinuity(self, time: float) -> bool:
        error = self._error(time, self.position)
        if error < 0:
            return error < -MOST_OVERLAP
        if self._end is None:
            return error > MOST_GAP
        assert self._origin is not None
        return error > TRUSTED_GAP and time - self._origin > self._end + END_SLACK

    def _rebase(self, time: float) -> str:
        """Let `time` be the present position; return the problem in words."""
        assert self._origin is not None
        there = time - self._origin
        expected = self.position - self._shift
        if abs(there - self.position) <= MOST_OVERLAP:
            self._shift = 0.0  # back on the original timeline after a stretch of garbage
        else:
            self._shift = self.position - there
        return (
            f"timestamps jump from {expected:.1f} s to {there:.1f} s; "
            "the audio is placed right behind what came before"
        )
