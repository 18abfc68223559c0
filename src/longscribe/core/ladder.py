"""The ladder: what is tried next when an attempt at a chunk has failed.

Everything that decides about retries lives in this file, in one table.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longscribe.types import ChunkFailure, FailureKind


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step of the ladder."""

    name: str
    sentence: str
    """What the step does, for people."""


FIRST = Rung(name="as asked", sentence="decode with the settings asked for")
AGAIN = Rung(name="again", sentence="try once more with the same settings in a new worker")

LADDER: Mapping[FailureKind, tuple[Rung, ...]] = {
    FailureKind.CRASH: (AGAIN, AGAIN),
    FailureKind.HANG: (AGAIN, AGAIN),
    FailureKind.OOM: (AGAIN, AGAIN),
    FailureKind.ERROR: (AGAIN, AGAIN),
    FailureKind.BAD_OUTPUT: (AGAIN, AGAIN),
}
"""For the kind of the latest failure: the steps after the first, second … failed attempt."""

READ_TRIES = 2
"""Times the media is read from its start before a dying reader is taken for its end."""
LANGUAGE_TRIES = 3
"""Workers that may fail to tell the language before the user is asked for it."""


def next_rung(failures: Sequence[ChunkFailure]) -> Rung | None:
    """Return the step after these failed attempts (oldest first), or None to give up."""
    if not failures:
        return FIRST
    rungs = LADDER[failures[-1].kind]
    return rungs[len(failures) - 1] if len(failures) <= len(rungs) else None


def describe(failure: ChunkFailure) -> str:
    """Return why a chunk failed, in a few words for a gap."""
    match failure.kind:
        case FailureKind.CRASH if failure.signal is not None:
            return f"worker crashed ({signal.Signals(failure.signal).name})"
        case FailureKind.CRASH:
            return f"worker crashed (exit status {failure.exit_code})"
        case FailureKind.HANG:
            return "worker hung"
        case FailureKind.OOM:
            return "out of memory"
        case FailureKind.ERROR:
            return f"recognizer failed: {failure.message}"
        case FailureKind.BAD_OUTPUT:
            return f"unusable output: {failure.message}"
