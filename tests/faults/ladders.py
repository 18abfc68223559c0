"""The ladder as a whole: a chunk that fails for a cause ends on the rung that removes the cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from longscribe.types import SAMPLE_RATE
from tests.faults.harness import Job, Report, Running, faulty, read_journal, run
from tests.faults.plans import ALWAYS, Fault
from tests.faults.stage import Calm, Scenario, Stage

WIDE = ("--batch-size", "16", "--beam-size", "5", "--deadline", "3", "--chunk-duration", "300")
JOB = Calm(seconds=650, options=WIDE)
"""Chunks of 120 s, 240 s and the rest."""
CHUNK = 2
POISON = 490 * SAMPLE_RATE
"""In chunk 2."""


@dataclass(frozen=True, kw_only=True)
class Climb:
    """A cause, and how far up it leads."""

    name: str
    kind: str
    when: Mapping[str, object]
    remark: str
    attempts: int
    """At the chunk as a whole, the good one included; 0: it is split."""
    options: tuple[str, ...] = ()
    short: bool = False


CLIMBS = (
    Climb(
        name="a batch over 4 raises",
        kind="raise",
        when={"batch_over": 4},
        remark="(batch 4) after: recognizer failed: ValueError: the beam went astray",
        attempts=3,
        short=True,
    ),
    Climb(
        name="a batch over 4 crashes",
        kind="segfault",
        when={"batch_over": 4},
        remark="(batch 4) after: worker crashed (SIGSEGV)",
        attempts=4,
    ),
    Climb(
        name="a batch over 1 runs out of memory",
        kind="MemoryError",
        when={"batch_over": 1},
        remark="(batch 1) after: out of memory",
        attempts=4,
    ),
    Climb(
        name="a beam over 1 hangs",
        kind="hang",
        when={"beam_over": 1},
        remark="beam 1 and a smaller compute type after: worker hung",
        attempts=0,
    ),
    Climb(
        name="any device but the CPU fails",
        kind="raise",
        when={"off_cpu": True},
        remark="decode on the CPU after: recognizer failed",
        attempts=0,
        options=("--device", "cuda"),
        short=True,
    ),
)


def scenarios() -> Iterator[Scenario]:
    for climb in CLIMBS:
        yield Scenario(name=climb.name, play=partial(_climb, climb), short=climb.short)
    for kind in ("segfault", "raise", "MemoryError", "garbage on the pipe", "exit 0"):
        yield Scenario(
            name=f"one window: {kind}", play=partial(_poison, kind), short=kind == "segfault"
        )


def _climb(climb: Climb, stage: Stage) -> None:
    """The cause is met at every attempt; the text is whole and says how it was got."""
    job = stage.job(JOB, *climb.options)
    fault = Fault(kind=climb.kind, phase="first", chunk=CHUNK, times=ALWAYS, **climb.when)  # type: ignore[arg-type]
    report = run(job, fault, first_deadline=3.0)
    stage.settle(climb.name, report, stage.calm(JOB))
    remarks = _remarks(report)
    if set(remarks) != {CHUNK} or not all(climb.remark in remark for remark in remarks[CHUNK]):
        stage.complain(climb.name, f"remarks {remarks}, expected {climb.remark!r}")
    attempts = [a["label"] for a in report.journal.attempts].count(str(CHUNK))
    if climb.attempts and attempts != climb.attempts:
        stage.complain(climb.name, f"{attempts} attempts, expected {climb.attempts}")


def _remarks(report: Report) -> dict[int, set[str]]:
    """Return the remarks of each chunk that has any."""
    found: dict[int, set[str]] = {}
    for window in report.document["windows"]:
        if window["remarks"]:
            found.setdefault(window["chunk_id"], set()).update(window["remarks"])
    return found


def _poison(kind: str, stage: Stage) -> None:
    """A window that always fails ends as a gap of its part; the other part is kept, and kept again."""
    name = f"one window: {kind}"
    calm = stage.calm(JOB)
    job = stage.job(JOB)
    report = run(job, Fault(kind=kind, phase="every", chunk=CHUNK, times=ALWAYS, window_at=POISON))
    stage.settle(name, report, calm, gaps=[CHUNK])
    [gap] = report.document["gaps"]
    chunk = [w for w in calm.document["windows"] if w["chunk_id"] == CHUNK]
    length, whole = gap["end"] - gap["start"], chunk[-1]["end"] - chunk[0]["start"]
    if not gap["start"] <= POISON / SAMPLE_RATE < gap["end"] or length > 0.75 * whole:
        stage.complain(name, f"the gap is {gap}, the chunk {whole:.0f} s long")
    _check_parts(name, report, stage)
    _cure(name, job, calm, stage)


def _check_parts(name: str, report: Report, stage: Stage) -> None:
    parts = [a for a in report.journal.attempts if "." in a["label"]]
    good = {a["label"] for a in parts} - {a["label"] for a in parts if a["failure"]}
    if not good:
        stage.complain(name, "no part was saved")
    for label in good:
        if [a["label"] for a in parts].count(label) != 1:
            stage.complain(name, f"part {label} was decoded more than once")


def _cure(name: str, job: Job, calm: Report, stage: Stage) -> None:
    """The cause is gone: only the bad part is decoded, and nothing is missing."""
    before = len(read_journal(job.path).attempts)
    killed = Running(job, faulty(job, at=30, action="kill")).finish()
    stage.struck("SIGKILL at a write")
    cured = run(job)
    stage.settle(f"{name}, cured", cured, calm)
    bad = {a["label"] for a in cured.journal.attempts[before:]}
    if killed.journal.decoded_twice or len(bad) > 2:
        stage.complain(f"{name}, cured", f"these were begun again: {bad}")
