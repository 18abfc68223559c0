"""The state of one run: the ledger, the planner, and the steps that `pipeline.py` tells of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from longscribe.chunk_work import ChunkWork
from longscribe.config import text_language
from longscribe.core.aligned_words import not_aligned
from longscribe.core.bias.learning import Source, learnt_terms
from longscribe.core.coverage import audio_extent
from longscribe.core.endings import missing_tail
from longscribe.core.keys import glossary_digest, language_key, plan_key
from longscribe.core.ladder import (
    LANGUAGE_TRIES,
    READ_TRIES,
)
from longscribe.core.ledger import ChunkEntry, Ledger, LedgerView
from longscribe.core.lifecycle import ChunkState
from longscribe.core.patience import WritingPace
from longscribe.core.planning import ChunkPlanner, one_chunk
from longscribe.errors import JobError, MediaError, RecognizerError
from longscribe.job import Job, Tools
from longscribe.job_events import (
    BatchDecoded,
    JobEvent,
    MediaProblem,
    MemoryRelieved,
    MemorySampled,
    Notice,
    OutputsWritten,
    RunStarted,
    TermsLearnt,
    WorkerReady,
)
from longscribe.ports import (
    ChunkDone,
    FramesHeard,
    LanguageTask,
    PlannedChunk,
    ReadTask,
    Report,
)
from longscribe.types import (
    Chunk,
    ChunkFailure,
    ChunkResult,
    LanguageGuess,
    MediaInfo,
    Recording,
)

FRAME = 512
"""Samples a frame of the speech detector (Silero at 16 kHz)."""


@dataclass(kw_only=True)
class RunState:
    """What a run knows and does. Mutable; `pipeline.run_job` is its only user."""

    job: Job
    tools: Tools
    written: bool = False
    """True when the outputs say all that this run has to say."""
    _writing: WritingPace = field(default_factory=WritingPace)
    _keep_complete: bool = False
    """An earlier run left complete outputs: they stay until this one's are complete too."""
    _planner: ChunkPlanner | None = None
    _info: MediaInfo | None = None
    _language_asked: bool = False
    _language_failures: int = 0
    _reader_deaths: int = 0
    _told_not_aligned: bool = False
    _heard: int = 0
    _allowed: int | None = 0
    _announced: int = 0
    _progress: float = 0.0
    _progressed: set[str] = field(default_factory=set)
    """Labels of the chunks that a worker has decoded something of."""

    def __post_init__(self) -> None:
        options = self.job.options
        self._plan_key = plan_key(
            self.job.fingerprint,
            options.audio_track,
            options.speech_settings,
            options.plan_settings,
            mps=self.job.device_kind == "mps",
        )
        self.chunks = ChunkWork(job=self.job, tools=self.tools)
        known = self.tools.journal.language(self._language_key)
        self.chunks.language = options.language or (known.language if known else None)
        self._progress = self.tools.executor.watched
        self._keep_complete = self.tools.journal.outputs_complete()

    @property
    def ledger(self) -> Ledger:
        """Return every chunk with its state."""
        return self.chunks.ledger

    @property
    def _language_key(self) -> str:
        return language_key(self._plan_key, self.job.model)

    # --- beginning and end ---

    def begin(self) -> Iterator[JobEvent]:
        """Open the run. Gaps of a run that had finished get another chance."""
        self.tools.journal.reopen_gaps()
        options = self.job.options
        journal = self.tools.journal
        yield journal.record(
            RunStarted(
                media=str(self.job.media.absolute()),
                model=options.model,
                recognizer=options.recognizer,
                settings=json.dumps(options.model_dump(mode="json")),
                extra_terms=self.job.extra_terms,
                glossary=glossary_digest(self.job.glossary),
            )
        )
        for notice in self.job.notices:
            yield journal.record(Notice(message=notice))

    def recall_plan(self) -> bool:
        """Take the plan from the journal if the recording need not be read again."""
        stored = self.tools.journal.stored_plan(self._plan_key)
        if stored is None:
            return False
        for planned in stored.chunks:
            self._add(planned)
        if not (self.tools.spool.holds(stored.recording.duration) or self._all_known()):
            self.chunks.ledger = Ledger()
            return False
        self._info = stored.recording.media
        self._end_plan(stored.recording.duration)
        return True

    def _all_known(self) -> bool:
        """Tell whether every chunk of the plan was settled by earlier runs."""
        known = self.chunks.language is not None
        return all(
            not entry.chunk.windows or (known and self.chunks.was_settled(entry))
            for entry in self.ledger.entries
        )

    def view(self) -> LedgerView:
        return LedgerView(
            media=self.job.media.name,
            language=self.chunks.language,
            ledger=self.ledger,
            load=self._load,
            expected=(self._info.duration or 0) if self._info else 0,
        )

    def _load(self, entry: ChunkEntry) -> ChunkResult:
        result = self.tools.journal.result(entry.key)
        assert result is not None, f"chunk {entry.chunk.chunk_id} is done but has no result"
        return result

    @property
    def should_write(self) -> bool:
        """Tell whether the outputs ought to be replaced now: they say less than they could."""
        if self.ledger.settled:
            return not self.written
        due = self._writing.is_due(self.tools.executor.watched)
        return self.chunks.unwritten and due and not self._keep_complete

    def write_outputs(self) -> JobEvent:
        started = self.tools.executor.watched
        files = self.tools.outputs.write(self.view())
        self._writing.wrote(started, self.tools.executor.watched)
        self.chunks.unwritten = False
        self.written = self.ledger.settled
        return self.tools.journal.record(
            OutputsWritten(files=tuple(file.name for file in files), complete=self.ledger.settled)
        )

    def release_audio(self) -> None:
        if not self.job.options.keep_audio:
            self.tools.spool.remove()

    # --- reading and planning ---

    def start_reading(self) -> None:
        self.tools.executor.read(
            ReadTask(
                media=str(self.job.media),
                audio_track=self.job.options.audio_track,
                spool=str(self.tools.spool.path),
                reader=self.job.reader,
                detector=self.job.detector,
            )
        )

    def open_media(self, info: MediaInfo) -> None:
        options = self.job.options
        self._info = info
        self._heard = self._allowed = 0
        self._planner = ChunkPlanner(
            frame=FRAME,
            speech=options.speech_settings,
            settings=options.plan_settings,
            whole=one_chunk(info.duration, self.job.device_kind, options.plan_settings),
        )

    def allow_reading(self) -> None:
        """Let the reader go as far as the next chunk needs, unless enough chunks wait.

        While chunks are still short, decoding goes first: the first words are to be on disk
        soon, so reading waits until each chunk that runs has shown some progress.
        """
        if self._planner is None or self.ledger.duration is not None:
            return
        running = {entry.label for entry in self.ledger.in_state(ChunkState.RUNNING)}
        if self._planner.ramping and running - self._progressed:
            return
        waiting = len(self.ledger.in_state(ChunkState.READY))
        if self.chunks.language is None and self.ledger.language_windows:
            waiting += len(self.ledger.in_state(ChunkState.PLANNED))
        needs = self._planner.needs
        if waiting < (self.job.options.workers or 1) and needs != self._allowed:
            self._allowed = needs
            self.tools.executor.read_until(needs)

    def hear(self, report: FramesHeard) -> None:
        assert self._planner is not None, "frames before the media was opened"
        self._heard = report.position
        self._plan(self._planner.feed(report.probabilities, report.levels))

    def end_media(self, duration: int) -> None:
        """Complete the plan and, with it, what the journal knows of the recording."""
        assert self._planner is not None, "the end before the media was opened"
        assert self._info is not None, "the end before the media was opened"
        self._plan(self._planner.finish(duration))
        recording = Recording(fingerprint=self.job.fingerprint, duration=duration, media=self._info)
        self.tools.journal.finish_plan(self._plan_key, recording)
        self._end_plan(duration)

    def _end_plan(self, duration: int, reason: str | None = None) -> None:
        assert self._info is not None, "the end before the media was opened"
        tail = missing_tail(duration, self._info, reason)
        self.ledger.end(tail.span.end if tail else duration, tail)

    def _plan(self, chunks: list[Chunk]) -> None:
        """Add new chunks to the ledger (after a reader's death the old ones come once more)."""
        for chunk in chunks:
            if chunk.chunk_id < self.ledger.planned:
                continue
            heard = audio_extent(chunk)
            audio = self.tools.spool.digest(heard.start, heard.end)
            planned = PlannedChunk(chunk=chunk, audio=audio)
            self.tools.journal.save_chunk(self._plan_key, planned)
            self._add(planned)

    def _add(self, planned: PlannedChunk) -> None:
        self.ledger.plan(ChunkEntry(planned=planned, label=str(planned.chunk.chunk_id)))

    def newly_planned(self) -> list[ChunkEntry]:
        """Return the chunks planned since the last call."""
        new = [e for e in self.ledger.entries if e.chunk.chunk_id >= self._announced]
        self._announced = self.ledger.planned
        return new

    def reader_died(self, reason: str) -> JobEvent:
        """Read once more from the start; if that fails too, keep what was read."""
        self._reader_deaths += 1
        event = MediaProblem(at=self._heard, message=reason)
        if self._reader_deaths < READ_TRIES:
            self.start_reading()
        elif self._planner is None:
            raise MediaError(
                f"{self.job.media} can't be read: {reason}.",
                "Try to convert it, for example with ffmpeg, and transcribe the copy.",
            )
        else:
            self._plan(self._planner.finish(self._heard))
            # The first reading may have come further than the second.
            planned = self.ledger.entries[-1].chunk.span.end if self.ledger.entries else 0
            self._end_plan(max(self._heard, planned), reason)
        return event

    def note(self, event: JobEvent) -> Iterator[JobEvent]:
        """Learn from an event that asks for nothing; yield what the user should know of it."""
        if isinstance(event, WorkerReady):
            for told in self.chunks.meet(event):
                yield self.tools.journal.record(Notice(message=told))
        elif isinstance(event, MemoryRelieved):
            self.chunks.use_less(event.batch_size)
        elif isinstance(event, BatchDecoded):
            self._progressed.add(str(event.chunk_id))

    def finish_chunk(self, done: ChunkDone) -> Iterator[JobEvent]:
        """Store a result; say, once a run, if the recognizer could not align its words.

        The text is whole, so it is no failure; but whoever chose it for its times should know.
        """
        yield self.chunks.finish(done)
        told = None if self._told_not_aligned else not_aligned(done.result)
        if told is not None:
            self._told_not_aligned = True
            yield self.tools.journal.record(Notice(message=f"{told[:1].upper()}{told[1:]}."))

    # --- language ---

    @property
    def must_tell_language(self) -> bool:
        return (
            self.chunks.language is None
            and not self._language_asked
            and bool(self.ledger.language_windows)
        )

    def ask_language(self) -> None:
        self._language_asked = True
        self.tools.executor.submit(LanguageTask(windows=self.ledger.language_windows))

    def learn_language(self, guess: LanguageGuess) -> None:
        self.chunks.language = guess.language
        self.tools.journal.save_language(self._language_key, guess)

    def language_failed(self, failure: ChunkFailure) -> JobEvent:
        """Ask once more.

        Raises:
            RecognizerError: it was asked often enough.
        """
        self._language_asked = False
        self._language_failures += 1
        if self._language_failures >= LANGUAGE_TRIES:
            raise RecognizerError(
                f"The language can't be told: {failure.message}.", "Give it with --language."
            )
        told = f"The language could not be told yet: {failure.message}; trying again."
        return self.tools.journal.record(Notice(message=told))

    # --- the next files ---

    def learn_terms(self) -> Iterator[JobEvent]:
        """Keep the names that this transcript teaches, if they are to be kept."""
        store, job = self.tools.learnt, self.job
        if store is None:
            return
        view = self.view()
        language = text_language(job.options.task, view.language)
        terms = learnt_terms(view.segments(), job.glossary, language)
        store.add(terms, Source(stem=job.media.stem, fingerprint=job.fingerprint))
        learnt = TermsLearnt(terms=tuple(term.text for term in terms))
        yield self.tools.journal.record(learnt)

    # --- patience ---

    @property
    def chunks_expected(self) -> int | None:
        """How many chunks there are to decode, as far as it can be told; at least one."""
        if self.ledger.duration is not None:
            open_ = (ChunkState.PLANNED, ChunkState.READY, ChunkState.RUNNING)
            return max(1, sum(len(self.ledger.in_state(state)) for state in open_))
        if self._planner is None or self._info is None:
            return None
        return self._planner.expected(self._info.duration)

    @property
    def needs_workers(self) -> bool:
        """Tell whether it is time to load the model: once the media has proved readable."""
        reading = self._planner is not None and self.ledger.duration is None
        ready = bool(self.ledger.in_state(ChunkState.READY))
        return reading or self.must_tell_language or ready

    def note_progress(self, report: Report) -> None:
        """Note that something has moved; that memory was read is no such thing."""
        if not isinstance(report, MemorySampled):
            self._progress = self.tools.executor.watched

    def check_progress(self) -> None:
        """End a run in which nothing has moved for very long.

        Raises:
            JobError: nothing was reported for `--job-timeout` seconds.
        """
        idle = self.tools.executor.watched - self._progress
        limit = self.job.options.retry_settings.job_timeout
        if idle > limit:
            raise JobError(
                f"Nothing has moved for {idle:.0f} s (--job-timeout {limit:g}).",
                "What is done is kept: run the same command again to go on.",
            )
