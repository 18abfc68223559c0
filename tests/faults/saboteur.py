"""The command line with a saboteur inside the supervisor: `python -m tests.faults.saboteur …`.

It counts the writes of the journal, of the outputs and of the spool, and at one of
them kills the program, or lets the disk be full or fail. It also turns clocks, takes
copies of the database, and notes what the supervisor does to its children.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import psutil

from longscribe import config, wiring
from longscribe.adapters.executors import child as executor_child
from longscribe.adapters.executors import supervisor as executor
from longscribe.adapters.journal import records
from longscribe.adapters.writers import atomic
from longscribe.cli.main import main
from longscribe.core.patience import Pace
from tests.faults import writes
from tests.faults.plans import ALWAYS, Plan, claim, current_plan
from tests.faults.writes import reach


class _Connection(sqlite3.Connection):
    """Meets the saboteur around each transaction."""

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql.startswith("BEGIN"):
            reach("journal: before")
        if sql != "COMMIT":
            return super().execute(sql, *arguments)
        _snapshot(self, "before")
        reach("journal: before commit")
        cursor = super().execute(sql)
        _snapshot(self, "after")
        reach("journal: after commit")
        return cursor


def _snapshot(db: sqlite3.Connection, when: str) -> None:
    plan = current_plan()
    if plan is None or plan.snapshots is None:
        return
    database = Path(db.execute("PRAGMA database_list").fetchone()[2])
    number = claim(plan.scratch, f"snapshot {when}", ALWAYS)
    folder = Path(plan.snapshots) / f"{number:04}-{when}"
    folder.mkdir(parents=True)
    for path in (database, database.with_name(f"{database.name}-wal")):
        if path.exists():
            shutil.copyfile(path, folder / path.name)


def _connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
    plan = current_plan()
    db = _sqlite_connect(*arguments, factory=_Connection, **options)
    if plan is not None and plan.checkpoint is not None:
        db.execute(f"PRAGMA wal_autocheckpoint={plan.checkpoint}")
    return db


_sqlite_connect = sqlite3.connect


class _TornText:
    """Takes text, and meets the saboteur after the first part of it is on the disk."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._reached = False

    def write(self, text: str) -> int:
        half = len(text) // 2
        self._out.write(text[:half])
        if not self._reached:
            self._reached = True
            self._out.flush()
            reach("output: torn")
        self._out.write(text[half:])
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


def _write_synced(
    original: Callable[..., None], temporary: Path, render: Callable[[Any], None]
) -> None:
    reach("output: before")
    original(temporary, lambda out: render(_TornText(out)))
    reach("output: before rename")


def _sync_folder(original: Callable[[Path], None], folder: Path) -> None:
    reach("output: renamed")
    original(folder)


# --- clocks --------------------------------------------------------------------


def _jumping_datetime(direction: str) -> type[datetime]:
    """Return a `datetime` whose `now` is set back (or forward) by an hour at each look."""
    step = timedelta(hours=-1 if direction == "back" else 1)

    class Jumping(datetime):
        looks = 0

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            cls.looks += 1
            return datetime.now(tz or UTC) + cls.looks * step

    return Jumping


class _SleepyTime:
    """The module `time`, on a machine that sleeps between any two looks at its clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._slept = 0.0

    def monotonic(self) -> float:
        self._slept += self._seconds
        return time.monotonic() + self._slept

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


# --- what the supervisor does --------------------------------------------------


_expected: float | None = None


def _watch_the_supervisor(plan: Plan) -> None:
    """Note when it takes a child to hang, and what it expected of it."""
    put_down, expected = executor_child.ChildProcess.put_down, Pace.expected

    def noted_put_down(child: executor_child.ChildProcess) -> None:
        claim(plan.scratch, "put down", ALWAYS, child=child.pid, expected=_expected)
        put_down(child)

    def noted_expected(pace: Pace, windows: int) -> float | None:
        global _expected  # noqa: PLW0603 - the supervisor looks and acts in one go
        _expected = expected(pace, windows)
        return _expected

    executor_child.ChildProcess.put_down = noted_put_down  # type: ignore[method-assign]
    Pace.expected = noted_expected  # type: ignore[method-assign]


def _shorten_deadlines(plan: Plan) -> None:
    """First batches and loads are given half an hour; a test can't wait that long."""
    original = config.Options.deadline_settings.fget  # type: ignore[attr-defined]

    def shortened(options: config.Options) -> config.DeadlineSettings:
        return replace(original(options), first=plan.first_deadline, load=plan.load_deadline)

    config.Options.deadline_settings = property(shortened)  # type: ignore[assignment, method-assign]


def install(plan: Plan) -> None:
    """Put everything in its place."""
    if not plan.real_media:
        wiring.MEDIA_READER = "tests.faults.media:open_media"
        wiring.SPEECH_DETECTOR = "tests.faults.media:WaveDetector"
    sqlite3.connect = _connect  # type: ignore[assignment]
    atomic._write_synced = partial(_write_synced, atomic._write_synced)
    atomic.sync_folder = partial(_sync_folder, atomic.sync_folder)
    if plan.clock is not None:
        records.datetime = _jumping_datetime(plan.clock)  # type: ignore[misc]
    if plan.sleep_seconds:
        executor.time = _SleepyTime(plan.sleep_seconds)  # type: ignore[assignment]
    _shorten_deadlines(plan)
    _watch_the_supervisor(plan)


def run() -> None:
    """Run the command line, sabotaged; note which children it leaves behind."""
    writes.role = "supervisor"
    plan = current_plan()
    assert plan is not None, "there is no plan"
    install(plan)
    try:
        main()
    finally:
        left = [child.pid for child in psutil.Process().children(recursive=True)]
        writes.note_count()
        claim(plan.scratch, "ended", ALWAYS, children=left)


if __name__ == "__main__":
    sys.modules["tests.faults.saboteur"] = sys.modules["__main__"]
    run()
