"""Power cuts and rotten disks: what a journal and its outputs may look like afterwards.

A commit that has returned was synced, so a power cut can only undo, tear or garble
what was written since. From copies of the database before and after each commit every
kind of such a state is made; each must open and hold all that was committed.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from longscribe.adapters.journal.sqlite import SqliteJournal
from longscribe.errors import JournalError
from tests.faults.harness import Job, Report, copied, run
from tests.faults.kills import SMALL
from tests.faults.stage import Scenario, Stage

SECTOR = 512
PAGE = 4096
KINDS = ("lost", "cut", "sectors", "zeros", "garbage", "pages")
FLIPS = 1500
"""Single bits flipped in a finished database, spread over all of it."""
RESUMED = 24
"""States after a power cut from which the job is run to its end."""
FLIPPED_RUNS = 24
UNKNOWN = ("torn outputs", "old outputs", "empty database")
"""Damages after which the job can't know its outputs: it keeps them, until it is told to insist."""
DAMAGES = (
    "empty outputs",
    "torn outputs",
    "old outputs",
    "no outputs",
    "temporary files",
    "no audio",
    "short audio",
    "zeroed audio",
    "empty database",
)


def scenarios() -> Iterator[Scenario]:
    yield Scenario(name="power cut: every commit", play=_every_commit, short=True)
    for number in range(RESUMED):
        yield Scenario(
            name=f"power cut: resumed {number}", play=partial(_resumed, number), short=number == 13
        )
    for damage in DAMAGES:
        yield Scenario(
            name=f"power cut: {damage}", play=partial(_damaged, damage), short="torn" in damage
        )
    yield Scenario(name="bits flipped in the journal", play=_flipped, short=True)
    for number in range(FLIPPED_RUNS):
        yield Scenario(
            name=f"bit flipped, resumed {number}",
            play=partial(_flipped_run, number),
            short=number == 5,
        )


# --- states after a power cut --------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class State:
    """A database and its write-ahead log, as bytes."""

    db: bytes
    wal: bytes

    @classmethod
    def of(cls, folder: Path) -> State:
        wal = folder / "job.db-wal"
        return cls(
            db=(folder / "job.db").read_bytes(), wal=wal.read_bytes() if wal.exists() else b""
        )

    def put(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job.db").write_bytes(self.db)
        (folder / "job.db-wal").write_bytes(self.wal)
        return folder / "job.db"


def torn(before: State, after: State, kind: str, dice: random.Random) -> State:
    """Return what a power cut may leave between two states of which the first was synced."""
    if kind == "pages":  # the commit is synced; its pages are being written back
        return State(db=_mixed(before.db, after.db, PAGE, dice), wal=after.wal)
    first = next((i for i, (x, y) in enumerate(zip(before.wal, after.wal, strict=False)) if x != y),
                 min(len(before.wal), len(after.wal)))  # fmt: skip
    wal = after.wal
    cut = dice.randint(min(first, len(wal)), len(wal))
    match kind:
        case "lost":
            wal = before.wal
        case "cut":
            wal = wal[:cut] if len(wal) >= len(before.wal) else wal[:cut] + before.wal[cut:]
        case "sectors":
            wal = _mixed(before.wal, after.wal, SECTOR, dice)
        case "zeros":
            end = max(cut, len(before.wal))
            wal = wal[:end] + bytes(max(0, len(wal) - end))
        case "garbage":
            end = max(cut, len(before.wal))
            wal = wal[:end] + dice.randbytes(max(0, len(wal) - end))
    return State(db=before.db, wal=wal)


def _mixed(before: bytes, after: bytes, size: int, dice: random.Random) -> bytes:
    """Return pieces of both; a piece that only the newer has may be missing (zeros)."""
    parts = []
    for at in range(0, len(after), size):
        old, new = before[at : at + size], after[at : at + size]
        parts.append(new if dice.random() < 0.5 else old.ljust(len(new), b"\0")[: len(new)])
    return b"".join(parts) + before[len(after) :]


def _recorded(stage: Stage) -> tuple[Report, list[State]]:
    """Return a run and its database before and after each commit, checkpoints included."""
    job = stage.job(SMALL)
    folder = job.folder / "snapshots"
    report = run(job, snapshots=str(folder), checkpoint=8)
    stage.settle("recorded", report, stage.calm(SMALL))
    return report, [State.of(path) for path in sorted(folder.iterdir(), key=_in_order)]


def _in_order(path: Path) -> tuple[int, bool]:
    number, _, when = path.name.partition("-")
    return int(number), when == "after"


def _events(database: Path) -> list[Any]:
    db = sqlite3.connect(database)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return []
        return [json.loads(body) for (body,) in db.execute("SELECT body FROM event ORDER BY seq")]
    finally:
        db.close()


def _every_commit(stage: Stage) -> None:
    """All that was committed is there in every state that a power cut may leave."""
    report, states = _recorded(stage)
    dice, scratch = random.Random(4), report.job.folder / "torn"
    for number, (before, after) in enumerate(pairwise(states)):
        promised = _events(before.put(scratch / f"{number}-promised"))
        for kind in KINDS:
            state = torn(before, after, kind, dice)
            stage.struck(f"power cut ({kind})")
            try:
                found = _events(state.put(scratch / f"{number}-{kind}"))
            except (sqlite3.Error, AssertionError) as error:
                stage.complain("power cut", f"{kind} after commit {number}: {error!r}")
                continue
            if found[: len(promised)] != promised:
                stage.complain("power cut", f"{kind} after commit {number} loses what was said")


def _resumed(number: int, stage: Stage) -> None:
    """The job goes on from such a state, without the files that were never synced."""
    name = f"power cut: resumed {number}"
    _, states = _recorded(stage)
    dice = random.Random(number)
    at = 2 + number * (len(states) - 3) // RESUMED
    job = stage.job(SMALL)
    torn(states[at], states[at + 1], KINDS[number % len(KINDS)], dice).put(job.path)
    stage.settle(name, run(job), stage.calm(SMALL))


# --- files that a power cut spoils ---------------------------------------------


def _damaged(damage: str, stage: Stage) -> None:
    """A finished job, and one that was cut short, whose files are not what they were."""
    name = f"power cut: {damage}"
    finished = stage.job(SMALL, "--keep-audio")
    run(finished)
    begun = stage.job(SMALL)
    run(begun, at=60, action="kill-all")
    for job in (finished, begun):
        stage.struck("power cut (files)")
        _spoil(damage, job)
        if damage in UNKNOWN:
            _keeps_unknown(name, job, stage)
        more = ("--overwrite",) if damage in UNKNOWN else ()
        report = run(replace(job, options=(*job.options, *more)))
        stage.settle(name, report, stage.calm(SMALL))


def _keeps_unknown(name: str, job: Job, stage: Stage) -> None:
    """Go on without insisting: outputs that hold something else stay as they are."""
    calm = stage.calm(SMALL)
    before = {
        path: path.read_bytes() for path in job.out.glob(f"{job.media.stem}.*") if path.is_file()
    }
    report = run(job)
    if report.status != 0:
        stage.complain(name, f"status {report.status}: {report.error}")
    changed = [path for path, content in before.items() if content and path.read_bytes() != content]
    stage.foreign(name, len(before), changed)
    for extension, content in calm.outputs.items():
        texts = [path.read_bytes() for path in job.out.glob(f"{job.media.stem}*.{extension}")]
        # A text that had been delivered is not written beside what became of it; that is said.
        if content not in texts and f"{job.media.stem}.{extension} was not" not in report.error:
            stage.complain(name, f"the {extension} of the job is nowhere, and nothing is said")


def _spoil(damage: str, job: Job) -> None:
    outputs = [path for path in job.out.glob(f"{job.media.stem}.*") if path.is_file()]
    audio = job.path / "audio.s16"
    match damage:
        case "empty outputs":
            _change(outputs, lambda _: b"")
        case "torn outputs":
            _change(outputs, lambda data: data[: len(data) // 2])
        case "old outputs":
            _change(outputs, lambda _: b"of another run\n")
        case "no outputs":
            _change(outputs, None)
        case "temporary files":
            (job.out / ".longscribe-0123456789abcdef.part").write_bytes(b"half")
        case "no audio":
            audio.unlink(missing_ok=True)
        case "short audio" if audio.exists():
            _change([audio], lambda data: data[: len(data) // 3])
        case "zeroed audio" if audio.exists():
            # The plan is there, so the audio was synced; what was not may read as zeros.
            _change([audio], lambda data: data + bytes(4096))
        case "empty database":
            _empty(job.path)


def _change(paths: Sequence[Path], change: Callable[[bytes], bytes] | None) -> None:
    for path in paths:
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change(path.read_bytes()))


def _empty(folder: Path) -> None:
    """The names of a new database's files are on the disk, and nothing of what is in them."""
    for path in folder.glob("job.db*"):
        path.write_bytes(b"")


# --- bit flips -----------------------------------------------------------------


def _flipped(stage: Stage) -> None:
    """A flipped bit is noticed, or changes nothing that the job would use."""
    job = stage.job(SMALL, "--keep-audio")
    report = run(job)
    stage.settle("bits flipped: the job", report, stage.calm(SMALL))
    data = (job.path / "job.db").read_bytes()
    path = job.folder / "flipped" / "job.db"
    path.parent.mkdir()
    path.write_bytes(data)
    keys = _keys(path)
    right = _memory(path, keys)
    wrong = []
    for number in range(FLIPS):
        flipped, at = _with_flipped_bit(data, number)
        path.write_bytes(flipped)
        stage.struck("bit flip in the journal")
        verdict = _verdict(path, keys, right)
        if verdict:
            wrong.append(f"byte {at}: {verdict}")
    if wrong:
        stage.complain("bit flip", f"{len(wrong)} of {FLIPS} not noticed, such as {wrong[:3]}")


def _with_flipped_bit(data: bytes, number: int) -> tuple[bytes, int]:
    """Return the database with one bit flipped, in one of `FLIPS` places all over it."""
    dice = random.Random(number)
    at = min(len(data) - 1, round((number + dice.random()) * len(data) / FLIPS))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :], at


def _keys(path: Path) -> dict[str, list[str]]:
    db = sqlite3.connect(path)
    tables = {"recording": "plan", "result": "key", "language": "key", "attempt": "key"}
    keys = {
        table: [key for (key,) in db.execute(f"SELECT {column} FROM {table}")]
        for table, column in tables.items()
    }
    db.close()
    return keys


def _memory(path: Path, keys: dict[str, list[str]]) -> list[Any]:
    """Return everything that a run would take from the journal."""
    journal = SqliteJournal(path, on_network=False)
    try:
        return [
            *(journal.stored_plan(key) for key in keys["recording"]),
            *(journal.language(key) for key in keys["language"]),
            *(journal.result(key) for key in keys["result"]),
            *(journal.gap(key) for key in keys["attempt"]),
            *(journal.failures(key) or None for key in keys["attempt"]),
        ]
    finally:
        journal.close()


def _verdict(path: Path, keys: dict[str, list[str]], right: list[Any]) -> str:
    """Return what is wrong with what a journal remembers; empty if nothing is."""
    for left in path.parent.glob("job.db-*"):
        left.unlink()
    try:
        found = _memory(path, keys)
    except JournalError:
        return ""
    except Exception as error:  # noqa: BLE001 - that is the finding
        return f"{type(error).__name__}: {str(error)[:200]}"
    # What it does not remember is done again.
    changed = [pair for pair in zip(found, right, strict=True) if pair[0] not in (None, pair[1])]
    return f"{str(changed[0][0])[:200]}" if changed else ""


def _flipped_run(number: int, stage: Stage) -> None:
    """The whole program on such a journal: it refuses it, or writes the same text."""
    name = f"bit flipped, resumed {number}"
    calm = stage.calm(SMALL)
    job = copied(calm.job, stage.folder())
    database = job.path / "job.db"
    flipped, at = _with_flipped_bit(database.read_bytes(), number * FLIPS // FLIPPED_RUNS + number)
    database.write_bytes(flipped)
    report = run(job)
    stage.struck("bit flip in the journal")
    if report.status == 0:
        stage.settle(name, report, calm)
    elif report.status != 1 or "job.db" not in report.error_line:
        stage.complain(name, f"byte {at}: status {report.status}: {report.error}")
