"""The work on chunks: their keys, their steps on the ladder, their attempts and results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from longscribe.config import AUTO, DecodeSettings, text_language
from longscribe.core.bias.ranking import BiasPlan, of_language
from longscribe.core.coverage import speech_extent
from longscribe.core.devices import usable_format
from longscribe.core.governor import batch_choice
from longscribe.core.keys import glossary_digest, result_key
from longscribe.core.ladder import (
    GIVE_UP,
    Effort,
    Rung,
    Step,
    delay,
    describe,
    next_step,
    split_point,
)
from longscribe.core.ledger import ChunkEntry, Ledger
from longscribe.core.lifecycle import ChunkState
from longscribe.job import Job, Tools
from longscribe.job_events import (
    AttemptFailed,
    AttemptStarted,
    ChunkFinished,
    ChunkReused,
    GapDeclared,
    JobEvent,
    WorkerReady,
)
from longscribe.ports import ChunkDone, ChunkFailed, DecodeTask
from longscribe.types import Attempt, ChunkFailure, Gap


@dataclass(kw_only=True)
class ChunkWork:
    """Brings each chunk from its plan to a result or a gap. Mutable, as `RunState`."""

    job: Job
    tools: Tools
    ledger: Ledger = field(default_factory=Ledger)
    language: str | None = None
    """Once it is known."""
    device: str | None = None
    """Where workers started as asked really run, once the first has said so."""
    most_together: int | None = None
    """Windows decoded together at most, once it is known what a worker can hold."""
    unwritten: bool = False
    """True when a chunk was settled since the outputs were written."""

    def meet(self, ready: WorkerReady) -> tuple[str, ...]:
        """Learn from a worker's start what it can do; return what the user should know of that."""
        # Later ones may run elsewhere: on the ladder's last rung.
        self.device = self.device or ready.device
        if self.most_together is not None:
            return ()
        options = self.job.options
        choice = batch_choice(
            options.batch_size, options.beam_size, ready.memory, options.memory_settings
        )
        self.most_together = choice.windows
        form = ""
        if options.device == AUTO:
            kind = ready.device.partition(":")[0]
            form = usable_format(options.recognizer, kind, options.compute_type).reason
        return tuple(filter(None, (choice.reason, form)))

    def use_less(self, batch_size: int | None) -> None:
        """Decode fewer windows together from now on; None changes nothing."""
        if batch_size is not None:
            self.most_together = min(batch_size, self.most_together or batch_size)

    def _settings(self) -> DecodeSettings:
        return replace(self.job.options.decode_settings, language=self.language)

    def _bias(self) -> BiasPlan:
        """Return how terms are chosen; the language is known by now."""
        language = text_language(self.job.options.task, self.language)
        glossary = of_language(self.job.glossary, language)
        return BiasPlan(glossary=glossary, settings=self.job.bias_settings)

    def key(self, entry: ChunkEntry) -> str:
        """Return the key of a chunk's result."""
        bias = self._bias()
        places = [window.owns for window in entry.chunk.windows]
        verifying = bias.verifying(places, self.job.pronouncer)
        return result_key(
            entry.chunk,
            entry.planned.audio,
            self.job.options.recognizer_settings,
            self.job.model,
            (self._settings(), bias.for_chunk(entry.chunk), verifying),
        )

    def was_settled(self, entry: ChunkEntry) -> bool:
        """Tell whether an earlier run brought a chunk to its end."""
        journal, key = self.tools.journal, self.key(entry)
        return journal.has_result(key) or journal.gap(key) is not None

    def settle(self, entry: ChunkEntry) -> Iterator[JobEvent]:
        """Give a planned chunk its key, and its state as far as earlier runs brought it."""
        journal = self.tools.journal
        if not entry.chunk.windows:
            entry.move(ChunkState.DONE)
        elif self.language is not None:
            entry.biases = self._bias().for_chunk(entry.chunk)
            entry.key = self.key(entry)
            entry.move(ChunkState.READY)
            if journal.has_result(entry.key):
                entry.move(ChunkState.DONE)
                self.unwritten = True
                chunk = entry.chunk
                yield journal.record(
                    ChunkReused(chunk_id=chunk.chunk_id, span=chunk.span, key=entry.key)
                )
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
        """Return where a chunk, or a part of one, begins.

        A batch is no larger than it is, or than memory allows.
        """
        step = entry.start or self._first_step()
        fitting = min(self._fitting(step.effort.batch_size), max(1, len(entry.chunk.windows)))
        return replace(step, effort=replace(step.effort, batch_size=fitting))

    def _fitting(self, batch_size: int) -> int:
        """Return how many of so many windows memory allows to decode together."""
        return min(batch_size, self.most_together or batch_size)

    def _first_step(self) -> Step:
        settings, engine = self.job.options.decode_settings, self.job.options.recognizer_settings
        return Step(
            rung=Rung.AS_ASKED,
            effort=Effort(
                batch_size=settings.batch_size,
                beam_size=settings.beam_size,
                compute_type=engine.compute_type,
                device=(self.device or AUTO) if engine.device == AUTO else engine.device,
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

    def next_ready(self) -> ChunkEntry | None:
        """Return the first chunk that waits for a worker and need not wait longer."""
        now = self.tools.executor.watched
        ready = self.ledger.in_state(ChunkState.READY)
        return next((entry for entry in ready if entry.not_before <= now), None)

    def start(self, entry: ChunkEntry) -> JobEvent:
        """Hand a chunk to an idle worker, with the settings of its step."""
        assert entry.step is not None, f"chunk {entry.label} has no step"
        journal, effort, first = self.tools.journal, entry.step.effort, self._first_step().effort
        engine = self.job.options.recognizer_settings
        # The step may be older than the first worker's word on where `auto` is.
        as_asked = effort.device in (engine.device, first.device)
        if not as_asked or effort.compute_type != first.compute_type:
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
                self._settings(),
                # The step may be older than what is known of memory.
                batch_size=self._fitting(effort.batch_size),
                beam_size=effort.beam_size,
            ),
            bias=self.job.bias_settings,
            glossary=glossary_digest(self.job.glossary),
            recognizer=engine,
            attempt=attempt,
            audio=(entry.seal,),
        )
        entry.move(ChunkState.RUNNING)
        worker = self.tools.executor.submit(task)
        event = AttemptStarted(attempt=attempt, worker=worker)
        return journal.start_attempt(entry.key, task, event)

    def finish(self, done: ChunkDone) -> JobEvent:
        """Store the result of an attempt."""
        entry = self.ledger.entry(done.attempt.label)
        event = ChunkFinished(
            chunk_id=entry.chunk.chunk_id,
            span=entry.chunk.span,
            key=entry.key,
            seconds=round(done.seconds, 3),
            peak_memory=done.peak_memory,
            memory=done.memory,
            most_memory=done.most_memory,
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

    def fail(self, failed: ChunkFailed) -> Iterator[JobEvent]:
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
