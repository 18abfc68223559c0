"""Counting the writes of a process, and being there at the n-th.

Both the supervisor and the reader count; the plan says whose count it goes by.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
from contextlib import suppress
from pathlib import Path

import psutil

from tests.faults.plans import ALWAYS, Plan, claim, current_plan

role = "reader"
"""What this process is; `saboteur.run` makes it the supervisor."""
_counted: list[str] = []


def reach(point: str) -> None:
    """Count one more write; if it is the one, do what the plan says."""
    plan = current_plan()
    if plan is None or plan.writer != role:
        return
    _counted.append(point)
    if plan.at == len(_counted):
        claim(plan.scratch, "sabotage", ALWAYS, point=point, action=plan.action)
        _act(plan, point)


def note_count() -> None:
    """Note what was counted in this process."""
    plan = current_plan()
    if plan is not None and plan.writer == role:
        claim(plan.scratch, "counted", ALWAYS, points=_counted)


def _act(plan: Plan, point: str) -> None:
    match plan.action:
        case "kill":
            os.kill(os.getpid() if role == "supervisor" else os.getppid(), signal.SIGKILL)
        case "kill-all":
            for process in psutil.Process().children(recursive=True):
                process.kill()
            os.kill(os.getpid(), signal.SIGKILL)
        case "fill":
            assert plan.ballast is not None
            _fill(Path(plan.ballast))
        case "ENOSPC" | "EIO" as name:
            _fail(name, point)


def _fill(ballast: Path) -> None:
    """Take all the room that is left on the disk."""
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def _fail(name: str, point: str) -> None:
    if point.startswith("journal"):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorname = "SQLITE_FULL" if name == "ENOSPC" else "SQLITE_IOERR_WRITE"  # type: ignore[misc]
        raise error
    number = getattr(errno, name)
    raise OSError(number, os.strerror(number))
