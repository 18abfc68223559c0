"""Trying in a child whether a Python runs a worker and has a recognizer's libraries.

So a crash or a hang while a library is imported is found out here, and suffered by nobody.
"""

from __future__ import annotations

import queue
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from longscribe.adapters.executors.child import ChildProcess, Ended, Inbox
from longscribe.adapters.executors.failures import check_version
from longscribe.adapters.executors.supervisor import RECOGNIZER_MODULE
from longscribe.errors import LongscribeError, WorkerStartError, from_slug
from longscribe.worker.messages import Broke, EngineFound, Hello, TryEngine

TRIAL_SECONDS = 300.0
"""How long importing may take: torch from a cold disk takes a minute."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A worker that started and found its engine."""

    python: str
    """Version of Python."""
    seconds: float
    found: EngineFound


def try_engine(
    factory: str,
    python: Path | None,
    patience: float = TRIAL_SECONDS,
    packages: tuple[str, ...] = (),
) -> Trial:
    """Start a worker and let it import a recognizer's libraries.

    Args:
        factory: `package.module:attribute` of a `RecognizerFactory`.
        python: runs the worker; None: ours.
        patience: seconds.
        packages: whose versions are to be told.

    Raises:
        WorkerStartError: that Python does not run a worker, or not in time.
        RecognizerError: a library is missing or broken.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="longscribe-") as scratch:
        inbox: Inbox = queue.SimpleQueue()
        child = ChildProcess(RECOGNIZER_MODULE, inbox, Path(scratch) / "log", python)
        try:
            child.send(TryEngine(factory=factory, packages=packages))
            version, found = _await_answer(child, inbox, started + patience)
        finally:
            child.kill()
            child.reap()
        seconds = round(time.monotonic() - started, 1)
        return Trial(python=version, seconds=seconds, found=found)


def _await_answer(child: ChildProcess, inbox: Inbox, until: float) -> tuple[str, EngineFound]:
    """Return the version of the child's Python, and what it found."""
    version = ""
    while True:
        try:
            _, message = inbox.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise WorkerStartError("Importing the recognizer took too long; it hangs.") from None
        match message:
            case Hello():
                check_version(message)
                version = message.python
            case EngineFound():
                return version, message
            case Broke():
                raise _error(message)
            case Ended():
                raise WorkerStartError(
                    f"A worker can't be run: it ended with {child.reap()}.", _last_words(child.log)
                )
            case _:
                raise WorkerStartError("What was started is no worker: it spoke out of turn.")


def _error(broke: Broke) -> LongscribeError:
    return from_slug(broke.slug or WorkerStartError.slug, broke.found, broke.remedy)


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    return f"Its last words: {lines[-1][:300]}" if lines else ""
