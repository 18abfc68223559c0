"""The ladder: what is tried next when an attempt at a chunk has failed.

Everything that decides about retries lives in this file. A chunk climbs `Rung`
by `Rung`; each keeps what the earlier ones changed. Which rungs a failure may
lead to stands in `ADMITTED`; a rung that would change nothing is passed over,
for what failed once for a lasting cause fails again. After the last rung the
chunk becomes a declared gap.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from longscribe.types import SAMPLE_RATE, Chunk, ChunkFailure, FailureKind


class Rung(StrEnum):
    """The steps, in the order in which they are climbed."""

    AS_ASKED = "as asked"
    AGAIN = "again"
    SMALLER_BATCH = "smaller batch"
    SPLIT = "split"
    LIGHTER = "lighter"
    OTHER_DEVICE = "other device"


SENTENCES: Mapping[Rung, str] = {
    Rung.AS_ASKED: "decode with the settings asked for",
    Rung.AGAIN: "try once more with the same settings in a new worker: the cause may have passed",
    Rung.SMALLER_BATCH: "decode fewer windows at a time",
    Rung.SPLIT: "split the chunk at a pause, so that what is sound in it is saved",
    Rung.LIGHTER: "decode with beam 1 and a smaller compute type",
    Rung.OTHER_DEVICE: "decode on the CPU",
}
GIVE_UP = "give it up and declare a gap"

_CHANGES = frozenset({Rung.SMALLER_BATCH, Rung.SPLIT, Rung.LIGHTER, Rung.OTHER_DEVICE})

_REPEATED = frozenset({Rung.SMALLER_BATCH, Rung.SPLIT})
"""A batch may be made smaller several times, a part be split again; the rest is climbed once."""

ADMITTED: Mapping[FailureKind, frozenset[Rung]] = {
    # What may have been bad luck is tried once as it was.
    FailureKind.CRASH: _CHANGES | {Rung.AGAIN},
    FailureKind.HANG: _CHANGES | {Rung.AGAIN},
    FailureKind.GARBAGE: _CHANGES | {Rung.AGAIN},
    FailureKind.NO_ANSWER: _CHANGES | {Rung.AGAIN},
    # The same again would need the same memory and raise the same exception.
    FailureKind.OOM: _CHANGES,
    FailureKind.ERROR: _CHANGES,
}

SMALL_BATCH = 4
"""Batches are halved down to this, then to 1."""
SHORTEST_PART = 60 * SAMPLE_RATE
"""A chunk is not split into parts shorter than this."""

READ_TRIES = 2
"""Times the media is read from its start before a dying reader is taken for its end."""
LANGUAGE_TRIES = 3
"""Workers that may fail to tell the language before the user is asked for it."""
LONGEST_DELAY = 60.0
"""Seconds before an attempt, at most."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """The settings that the ladder may change."""

    batch_size: int
    beam_size: int
    compute_type: str
    device: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One place on the ladder: the rung, and the settings there."""

    rung: Rung
    effort: Effort

    @property
    def sentence(self) -> str:
        if self.rung is Rung.SMALLER_BATCH:
            return f"{SENTENCES[self.rung]} (batch {self.effort.batch_size})"
        return SENTENCES[self.rung]


def next_step(
    start: Step, failures: Sequence[FailureKind], *, can_split: bool, max_attempts: int
) -> Step | None:
    """Return the step after these failed attempts (oldest first), or None to give up.

    Args:
        start: where the chunk began; for a part of a split chunk, where it was split.
        failures: how each attempt since then failed.
        can_split: whether there is a pause to split it at.
        max_attempts: no more attempts than this.
    """
    step: Step | None = start
    for kind in failures:
        if step is None:
            return None
        step = _after(step, kind, can_split=can_split)
    return None if len(failures) >= max_attempts else step


def _after(step: Step, kind: FailureKind, *, can_split: bool) -> Step | None:
    admitted = ADMITTED[kind]
    for rung in tuple(Rung)[tuple(Rung).index(step.rung) :]:
        if rung not in admitted or (rung is step.rung and rung not in _REPEATED):
            continue
        if rung is Rung.AGAIN:
            return replace(step, rung=rung)
        if rung is Rung.SPLIT:
            if can_split:
                return replace(step, rung=rung)
            continue
        changed = _changed(step.effort, rung)
        if changed != step.effort:
            return Step(rung=rung, effort=changed)
    return None


def _changed(effort: Effort, rung: Rung) -> Effort:
    """Return the settings of a rung; equal ones if it changes nothing."""
    match rung:
        case Rung.SMALLER_BATCH if effort.batch_size > SMALL_BATCH:
            return replace(effort, batch_size=max(SMALL_BATCH, effort.batch_size // 2))
        case Rung.SMALLER_BATCH:
            return replace(effort, batch_size=1)
        case Rung.LIGHTER:
            return replace(effort, beam_size=1, compute_type=_smaller_type(effort))
        case Rung.OTHER_DEVICE if effort.device != "cpu":
            return replace(effort, device="cpu", compute_type="int8")
        case _:
            return effort


def _smaller_type(effort: Effort) -> str:
    """Return the number format that needs the least memory on the device."""
    return "int8_float16" if effort.device.startswith("cuda") else "int8"


def split_point(chunk: Chunk) -> int | None:
    """Return the window before which a chunk is best split, or None if it can't be.

    Windows end in pauses, so any window's start is as good a seam as the plan's
    own. Of those that leave no part under a minute, the longest pause is taken.
    """
    choices = [
        index
        for index in range(1, len(chunk.windows))
        if chunk.windows[index].owns.start - chunk.span.start >= SHORTEST_PART
        and chunk.span.end - chunk.windows[index].owns.start >= SHORTEST_PART
    ]
    if not choices:
        return None

    def quality(index: int) -> tuple[int, int]:
        before, after = chunk.windows[index - 1].span, chunk.windows[index].span
        return after.start - before.end, -abs(after.start - chunk.span.middle)

    return max(choices, key=quality)


def split(chunk: Chunk, before: int) -> tuple[Chunk, Chunk]:
    """Split a chunk before its window `before`. The parts keep its id and their windows."""
    seam = chunk.windows[before].owns.start
    return (
        replace(chunk, span=replace(chunk.span, end=seam), windows=chunk.windows[:before]),
        replace(chunk, span=replace(chunk.span, start=seam), windows=chunk.windows[before:]),
    )


def delay(failed_attempts: int, first: float) -> float:
    """Return the seconds to wait before the next attempt: exponential, with a limit."""
    return (
        min(first * 2.0 ** max(0, failed_attempts - 1), LONGEST_DELAY) if failed_attempts else 0.0
    )


def describe(failure: ChunkFailure) -> str:
    """Return why a chunk was given up, in a few words for a gap."""
    match failure.kind:
        case FailureKind.CRASH if failure.signal is not None:
            return f"worker crashed ({_signal_name(failure.signal)})"
        case FailureKind.CRASH:
            return f"worker crashed (exit status {failure.exit_code})"
        case FailureKind.NO_ANSWER:
            return "worker ended without an answer"
        case FailureKind.HANG:
            return "worker hung"
        case FailureKind.OOM:
            return "out of memory"
        case FailureKind.GARBAGE:
            return "worker sent garbage"
        case FailureKind.ERROR:
            return f"recognizer failed: {failure.message}"


def _signal_name(number: int) -> str:
    known = {each.value: each.name for each in signal.Signals}
    return known.get(number, f"signal {number}")  # real-time signals have no name
