"""Whatever cuts a run short, the same command goes on, and nothing is lost or done twice."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e import support
from tests.e2e.conftest import Finished
from tests.e2e.support import (
    FAULTY,
    GLOSSARY,
    Outcome,
    Running,
    attempted_chunks,
    document,
    finished_chunks,
    journal,
    kinds,
    longscribe,
    options,
    outputs,
    runs,
)

pytestmark = pytest.mark.needs_model

STEM = "long"
NAMES = ("--glossary", GLOSSARY)


def arguments(
    media: Path, out: Path, *more: str | Path, recognizer: str = "faster-whisper"
) -> list[str]:
    return [
        "transcribe",
        str(media / f"{STEM}.flac"),
        *options(out, *NAMES, *more, recognizer=recognizer),
    ]


def job_of(out: Path) -> Path:
    return out / f"{STEM}.longscribe"


@pytest.fixture
def done(unbroken: Finished, tmp_path: Path) -> Path:
    """A copy of the unbroken run, to go on with."""
    assert unbroken.outcome.status == 0
    out = tmp_path / "done"
    shutil.copytree(unbroken.out, out)
    return out


def assert_as_unbroken(out: Path, unbroken: Finished) -> None:
    found, expected = outputs(out, STEM), outputs(unbroken.out, STEM)
    assert set(found) == set(expected)
    for extension, content in expected.items():
        assert found[extension] == content, f"{extension} differs from the unbroken run's"


def assert_nothing_done_twice(job: Path) -> None:
    told = journal(job)
    finished: set[int] = set()
    for event in told:
        if event["type"] == "chunk_finished":
            assert event["chunk_id"] not in finished
            finished.add(event["chunk_id"])
        elif event["type"] == "attempt_started":
            assert event["attempt"]["chunk_id"] not in finished, "a finished chunk was begun again"


def test_the_long_excerpt_is_several_chunks(unbroken: Finished) -> None:
    told = journal(job_of(unbroken.out))
    assert finished_chunks(told) == [0, 1, 2]
    assert attempted_chunks(told) == [0, 1, 2]


# --- the whole program dies --------------------------------------------------


def _is_there(job: Path, kind: str, number: int = 1) -> Callable[[], bool]:
    return lambda: kinds(journal(job)).count(kind) >= number


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("run_started", 1),
        ("chunk_planned", 1),
        ("attempt_started", 1),
        ("chunk_finished", 1),
        ("outputs_written", 1),
        ("attempt_started", 2),
        ("media_ended", 1),
        ("chunk_finished", 3),
    ],
)
def test_killed_at_any_moment_it_goes_on(
    kind: str, number: int, media: Path, tmp_path: Path, unbroken: Finished
) -> None:
    command = arguments(media, tmp_path)
    with Running(*command) as running:
        running.wait_for(_is_there(job_of(tmp_path), kind, number))
        running.kill()
    first = journal(job_of(tmp_path))
    for content in outputs(tmp_path, STEM).values():
        assert content.endswith(b"\n"), "half a file"
    again = longscribe(*command)
    assert again.status == 0, again.err
    assert_as_unbroken(tmp_path, unbroken)
    assert_nothing_done_twice(job_of(tmp_path))
    second = journal(job_of(tmp_path))[len(first) :]
    assert sorted(finished_chunks(first) + finished_chunks(second)) == [0, 1, 2]


def test_killed_again_and_again_it_ends(media: Path, tmp_path: Path, unbroken: Finished) -> None:
    command = arguments(media, tmp_path)
    for number in (1, 2):
        with Running(*command) as running:
            running.wait_for(_is_there(job_of(tmp_path), "chunk_finished", number))
            running.kill()
    assert longscribe(*command).status == 0
    assert_as_unbroken(tmp_path, unbroken)
    assert_nothing_done_twice(job_of(tmp_path))


def test_killed_in_the_middle_of_a_chunk_only_that_chunk_is_decoded_again(
    media: Path, tmp_path: Path, unbroken: Finished
) -> None:
    env = {"FAULT": "wait:1", "FAULT_DIR": str(tmp_path)}
    command = arguments(media, tmp_path / "out", recognizer=FAULTY)
    with Running(*command, env=env) as running:
        running.wait_for((tmp_path / "waiting-1").exists)
        # The outputs hold the first chunk and say that more is to come.
        running.wait_for(lambda: b"Annabell" in outputs(tmp_path / "out", STEM).get("srt", b""))
        running.wait_for((tmp_path / "out" / f"{STEM}.json").exists)
        assert document(tmp_path / "out", STEM)["complete"] is False
        status = longscribe("status", job_of(tmp_path / "out"))
        assert status.status == 0
        # How many are planned depends on how far the reader has come.
        assert re.search(r"\b1 of [23] planned chunks done", status.out)
        running.kill()
    again = longscribe(*command)
    assert again.status == 0
    assert_as_unbroken(tmp_path / "out", unbroken)
    told = journal(job_of(tmp_path / "out"))
    assert Counter(attempted_chunks(told)) == {0: 1, 1: 2, 2: 1}
    assert "attempt_failed" not in kinds(told), "being killed with the program is no failure"


def test_interrupted_it_says_how_to_go_on(media: Path, tmp_path: Path, unbroken: Finished) -> None:
    env = {"FAULT": "wait:1", "FAULT_DIR": str(tmp_path)}
    command = arguments(media, tmp_path / "out", recognizer=FAULTY)
    with Running(*command, env=env) as running:
        running.wait_for((tmp_path / "waiting-1").exists)
        stopped = running.interrupt()
    assert stopped.status == 130
    assert "Traceback" not in stopped.err
    assert "run the same command again" in stopped.err
    assert str(job_of(tmp_path / "out")) in stopped.err
    assert support.own_processes(os.environ[support.MARK]) == []
    assert kinds(journal(job_of(tmp_path / "out")))[-1] == "run_interrupted"
    assert "interrupted" in longscribe("status", job_of(tmp_path / "out")).out
    assert longscribe(*command).status == 0
    assert_as_unbroken(tmp_path / "out", unbroken)
    assert_nothing_done_twice(job_of(tmp_path / "out"))


def test_interrupted_early_it_ends_well_too(media: Path, tmp_path: Path) -> None:
    with Running(*arguments(media, tmp_path)) as running:
        running.wait_for(_is_there(job_of(tmp_path), "run_started"))
        stopped = running.interrupt()
    assert stopped.status == 130
    assert "Traceback" not in stopped.err


def test_interrupted_the_other_files_are_left_alone(media: Path, tmp_path: Path) -> None:
    env = {"FAULT": "wait:0", "FAULT_DIR": str(tmp_path)}
    files = [str(media / "tiny.flac"), str(media / "short.flac")]
    given = options(tmp_path / "out", recognizer=FAULTY)
    with Running("transcribe", *files, *given, env=env) as running:
        running.wait_for((tmp_path / "waiting-0").exists)
        stopped = running.interrupt()
    assert stopped.status == 130
    assert not (tmp_path / "out" / "short.longscribe").exists()


# --- a job that is complete --------------------------------------------------


def rerun(media: Path, out: Path, *more: str | Path) -> tuple[Outcome, list[dict[str, Any]]]:
    """Run again with other options added; return how it ended and the events of that run."""
    outcome = longscribe(*arguments(media, out, *more))
    return outcome, runs(journal(job_of(out)))[-1]


def test_a_complete_job_is_not_done_again(media: Path, done: Path, unbroken: Finished) -> None:
    outcome, told = rerun(media, done)
    assert outcome.status == 0
    assert "worker_ready" not in kinds(told)
    assert "media_opened" not in kinds(told), "the media was read again"
    assert attempted_chunks(told) == []
    assert_as_unbroken(done, unbroken)


def test_outputs_that_were_deleted_come_back(media: Path, done: Path, unbroken: Finished) -> None:
    (done / f"{STEM}.srt").unlink()
    (done / f"{STEM}.json").unlink()
    outcome, told = rerun(media, done)
    assert outcome.status == 0
    assert attempted_chunks(told) == []
    assert_as_unbroken(done, unbroken)


def test_another_output_format_redoes_nothing(media: Path, done: Path, unbroken: Finished) -> None:
    (done / f"{STEM}.txt").unlink()
    outcome, told = rerun(media, done, "-f", "txt", "--cpu-threads", "1")
    assert outcome.status == 0
    assert "worker_ready" not in kinds(told)
    assert_as_unbroken(done, unbroken)


def test_another_beam_redoes_everything(media: Path, done: Path) -> None:
    outcome, told = rerun(media, done, "--beam-size", "2")
    assert outcome.status == 0
    assert attempted_chunks(told) == finished_chunks(told) == [0, 1, 2]
    # ... and coming back to the first one redoes nothing.
    outcome, told = rerun(media, done)
    assert outcome.status == 0
    assert attempted_chunks(told) == []


def test_a_changed_glossary_redoes_only_the_chunks_it_touches(media: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text("term,start,end\nAnnabell,0,10\nKonrad,85,100\n")
    command = ["transcribe", media / f"{STEM}.flac", *options(tmp_path, "--glossary", names)]
    assert longscribe(*command).status == 0
    before = document(tmp_path, STEM)
    with names.open("a") as table:
        table.write("# one more, of the beginning\nBrannock,8,18\n")
    assert longscribe(*command).status == 0
    told = runs(journal(job_of(tmp_path)))[-1]
    assert attempted_chunks(told) == [0]
    assert [event["chunk_id"] for event in told if event["type"] == "chunk_reused"] == [1, 2]
    after = document(tmp_path, STEM)
    assert "Brannock" not in before["text"]
    assert "Brannock" in after["text"]
    assert "Brannock" in after["windows"][0]["prompt"]["terms"]


def test_other_media_of_the_same_name_do_not_take_over_the_job(
    media: Path, done: Path, tmp_path: Path, unbroken: Finished
) -> None:
    other = tmp_path / f"{STEM}.flac"
    shutil.copy(media / "tiny.flac", other)
    outcome = longscribe("transcribe", other, *options(done, *NAMES))
    assert outcome.status == 2
    assert str(other) in outcome.error_line()
    assert_as_unbroken(done, unbroken)
    # A copy of the same film is no other one.
    shutil.copy(media / f"{STEM}.flac", other)
    assert longscribe("transcribe", other, *options(done, *NAMES)).status == 0
    assert_as_unbroken(done, unbroken)


# --- a worker dies -----------------------------------------------------------


def test_a_worker_killed_in_mid_chunk_is_replaced(
    media: Path, tmp_path: Path, unbroken: Finished
) -> None:
    env = {"FAULT": "once-wait:1", "FAULT_DIR": str(tmp_path)}
    command = arguments(media, tmp_path / "out", recognizer=FAULTY)
    with Running(*command, env=env) as running:
        running.wait_for((tmp_path / "waiting-1").exists)
        [worker] = [e for e in journal(job_of(tmp_path / "out")) if e["type"] == "worker_ready"]
        psutil.Process(worker["pid"]).send_signal(signal.SIGKILL)
        outcome = running.finish()
    assert outcome.status == 0
    assert_as_unbroken(tmp_path / "out", unbroken)
    told = journal(job_of(tmp_path / "out"))
    [failed] = [event for event in told if event["type"] == "attempt_failed"]
    assert failed["attempt"]["chunk_id"] == 1
    assert failed["failure"]["signal"] == signal.SIGKILL
    assert kinds(told).count("worker_ready") == 2
    assert "SIGKILL" in outcome.err
    status = longscribe("status", job_of(tmp_path / "out"))
    assert status.status == 0
    assert "SIGKILL" in status.out


def test_a_stopped_reader_process_that_is_killed_is_started_again(
    media: Path, tmp_path: Path, unbroken: Finished
) -> None:
    """The reader waits for the decoding of chunk 0; there it is killed."""
    env = {"FAULT": "wait:0", "FAULT_DIR": str(tmp_path)}
    command = arguments(media, tmp_path / "out", recognizer=FAULTY)
    with Running(*command, env=env) as running:
        running.wait_for((tmp_path / "waiting-0").exists)
        mine = support.own_processes(os.environ[support.MARK])
        [reader] = [p for p in mine if "longscribe.worker.reader" in p.cmdline()]
        reader.kill()
        running.wait_for(_is_there(job_of(tmp_path / "out"), "media_problem"))
        (tmp_path / "go").touch()
        outcome = running.finish()
    assert outcome.status == 0, outcome.err
    assert_as_unbroken(tmp_path / "out", unbroken)
    told = journal(job_of(tmp_path / "out"))
    [problem] = [event for event in told if event["type"] == "media_problem"]
    assert "SIGKILL" in problem["message"]


@pytest.mark.parametrize("fault", ["once-crash", "once-exit", "once-raise", "once-memory", "print"])
def test_trouble_that_passes_leaves_no_trace_in_the_outputs(
    fault: str, media: Path, tmp_path: Path, run_once: Any
) -> None:
    plain = run_once("tiny", media / "tiny.flac")
    env = {"FAULT": f"{fault}:0", "FAULT_DIR": str(tmp_path)}
    given = options(tmp_path / "out", recognizer=FAULTY)
    outcome = longscribe("transcribe", media / "tiny.flac", *given, env=env)
    assert outcome.status == 0, outcome.err
    found, expected = outputs(tmp_path / "out", "tiny"), outputs(plain.out, "tiny")
    if fault in {"once-raise", "once-memory"}:
        # The second try has a smaller batch, which may show in the last digits of the JSON.
        del found["json"], expected["json"]
    assert found == expected
    told = journal(tmp_path / "out" / "tiny.longscribe")
    assert kinds(told).count("attempt_failed") == fault.startswith("once")


def test_trouble_while_the_language_is_told_is_survived(media: Path, tmp_path: Path) -> None:
    env = {"FAULT": "once-crash:language", "FAULT_DIR": str(tmp_path)}
    given = options(tmp_path / "out", recognizer=FAULTY)
    outcome = longscribe("transcribe", media / "tiny.flac", *given, env=env)
    assert outcome.status == 0, outcome.err
    assert document(tmp_path / "out", "tiny")["language"] == "en"


def test_a_language_that_can_not_be_told_is_asked_for(media: Path, tmp_path: Path) -> None:
    given = options(tmp_path / "out", recognizer=FAULTY)
    outcome = longscribe("transcribe", media / "tiny.flac", *given, env={"FAULT": "crash:language"})
    assert outcome.status == 1
    assert "Traceback" not in outcome.err
    last = outcome.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "--language" in last


def test_a_worker_that_never_starts_ends_the_job_with_one_line(media: Path, tmp_path: Path) -> None:
    given = options(tmp_path / "out", recognizer=FAULTY)
    outcome = longscribe("transcribe", media / "tiny.flac", *given, env={"FAULT": "load:0"})
    assert outcome.status == 1
    assert "SIGSEGV" in outcome.error_line()


# --- a chunk that can't be decoded -------------------------------------------


def test_a_poison_chunk_becomes_a_declared_gap(
    media: Path, tmp_path: Path, unbroken: Finished
) -> None:
    command = arguments(media, tmp_path, recognizer=FAULTY)
    outcome = longscribe(*command, env={"FAULT": "crash:1"})
    assert outcome.status == 3
    assert "not transcribed" in outcome.err
    assert "Traceback" not in outcome.err
    found = outputs(tmp_path, STEM)
    for extension in ("srt", "vtt", "txt", "tsv"):
        text = found[extension].decode()
        assert text.count("[not transcribed: ") == 1, extension
        assert "Good evening" in text
        assert "last of all" in text
        assert "What did you burn" not in text
    told = document(tmp_path, STEM)
    [gap] = told["gaps"]
    assert gap["chunk_id"] == 1
    assert "SIGSEGV" in gap["reason"]
    assert told["complete"] is True
    assert told["coverage"]["seconds"]["gap"] == pytest.approx(gap["end"] - gap["start"], abs=0.002)
    [entry] = [entry for entry in told["coverage"]["entries"] if entry["kind"] == "gap"]
    assert (entry["start"], entry["end"], entry["reason"]) == (
        gap["start"],
        gap["end"],
        gap["reason"],
    )
    first = journal(job_of(tmp_path))
    tries = attempted_chunks(first).count(1)
    assert tries >= 2
    status = longscribe("status", job_of(tmp_path))
    assert status.status == 0
    assert "not transcribed" in status.out

    # Again, and the fault is still there: it is tried again, and is a gap again.
    again = longscribe(*command, env={"FAULT": "crash:1"})
    assert again.status == 3
    assert outputs(tmp_path, STEM) == found
    second = runs(journal(job_of(tmp_path)))[-1]
    assert attempted_chunks(second) == [1] * tries
    assert longscribe("status", job_of(tmp_path)).status == 0

    # Again, and the fault is gone.
    cured = longscribe(*command)
    assert cured.status == 0
    assert_as_unbroken(tmp_path, unbroken)
    assert attempted_chunks(runs(journal(job_of(tmp_path)))[-1]) == [1]


def test_a_gap_with_kept_audio_is_tried_again(media: Path, tmp_path: Path) -> None:
    """The plan is recalled then, the media not read; nothing announced may be missing."""
    given = options(tmp_path, "--keep-audio", recognizer=FAULTY)
    command = ["transcribe", media / "tiny.flac", *given]
    env = {"FAULT": "raise:0"}
    for _ in range(2):
        outcome = longscribe(*command, env=env)
        assert outcome.status == 3, outcome.err
        assert "Traceback" not in outcome.err
        assert "went astray [in brackets]" in outcome.err
        status = longscribe("status", tmp_path / "tiny.longscribe")
        assert status.status == 0, status.err
        assert "0 of 1 planned chunks done" in status.out
    assert longscribe(*command).status == 0
    assert "1 of 1 planned chunks done" in longscribe("status", tmp_path / "tiny.longscribe").out


def test_status_after_a_failure_and_an_early_kill(media: Path, tmp_path: Path) -> None:
    """The failure is of a chunk that the run cut short had not planned yet."""
    env = {"FAULT": "once-raise:0 wait:0", "FAULT_DIR": str(tmp_path)}
    job = tmp_path / "out" / "tiny.longscribe"
    command = ["transcribe", media / "tiny.flac", *options(tmp_path / "out", recognizer=FAULTY)]
    with Running(*command, env=env) as running:
        running.wait_for((tmp_path / "waiting-0").exists)
        running.kill()
    (job / "audio.s16").unlink()
    with Running(*command, env=env) as running:
        running.wait_for(_is_there(job, "run_started", 2))
        running.kill()
    status = longscribe("status", job)
    assert status.status == 0, status.err
