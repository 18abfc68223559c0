"""Replaying one chunk in the foreground, for bug reports and debuggers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from longscribe import wiring
from longscribe.adapters.executors.child import ChildProcess
from longscribe.adapters.executors.supervisor import Supervisor
from longscribe.adapters.executors.thread import ChildThread
from longscribe.adapters.glossary_files import load_glossary
from longscribe.adapters.journal.folder import JobFolder
from longscribe.config import Options
from longscribe.core.bias.learning import extended
from longscribe.core.keys import glossary_digest
from longscribe.errors import JobError, UsageError
from longscribe.job_events import MediaEnded
from longscribe.ports import ChunkDone, ChunkFailed, DecodeTask, ReaderDied, ReadTask
from longscribe.reading import latest_run, open_journal
from longscribe.types import ChunkFailure, ChunkResult, Glossary, Term


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a replayed chunk gave: a result or a failure."""

    task: DecodeTask
    outcome: ChunkResult | ChunkFailure


def replay(job: Path, label: str) -> Replay:
    """Decode the chunk `label` again as at its latest attempt, in this very process.

    A crash is a crash of this process, and a debugger sees everything; but a recognizer
    with a Python of its own runs in a child, as in the job. Nothing is written to the job.
    If its audio is no longer there, the media is read again.

    Raises:
        JobError: there is no such job, or the media has gone.
        UsageError: no attempt at such a chunk was ever made.
    """
    start, options = latest_run(job)
    with open_journal(job) as journal:
        task = journal.task(label)
    if task is None:
        raise UsageError(
            f"No attempt at a chunk {label!r} is recorded in {job}.",
            f"'longscribe inspect {job}' lists them.",
        )
    engine = wiring.Engine(
        settings=task.recognizer,
        model=wiring.recognizer(options.recognizer).find_model(options.model).path,
        glossary=_glossary(task, options, start.extra_terms),
    )
    with tempfile.TemporaryDirectory(prefix="longscribe-replay-") as scratch:
        spool = JobFolder(path=job).spool.path
        if not spool.is_file():
            spool = Path(scratch) / spool.name
            _read(Path(start.media), options, engine, spool, Path(scratch))
        return Replay(task=task, outcome=_decode(task, options, engine, spool, Path(scratch)))


def _glossary(task: DecodeTask, options: Options, extra: Sequence[Term]) -> Glossary:
    """Return the glossary of the attempt, which but for extra terms is in the user's file alone.

    Raises:
        GlossaryError: it can't be read.
        JobError: it has changed since.
    """
    glossary = extended(load_glossary(options.glossary), extra)
    if glossary_digest(glossary) != task.glossary:
        which = f"glossary {options.glossary}" if options.glossary else "list of learnt terms"
        raise JobError(
            f"The {which} has changed since chunk {task.attempt.label} was decoded.",
            "Put the earlier one back to replay it.",
        )
    return glossary


def _read(media: Path, options: Options, engine: wiring.Engine, spool: Path, scratch: Path) -> None:
    """Read the whole recording into `spool`, in a child: the reader is not what is examined."""
    if not media.is_file():
        raise JobError(
            f"The job's audio was removed, and its media {media} is not there.",
            "Put the file back. With --keep-audio a job keeps its audio.",
        )
    executor = wiring.supervisor(options, engine, ChildProcess, spool, scratch)
    try:
        executor.read(
            ReadTask(
                media=str(media),
                audio_track=options.audio_track,
                spool=str(spool),
                reader=wiring.MEDIA_READER,
                detector=wiring.SPEECH_DETECTOR,
            )
        )
        executor.read_until(None)
        for report in _reports(executor):
            if isinstance(report, ReaderDied):
                raise JobError(f"The media can't be read again: {report.reason}.")
            if isinstance(report, MediaEnded):
                return
    finally:
        executor.close()


def _decode(
    task: DecodeTask, options: Options, engine: wiring.Engine, spool: Path, scratch: Path
) -> ChunkResult | ChunkFailure:
    executor = wiring.supervisor(options, engine, ChildThread, spool, scratch)
    try:
        executor.start_workers(1)
        while True:
            if executor.idle:
                executor.submit(task)
            for report in executor.reports():
                if isinstance(report, ChunkDone):
                    return report.result
                if isinstance(report, ChunkFailed):
                    return report.failure
    finally:
        executor.close()


def _reports(executor: Supervisor) -> Iterator[object]:
    while True:
        yield from executor.reports()
