"""Workers that hold too much: tidied up, given less, replaced, ended; and the job completes."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.support import (
    RATE,
    SAMPLE,
    Outcome,
    attempted_chunks,
    document,
    finished_chunks,
    journal,
    longscribe,
    options,
    outputs,
    sample_audio,
    write_flac,
)

pytestmark = pytest.mark.needs_model

HUNGRY = "tests.e2e.hungry:load"
MEGABYTE = 10**6


@dataclass(frozen=True, kw_only=True)
class Done:
    """A finished command and what it left."""

    job: Path
    outcome: Outcome
    events: list[dict[str, Any]]
    files: dict[str, bytes]
    document: Any

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def remedies(self) -> list[str]:
        return [event["remedy"] for event in self.of("memory_relieved")]


def transcribe(media: Path, out: Path, *more: str | Path, hunger: str | None = None) -> Done:
    given = options(out, "--language", "en", "--retry-delay", "0", *more,
                    recognizer=HUNGRY if hunger else "faster-whisper")  # fmt: skip
    env = {"HUNGER": hunger, "HUNGER_DIR": str(out.parent)} if hunger else None
    outcome = longscribe("transcribe", media, *given, env=env)
    assert outcome.status == 0, outcome.err
    job = out / f"{media.stem}.longscribe"
    return Done(
        job=job,
        outcome=outcome,
        events=journal(job),
        files=outputs(out, media.stem),
        document=document(out, media.stem),
    )


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flac(tmp_path_factory.mktemp("talk") / "talk.flac", sample_audio()[: 200 * RATE])


@pytest.fixture(scope="module")
def calm(talk: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The same job, with a worker that holds no more than it needs."""
    return transcribe(talk, tmp_path_factory.mktemp("calm") / "out", "--batch-size", "2")


def texts(done: Done) -> list[str]:
    return [segment["text"] for segment in done.document["segments"]]


@pytest.fixture(scope="module")
def leaky(talk: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """50 MB a batch, and two batches a chunk."""
    return transcribe(
        talk, tmp_path_factory.mktemp("leaky") / "out", "-v", "--batch-size", "2",
        "--recycle-after", "30MB", hunger="leak:50",
    )  # fmt: skip


def test_a_worker_that_leaks_is_replaced_in_time_and_nothing_is_lost(
    calm: Done, leaky: Done
) -> None:
    kinds = [event["type"] for event in leaky.events]
    worn = [at for at, event in enumerate(leaky.events) if event.get("remedy") == "new worker"]
    followed = [at for at in worn if "attempt_started" in kinds[at:]]
    assert followed, "it was noticed while there was still work to do"
    assert len({event["pid"] for event in leaky.of("worker_ready")}) == 1 + len(followed)
    assert leaky.of("attempt_failed") == [], "no attempt is lost by it"
    assert finished_chunks(leaky.events) == attempted_chunks(leaky.events)
    assert len(finished_chunks(leaky.events)) == len(set(finished_chunks(leaky.events)))
    assert leaky.files == calm.files
    for at in worn:
        reading = leaky.events[at]["memory"]
        assert reading["private"] < 10**9, "long before it is much"


def test_status_and_the_log_tell_of_memory(leaky: Done) -> None:
    told = leaky.outcome.out + leaky.outcome.err
    assert "new worker, because it holds" in told
    assert ", holds " in told
    status = longscribe("status", leaky.job)
    said = " ".join(status.out.split())
    assert "memory: new worker" in said
    assert "worker 0 on cpu: holds" in said


def test_a_job_under_a_limit_of_a_gigabyte_completes(tmp_path: Path) -> None:
    done = transcribe(SAMPLE, tmp_path / "out", "--memory-limit", "1GB")
    assert done.remedies() == []
    assert done.of("attempt_failed") == []
    finished = done.of("chunk_finished")
    assert finished
    assert all(0 < event["most_memory"] < 10**9 for event in finished)
    assert all(event["memory"]["private"] <= event["most_memory"] for event in finished)
    [ready] = done.of("worker_ready")
    assert 0 < ready["memory"]["private"] < 10**9


def test_a_leak_within_a_chunk_is_ended_at_the_limit_and_the_ladder_goes_on(
    talk: Path, calm: Done, tmp_path: Path
) -> None:
    """The first worker leaks 400 MB a batch: before the system has to, we end it."""
    done = transcribe(
        talk, tmp_path / "out", "--batch-size", "2", "--memory-limit", "700MB",
        hunger="leak:400:once",
    )  # fmt: skip
    [failed] = done.of("attempt_failed")
    assert failed["failure"]["kind"] == "oom"
    assert "may hold 700 MB" in failed["failure"]["message"]
    assert "fewer windows" in failed["next_step"]
    assert "clean up" in done.remedies()
    assert texts(done) == texts(calm)
    assert done.document["gaps"] == []


def test_batches_get_smaller_when_the_work_needs_too_much(
    talk: Path, calm: Done, tmp_path: Path
) -> None:
    """Two windows at once take it near its limit: from the next chunk on it is one."""
    done = transcribe(
        talk, tmp_path / "out", "--batch-size", "2", "--memory-limit", "820MB", hunger="batch:250"
    )
    assert "smaller batch" in done.remedies()
    [event] = [event for event in done.of("memory_relieved") if event["batch_size"]]
    assert event["batch_size"] == 1
    assert done.of("attempt_failed") == []
    assert done.files == calm.files, "what is decoded together changes nothing"


def test_a_model_beyond_the_limit_is_one_clear_line(talk: Path, tmp_path: Path) -> None:
    given = options(tmp_path / "out", "--language", "en", "--memory-limit", "300MB")
    outcome = longscribe(
        "transcribe", talk, *given, "--recognizer", HUNGRY, env={"HUNGER": "model:400"}
    )
    assert outcome.status == 1
    line = outcome.error_line()
    assert "may hold 300 MB" in line
    assert "Raise --memory-limit" in line


@pytest.mark.parametrize(
    ("option", "value"), [("--memory-limit", "much"), ("--recycle-after", "-5GB")]
)
def test_a_bad_amount_is_one_clear_line(
    talk: Path, tmp_path: Path, option: str, value: str
) -> None:
    outcome = longscribe("transcribe", talk, *options(tmp_path / "out"), f"{option}={value}")
    assert outcome.status == 2
    assert option in outcome.error_line()
    assert value in outcome.error_line()


def test_on_apples_gpu_eight_windows_are_the_most_and_that_is_said(tmp_path: Path) -> None:
    """With a recognizer that claims to be there: what is told to it, and to the user."""
    talk = write_flac(tmp_path / "talk.flac", np.tile(sample_audio(), 3))
    given = ["--model", "none", "--language", "en", "--recognizer", "tests.faults.recognizers:load"]
    outcome = longscribe(
        "transcribe", talk, *given, "-o", tmp_path, "--device", "mps", "--batch-size", "16"
    )
    assert outcome.status == 0, outcome.err
    said = " ".join((outcome.out + outcome.err).split())
    assert "On Apple's GPU 8 windows are decoded together at most" in said
    events = journal(tmp_path / "talk.longscribe")
    [notice] = [event["message"] for event in events if event["type"] == "notice"]
    assert "not the 16 asked for" in notice
    with sqlite3.connect(tmp_path / "talk.longscribe" / "job.db") as db:
        tasks = [json.loads(task) for (task,) in db.execute("SELECT task FROM attempt")]
    db.close()
    assert max(len(task["chunk"]["windows"]) for task in tasks) > 8
    assert max(task["settings"]["batch_size"] for task in tasks) == 8
