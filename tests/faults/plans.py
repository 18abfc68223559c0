"""What is to go wrong in a run, written down so that every process of it can read it.

A plan travels as a JSON file named by the environment variable `FAULTS_PLAN`. What
has happened is noted in the plan's scratch folder, one file an event, made with
O_EXCL: so "the first time only" holds across processes, and killing whoever wrote
the note loses nothing.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PLAN = "FAULTS_PLAN"
"""Environment variable: the plan's file."""
ALWAYS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong in a child."""

    kind: str
    """A name of `recognizers.FAULTS`."""
    phase: str
    """load · language · first, middle, every (batch) · answer · read"""
    chunk: int | None = None
    """None: any."""
    times: int = 1
    batch_over: int = 0
    """Only in batches larger than this."""
    beam_over: int = 0
    """Only in searches wider than this."""
    off_cpu: bool = False
    """Only on another device than the CPU."""
    window_at: int | None = None
    """Only in a batch that holds the window that owns this sample."""
    after: int = 0
    """Only from this visit on: the first are spared (as with `load`, whose first is the start)."""

    @property
    def name(self) -> str:
        place = "any" if self.chunk is None else str(self.chunk)
        return f"{self.kind}-{self.phase}-{place}-{self.window_at or 0}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that goes wrong in one run, and how fast it runs."""

    scratch: str
    faults: tuple[Fault, ...] = ()
    real_media: bool = False
    """Read with the real reader and detector, not with those of `media.py`."""
    window_seconds: float = 0.01
    """A window takes the fake recognizer this long."""
    slower: float = 1.0
    """Each batch takes so many times as long as the one before."""
    first_deadline: float = 20.0
    """Stands for the half hour that a first batch may take."""
    load_deadline: float = 20.0
    """Stands for the quarter of an hour that loading may take."""
    at: int | None = None
    """The number of the write at which `action` is taken; None only counts."""
    writer: str = "supervisor"
    """Whose writes are counted: supervisor · reader."""
    action: str = "kill"
    """kill (the supervisor) · kill-all (its children first) · ENOSPC · EIO · fill (the disk)"""
    ballast: str | None = None
    """For `fill`: the file that takes all the room there is."""
    clock: str | None = None
    """back · forward: the time of day jumps about."""
    sleep_seconds: float = 0.0
    """The monotonic clock jumps by this at each look of the supervisor (a laptop that sleeps)."""
    snapshots: str | None = None
    """A folder that takes a copy of the database before and after each commit."""
    checkpoint: int | None = None
    """Pages of WAL after which SQLite writes them back; None leaves its own 1000."""

    def save(self) -> Path:
        folder = Path(self.scratch)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "plan.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path


@cache
def current_plan() -> Plan | None:
    """Return the plan of this run, if it has one."""
    if not os.environ.get(PLAN):
        return None
    values = json.loads(Path(os.environ[PLAN]).read_text(encoding="utf-8"))
    faults = tuple(Fault(**fault) for fault in values.pop("faults"))
    return Plan(faults=faults, **values)


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something that happened, and when on the machine's monotonic clock."""

    name: str
    number: int
    pid: int
    at: float
    """Seconds."""
    told: dict[str, Any] = field(default_factory=dict)


def claim(scratch: str, name: str, times: int, **told: Any) -> int | None:
    """Note that `name` happens once more; return its number, or None if it happened often enough."""
    number = _next_number(scratch, name)
    while number <= times:
        path = Path(scratch) / f"note-{name}-{number}"
        try:
            with path.open("x", encoding="utf-8") as file:
                note = Note(
                    name=name, number=number, pid=os.getpid(), at=time.monotonic(), told=told
                )
                file.write(json.dumps(asdict(note)))
        except FileExistsError:
            number += 1
        else:
            return number
    return None


def _next_number(scratch: str, name: str) -> int:
    taken = [int(p.name.rpartition("-")[2]) for p in Path(scratch).glob(f"note-{name}-*")]
    return max(taken, default=0) + 1


def notes(scratch: str | Path) -> list[Note]:
    """Return everything that was noted, in order."""
    found = []
    for path in Path(scratch).glob("note-*"):
        try:
            found.append(Note(**json.loads(path.read_text(encoding="utf-8"))))
        except ValueError:
            continue  # its writer was killed in the middle of it
    return sorted(found, key=lambda note: note.at)
