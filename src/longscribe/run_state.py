"""The state of one run: the ledger, the planner, and the steps that `pipeline.py` tells of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from longscribe.config import DecodeSettings
from longscribe.core.bias.ranking import BiasPlan
from longscribe.core.coverage import speech_extent
from longscribe.core.endings import missing_tail
from longscribe.core.keys import language_key, plan_key, result_key
from longscribe.core.ladder import LANGUAGE_TRIES, READ_TRIES, describe, next_rung
from longscribe.core.ledger import ChunkEntry, Ledger, LedgerView
from longscribe.core.lifecycle import ChunkState
from longscribe.core.planning import ChunkPlanner, one_chunk
from longscribe.errors import MediaError, RecognizerError
from longscribe.events import (
    AttemptFailed,
    AttemptStarted,
    ChunkFinished,
    GapDeclared,
    JobEvent,
    MediaProblem,
    OutputsWritten,
    RunStarted,
)
from longscribe.job import Job, Tools
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
    _planner: ChunkPlanner | None = None
    _info: MediaInfo | None = None
    _language: str | None = None
    _language_asked: bool = False
    _language_failures: int = 0
    _reader_deaths: int = 0
    _heard: int = 0
    _allowed: int | None = 0
    _announced: int = 0

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

    @property
    def _language_key(self) -> str:
        return language_key(self._plan_key, self.job.model)

    # --- beginning and end ---

    def begin(self) -> JobEvent:
        """Open the run. Gaps of a run that had finished get another chance."""
        self.tools.journal.reopen_gaps()
        options = self.job.options
        return self.tools.journal.record(
            RunStarted(
                media=str(self.job.media.absolute()),
                model=options.model,
                recognizer=options.recognizer,
                settings=options.model_dump_json(),
            )
        )

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
        self._announced = len(self.ledger.entries)
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

    def write_outputs(self) -> JobEvent:
        files = self.tools.outputs.write(self.view())
        self.unwritten = False
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
        """Let the reader go as far as the next chunk needs, unless enough chunks wait."""
        if self._planner is None or self.ledger.duration is not None:
            return
        waiting = len(self.ledger.in_state(ChunkState.READY))
        if self._language is None and self.ledger.language_windows:
            waiting += len(self.ledger.in_state(ChunkState.PLANNED))
        needs = self._planner.needs
        if not waiting and needs != self._allowed:
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
        self.unwritten = True

    def _plan(self, chunks: list[Chunk]) -> None:
        """Add new chunks to the ledger (after a reader's death the old ones come once more)."""
        for chunk in chunks:
            if chunk.chunk_id < len(self.ledger.entries):
                continue
            audio = self.tools.spool.digest(chunk.span.start, chunk.span.end)
            planned = PlannedChunk(chunk=chunk, audio=audio)
            self.tools.journal.save_chunk(self._plan_key, planned)
            self._add(planned)

    def _add(self, planned: PlannedChunk) -> None:
        biases = tuple(
            self._bias.for_decode_window(window.owns) for window in planned.chunk.windows
        )
        self.ledger.plan(ChunkEntry(planned=planned, biases=biases))

    def newly_planned(self) -> list[ChunkEntry]:
        """Return the chunks planned since the last call."""
        new = self.ledger.entries[self._announced :]
        self._announced = len(self.ledger.entries)
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
            self._end_plan(self._heard, reason)
        return event

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

    def language_failed(self, failure: ChunkFailure) -> None:
        self._language_asked = False
        self._language_failures += 1
        if self._language_failures >= LANGUAGE_TRIES:
            raise RecognizerError(
                f"The language can't be told: {failure.message}.", "Give it with --language."
            )

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

    def settle(self, entry: ChunkEntry) -> ChunkState:
        """Give a planned chunk its key, and its state if that is known already."""
        journal = self.tools.journal
        if not entry.chunk.windows:
            entry.move(ChunkState.DONE)
            self.unwritten = True
        elif self._language is not None:
            entry.key = self._key(entry)
            entry.move(ChunkState.READY)
            if journal.has_result(entry.key):
                entry.move(ChunkState.DONE)
                self.unwritten = True
            elif (gap := journal.gap(entry.key)) is not None:
                entry.gap = gap
                entry.move(ChunkState.GAP)
                self.unwritten = True
        return entry.state

    @property
    def has_work(self) -> bool:
        return self.must_tell_language or bool(self.ledger.in_state(ChunkState.READY))

    def next_chunk(self) -> ChunkEntry | None:
        return next(iter(self.ledger.in_state(ChunkState.READY)), None)

    def start_attempt(self, entry: ChunkEntry) -> JobEvent:
        journal = self.tools.journal
        rung = next_rung(journal.failures(entry.key))
        assert rung is not None, "an attempt after the last rung"
        attempt = Attempt(
            chunk_id=entry.chunk.chunk_id,
            number=journal.attempts(entry.key) + 1,
            rung=rung.name,
        )
        entry.move(ChunkState.RUNNING)
        worker = self.tools.executor.submit(
            DecodeTask(
                chunk=entry.chunk,
                biases=entry.biases,
                settings=self._settings(),
                attempt=attempt,
            )
        )
        return journal.start_attempt(entry.key, AttemptStarted(attempt=attempt, worker=worker))

    def finish_chunk(self, done: ChunkDone) -> JobEvent:
        entry = self.ledger.entries[done.result.chunk_id]
        event = ChunkFinished(
            chunk_id=entry.chunk.chunk_id,
            span=entry.chunk.span,
            seconds=round(done.seconds, 3),
            peak_memory=done.peak_memory,
        )
        self.tools.journal.save_result(entry.key, done.result, event)
        entry.move(ChunkState.DONE)
        self.unwritten = True
        return event

    def fail_chunk(self, failed: ChunkFailed) -> Iterator[JobEvent]:
        """Note a failed attempt; climb the ladder, or declare the gap at its end."""
        journal, attempt = self.tools.journal, failed.attempt
        entry = self.ledger.entries[attempt.chunk_id]
        rung = next_rung((*journal.failures(entry.key), failed.failure))
        event = AttemptFailed(
            attempt=attempt,
            failure=failed.failure,
            next_step=rung.sentence if rung else "give the chunk up and declare a gap",
        )
        yield journal.save_failure(entry.key, attempt.number, failed.failure, event)
        if rung is not None:
            entry.move(ChunkState.READY)
            return
        entry.gap = Gap(
            span=speech_extent(entry.chunk),
            reason=describe(failed.failure),
            chunk_id=entry.chunk.chunk_id,
        )
        yield journal.save_gap(entry.key, entry.gap, GapDeclared(gap=entry.gap))
        entry.move(ChunkState.GAP)
        self.unwritten = True
