"""Reading a job from outside, also while it runs: nothing is locked, nothing is written."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longscribe.adapters.journal.database import check, open_to_read, translate, unreadable
from longscribe.adapters.journal.folder import JobFolder, check_journal_files
from longscribe.adapters.journal.records import EVENT, dump, latest_task, read_events, read_result
from longscribe.config import Options
from longscribe.core.keys import glossary_digest
from longscribe.core.stitching import stitch
from longscribe.errors import JobError
from longscribe.job_events import (
    AttemptFailed,
    AttemptStarted,
    AudioMissing,
    ChunkFinished,
    ChunkPlanned,
    ChunkReused,
    GapDeclared,
    GlossaryTaken,
    JobEvent,
    LanguageDetected,
    MediaEnded,
    MediaOpened,
    MediaProblem,
    MemoryRelieved,
    OutputsWritten,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunStarted,
    UnknownEvent,
    WorkerReady,
)
from longscribe.ports import DecodeTask
from longscribe.types import ChunkResult, Gap, Glossary, Loss, MemoryReading, Span, WindowResult
from longscribe.wire import UnreadableRecordError


@dataclass(frozen=True, kw_only=True)
class JournalReader:
    """A journal opened for reading."""

    _db: sqlite3.Connection

    def events(self) -> Iterator[tuple[str, JobEvent | UnknownEvent]]:
        """Yield (UTC time, event) in order."""
        return read_events(self._db)

    def task(self, label: str) -> DecodeTask | None:
        """Return what a worker was told at the latest attempt at `label`."""
        return latest_task(self._db, label)

    def result(self, key: str) -> ChunkResult | None:
        """Return the result of a chunk, by the key in its event."""
        return read_result(self._db, key)

    def glossary(self, digest: str) -> Glossary | None:
        """Return the job's own copy of the terms with this digest, if it has one."""
        found = Glossary() if digest == glossary_digest(Glossary()) else None
        for _, event in self.events():
            if isinstance(event, GlossaryTaken) and event.digest == digest:
                found = event.glossary
        return found

    def dump(self) -> dict[str, Any]:
        """Return everything the journal holds, as plain values for JSON."""
        return dump(self._db)


@contextmanager
def open_journal(job: Path) -> Iterator[JournalReader]:
    """Open the journal of the job folder `job` for reading.

    Raises:
        JobError: there is none.
        JournalError: it is damaged or of another version.
    """
    database = job / "job.db"
    try:
        check_journal_files(job)
        there = stat.S_ISREG(database.stat().st_mode)
    except (OSError, ValueError):  # a name that the system can't even look for is not there
        there = False
    if not there:
        raise JobError(
            f"There is no job in {job}.", "Expected a folder <stem>.longscribe that holds job.db."
        )
    try:
        with open_to_read(database) as db:
            check(db, database)
            yield JournalReader(_db=db)
    except sqlite3.Error as error:
        raise translate(error, database) from error
    except UnreadableRecordError as error:
        raise unreadable(error, database) from error


def body_of(event: JobEvent | UnknownEvent) -> str:
    """Return what an event says beside its type, as JSON.

    What is no Unicode, as in names of files on Linux, is escaped.
    """
    if isinstance(event, UnknownEvent):
        return event.body
    said = EVENT.dump_python(event, mode="json", exclude={"type"})
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace").decode()


def latest_run(job: Path) -> tuple[RunStarted, Options]:
    """Return how the latest run of a job was started, and its options.

    Raises:
        JobError: there is no job in that folder, or it was never started.
    """
    with open_journal(job) as journal:
        starts = [event for _, event in journal.events() if isinstance(event, RunStarted)]
    if not starts:
        raise _never_started(job)
    return starts[-1], _options(starts[-1], job)


def begun_recognizer(job: Path, device: str) -> str | None:
    """Return the recognizer of a job's latest run with this `--device`.

    None where there is none, or no journal that can be read: the run itself then says why.
    """
    try:
        with open_journal(job) as journal:
            starts = [event for _, event in journal.events() if isinstance(event, RunStarted)]
    except JobError:
        return None
    same = [start for start in starts if json.loads(start.settings).get("device") == device]
    return same[-1].recognizer if same else None


def _never_started(job: Path) -> JobError:
    return JobError(f"The job in {job} was never started.", "Transcribe the media again.")


def _options(start: RunStarted, job: Path) -> Options:
    options = Options.model_validate(json.loads(start.settings))
    return options.model_copy(update={"job_dir": job})


@dataclass(frozen=True, kw_only=True)
class LatestResults:
    """What the latest run of a job has yielded so far. Results are read one at a time."""

    start: RunStarted
    options: Options
    language: str | None
    """As asked for, or as last detected."""
    complete: bool
    """The run went through; it may have gaps."""
    glossary: Glossary | None
    """The job's own copy of the terms of the run; None in journals that hold none."""
    keys: tuple[str, ...]
    """Of the chunks that are done, in order of time."""
    _journal: JournalReader

    def windows(self) -> Iterator[WindowResult]:
        """Yield what was decoded, in order, as it stands in the outputs."""
        results = (self._journal.result(key) for key in self.keys)
        return stitch(window for result in results if result for window in result.windows)


def latest_results(journal: JournalReader, job: Path) -> LatestResults:
    """Return the results of the latest run of the job in the folder `job`.

    Raises:
        JobError: it was never started.
    """
    start: RunStarted | None = None
    language: str | None = None
    complete = False
    done: dict[Span, str] = {}
    for _, event in journal.events():
        match event:
            case RunStarted():
                start, complete, done = event, False, {}
            case ChunkFinished() | ChunkReused():
                done[event.span] = event.key
            case LanguageDetected(guess=guess):
                language = guess.language
            case RunFinished():
                complete = True
            case _:
                pass
    if start is None:
        raise _never_started(job)
    options = _options(start, job)
    return LatestResults(
        start=start,
        options=options,
        language=options.language or language,
        complete=complete,
        glossary=journal.glossary(start.glossary),
        keys=tuple(key for _, key in sorted(done.items())),
        _journal=journal,
    )


CUT_SHORT = "cut short; run the same command again to go on"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What a worker holds, as far as the journal knows."""

    now: MemoryReading
    most: int
    """Bytes needed at the highest while it decoded a chunk; 0 before the first."""


@dataclass(kw_only=True)
class JobSummary:
    """How a job stands, added up from its events."""

    media: str = ""
    model: str = ""
    recognizer: str = ""
    state: str = "not started"
    language: str = ""
    language_probability: float = 0.0
    duration: int | None = None
    read_to_end: bool = False
    spans: dict[int, Span] = field(default_factory=dict)
    covered: dict[int, int] = field(default_factory=dict)
    """Chunk → samples of it that are done, in one or several parts."""
    decoded: int = 0
    """Samples decoded by workers, over all runs."""
    decode_seconds: float = 0.0
    peak_memory: int = 0
    holdings: dict[int, Holding] = field(default_factory=dict)
    """Worker → what it holds, in the latest run."""
    reliefs: list[MemoryRelieved] = field(default_factory=list)
    """What was done about memory in the latest run."""
    failures: list[AttemptFailed] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    """Audio that the media should hold and does not."""
    wordless: tuple[Span, ...] = ()
    """Speech without words, of a run that went through."""
    problems: list[tuple[int, str]] = field(default_factory=list)
    files: tuple[str, ...] = ()
    _worker_of: dict[int, int] = field(default_factory=dict)
    """Chunk → the worker that decodes it."""

    @property
    def settled(self) -> int:
        """Samples that are done."""
        return sum(self.covered.values())

    @property
    def done(self) -> int:
        """Chunks that are done as a whole."""
        return sum(self.covered.get(chunk) == span.length for chunk, span in self.spans.items())

    def add(self, event: JobEvent | UnknownEvent) -> None:
        """Take the next event. A new run begins its own count of chunks, gaps and problems."""
        match event:
            case RunStarted():
                self.media, self.model = event.media, event.model
                self.recognizer, self.state = event.recognizer, CUT_SHORT
                self.spans, self.covered, self.gaps, self.problems = {}, {}, [], []
                self.losses = []
                self.holdings, self.reliefs, self._worker_of = {}, [], {}
                self.wordless = ()
            case RunFinished():
                self.state, self.wordless = _ended(event), event.wordless
                self.duration, self.read_to_end = event.duration, True
            case RunInterrupted():
                self.state = "interrupted; run the same command again to go on"
            case RunFailed():
                self.state = f"failed: {event.message}"
            case LanguageDetected(guess=guess):
                self.language, self.language_probability = guess.language, guess.probability
            case OutputsWritten():
                self.files = event.files
            case _:
                self._add_media(event)
                self._add_memory(event)
                self._add_chunk(event)

    def _add_media(self, event: JobEvent | UnknownEvent) -> None:
        match event:
            case MediaOpened():
                self.duration, self.read_to_end = event.info.duration, False
                self.losses = []
            case AudioMissing():
                self.losses.append(event.loss)
            case MediaEnded():
                self.duration, self.read_to_end = event.duration, True
            case MediaProblem():
                self.problems.append((event.at, event.message))
            case _:
                pass

    def _add_memory(self, event: JobEvent | UnknownEvent) -> None:
        match event:
            case WorkerReady(memory=reading) if reading is not None:
                most = self.holdings[event.worker].most if event.worker in self.holdings else 0
                self.holdings[event.worker] = Holding(now=reading, most=most)
            case AttemptStarted():
                self._worker_of[event.attempt.chunk_id] = event.worker
            case ChunkFinished(memory=reading) if reading is not None:
                worker = self._worker_of.get(event.chunk_id, 0)
                before = self.holdings.get(worker)
                most = max(event.most_memory, before.most if before else 0)
                self.holdings[worker] = Holding(now=reading, most=most)
            case MemoryRelieved():
                self.reliefs.append(event)
            case _:
                pass

    def _add_chunk(self, event: JobEvent | UnknownEvent) -> None:
        match event:
            case ChunkPlanned(chunk=chunk):
                self.spans[chunk.chunk_id] = chunk.span
                if not chunk.windows:
                    self.covered[chunk.chunk_id] = chunk.span.length
            case ChunkReused():
                self._cover(event.chunk_id, event.span)
            case ChunkFinished():
                self._cover(event.chunk_id, event.span)
                self.decoded += event.span.length
                self.decode_seconds += event.seconds
                self.peak_memory = max(self.peak_memory, event.peak_memory)
            case AttemptFailed():
                self.failures.append(event)
            case GapDeclared():
                self.gaps.append(event.gap)
            case _:
                pass

    def _cover(self, chunk_id: int, span: Span) -> None:
        self.covered[chunk_id] = self.covered.get(chunk_id, 0) + span.length


def _ended(event: RunFinished) -> str:
    """Return how a run that went through stands."""
    lacks = [
        what
        for what, there in (("gaps", event.gaps), ("speech without words", event.wordless))
        if there
    ]
    state = "not complete, the recognizer loses words" if event.loses_words else "complete"
    return f"{state}, with {' and '.join(lacks)}" if lacks else state


def summarize(job: Path) -> JobSummary:
    """Add up a job's events.

    Raises:
        JobError: there is no job in that folder.
    """
    summary = JobSummary()
    with open_journal(job) as journal:
        for _, event in journal.events():
            summary.add(event)
    if summary.state == CUT_SHORT and (holder := JobFolder(path=job).holder()) is not None:
        summary.state = f"running ({holder})"
    return summary
