"""The state of one run: the ledger, the planner, and the steps that `pipeline.py` tells of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from longscribe.chunk_work import ChunkWork
from longscribe.config import text_language
from longscribe.core.aligned_words import not_aligned
from longscribe.core.bias.learning import Source, learnt_terms
from longscribe.core.coverage import audio_extent
from longscribe.core.endings import missing_tail
from longscribe.core.hearing import little_speech
from longscribe.core.identity import changed_media
from longscribe.core.keys import glossary_digest, language_key, plan_key
from longscribe.core.ladder import (
    LANGUAGE_TRIES,
    READ_TRIES,
)
from longscribe.core.ledger import ChunkEntry, Ledger, LedgerView
from longscribe.core.lifecycle import ChunkState
from longscribe.core.losses import loss_gaps, promised
from longscribe.core.names import stem_of
from longscribe.core.patience import WritingPace
from longscribe.core.planning import ChunkPlanner, one_chunk
from longscribe.core.refusals import one_language_notice
from longscribe.errors import JobError, MediaError, RecognizerError, SpoolError
from longscribe.job import Job, Tools
from longscribe.job_events import (
    AudioMissing,
    BatchDecoded,
    GlossaryTaken,
    JobEvent,
    MediaEnded,
    MediaIdentified,
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
    StoredPlan,
)
from longscribe.types import (
    Chunk,
    ChunkFailure,
    ChunkResult,
    Glossary,
    LanguageGuess,
    Loss,
    MediaInfo,
    Recording,
)

FRAME = 512
"""Samples a frame of the speech detector (Silero at 16 kHz)."""


class CancelledError(Exception):
    """Whoever follows the run has called it off."""


def _never() -> bool:
    return False


@dataclass(kw_only=True)
class RunState:
    """What a run knows and does. Mutable; `pipeline.run_job` is its only user."""

    job: Job
    tools: Tools
    written: bool = False
    """True when the outputs say all that this run has to say."""
    cancelled: Callable[[], bool] = _never
    """Tells whether the run is to be interrupted."""
    _writing: WritingPace = field(default_factory=WritingPace)
    _keep_complete: bool = False
    """An earlier run left complete outputs: they stay until this one's are complete too."""
    _planner: ChunkPlanner | None = None
    _info: MediaInfo | None = None
    _losses: list[Loss] = field(default_factory=list)
    _peak: float | None = None
    _language_asked: bool = False
    _language_failures: int = 0
    _unsaved_language: LanguageGuess | None = None
    """Detected before it was known what is in the media."""
    _planned: list[PlannedChunk] = field(default_factory=list)
    """The chunks of the plan as they were cut, before any was split."""
    _identified: bool = False
    """The journal has the fingerprint of the media."""
    _reader_deaths: int = 0
    _told_not_aligned: bool = False
    _told_kept: set[str] = field(default_factory=set)
    """Files of others that the user has been told of."""
    _told_one_language: bool = False
    _heard: int = 0
    _allowed: int | None = 0
    _announced: int = 0
    _progress: float = 0.0
    _progressed: set[str] = field(default_factory=set)
    """Labels of the chunks that a worker has decoded something of."""

    def __post_init__(self) -> None:
        options = self.job.options
        self.chunks = ChunkWork(job=self.job, tools=self.tools, language=options.language)
        self._progress = self.tools.executor.watched
        self._keep_complete = self.tools.journal.outputs_complete()

    @property
    def ledger(self) -> Ledger:
        """Return every chunk with its state."""
        return self.chunks.ledger

    @cached_property
    def _plan_key(self) -> str:
        """Key of the plan. Waits until the media's content is known, so it is not asked early."""
        options = self.job.options
        return plan_key(
            self.job.content.fingerprint(),
            options.audio_track,
            options.speech_settings,
            options.plan_settings,
            mps=self.job.device_kind == "mps",
        )

    @property
    def _language_key(self) -> str:
        return language_key(self._plan_key, self.job.model)

    # --- beginning and end ---

    def begin(self) -> Iterator[JobEvent]:
        """Open the run. Gaps of a run that had finished get another chance."""
        self.tools.journal.reopen_gaps()
        options = self.job.options
        journal = self.tools.journal
        start = RunStarted(
            media=str(self.job.media.absolute()),
            model=options.model,
            recognizer=options.recognizer,
            settings=json.dumps(options.model_dump(mode="json")),
            extra_terms=self.job.extra_terms,
            glossary=glossary_digest(self.job.glossary),
        )
        yield journal.record(self.tools.marked(start))
        if self.job.glossary != Glossary() and journal.glossary() != start.glossary:
            yield journal.record(GlossaryTaken(digest=start.glossary, glossary=self.job.glossary))
        for notice in self.job.notices:
            yield journal.record(Notice(message=notice))
        yield from self._tell_kept(self.tools.outputs.survey())
        yield from self._recall_media()
        yield from self.identify()

    def begin_again(self, error: SpoolError) -> Iterator[JobEvent]:
        """Drop audio that proved to be other than what was planned; begin anew without it."""
        self.tools.executor.close()
        self.tools.spool.remove()
        job = replace(self.job, notices=(f"{error.found} The media is read again.",))
        fresh = RunState(
            job=job, tools=self.tools, cancelled=self.cancelled, _told_kept=self._told_kept
        )
        vars(self).clear()
        vars(self).update(vars(fresh))
        yield from self.begin()

    def _recall_media(self) -> Iterator[JobEvent]:
        """Find out what earlier runs knew of this media. A first run need not wait for that."""
        journal = self.tools.journal
        before = journal.fingerprints()
        if before and self.job.content.fingerprint() not in before:
            told = changed_media(self.job.media.name, before, self.job.content.as_before())
            yield journal.record(Notice(message=told))
        if self.chunks.language is None and (before or journal.knows_languages()):
            known = journal.language(self._language_key)
            self.chunks.language = known.language if known else None

    def identify(self) -> Iterator[JobEvent]:
        """Note which film this is, once a run, as soon as that is known."""
        if not self._identified and self.job.content.known:
            self._identified = True
            fingerprint = self.job.content.fingerprint()
            yield self.tools.journal.record(MediaIdentified(fingerprint=fingerprint))

    def recall_plan(self) -> bool:
        """Take the plan from the journal if the recording need not be read again."""
        if not self.tools.journal.fingerprints():
            return False
        stored = self.tools.journal.stored_plan(self._plan_key)
        if stored is None:
            return False
        for planned in stored.chunks:
            self._add(planned)
        spooled = self.tools.spool.holds(self._plan_key, stored.recording.duration)
        if not (spooled or self._all_known()):
            self.chunks.ledger = Ledger()
            self._planned.clear()
            return False
        self._info = stored.recording.media
        self._peak = stored.recording.peak
        for loss in stored.recording.losses:
            self._lose(loss)
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
            text_language=text_language(self.job.options.task, self.chunks.language),
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

    def write_outputs(self) -> Iterator[JobEvent]:
        """Bring the outputs up to date; say, once a run, which files of others were in the way."""
        started = self.tools.executor.watched
        written = self.tools.outputs.write(self.view())
        self._writing.wrote(started, self.tools.executor.watched)
        self.chunks.unwritten = False
        self.written = self.ledger.settled
        files = tuple(file.name for file in written.files)
        event = OutputsWritten(files=files, complete=self.ledger.settled)
        yield self.tools.journal.save_outputs(event, written.delivered)
        yield from self._tell_kept(written.told)

    def _tell_kept(self, told: Mapping[str, str]) -> Iterator[JobEvent]:
        for name, message in told.items():
            if name not in self._told_kept:
                self._told_kept.add(name)
                yield self.tools.journal.record(Notice(message=message))

    def release_audio(self) -> None:
        if not self.job.options.keep_audio:
            self.tools.spool.remove()

    def drop_unfinished_audio(self) -> None:
        """Give the disk back after a failure: audio not read to its end is read anew anyway."""
        if self.ledger.duration is None:
            self.tools.spool.remove()

    def remarks(self) -> Iterator[JobEvent]:
        """Say what whoever finds an empty transcript will want to know."""
        speech = sum(w.speech for entry in self.ledger.entries for w in entry.chunk.windows)
        told = little_speech(speech, self.view().duration, self._info, self._peak)
        if told is not None:
            yield self.tools.journal.record(Notice(message=told))

    # --- reading and planning ---

    def start_reading(self) -> None:
        self.tools.spool.begin()
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
        self._losses, self.ledger.lost = [], ()
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

    def recalled_losses(self) -> Iterator[JobEvent]:
        """Say again what an earlier reading found missing: it is missing from this run too."""
        for loss in self._losses:
            yield self.tools.journal.record(AudioMissing(loss=loss))

    def _lose(self, loss: Loss) -> None:
        """Take note of audio that should be there and is not: it is a gap."""
        self._losses.append(loss)
        self.ledger.lost = loss_gaps(self._losses)

    def end_media(self, ended: MediaEnded) -> None:
        """Complete the plan and, with it, what the journal knows of the recording.

        Raises:
            MediaError: the media was changed while it was read.
        """
        assert self._planner is not None, "the end before the media was opened"
        assert self._info is not None, "the end before the media was opened"
        self._peak = ended.peak
        self._plan(self._planner.finish(ended.duration))
        self.job.content.confirm()
        recording = Recording(
            fingerprint=self.job.content.fingerprint(),
            duration=ended.duration,
            media=self._info,
            peak=ended.peak,
            losses=tuple(self._losses),
        )
        stored = StoredPlan(recording=recording, chunks=tuple(self._planned))
        self.tools.journal.save_plan(self._plan_key, stored)
        self.tools.spool.seal(self._plan_key)
        self._end_plan(ended.duration)

    def _end_plan(self, duration: int, reason: str | None = None) -> None:
        assert self._info is not None, "the end before the media was opened"
        self._keep_language()
        tail = missing_tail(duration, promised(self._info, self._losses), reason)
        self.ledger.end(tail.span.end if tail else duration, tail)

    def _plan(self, chunks: list[Chunk]) -> None:
        """Add new chunks to the ledger (after a reader's death the old ones come once more)."""
        for chunk in chunks:
            if chunk.chunk_id < self.ledger.planned:
                continue
            heard = audio_extent(chunk)
            audio = self.tools.spool.digest(heard.start, heard.end)
            self._add(PlannedChunk(chunk=chunk, audio=audio))

    def _add(self, planned: PlannedChunk) -> None:
        self._planned.append(planned)
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
            for told in (*self.chunks.meet(event), *self._language_notice(event)):
                yield self.tools.journal.record(Notice(message=told))
        elif isinstance(event, MemoryRelieved):
            self.chunks.use_less(event.batch_size)
        elif isinstance(event, AudioMissing):
            self._lose(event.loss)
        elif isinstance(event, BatchDecoded):
            self._progressed.add(str(event.chunk_id))

    def _language_notice(self, ready: WorkerReady) -> tuple[str, ...]:
        """Say, once a run, that nobody has found out whether this is the model's language."""
        known = self.job.options.language is not None or not ready.only_language
        if known or self._told_one_language:
            return ()
        self._told_one_language = True
        return (one_language_notice(ready.only_language),)

    def finish_chunk(self, done: ChunkDone) -> Iterator[JobEvent]:
        """Store a result; say, once a run, if the recognizer could not align its words.

        The text is whole, so it is no failure; but whoever chose it for its times should know.
        """
        yield self.chunks.finish(done)
        self._keep_language()
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
        self.tools.executor.submit(
            LanguageTask(windows=self.ledger.language_windows, audio=self.ledger.language_seals)
        )

    def learn_language(self, guess: LanguageGuess) -> None:
        self.chunks.language = guess.language
        self._unsaved_language = guess
        self._keep_language()

    def _keep_language(self) -> None:
        """Store a detected language as soon as it is known what media it is of."""
        guess = self._unsaved_language
        if guess is not None and (self.job.content.known or self.ledger.duration is not None):
            self.tools.journal.save_language(self._language_key, guess)
            self._unsaved_language = None

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
        source = Source(stem=stem_of(job.media.name), fingerprint=job.content.fingerprint())
        store.add(terms, source)
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
        """End a run that was called off, or in which nothing has moved for very long.

        Raises:
            CancelledError: it was called off.
            JobError: nothing was reported for `--job-timeout` seconds.
        """
        if self.cancelled():
            raise CancelledError
        idle = self.tools.executor.watched - self._progress
        limit = self.job.options.retry_settings.job_timeout
        if idle > limit:
            raise JobError(
                f"Nothing has moved for {idle:.0f} s (--job-timeout {limit:g}).",
                "What is done is kept: run the same command again to go on.",
            )
