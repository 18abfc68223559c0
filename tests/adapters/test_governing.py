"""The supervisor and the memory of its workers: what is progress, who is ended, who is replaced.

The children are stand-ins whose words are put into the inbox; real ones: tests/e2e/test_memory.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import longscribe
from longscribe.adapters.executors import supervisor as executor
from longscribe.adapters.executors.child import ExitReport, Inbox
from longscribe.adapters.executors.supervisor import Supervisor, WorkerRecipe
from longscribe.config import Options
from longscribe.errors import RecognizerError
from longscribe.job_events import BatchDecoded, MemoryRelieved, MemorySampled, WorkerReady
from longscribe.ports import Capabilities, ChunkDone, ChunkFailed, DecodeTask
from longscribe.run_state import RunState
from longscribe.types import (
    Attempt,
    ChunkResult,
    FailureKind,
    Glossary,
    MemoryReading,
    WindowBias,
    WindowResult,
)
from longscribe.worker.messages import ChunkDecoded, Hello, LoadModel, MemoryRead, ModelLoaded
from tests.core.plans import chunk

MB = 10**6
GB = 10**9
CHUNK = chunk(0, 320000, (10, 40000), (50000, 90000))
CAN = Capabilities(
    prompts=True, word_times=True, scoring=True, batching=True, translate=True, languages=("en",)
)


class Child:
    """A child that does nothing; the test speaks for it."""

    def __init__(self, pid: int, inbox: Inbox, log: Path) -> None:
        self.pid, self.inbox, self.log = pid, inbox, log
        self.told: list[Any] = []
        self.ends: list[str] = []

    def says(self, *messages: Any) -> None:
        for message in messages:
            self.inbox.put((self, message))

    def send(self, message: Any) -> None:
        self.told.append(message)

    def reap(self) -> ExitReport:
        self.ends.append("reap")
        return ExitReport(signal=9, exit_code=None)

    def put_down(self) -> None:
        self.ends.append("put down")

    def kill(self) -> None:
        self.ends.append("kill")


class Stage:
    """A supervisor, its children, and a clock that moves when it is told to."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
        chunks = changes.pop("chunks", None)
        self.children: list[Child] = []
        self.now = 0.0
        monkeypatch.setattr(executor.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(executor, "TICK_SECONDS", 0.001)
        self.options = Options.build(**changes)
        self.supervisor = Supervisor(
            start_child=self._start,
            recipe=WorkerRecipe(
                factory="none:load", python="", settings=self.options.recognizer_settings,
                model_path="none", demands=(), language="en", glossary=Glossary(),
                language_tools="none:load", memory_reader="none:load",
                memory=self.options.memory_settings,
            ),
            workers=self.options.workers or 1,
            spool=tmp_path / "spool",
            dumps=tmp_path,
            deadlines=self.options.deadline_settings,
        )  # fmt: skip
        self.supervisor.start_workers(chunks)

    def _start(self, module: str, inbox: Inbox, log: Path) -> Child:
        self.children.append(Child(len(self.children) + 100, inbox, log))
        return self.children[-1]

    def reports(self) -> list[Any]:
        return list(self.supervisor.reports())

    def load(self, child: Child, private: int = 300 * MB) -> list[Any]:
        child.says(
            Hello(longscribe=longscribe.__version__, python="3"),
            ModelLoaded(
                capabilities=CAN, device="cpu", compute_type="float32", seconds=1.0,
                memory=holding(private),
            ),
        )  # fmt: skip
        return self.reports()

    def task(self) -> DecodeTask:
        return DecodeTask(
            chunk=CHUNK,
            biases=tuple(WindowBias(bias_window_id=None, terms=()) for _ in CHUNK.windows),
            settings=replace(self.options.decode_settings, language="en"),
            bias=self.options.bias_settings,
            glossary="",
            recognizer=self.options.recognizer_settings,
            attempt=Attempt(chunk_id=0, label="0", number=1, rung="as asked"),
        )


def holding(private: int) -> MemoryReading:
    return MemoryReading(
        device="cpu", resident=private, private=private, system_free=8 * GB,
        device_memory=16 * GB, device_free=8 * GB,
    )  # fmt: skip


def decoded(private: int, most: int) -> ChunkDecoded:
    windows = tuple(
        WindowResult(chunk_id=0, window=w, bias_window_id=None, prompt=None, segments=())  # type: ignore[arg-type]
        for w in CHUNK.windows
    )
    return ChunkDecoded(
        result=ChunkResult(chunk_id=0, windows=windows), seconds=1.0, peak_memory=most,
        memory=holding(private), most_memory=most,
    )  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch, memory_limit="1GB", recycle_after="100MB")


def test_a_worker_that_only_reports_its_memory_hangs(stage: Stage) -> None:
    [child] = stage.children
    stage.load(child)
    stage.supervisor.submit(stage.task())
    allowance = stage.options.deadline_settings.first
    found: list[Any] = []
    while stage.now < allowance + 10 and not found:
        stage.now += 2.0
        child.says(MemoryRead(memory=holding(300 * MB)))
        found = [report for report in stage.reports() if isinstance(report, ChunkFailed)]
    [failed] = found
    assert failed.failure.kind is FailureKind.HANG
    assert stage.now <= allowance + 4
    assert "put down" in child.ends


def test_beyond_its_limit_a_worker_is_ended_and_the_attempt_ran_out_of_memory(stage: Stage) -> None:
    [child] = stage.children
    stage.load(child)
    stage.supervisor.submit(stage.task())
    child.says(MemoryRead(memory=holding(1100 * MB)))
    sampled, failed = stage.reports()
    assert isinstance(sampled, MemorySampled)
    assert isinstance(failed, ChunkFailed)
    assert failed.failure.kind is FailureKind.OOM
    assert "1.1 GB" in failed.failure.message
    assert child.ends[0] == "kill"
    assert len(stage.children) == 2, "a new one is in its place"
    child.says(MemoryRead(memory=holding(1100 * MB)))
    assert stage.reports() == [], "a late word from the old one"


def test_a_reading_that_comes_after_the_result_ends_nothing(stage: Stage) -> None:
    [child] = stage.children
    stage.load(child)
    stage.supervisor.submit(stage.task())
    child.says(decoded(300 * MB, 400 * MB), MemoryRead(memory=holding(1100 * MB)))
    done, sampled = stage.reports()
    assert isinstance(done, ChunkDone)
    assert isinstance(sampled, MemorySampled)
    assert stage.supervisor.idle == 1


def test_a_worker_that_has_grown_is_replaced_before_its_next_chunk(stage: Stage) -> None:
    [child] = stage.children
    [ready] = stage.load(child)
    assert isinstance(ready, WorkerReady)
    assert ready.memory == holding(300 * MB)
    for private in (350, 500):
        assert stage.supervisor.idle == 1
        stage.supervisor.submit(stage.task())
        child.says(decoded(private * MB, 600 * MB))
        done, *relieved = stage.reports()
        assert isinstance(done, ChunkDone)
        assert done.memory == holding(private * MB)
    [event] = relieved
    assert isinstance(event, MemoryRelieved)
    assert event.remedy == "new worker"
    assert child.ends == [], "not before there is something to do"
    assert stage.supervisor.idle == 1
    stage.supervisor.submit(stage.task())
    assert child.ends[:2] == ["kill", "reap"]
    new = stage.children[1]
    stage.load(new)
    assert isinstance(new.told[-1], DecodeTask), "it gets the chunk that the old one was meant for"


def test_a_worker_that_has_not_grown_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, workers=2, recycle_after="100MB")
    worn, fresh = stage.children
    stage.load(worn)
    for private in (300, 500):
        stage.supervisor.submit(stage.task())
        worn.says(decoded(private * MB, 600 * MB))
        stage.reports()
    stage.load(fresh)
    assert stage.supervisor.submit(stage.task()) == 1
    assert worn.ends == []


def test_smaller_batches_are_told_with_their_size(stage: Stage) -> None:
    [child] = stage.children
    stage.load(child)
    stage.supervisor.submit(stage.task())
    child.says(decoded(300 * MB, 950 * MB))
    _, event = stage.reports()
    assert isinstance(event, MemoryRelieved)
    assert (event.remedy, event.batch_size) == ("smaller batch", 1), "half of two windows"


def test_a_model_beyond_the_limit_ends_the_job(stage: Stage) -> None:
    [child] = stage.children
    with pytest.raises(RecognizerError, match=r"may hold 1\.0 GB") as error:
        stage.load(child, private=2 * GB)
    assert "--memory-limit" in error.value.remedy


def test_reading_memory_is_no_progress_of_the_job() -> None:
    run: Any = SimpleNamespace(
        _progress=1.0, tools=SimpleNamespace(executor=SimpleNamespace(watched=9.0))
    )
    RunState.note_progress(run, MemorySampled(worker=0, memory=holding(MB)))
    assert run._progress == 1.0
    RunState.note_progress(run, BatchDecoded(chunk_id=0, samples=1))
    assert run._progress == 9.0


# --- how many workers are started --------------------------------------------------


def threads(child: Child) -> list[int]:
    return [sent.settings.cpu_threads for sent in child.told if isinstance(sent, LoadModel)]


def test_no_more_workers_than_chunks_and_those_have_all_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, workers=4, cpu_threads=2, chunks=1)
    assert [threads(child) for child in stage.children] == [[8]]
    stage.supervisor.start_workers(2)
    stage.supervisor.start_workers(1)
    assert [threads(child) for child in stage.children] == [[8], [4]], "more came to light"


def test_all_workers_where_the_number_of_chunks_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, workers=3, cpu_threads=2)
    assert [threads(child) for child in stage.children] == [[2], [2], [2]]
