"""The state of one run: the ledger, the planner, and the steps that `pipeline.py` tells of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from longscribe.config import DecodeSettings
from longscribe.core.bias.ranking import BiasPlan
from longscribe.core.coverage import audio_extent, speech_extent
from longscribe.core.endings import missing_tail
from longscribe.core.keys import language_key, plan_key, result_key
from longscribe.core.ladder import (
    GIVE_UP,
    LANGUAGE_TRIES,
    READ_TRIES,
    Effort,
    Rung,
    Step,
    delay,
    describe,
    next_step,
    split_point,
)
from longscribe.core.ledger import ChunkEntry, Ledger, LedgerView
from longscribe.core.lifecycle import ChunkState
from longscribe.core.patience import WritingPace
from longscribe.core.planning import ChunkPlanner, one_chunk
from longscribe.errors import JobError, MediaError, RecognizerError
from longscribe.job import Job, Tools
from longscribe.job_events import (
    AttemptFailed,
    AttemptStarted,
    BatchDecoded,
    ChunkFinished,
    ChunkReused,
    GapDeclared,
    JobEvent,
    MediaProblem,
    Notice,
    OutputsWritten,
    RunStarted,
    WorkerReady,
)
from longscribe.ports import (
    ChunkDone,
    ChunkFailed,
    DecodeTask,
    FramesHeard,
    LanguageTask,
    PlannedChunk,
    ReadTask,
)
from longscribe.types import (
    Attempt,
    Chunk,
    ChunkFailure,
    ChunkResult,
    Gap,
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
    ledger: Ledger = field(default_factory=Ledger)
    unwritten: bool = False
    """True when a chunk was settled since the outputs were written."""
    written: bool = False
    """True when the outputs say all that this run has to say."""
    _writing: WritingPace = field(default_factory=WritingPace)
    _keep_complete: bool = False
    """An earlier run left complete outputs: they stay until this one's are complete too."""
    _planner: ChunkPlanner | None = None
    _info: MediaInfo | None = None
    _language: str | None = None
    _language_asked: bool = False
    _language_failures: int = 0
    _reader_deaths: int = 0
    _heard: int = 0
    _allowed: int | None = 0
    _announced: int = 0
    _device: str = "cpu"
    """Where the workers really run, once one has said so."""
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
            mps=options.device == "mps",
        )
        self._bias = BiasPlan(glossary=self.job.glossary, settings=options.bias_settings)
        known = self.tools.journal.language(self._language_key)
        self._language = options.language or (known.language if known else None)
        self._progress = self.tools.executor.watched
        self._keep_complete = self.tools.journal.outputs_complete()

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
            self.ledger = Ledger()
            return False
        self._info = stored.recording.media
        self._end_plan(stored.recording.duration)
        return True

    def _all_known(self) -> bool:
        """Tell whether every chunk of the plan was settled by earlier runs."""
        journal = self.tools.journal
        return all(
            not entry.chunk.windows
            or (self._language is not None and journal.has_result(self._key(entry)))
            or (self._language is not None and journal.gap(self._key(entry)) is not None)
            for entry in self.ledger.entries
        )

    def view(self) -> LedgerView:
        return LedgerView(
            media=self.job.media.name,
            language=self._language,
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
        return self.unwritten and due and not self._keep_complete

    def write_outputs(self) -> JobEvent:
        started = self.tools.executor.watched
        files = self.tools.outputs.write(self.view())
        self._writing.wrote(started, self.tools.executor.watched)
        self.unwritten = False
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
            whole=one_chunk(info.duration, options.device, options.plan_settings),
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
        if self._language is None and self.ledger.language_windows:
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
        biases = tuple(
            self._bias.for_decode_window(window.owns) for window in planned.chunk.windows
        )
        label = str(planned.chunk.chunk_id)
        self.ledger.plan(ChunkEntry(planned=planned, biases=biases, label=label))

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

    def note(self, event: JobEvent) -> None:
        """Learn from an event that asks for nothing."""
        if isinstance(event, WorkerReady):
            self._device = event.device
        elif isinstance(event, BatchDecoded):
            self._progressed.add(str(event.chunk_id))

    # --- language ---

    @property
    def must_tell_language(self) -> bool:
        return (
            self._language is None
            and not self._language_asked
            and bool(self.ledger.language_windows)
        )

    def ask_language(self) -> None:
        self._language_asked = True
        self.tools.executor.submit(LanguageTask(windows=self.ledger.language_windows))

    def learn_language(self, guess: LanguageGuess) -> None:
        self._language = guess.language
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

    # --- chunks ---

    def _settings(self) -> DecodeSettings:
        return replace(self.job.options.decode_settings, language=self._language)

    def _key(self, entry: ChunkEntry) -> str:
        return result_key(
            entry.chunk,
            entry.planned.audio,
            self.job.options.recognizer_settings,
            self.job.model,
            (self._settings(), entry.biases),
        )

    def settle(self, entry: ChunkEntry) -> Iterator[JobEvent]:
        """Give a planned chunk its key, and its state as far as earlier runs brought it."""
        journal = self.tools.journal
        if not entry.chunk.windows:
            entry.move(ChunkState.DONE)
        elif self._language is not None:
            entry.key = self._key(entry)
            entry.move(ChunkState.READY)
            if journal.has_result(entry.key):
                entry.move(ChunkState.DONE)
                self.unwritten = True
                chunk = entry.chunk
                yield journal.record(ChunkReused(chunk_id=chunk.chunk_id, span=chunk.span))
            elif (gap := journal.gap(entry.key)) is not None:
                entry.gap = gap
                entry.move(ChunkState.GAP)
                self.unwritten = True
            else:
                yield from self._climb(entry)

    def _climb(self, entry: ChunkEntry) -> Iterator[JobEvent]:
        """Bring a chunk to the step of the ladder that its failures so far lead to."""
        failures = self.tools.journal.failures(entry.key)
        step = self._step_after(entry, failures)
        if step is None:
            yield self._give_up(entry, failures[-1])
        elif step.rung is Rung.SPLIT and failures:
            for part in self.ledger.split(entry, step):
                yield from self.settle(part)
        else:
            entry.step = step
            pause = delay(len(failures), self.job.options.retry_settings.delay)
            entry.not_before = self.tools.executor.watched + pause

    def _step_after(self, entry: ChunkEntry, failures: Sequence[ChunkFailure]) -> Step | None:
        return next_step(
            self._start_step(entry),
            [failure.kind for failure in failures],
            can_split=split_point(entry.chunk) is not None,
            max_attempts=self.job.options.retry_settings.max_attempts,
        )

    def _start_step(self, entry: ChunkEntry) -> Step:
        """Return where a chunk, or a part of one, begins. A batch is no larger than it is."""
        step = entry.start or self._first_step()
        fitting = min(step.effort.batch_size, max(1, len(entry.chunk.windows)))
        return replace(step, effort=replace(step.effort, batch_size=fitting))

    def _first_step(self) -> Step:
        settings, engine = self.job.options.decode_settings, self.job.options.recognizer_settings
        return Step(
            rung=Rung.AS_ASKED,
            effort=Effort(
                batch_size=settings.batch_size,
                beam_size=settings.beam_size,
                compute_type=engine.compute_type,
                device=self._device if engine.device == "auto" else engine.device,
            ),
        )

    def _give_up(self, entry: ChunkEntry, failure: ChunkFailure) -> JobEvent:
        entry.gap = Gap(
            span=speech_extent(entry.chunk),
            reason=describe(failure),
            chunk_id=entry.chunk.chunk_id,
        )
        entry.move(ChunkState.GAP)
        self.unwritten = True
        declared = GapDeclared(gap=entry.gap, span=entry.chunk.span)
        return self.tools.journal.save_gap(entry.key, entry.gap, declared)

    @property
    def needs_workers(self) -> bool:
        """Tell whether it is time to load the model: once the media has proved readable."""
        reading = self._planner is not None and self.ledger.duration is None
        ready = bool(self.ledger.in_state(ChunkState.READY))
        return reading or self.must_tell_language or ready

    def next_chunk(self) -> ChunkEntry | None:
        """Return the first chunk that waits for a worker and need not wait longer."""
        now = self.tools.executor.watched
        ready = self.ledger.in_state(ChunkState.READY)
        return next((entry for entry in ready if entry.not_before <= now), None)

    def start_attempt(self, entry: ChunkEntry) -> JobEvent:
        """Hand a chunk to an idle worker, with the settings of its step."""
        assert entry.step is not None, f"chunk {entry.label} has no step"
        journal, effort, first = self.tools.journal, entry.step.effort, self._first_step().effort
        engine = self.job.options.recognizer_settings
        if (effort.device, effort.compute_type) != (first.device, first.compute_type):
            engine = replace(engine, device=effort.device, compute_type=effort.compute_type)
        attempt = Attempt(
            chunk_id=entry.chunk.chunk_id,
            label=entry.label,
            number=journal.attempts(entry.key) + 1,
            rung=entry.step.rung,
        )
        task = DecodeTask(
            chunk=entry.chunk,
            biases=entry.biases,
            settings=replace(
                self._settings(), batch_size=effort.batch_size, beam_size=effort.beam_size
            ),
            recognizer=engine,
            attempt=attempt,
        )
        entry.move(ChunkState.RUNNING)
        worker = self.tools.executor.submit(task)
        event = AttemptStarted(attempt=attempt, worker=worker)
        return journal.start_attempt(entry.key, task, event)

    def finish_chunk(self, done: ChunkDone) -> JobEvent:
        entry = self.ledger.entry(done.attempt.label)
        event = ChunkFinished(
            chunk_id=entry.chunk.chunk_id,
            span=entry.chunk.span,
            seconds=round(done.seconds, 3),
            peak_memory=done.peak_memory,
        )
        result = replace(done.result, remarks=self._remarks(entry))
        self.tools.journal.save_result(entry.key, result, event)
        entry.move(ChunkState.DONE)
        self.unwritten = True
        return event

    def _remarks(self, entry: ChunkEntry) -> tuple[str, ...]:
        """Return how a chunk had to be decoded, if otherwise than asked."""
        step = entry.step
        if step is None or step.rung in (Rung.AS_ASKED, Rung.AGAIN):
            return ()
        failures = self.tools.journal.failures(entry.key)
        causes = dict.fromkeys(describe(failure) for failure in failures)
        why = f" after: {', '.join(causes)}" if causes else ""
        return (f"{step.sentence}{why}",)

    def fail_chunk(self, failed: ChunkFailed) -> Iterator[JobEvent]:
        """Note a failed attempt; climb the ladder, or declare the gap at its end."""
        journal, attempt = self.tools.journal, failed.attempt
        entry = self.ledger.entry(attempt.label)
        step = self._step_after(entry, (*journal.failures(entry.key), failed.failure))
        event = AttemptFailed(
            attempt=attempt,
            failure=failed.failure,
            next_step=step.sentence if step else GIVE_UP,
        )
        yield journal.save_failure(entry.key, attempt.number, failed.failure, event)
        entry.move(ChunkState.READY)
        yield from self._climb(entry)

    # --- patience ---

    def note_progress(self) -> None:
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
