"""The story of a run: from a media file to a finished transcript.

    read ─▶ plan ─▶ (language) ─▶ decode each chunk ─▶ journal ─▶ outputs

`run_job` is one loop in one thread. It gives children something to do, waits
for what they report, writes it into the journal, and yields what happened.
Every decision is a pure function elsewhere: `core/planning.py` cuts,
`core/ledger.py` keeps the state of each chunk, `core/ladder.py` answers failures.
"""

from __future__ import annotations

from collections.abc import Iterator

from longscribe.core.coverage import assert_accounted, loses_words, totals
from longscribe.core.lifecycle import ChunkState
from longscribe.errors import SpoolError
from longscribe.job_events import (
    AudioMissing,
    AudioRead,
    BatchDecoded,
    ChunkPlanned,
    JobEvent,
    LanguageDetected,
    MediaEnded,
    MediaOpened,
    MediaProblem,
    MemoryRelieved,
    MemorySampled,
    RunFinished,
    WorkerReady,
)
from longscribe.ports import (
    ChunkDone,
    ChunkFailed,
    FramesHeard,
    LanguageFailed,
    ReaderDied,
    Report,
)
from longscribe.run_state import RunState
from longscribe.types import CoverageKind


def run_job(run: RunState) -> Iterator[JobEvent]:
    """Run a job to its end, or go on where an earlier run was cut short.

    Yields each event once it is in the journal. The caller closes the tools.

    Raises:
        LongscribeError: what no retry can cure.
    """
    yield from run.begin()
    try:
        yield from _work(run)
    except SpoolError as error:
        yield from run.begin_again(error)
        yield from _work(run)


def _work(run: RunState) -> Iterator[JobEvent]:
    """Do what is left to do, to the end.

    Raises:
        SpoolError: the decoded audio is not what the media gave.
        LongscribeError: what no retry can cure.
    """
    if run.recall_plan():
        yield from run.recalled_losses()
        yield from _settle(run)
    else:
        run.start_reading()
    while not run.ledger.settled:
        run.allow_reading()
        yield from _dispatch(run)
        for report in run.tools.executor.reports():
            run.note_progress(report)
            yield from _take(run, report)
        yield from run.identify()
        run.check_progress()
        if run.should_write:
            yield from run.write_outputs()
    if not run.written:
        yield from run.write_outputs()
    yield from _finish(run)


def _dispatch(run: RunState) -> Iterator[JobEvent]:
    """Give idle workers something to do: the language first, then chunks in order."""
    if run.needs_workers:
        run.tools.executor.start_workers(run.chunks_expected)
    while run.tools.executor.idle:
        if run.must_tell_language:
            run.ask_language()
        elif (entry := run.chunks.next_ready()) is not None:
            yield run.chunks.start(entry)
        else:
            return


def _take(run: RunState, report: Report) -> Iterator[JobEvent]:
    """Act on one report of a child."""
    journal = run.tools.journal
    match report:
        case MediaOpened():
            run.open_media(report.info)
            yield journal.record(report)
        case FramesHeard():
            yield AudioRead(position=report.position)
            run.hear(report)
            yield from _settle(run)
        case MediaEnded():
            yield journal.record(report)
            run.end_media(report)
            yield from _settle(run)
        case ReaderDied():
            yield journal.record(run.reader_died(report.reason))
            yield from _settle(run)
        case LanguageDetected():
            run.learn_language(report.guess)
            yield journal.record(report)
            yield from _settle(run)
        case LanguageFailed():
            yield run.language_failed(report.failure)
        case ChunkDone():
            yield from run.finish_chunk(report)
        case ChunkFailed():
            yield from run.chunks.fail(report)
        case (
            MediaProblem()
            | AudioMissing()
            | WorkerReady()
            | MemorySampled()
            | MemoryRelieved()
            | BatchDecoded()
        ):
            yield journal.record(report)
            yield from run.note(report)


def _settle(run: RunState) -> Iterator[JobEvent]:
    """Announce newly planned chunks; find out how far earlier runs brought each."""
    for entry in run.newly_planned():
        yield run.tools.journal.record(ChunkPlanned(chunk=entry.chunk))
    for entry in run.ledger.in_state(ChunkState.PLANNED):
        yield from run.chunks.settle(entry)


def _finish(run: RunState) -> Iterator[JobEvent]:
    """Check that every sample is accounted for, and close the books."""
    view = run.view()
    coverage = view.coverage()
    assert_accounted(coverage, view.duration)
    run.release_audio()
    yield from run.learn_terms()
    yield from run.remarks()
    samples = totals(coverage)
    wordless = tuple(entry.span for entry in coverage if entry.kind is CoverageKind.WORDLESS)
    yield run.tools.journal.record(
        RunFinished(
            gaps=len(view.gaps()),
            duration=view.duration,
            text=samples[CoverageKind.TEXT],
            silence=samples[CoverageKind.SILENCE],
            wordless=wordless,
            loses_words=loses_words(samples[CoverageKind.WORDLESS], samples[CoverageKind.TEXT]),
        )
    )
