"""The executor that isolates: the reader and every recognizer run in a child process."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from longscribe.adapters.executors.child import ChildProcess, Ended, ExitReport
from longscribe.config import RecognizerSettings
from longscribe.core.refusals import check_capabilities
from longscribe.errors import LongscribeError, RecognizerError, WorkerStartError, from_slug
from longscribe.events import (
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
from longscribe.types import ChunkFailure, FailureKind
from longscribe.worker.messages import (
    BatchDone,
    Broke,
    ChunkDecoded,
    FromChildMessage,
    LanguageHeard,
    LoadModel,
    ModelLoaded,
    ReadUntil,
)

READER_MODULE = "longscribe.worker.reader"
RECOGNIZER_MODULE = "longscribe.worker.recognizer"
START_TRIES = 2
"""A worker that dies this often in a row before its model is loaded will not start at all."""

_Message = FromChildMessage | Ended


@dataclass(frozen=True, kw_only=True)
class WorkerRecipe:
    """What every worker of the job is told at its start."""

    factory: str
    """`package.module:attribute` of a `RecognizerFactory`."""
    settings: RecognizerSettings
    model_path: str
    demands: tuple[str, ...]
    """Capabilities that the job needs (see `core/refusals.py`)."""
    language: str | None


@dataclass(kw_only=True)
class _Worker:
    number: int
    child: ChildProcess
    loaded: bool = False
    task: LanguageTask | DecodeTask | None = None


@dataclass(kw_only=True)
class ProcessExecutor:
    """Fulfils `Executor` with child processes.

    Args:
        recipe: how to start a worker.
        workers: how many.
        spool: the file of samples.
        dumps: the folder for what dying children leave behind.

    """

    recipe: WorkerRecipe
    workers: int
    spool: Path
    dumps: Path
    _inbox: queue.SimpleQueue[tuple[ChildProcess, _Message]] = field(
        default_factory=queue.SimpleQueue
    )
    _reader: ChildProcess | None = None
    _pool: list[_Worker] = field(default_factory=list)
    _failed_starts: int = 0

    # --- the port ---

    def read(self, task: ReadTask) -> None:
        self._reader = self._start(READER_MODULE, "reader")
        self._reader.send(task)

    def read_until(self, position: int | None) -> None:
        if self._reader is not None:
            self._reader.send(ReadUntil(position=position))

    def start_workers(self) -> None:
        for number in range(len(self._pool), self.workers):
            self._pool.append(_Worker(number=number, child=self._start_worker()))

    @property
    def idle(self) -> int:
        return sum(worker.loaded and worker.task is None for worker in self._pool)

    def submit(self, task: LanguageTask | DecodeTask) -> int:
        worker = next(w for w in self._pool if w.loaded and w.task is None)
        worker.task = task
        worker.child.send(task)
        return worker.number

    def reports(self) -> Iterator[Report]:
        waiting = [self._inbox.get()]
        while not self._inbox.empty():
            waiting.append(self._inbox.get())
        for child, message in waiting:
            yield from self._report(child, message)

    def close(self) -> None:
        children = [worker.child for worker in self._pool]
        if self._reader is not None:
            children.append(self._reader)
        self._pool.clear()
        self._reader = None
        for child in children:
            child.kill()
        for child in children:
            child.reap()
            child.log.unlink(missing_ok=True)

    # --- starting ---

    def _start(self, module: str, name: str) -> ChildProcess:
        self.dumps.mkdir(parents=True, exist_ok=True)
        taken = (int(path.stem.rpartition("-")[2]) for path in self.dumps.glob(f"{name}-*.log"))
        log = self.dumps / f"{name}-{max(taken, default=0) + 1}.log"
        return ChildProcess(module, self._inbox, log)

    def _start_worker(self) -> ChildProcess:
        child = self._start(RECOGNIZER_MODULE, "worker")
        child.send(
            LoadModel(
                factory=self.recipe.factory,
                settings=self.recipe.settings,
                model_path=self.recipe.model_path,
                spool=str(self.spool),
            )
        )
        return child

    # --- what comes back ---

    def _report(self, child: ChildProcess, message: _Message) -> Iterator[Report]:
        if child is self._reader:
            yield from self._from_reader(child, message)
            return
        worker = next((worker for worker in self._pool if worker.child is child), None)
        if worker is not None:  # else a late word from a worker already replaced
            yield from self._from_worker(worker, message)

    def _from_reader(self, child: ChildProcess, message: _Message) -> Iterator[Report]:
        match message:
            case MediaOpened() | MediaProblem() | FramesHeard():
                yield message
            case MediaEnded():
                self._reader = None
                child.kill()
                child.reap()
                child.log.unlink(missing_ok=True)
                yield message
            case Broke(slug=slug) if slug:
                raise from_slug(slug, message.found, message.remedy)
            case Broke():
                self._reader = None
                child.kill()
                child.reap()
                yield ReaderDied(reason=f"the reader failed: {message.found}")
            case Ended():
                self._reader = None
                yield ReaderDied(reason=f"the reader died ({child.reap()})")
            case _:
                self._reader = None
                child.kill()
                child.reap()
                yield ReaderDied(reason=f"the reader sent {type(message).__name__}")

    def _from_worker(self, worker: _Worker, message: _Message) -> Iterator[Report]:
        if not worker.loaded:
            yield from self._from_starting(worker, message)
            return
        task = worker.task
        match message, task:
            case LanguageHeard(), LanguageTask():
                worker.task = None
                yield LanguageDetected(guess=message.guess, windows=message.windows)
            case BatchDone(chunk_id=chunk), DecodeTask() if chunk == task.chunk.chunk_id:
                yield BatchDecoded(chunk_id=chunk, samples=message.samples)
            case ChunkDecoded(result=result), DecodeTask() if _answers(task, result.chunk_id):
                worker.task = None
                yield ChunkDone(
                    attempt=task.attempt,
                    result=result,
                    seconds=message.seconds,
                    peak_memory=message.peak_memory,
                )
            case Broke(), LanguageTask() | DecodeTask():
                yield from self._task_broke(worker, message)
            case Ended(), _:
                yield from self._replace(worker, message)
            case _:
                told = f"the worker sent {type(message).__name__} out of turn"
                yield from self._replace(worker, Ended(garbage=told))

    def _from_starting(self, worker: _Worker, message: _Message) -> Iterator[Report]:
        match message:
            case ModelLoaded():
                worker.loaded = True
                self._failed_starts = 0
                check_capabilities(
                    message.capabilities,
                    self.recipe.settings.name,
                    self.recipe.demands,
                    self.recipe.language,
                )
                yield WorkerReady(
                    worker=worker.number,
                    pid=worker.child.pid,
                    device=message.device,
                    compute_type=message.compute_type,
                    seconds=round(message.seconds, 3),
                )
            case Broke():
                raise _start_error(message)
            case _:
                ended = worker.child.reap() if isinstance(message, Ended) else None
                self._failed_starts += 1
                if self._failed_starts >= START_TRIES:
                    how = f"ended with {ended}" if ended else "spoke out of turn"
                    raise WorkerStartError(
                        f"The recognizer {self.recipe.settings.name!r} can't start: "
                        f"its process {how} while loading the model.",
                        f"What it wrote is in {worker.child.log}.",
                    )
                worker.child = self._start_worker()

    def _task_broke(self, worker: _Worker, broke: Broke) -> Iterator[Report]:
        """Report an exception in the worker; one that no retry can cure ends the job."""
        if broke.slug and broke.slug != LongscribeError.slug:
            raise from_slug(broke.slug, broke.found, broke.remedy)
        worker.child.log.write_text(broke.traceback)
        yield _failed(worker, broke.kind, broke.found)
        worker.task = None
        # Its state is unknown now: the next try gets a new process.
        worker.child.kill()
        self._restart(worker)

    def _replace(self, worker: _Worker, ended: Ended) -> Iterator[Report]:
        """Report a worker that is gone or talks nonsense, and put a new one in its place."""
        if ended.garbage is not None:
            worker.child.kill()
        exit_report = worker.child.reap()
        if worker.task is not None:
            yield _lost(worker, ended, exit_report)
            worker.task = None
        self._restart(worker)

    def _restart(self, worker: _Worker) -> None:
        worker.loaded = False
        worker.child = self._start_worker()


def _answers(task: DecodeTask, chunk_id: int) -> bool:
    return chunk_id == task.chunk.chunk_id


def _start_error(broke: Broke) -> LongscribeError:
    if broke.slug:
        return from_slug(broke.slug, broke.found, broke.remedy)
    if broke.kind is FailureKind.OOM:
        return RecognizerError(
            "Memory ran out while loading the model.",
            "Use a smaller model or another --compute-type, or free memory.",
        )
    return WorkerStartError(f"The model can't be loaded: {broke.found}.")


def _lost(worker: _Worker, ended: Ended, exit_report: ExitReport) -> Report:
    if ended.garbage is not None:
        return _failed(worker, FailureKind.BAD_OUTPUT, ended.garbage)
    return _failed(worker, FailureKind.CRASH, f"the worker died ({exit_report})", exit_report)


def _failed(
    worker: _Worker, kind: FailureKind, message: str, exit_report: ExitReport | None = None
) -> Report:
    task = worker.task
    failure = ChunkFailure(
        chunk_id=task.chunk.chunk_id if isinstance(task, DecodeTask) else 0,
        kind=kind,
        message=message,
        signal=exit_report.signal if exit_report else None,
        exit_code=exit_report.exit_code if exit_report else None,
        dump=worker.child.log.name,
    )
    if isinstance(task, DecodeTask):
        return ChunkFailed(attempt=task.attempt, failure=failure)
    return LanguageFailed(failure=failure)
