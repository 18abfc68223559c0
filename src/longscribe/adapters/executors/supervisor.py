"""The supervisor: reader and recognizers run in children, watched by their progress."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from longscribe.adapters.executors import governing
from longscribe.adapters.executors.child import Child, Ended, Inbox
from longscribe.adapters.executors.failures import (
    OomWatch,
    check_version,
    failed,
    how_it_ended,
)
from longscribe.adapters.executors.logs import next_log
from longscribe.config import DeadlineSettings, MemorySettings, RecognizerSettings
from longscribe.core.crew import shared_out
from longscribe.core.governor import Governor, Remedy
from longscribe.core.patience import Pace, Stopwatch
from longscribe.core.refusals import check_capabilities, only_language
from longscribe.errors import LongscribeError, RecognizerError, WorkerStartError, from_slug
from longscribe.job_events import (
    AudioMissing,
    BatchDecoded,
    LanguageDetected,
    MediaEnded,
    MediaOpened,
    MediaProblem,
    WorkerReady,
)
from longscribe.ports import (
    ChunkDone,
    ChunkFailed,
    DecodeTask,
    FramesHeard,
    LanguageFailed,
    LanguageTask,
    ReaderDied,
    ReadTask,
    Report,
)
from longscribe.types import ChunkFailure, ChunkResult, FailureKind, Glossary
from longscribe.worker.messages import (
    BatchDone,
    Broke,
    ChunkDecoded,
    FromChildMessage,
    Hello,
    LanguageHeard,
    LoadModel,
    MemoryRead,
    ModelLoaded,
    ReadUntil,
)

READER_MODULE = "longscribe.worker.reader"
RECOGNIZER_MODULE = "longscribe.worker.recognizer"
START_TRIES = 3
"""A worker that dies this often in a row before its model is loaded will not start at all."""
TICK_SECONDS = 0.5
"""How often deadlines are looked at."""

_Message = FromChildMessage | Ended
StartChild = Callable[[str, Inbox, Path], Child]
"""Starts `python -m module`, or what stands for it; see `ChildProcess`."""


@dataclass(frozen=True, kw_only=True)
class WorkerRecipe:
    """What every worker of the job is told at its start."""

    factory: str
    """`package.module:attribute` of a `RecognizerFactory`."""
    python: str
    """Which other Python runs it, and who says so, for messages; empty: ours."""
    settings: RecognizerSettings
    model_path: str
    demands: tuple[str, ...]
    """Capabilities that the job needs (see `core/refusals.py`)."""
    language: str | None
    glossary: Glossary
    """Empty where nothing is verified."""
    language_tools: str
    """`package.module:attribute` of a `LanguageToolsFactory`."""
    memory_reader: str
    """`package.module:attribute` of a `WorkerMemoryFactory`."""
    memory: MemorySettings


@dataclass(kw_only=True)
class _Worker:
    number: int
    child: Child
    settings: RecognizerSettings
    """With which its model is, or is being, loaded."""
    loaded: bool = False
    greeted: bool = False
    """It has said hello: it is a worker of this version."""
    failed_starts: int = 0
    """In a row."""
    task: LanguageTask | DecodeTask | None = None
    """Also while its model is still being loaded for it."""
    progress: float = 0.0
    """When it last made progress, on the supervisor's stopwatch."""
    governor: Governor | None = None
    """Once its model is loaded."""
    worn: bool = False
    """It holds too much: a new one takes its place before the next task."""


@dataclass(kw_only=True)
class Supervisor:
    """Fulfils `Executor`.

    Args:
        start_child: starts a child (process or thread).
        recipe: how to start a worker.
        workers: how many.
        spool: the file of samples.
        dumps: the folder for what dying children leave behind.
        deadlines: when a child is taken to hang.
    """

    start_child: StartChild
    recipe: WorkerRecipe
    workers: int
    spool: Path
    dumps: Path
    deadlines: DeadlineSettings
    _inbox: Inbox = field(default_factory=queue.SimpleQueue)
    _reader: Child | None = None
    _pool: list[_Worker] = field(default_factory=list)
    _started: int = 1
    """The most workers that were started at the same time."""
    _has_loaded: bool = False
    """True once any worker has loaded the model as asked: then it can be loaded."""
    _watch: Stopwatch = field(default_factory=Stopwatch)
    _oom: OomWatch = field(default_factory=OomWatch)
    _reader_limit: int | None = 0
    _reader_at: int = 0
    _reader_progress: float = 0.0

    def __post_init__(self) -> None:
        self._pace = Pace(settings=self.deadlines)

    # --- the port ---

    @property
    def watched(self) -> float:
        return self._watch.look(time.monotonic())

    def read(self, task: ReadTask) -> None:
        self._reader = self._start(READER_MODULE, "reader")
        self._reader_limit = self._reader_at = 0
        self._reader_progress = self.watched
        self._reader.send(task)

    def read_until(self, position: int | None) -> None:
        if self._reader is not None:
            self._reader_limit = position
            self._reader_progress = self.watched
            self._reader.send(ReadUntil(position=position))

    def start_workers(self, chunks: int | None) -> None:
        count = self.workers if chunks is None else max(1, min(chunks, self.workers))
        self._started = max(count, self._started)
        for number in range(len(self._pool), count):
            settings = self.recipe.settings
            child = self._start_worker(settings)
            worker = _Worker(number=number, child=child, settings=settings)
            worker.progress = self.watched
            self._pool.append(worker)

    @property
    def idle(self) -> int:
        return sum(worker.loaded and worker.task is None for worker in self._pool)

    def submit(self, task: LanguageTask | DecodeTask) -> int:
        wanted = task.recognizer if isinstance(task, DecodeTask) else self.recipe.settings
        free = [worker for worker in self._pool if worker.loaded and worker.task is None]
        fitting = [one for one in free if one.settings == wanted]
        worker = next((one for one in fitting if not one.worn), (fitting or free)[0])
        worker.task = task
        worker.progress = self.watched
        if worker.settings == wanted and not worker.worn:
            worker.child.send(task)
        else:
            worker.child.kill()
            self._discard(worker.child)
            self._restart(worker, wanted)
        return worker.number

    def reports(self) -> Iterator[Report]:
        waiting = []
        try:
            waiting.append(self._inbox.get(timeout=TICK_SECONDS))
            while True:
                waiting.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        # Look at the clock only now: what came while we were stopped counts as progress.
        self._watch.look(time.monotonic())
        for child, message in waiting:
            yield from self._report(child, message)
        yield from self._check_deadlines()

    def close(self) -> None:
        children = [worker.child for worker in self._pool]
        if self._reader is not None:
            children.append(self._reader)
        self._pool.clear()
        self._reader = None
        for child in children:
            child.kill()
        for child in children:
            self._discard(child)

    # --- starting and ending ---

    def _start(self, module: str, name: str) -> Child:
        self.dumps.mkdir(parents=True, exist_ok=True)
        log = next_log(self.dumps, name)
        return self.start_child(module, self._inbox, log)

    def _start_worker(self, settings: RecognizerSettings) -> Child:
        child = self._start(RECOGNIZER_MODULE, "worker")
        child.send(
            LoadModel(
                factory=self.recipe.factory,
                # Workers that are not needed leave their threads to those that are.
                settings=replace(
                    settings,
                    cpu_threads=shared_out(settings.cpu_threads, self.workers, self._started),
                ),
                model_path=self.recipe.model_path,
                spool=str(self.spool),
                glossary=self.recipe.glossary,
                language_tools=self.recipe.language_tools,
                memory_reader=self.recipe.memory_reader,
                memory=self.recipe.memory,
            )
        )
        return child

    def _restart(self, worker: _Worker, settings: RecognizerSettings) -> None:
        worker.loaded = worker.greeted = worker.worn = False
        worker.governor = None
        worker.settings = settings
        worker.child = self._start_worker(settings)
        worker.progress = self.watched

    @staticmethod
    def _discard(child: Child) -> None:
        """Reap a child that ended as it should; nobody needs what it wrote."""
        child.reap()
        child.log.unlink(missing_ok=True)

    # --- deadlines ---

    def _check_deadlines(self) -> Iterator[Report]:
        now = self.watched
        for worker in list(self._pool):
            allowance = self._allowance(worker)
            if allowance is not None and now - worker.progress > allowance:
                worker.child.put_down()
                told = f"the worker made no progress for {now - worker.progress:.1f} s"
                yield from self._lost(worker, failed(worker.child, FailureKind.HANG, told))
        reader = self._reader
        waits = self._reader_limit is not None and self._reader_at >= self._reader_limit
        if reader is not None and not waits:
            silent = now - self._reader_progress
            if silent > max(self.deadlines.floor, self.deadlines.load):
                reader.put_down()
                reader.reap()
                self._reader = None
                yield ReaderDied(reason=f"the reader made no progress for {silent:.0f} s")

    def _allowance(self, worker: _Worker) -> float | None:
        """Return how long `worker` may be silent; None when nothing is expected of it."""
        if not worker.loaded:
            return self.deadlines.load
        match worker.task:
            case DecodeTask(chunk=chunk, settings=settings):
                return self._pace.allowance(min(settings.batch_size, len(chunk.windows)))
            case LanguageTask():
                return max(self.deadlines.floor, self.deadlines.first)
            case None:
                return None

    # --- what comes back ---

    def _report(self, child: Child, message: _Message) -> Iterator[Report]:
        if isinstance(message, Hello):
            check_version(message)
        if child is self._reader:
            yield from self._from_reader(child, message)
            return
        worker = next((worker for worker in self._pool if worker.child is child), None)
        if worker is None:
            return  # a late word from a child already replaced
        if worker.loaded:
            yield from self._from_worker(worker, message)
        else:
            yield from self._from_starting(worker, message)

    def _from_reader(self, child: Child, message: _Message) -> Iterator[Report]:
        self._reader_progress = self.watched
        match message:
            case FramesHeard():
                self._reader_at = message.heard
                yield message
            case Hello():
                pass
            case MediaOpened() | MediaProblem() | AudioMissing():
                yield message
            case MediaEnded():
                self._reader = None
                child.kill()
                self._discard(child)
                yield message
            case Broke(slug=slug) if slug:
                raise from_slug(slug, message.found, message.remedy)
            case _:
                self._reader = None
                if message != Ended():
                    child.kill()
                ended = child.reap()
                told = message.found if isinstance(message, Broke) else str(ended)
                yield ReaderDied(reason=f"the reader died ({told})")

    def _from_worker(self, worker: _Worker, message: _Message) -> Iterator[Report]:
        since = self.watched - worker.progress
        match message, worker.task:
            case LanguageHeard(), LanguageTask():
                worker.task = None
                yield LanguageDetected(guess=message.guess, windows=message.windows)
            case BatchDone(chunk_id=chunk), DecodeTask() as task if chunk == task.chunk.chunk_id:
                self._pace.record(message.windows, since)
                worker.progress = self.watched
                yield BatchDecoded(chunk_id=chunk, samples=message.samples)
            case MemoryRead(), _:
                yield from self._govern(worker, message)
            case ChunkDecoded(result=result), DecodeTask() as task if _answers(result, task):
                worker.task = None
                yield ChunkDone(
                    attempt=task.attempt,
                    result=result,
                    seconds=message.seconds,
                    peak_memory=message.peak_memory,
                    memory=message.memory,
                    most_memory=message.most_memory,
                )
                if worker.governor is not None:
                    for event in governing.after_chunk(
                        worker.number, worker.governor, message, task
                    ):
                        worker.worn = worker.worn or event.remedy == Remedy.NEW_WORKER
                        yield event
            case Broke(), LanguageTask() | DecodeTask():
                if message.slug:
                    # Ours, and so a cause that no retry can cure.
                    raise from_slug(message.slug, message.found, message.remedy)
                worker.child.kill()
                worker.child.reap()
                worker.child.log.write_text(message.traceback)
                yield from self._lost(worker, failed(worker.child, message.kind, message.found))
            case Ended(garbage=None), _:
                exit_report = worker.child.reap()
                yield from self._lost(worker, how_it_ended(worker.child, exit_report, self._oom))
            case _:
                told = message.garbage if isinstance(message, Ended) else None
                worker.child.kill()
                worker.child.reap()
                told = f"the worker sent garbage: {told or type(message).__name__ + ' out of turn'}"
                yield from self._lost(worker, failed(worker.child, FailureKind.GARBAGE, told))

    def _govern(self, worker: _Worker, message: MemoryRead) -> Iterator[Report]:
        """Look at what a worker holds while it decodes. It is no sign of progress."""
        yield from governing.sampled(worker.number, message)
        reason = worker.governor.overrun(message.memory) if worker.governor else None
        if reason is not None and worker.task is not None:
            worker.child.kill()
            yield from self._lost(worker, failed(worker.child, FailureKind.OOM, reason))

    def _lost(self, worker: _Worker, failure: ChunkFailure) -> Iterator[Report]:
        """Report the failure of a worker that is gone, and put a new one in its place."""
        if not worker.loaded:
            worker.child.reap()
            yield from self._start_failed(worker, failure.message)
            return
        worker.child.reap()
        task, worker.task = worker.task, None
        match task:
            case DecodeTask():
                named = replace(failure, chunk_id=task.chunk.chunk_id)
                yield ChunkFailed(attempt=task.attempt, failure=named)
            case LanguageTask():
                yield LanguageFailed(failure=failure)
            case None:
                pass
        self._restart(worker, self.recipe.settings)

    # --- loading ---

    def _from_starting(self, worker: _Worker, message: _Message) -> Iterator[Report]:
        match message:
            case Hello():
                worker.greeted = True
            case ModelLoaded() if worker.greeted:
                worker.governor = Governor.begin(self.recipe.memory, message.memory)
                # A later one, which shares fewer pages with others, may seem larger: that is no
                # reason to end a job that has come so far.
                proven = self._has_loaded and worker.settings == self.recipe.settings
                if not proven and (told := worker.governor.model_is_too_large()) is not None:
                    yield from self._too_large(worker, told)
                    return
                worker.loaded = self._has_loaded = True
                worker.progress = self.watched
                worker.failed_starts = 0
                check_capabilities(
                    message.capabilities,
                    worker.settings.name,
                    self.recipe.demands,
                    self.recipe.language,
                )
                yield WorkerReady(
                    worker=worker.number,
                    pid=worker.child.pid,
                    device=message.device,
                    compute_type=message.compute_type,
                    seconds=round(message.seconds, 3),
                    memory=message.memory,
                    only_language=only_language(message.capabilities),
                )
                if worker.task is not None:
                    worker.child.send(worker.task)
            case Broke() if not self._has_loaded:
                raise _start_error(message)
            case Broke():
                worker.child.kill()
                worker.child.reap()
                yield from self._start_failed(worker, message.found)
            case _:
                spoke = not isinstance(message, Ended)
                if spoke:
                    worker.child.kill()
                ended = worker.child.reap()
                told = "it spoke out of turn" if spoke else f"it ended with {ended}"
                yield from self._start_failed(worker, told)

    def _too_large(self, worker: _Worker, told: str) -> Iterator[Report]:
        """The model alone is beyond the limit: end the job, or only what the ladder wanted."""
        worker.child.kill()
        worker.child.reap()
        if worker.settings == self.recipe.settings:
            raise RecognizerError(
                f"Memory: {told} (--memory-limit).",
                "Raise --memory-limit, or use a smaller model or another --compute-type.",
            )
        yield from self._start_failed(worker, told)

    def _start_failed(self, worker: _Worker, told: str) -> Iterator[Report]:
        """A worker did not come to load its model: try again, then end the job or the attempt."""
        if worker.settings != self.recipe.settings:
            # Only the ladder wanted these settings; the job goes on without them.
            told = f"no worker starts with these settings: {told}"
            worker.loaded = True  # as far as reporting goes
            yield from self._lost(worker, failed(worker.child, FailureKind.ERROR, told))
            return
        if self.recipe.python and not (worker.greeted or self._has_loaded):
            raise WorkerStartError(
                f"{self.recipe.python} does not run a worker ({told}).",
                f"Expected a Python. What it wrote is in {worker.child.log}.",
            )
        worker.failed_starts += 1
        if worker.failed_starts >= START_TRIES:
            raise WorkerStartError(
                f"The recognizer {worker.settings.name!r} can't start: "
                f"its process did not load the model ({told}).",
                f"What it wrote is in {worker.child.log}.",
            )
        self._restart(worker, worker.settings)


def _answers(result: ChunkResult, task: DecodeTask) -> bool:
    """Tell whether a result is for the task's chunk, or for its part, and for all of it."""
    return result.chunk_id == task.chunk.chunk_id and task.chunk.windows == tuple(
        window.window for window in result.windows
    )


def _start_error(broke: Broke) -> LongscribeError:
    if broke.slug:
        return from_slug(broke.slug, broke.found, broke.remedy)
    if broke.kind is FailureKind.OOM:
        return RecognizerError(
            "Memory ran out while loading the model.",
            "Use a smaller model or another --compute-type, or free memory.",
        )
    return WorkerStartError(f"The model can't be loaded: {broke.found}.")
