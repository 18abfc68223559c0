"""Running the command with a plan of faults, and finding out which promises it kept."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from tests.faults.plans import PLAN, Fault, Note, Plan, notes
from tests.faults.recognizers import EXPECTED, remove_memory_groups

ROOT = Path(__file__).parents[2]
FORMATS = ("srt", "vtt", "json", "txt", "tsv")
FAKE = "tests.faults.recognizers:load"
MARK = "FAULTS_MARK"
"""Environment variable by which the processes of a run are known again."""
LAST_SECONDS = 20.0
"""How long the kernel may take to end the children of a killed supervisor on a busy machine."""
STUCK_SECONDS = 600.0
"""A run that takes longer than this hangs itself, which no fault may bring about."""
MEASURED_SECONDS = 1.0
"""Hangs in batches that should take at least this long are judged by the promise; in shorter
ones the floor of the deadline decides, and the half second between two looks."""
PR_SET_CHILD_SUBREAPER = 36
"""From Linux's <sys/prctl.h>."""


def adopt_orphans() -> None:
    """Become the parent of processes whose parent was killed, so that they can be reaped."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


# --- a run ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command line and where it leaves its files; may be run several times."""

    folder: Path
    """Fresh at first. Holds `out`, and a scratch folder for each run."""
    media: Path
    options: tuple[str, ...] = ()
    recognizer: str = FAKE
    model: str = "none"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def path(self) -> Path:
        """The job folder."""
        return self.out / f"{self.media.stem}.longscribe"

    @property
    def command(self) -> list[str]:
        given = ["transcribe", str(self.media), "--output-dir", str(self.out)]
        given += ["--recognizer", self.recognizer, "--model", self.model, "--language", "en"]
        given += ["--chunking", "on", "--chunk-duration", "60", "--retry-delay", "0"]
        return [*given, *self.options]


def faulty(job: Job, *faults: Fault, **more: Any) -> Plan:
    """Return a plan for the next run of a job, with a scratch folder of its own."""
    scratch = job.folder / f"scratch-{uuid.uuid4().hex[:8]}"
    return Plan(scratch=str(scratch), faults=faults, **more)


class Running:
    """The command, started and not waited for."""

    def __init__(self, job: Job, plan: Plan) -> None:
        self.job, self.plan = job, plan
        self.mark = uuid.uuid4().hex
        environment = {name: v for name, v in os.environ.items() if not name.startswith("LONGSCRI")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.saboteur", *job.command],
            cwd=ROOT,
            env={
                **environment,
                PLAN: str(plan.save()),
                MARK: self.mark,
                "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
                "HF_HUB_OFFLINE": "1",
                "LONGSCRIBE_HOME": str(job.folder / "home"),
                "COLUMNS": "200",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def kill(self) -> None:
        """SIGKILL the program, and only it: its children must end of themselves."""
        self.process.kill()

    def finish(self) -> Report:
        """Wait for the end and look at what is left."""
        _, told = self.process.communicate(timeout=STUCK_SECONDS)
        orphans = _orphans(self.mark)
        remove_memory_groups()
        noted = notes(self.plan.scratch)
        return Report(
            job=self.job,
            status=self.process.returncode,
            error=told,
            outputs=read_outputs(self.job),
            journal=read_journal(self.job.path),
            notes=noted,
            orphans=orphans,
        )


def run(job: Job, *faults: Fault, **more: Any) -> Report:
    """Run a job to its end, with these faults."""
    return Running(job, faulty(job, *faults, **more)).finish()


def _orphans(mark: str) -> int:
    """Return how many processes of a run outlive it; they are ended."""
    deadline = time.monotonic() + LAST_SECONDS
    while (left := _living(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        process.kill()
    _reap()
    return len(left)


def _living(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != os.getpid()
                and process.environ().get(MARK) == mark
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


def _reap() -> None:
    """Take the exit statuses of orphans that came to us; those of our own children stay."""
    for process in psutil.Process().children():
        try:
            adopted = process.status() == psutil.STATUS_ZOMBIE and not _is_ours(process.pid)
            if adopted:
                os.waitpid(process.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue


def _is_ours(pid: int) -> bool:
    return any(process.pid == pid for process in list(subprocess._active))  # type: ignore[attr-defined]


def read_outputs(job: Job) -> dict[str, bytes]:
    paths = {name: job.out / f"{job.media.stem}.{name}" for name in FORMATS}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


# --- what the journal says -----------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Journal:
    """What stands in a job's database."""

    events: Sequence[Mapping[str, Any]]
    attempts: Sequence[Mapping[str, Any]]
    """key, label, number, failure, span, rung: in order."""

    @property
    def failures(self) -> Counter[str]:
        found = (a["failure"]["kind"] for a in self.attempts if a["failure"])
        return Counter(found)

    @cached_property
    def decoded_twice(self) -> list[str]:
        """Labels of chunks, or parts, that were begun again though their result was there."""
        spans = {(a["label"], a["number"]): a["span"] for a in self.attempts}
        done: set[tuple[int, int]] = set()
        twice = []
        for event in self.events:
            if event["type"] == "chunk_finished":
                done.add((event["span"]["start"], event["span"]["end"]))
            elif event["type"] == "attempt_started":
                attempt = event["attempt"]
                # Attempts at a gap are forgotten before it is tried again.
                if spans.get((attempt["label"], attempt["number"])) in done:
                    twice.append(attempt["label"])
        return twice

    @property
    def tried_in_vain(self) -> list[str]:
        """Attempts that failed more than twice with the very same settings."""
        failed = Counter(
            (a["label"], str({**a["task"]["settings"], **a["task"]["recognizer"]}))
            for a in self.attempts
            if a["failure"]
        )
        return [label for (label, _), count in failed.items() if count > 2]

    @property
    def changed_chunks(self) -> set[int]:
        """Chunks with a part that was decoded otherwise than asked, by the last attempt at it."""
        last = {a["label"]: a for a in self.attempts}
        plain = ("as asked", "again")
        return {a["task"]["chunk"]["chunk_id"] for a in last.values() if a["rung"] not in plain}


def read_journal(path: Path) -> Journal:
    """Read a job's database, as it is; empty where there is none that can be read."""
    try:
        with sqlite3.connect(f"{(path / 'job.db').as_uri()}?mode=ro", uri=True, timeout=10) as db:
            events = db.execute("SELECT body FROM event ORDER BY seq").fetchall()
            rows = db.execute(
                "SELECT key, label, number, failure, task FROM attempt ORDER BY id"
            ).fetchall()
        db.close()
        return Journal(
            events=[json.loads(body) for (body,) in events],
            attempts=[_attempt(*row) for row in rows],
        )
    except (sqlite3.Error, ValueError, KeyError):  # damaged, and maybe on purpose
        return Journal(events=(), attempts=())


def _attempt(key: str, label: str, number: int, failure: str | None, task: str) -> dict[str, Any]:
    told = json.loads(task)
    span = told["chunk"]["span"]
    return {
        "key": key,
        "label": label,
        "number": number,
        "failure": json.loads(failure) if failure else None,
        "span": (span["start"], span["end"]),
        "rung": told["attempt"]["rung"],
        "task": told,
    }


# --- what is promised ----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a run ended, and everything needed to judge it."""

    job: Job
    status: int
    """Of the process: negative for a signal."""
    error: str
    outputs: Mapping[str, bytes]
    journal: Journal
    notes: Sequence[Note]
    orphans: int

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.outputs["json"]))

    @property
    def injected(self) -> Counter[str]:
        """How often each kind of fault struck."""
        return Counter(
            note.told["kind"]
            for note in self.notes
            if "kind" in note.told and not note.name.startswith("spared")
        )

    @property
    def counted(self) -> list[str]:
        """The writes that were counted, by name."""
        return [p for note in self.notes if note.name == "counted" for p in note.told["points"]]

    @property
    def error_line(self) -> str:
        """The one line that says what went wrong."""
        lines = self.error.strip().splitlines()
        assert len(lines) == 1, self.error
        assert "Traceback" not in self.error, self.error
        return lines[0]

    @property
    def last_line(self) -> str:
        """The last line of what was said; nothing of it is a traceback."""
        assert "Traceback" not in self.error, self.error
        return self.error.strip().splitlines()[-1]

    @property
    def children_left(self) -> int:
        """Children, zombies included, that the program had when it ended in order."""
        return sum(len(note.told["children"]) for note in self.notes if note.name == "ended")

    @property
    def hangs(self) -> list[float]:
        """For each hang in a measured batch: seconds until it was noticed, by its expected time."""
        began = {
            note.pid: note.at
            for note in self.notes
            if EXPECTED.get(note.told.get("kind", "")) == "hang" and note.told["phase"] != "answer"
        }
        return [
            (note.at - began[note.told["child"]]) / note.told["expected"]
            for note in self.notes
            if note.name == "put down"
            and (note.told["expected"] or 0.0) >= MEASURED_SECONDS
            and note.told["child"] in began
        ]

    @property
    def put_down(self) -> int:
        """How many children were taken to hang."""
        return sum(note.name == "put down" for note in self.notes)


def broken_promises(report: Report, calm: Report, *, gaps: Sequence[int] = ()) -> list[str]:
    """Return what a finished run did not keep, as sentences.

    Args:
        report: the run with faults.
        calm: the same job without.
        gaps: the chunks that can't be decoded and must be declared gaps.
    """
    expected = 3 if gaps else 0
    if report.status != expected:
        return [f"exit status {report.status}, expected {expected}: {report.error[-600:]}"]
    broken = []
    if report.orphans:
        broken.append(f"{report.orphans} orphans")
    if report.children_left:
        broken.append(f"{report.children_left} children were not reaped")
    if report.journal.decoded_twice:
        broken.append(f"decoded twice: {report.journal.decoded_twice}")
    if report.journal.tried_in_vain:
        broken.append(f"tried again without a change: {report.journal.tried_in_vain}")
    if "Traceback" in report.error:
        broken.append(f"a traceback: {report.error[-600:]}")
    found_gaps = sorted(gap["chunk_id"] for gap in report.document["gaps"])
    if found_gaps != sorted(gaps):
        broken.append(f"gaps at chunks {found_gaps}, expected {sorted(gaps)}")
    if not gaps:
        broken += _differences(report, calm)
    if seconds := lost_seconds(report, calm):
        broken.append(f"{seconds:.1f} s of text lost outside declared gaps")
    return broken


def _differences(report: Report, calm: Report) -> Iterator[str]:
    changed = report.journal.changed_chunks
    for name, content in calm.outputs.items():
        if name == "json":
            same = _without_remarks(report.document, changed) == _without_remarks(
                calm.document, changed
            )
        else:
            same = report.outputs.get(name) == content
        if not same:
            yield f"{name} differs from the calm run's"
    if not changed and report.outputs.get("json") != calm.outputs.get("json"):
        yield "json is not byte-identical"
    for window in report.document["windows"]:
        if window["chunk_id"] in changed and not window["remarks"]:
            yield f"chunk {window['chunk_id']} was decoded otherwise than asked and no remark says so"


def _without_remarks(document: dict[str, Any], chunks: set[int]) -> dict[str, Any]:
    """Return a transcript without the remarks on these chunks."""
    windows = [
        {**window, "remarks": []} if window["chunk_id"] in chunks else window
        for window in document["windows"]
    ]
    return {**document, "windows": windows}


def lost_seconds(report: Report, calm: Report) -> float:
    """Return how much of the calm run's text is missing outside declared gaps."""
    kept = {(s["start"], s["end"], s["text"]) for s in report.document["segments"]}
    gaps = [(gap["start"], gap["end"]) for gap in report.document["gaps"]]
    return sum(
        segment["end"] - segment["start"]
        for segment in calm.document["segments"]
        if (segment["start"], segment["end"], segment["text"]) not in kept
        and not any(s <= segment["start"] and segment["end"] <= e for s, e in gaps)
    )


def words_of_other_audio(report: Report, calm: Report) -> int:
    """Return how many words stand where the calm run has others, or none."""

    def words(one: Report) -> Counter[tuple[float, str]]:
        return Counter(
            (segment["start"], word)
            for segment in one.document["segments"]
            for word in segment["text"].split()
        )

    return (words(report) - words(calm)).total()


def unexpected_failures(report: Report) -> list[str]:
    """Return faults that the journal took for another kind, as sentences."""
    expected = Counter(
        {
            kind: count
            for fault, count in report.injected.items()
            if (kind := EXPECTED.get(fault)) is not None
        }
    )
    found = report.journal.failures
    return [
        f"{count} faults should be journaled as {kind}, there are {found[kind]}"
        for kind, count in expected.items()
        if found[kind] < count
    ]


def copied(job: Job, folder: Path) -> Job:
    """Return a copy of a job, to go on with in another folder."""
    shutil.copytree(job.out, folder / "out", symlinks=True)
    return replace(job, folder=folder)


def stop_for(pids: Sequence[int], seconds: float) -> None:
    """Stop processes for a while, as a suspended machine does."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)


@dataclass(kw_only=True)
class Tally:
    """What the table shows, added up over all runs."""

    injected: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    jobs: int = 0
    lost_chunks: int = 0
    lost_seconds: float = 0.0
    other_words: int = 0
    """That were written and not said in the media."""
    decoded_twice: int = 0
    orphans: int = 0
    foreign: int = 0
    foreign_changed: int = 0
    worst_hang: float = 0.0
    hangs: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, name: str, report: Report, calm: Report, *, gaps: Sequence[int] = ()) -> None:
        """Add a run that had to come to its end."""
        self.jobs += 1
        self.injected += report.injected
        self.orphans += report.orphans
        self.decoded_twice += len(report.journal.decoded_twice)
        self.hangs += len(report.hangs)
        self.worst_hang = max([self.worst_hang, *report.hangs])
        broken = broken_promises(report, calm, gaps=gaps)
        if report.status in (0, 3):
            self.finished += 1
            self.lost_seconds += lost_seconds(report, calm)
            self.lost_chunks += _lost_chunks(report, calm)
            other = words_of_other_audio(report, calm)
            self.other_words += other
            if other:
                broken.append(f"{other} words of other audio")
        self.broken += [f"{name}: {sentence}" for sentence in broken]


def _lost_chunks(report: Report, calm: Report) -> int:
    def chunks(one: Report) -> set[int]:
        return {window["chunk_id"] for window in one.document["windows"]}

    gaps = {gap["chunk_id"] for gap in report.document["gaps"]}
    return len(chunks(calm) - chunks(report) - gaps)
