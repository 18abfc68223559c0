"""Replaying one chunk in the foreground, for bug reports and debuggers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from longscribe.errors import JobError, SpoolError, UsageError
from longscribe.job_events import MediaEnded
from longscribe.job_files import check_samples, open_samples
from longscribe.ports import ChunkDone, ChunkFailed, DecodeTask, ReaderDied, ReadTask
from longscribe.reading import open_journal
from longscribe.trust import Named, named_glossary, named_media, named_run
from longscribe.types import ChunkFailure, ChunkResult, Glossary, Term


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a replayed chunk gave: a result or a failure."""

    task: DecodeTask
    outcome: ChunkResult | ChunkFailure


def replay(job: Path, label: str, named: Named) -> Replay:
    """Decode the chunk `label` again as at its latest attempt, in this very process.

    A crash is a crash of this process, and a debugger sees everything; but a recognizer
    with a Python of its own runs in a child, as in the job. Nothing is written to the job.
    If its audio is no longer there, or is not what was planned, the media is read again.

    Args:
        job: the job's folder.
        label: of the chunk.
        named: what to use in the place of what the journal names.

    Raises:
        JobError: there is no such job, or the media has gone or is other media now.
        UsageError: no attempt at such a chunk was ever made; or somebody else began the job,
            and what it would have us import or read is not all named.
    """
    start, options = named_run(job, named)
    with open_journal(job) as journal:
        task = journal.task(label)
        copy = None
        if task is not None and named.glossary is None:
            copy = journal.glossary(task.glossary)
    if task is None:
        raise UsageError(
            f"No attempt at a chunk {label!r} is recorded in {job}.",
            f"'longscribe inspect {job}' lists them.",
        )
    # But for the ladder's changes, the engine is as the options have it.
    settings = replace(
        options.recognizer_settings,
        device=task.recognizer.device,
        compute_type=task.recognizer.compute_type,
        cpu_threads=task.recognizer.cpu_threads,
    )
    task = replace(task, recognizer=settings)
    engine = wiring.Engine(
        settings=settings,
        model=wiring.recognizer(options.recognizer).find_model(options.model).path,
        glossary=copy or _glossary(task, named_glossary(start, options, named), start.extra_terms),
    )
    with tempfile.TemporaryDirectory(prefix="longscribe-replay-") as scratch:
        spool = JobFolder(path=job).spool.path
        if not _holds(spool, task):
            spool = Path(scratch) / spool.name
            _read(named_media(start, named), options, engine, spool, Path(scratch))
        return Replay(task=task, outcome=_decode(task, options, engine, spool, Path(scratch)))


def _holds(spool: Path, task: DecodeTask) -> bool:
    """Tell whether a spool holds the audio of a task; of those of older journals nobody knows.

    Raises:
        JobError: it is a symbolic link.
    """
    try:
        with open_samples(spool) as file:
            check_samples(file, task.audio)
    except (OSError, SpoolError):
        return False
    return bool(task.audio)


def _glossary(task: DecodeTask, path: Path | None, extra: Sequence[Term]) -> Glossary:
    """Return the glossary of the attempt, of which older journals have no copy.

    Raises:
        GlossaryError: it can't be read.
        JobError: it has changed since.
    """
    glossary = extended(load_glossary(path), extra)
    if glossary_digest(glossary) != task.glossary:
        which = f"glossary {path}" if path else "list of learnt terms"
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
