"""The journal keeps what it is told, refuses what it can't trust, and lets others read."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.adapters.journal.schema import APPLICATION_ID, VERSION
from longscribe.adapters.journal.sqlite import SqliteJournal, translate
from longscribe.errors import JournalError, StorageError
from longscribe.events import (
    AttemptFailed,
    AttemptStarted,
    AudioRead,
    BatchDecoded,
    ChunkFinished,
    ChunkPlanned,
    GapDeclared,
    JobEvent,
    RunFinished,
    RunInterrupted,
    RunStarted,
)
from longscribe.ports import PlannedChunk
from longscribe.reading import open_journal, summarize
from longscribe.types import (
    Attempt,
    Chunk,
    ChunkFailure,
    ChunkResult,
    FailureKind,
    Gap,
    LanguageGuess,
    MediaInfo,
    Prompt,
    Recording,
    Segment,
    Span,
    Window,
    WindowResult,
    Word,
)
from tests.e2e.strategies import any_of

SPAN = Span(start=16_000, end=320_000)
CHUNK = Chunk(chunk_id=1, span=SPAN, windows=(Window(index=0, span=SPAN, owns=SPAN),))
FAILURE = ChunkFailure(
    chunk_id=1, kind=FailureKind.CRASH, message="the worker died (SIGSEGV)", signal=11
)
GAP = Gap(span=SPAN, reason="worker crashed (SIGSEGV)", chunk_id=1)
ATTEMPT = Attempt(chunk_id=1, number=1, rung="as asked")
FINISHED = ChunkFinished(chunk_id=1, span=SPAN, seconds=1.5, peak_memory=2**30)
RESULT = ChunkResult(
    chunk_id=1,
    windows=(
        WindowResult(
            window=CHUNK.windows[0],
            bias_window_id=3,
            prompt=Prompt(
                terms=("Kathryn", "Äöü 東京"), text=" Äöü 東京, Kathryn", token_ids=(1, 2)
            ),
            segments=(
                Segment(
                    start=17_000,
                    end=18_000,
                    text=" Good evening — “Kathryn” 😀",
                    words=(Word(start=17_000, end=17_500, text=" Good", probability=0.1234),),
                    chunk_id=1,
                    window=0,
                    bias_window_id=3,
                    bias_terms=("Kathryn",),
                    average_logprob=-0.1234567890123,
                    no_speech_probability=0.0,
                    compression_ratio=1.1,
                ),
            ),
        ),
    ),
)
RECORDING = Recording(
    fingerprint="ab",
    duration=320_000,
    media=MediaInfo(
        container="flac",
        codec="flac",
        track=0,
        tracks=1,
        sample_rate=48_000,
        channels=2,
        duration=None,
        duration_is_exact=False,
    ),
)
KINDS = typing.get_args(JobEvent)
EVENTS: list[JobEvent] = [
    RunStarted(media="/a", model="m", recognizer="r", settings="{}"),
    ChunkPlanned(chunk=CHUNK),
    AttemptStarted(attempt=ATTEMPT, worker=0),
    AudioRead(position=5),
    AttemptFailed(attempt=ATTEMPT, failure=FAILURE, next_step="again"),
    BatchDecoded(chunk_id=1, samples=5),
    FINISHED,
    GapDeclared(gap=GAP),
    RunInterrupted(),
    RunFinished(gaps=1, duration=1, text=1, silence=0),
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "a folder with 100% # ? & ü" / "job.db"


@pytest.fixture
def journal(database: Path) -> Iterator[SqliteJournal]:
    database.parent.mkdir()
    journal = SqliteJournal(database)
    yield journal
    journal.close()


def reopened(journal: SqliteJournal) -> SqliteJournal:
    journal.close()
    return SqliteJournal(journal._path)


# --- what is stored ----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(kind: type[Any], data: st.DataObject) -> None:
    event = data.draw(any_of(kind))
    with TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "job.db")
        assert journal.record(event) is event
        journal = reopened(journal)
        assert [found for _, found in journal.events()] == ([] if event.transient else [event])
        journal.close()


def test_events_keep_their_order_and_have_a_time(journal: SqliteJournal) -> None:
    told = [event for event in EVENTS if not event.transient] * 3
    for event in told:
        journal.record(event)
    found = list(journal.events())
    assert [event for _, event in found] == told
    times = [at for at, _ in found]
    assert times == sorted(times)
    assert all(at.endswith("+00:00") for at in times)


def test_events_that_only_report_progress_are_not_kept(journal: SqliteJournal) -> None:
    journal.record(AudioRead(position=5))
    journal.record(BatchDecoded(chunk_id=0, samples=5))
    assert list(journal.events()) == []


def test_text_that_is_not_unicode_is_kept(journal: SqliteJournal) -> None:
    """File names on Linux are bytes; Python shows the odd ones as lone surrogates."""
    event = RunStarted(media="/caf\udce9.flac", model="m", recognizer="r", settings="{}")
    journal.record(event)
    assert [found for _, found in journal.events()] == [event]


def test_a_plan_is_there_once_it_is_finished(journal: SqliteJournal) -> None:
    chunks = [dataclasses.replace(CHUNK, chunk_id=number) for number in (0, 1, 2)]
    for chunk in reversed(chunks):
        journal.save_chunk("plan", PlannedChunk(chunk=chunk, audio=f"digest{chunk.chunk_id}"))
    assert journal.stored_plan("plan") is None
    journal.finish_plan("plan", RECORDING)
    stored = reopened(journal).stored_plan("plan")
    assert stored is not None
    assert stored.recording == RECORDING
    assert [planned.chunk for planned in stored.chunks] == chunks
    assert [planned.audio for planned in stored.chunks] == ["digest0", "digest1", "digest2"]
    assert journal._path.exists()


def test_plans_and_languages_are_kept_apart_by_their_keys(journal: SqliteJournal) -> None:
    journal.finish_plan("one", RECORDING)
    journal.save_language("one", LanguageGuess(language="de", probability=0.75))
    assert journal.stored_plan("two") is None
    assert journal.language("two") is None
    assert journal.language("one") == LanguageGuess(language="de", probability=0.75)


def test_a_result_comes_back_to_the_last_bit(journal: SqliteJournal) -> None:
    assert not journal.has_result("key")
    assert journal.result("key") is None
    assert journal.save_result("key", RESULT, FINISHED) == FINISHED
    again = reopened(journal)
    assert again.has_result("key")
    assert again.result("key") == RESULT
    assert [event for _, event in again.events()] == [FINISHED]
    assert not again.has_result("other")


def test_attempts_and_failures_are_counted_by_key(journal: SqliteJournal) -> None:
    assert journal.attempts("key") == 0
    started = AttemptStarted(attempt=ATTEMPT, worker=0)
    assert journal.start_attempt("key", started) == started
    assert journal.attempts("key") == 1
    assert journal.failures("key") == ()
    failed = AttemptFailed(attempt=ATTEMPT, failure=FAILURE, next_step="again")
    journal.save_failure("key", 1, FAILURE, failed)
    second = dataclasses.replace(ATTEMPT, number=2)
    journal.start_attempt("key", AttemptStarted(attempt=second, worker=0))
    again = reopened(journal)
    assert again.attempts("key") == 2
    assert again.failures("key") == (FAILURE,)
    assert (again.attempts("other"), again.failures("other")) == (0, ())


def test_a_gap_stays_until_a_finished_run_is_begun_anew(journal: SqliteJournal) -> None:
    started = RunStarted(media="/a", model="m", recognizer="r", settings="{}")
    journal.record(started)
    journal.start_attempt("key", AttemptStarted(attempt=ATTEMPT, worker=0))
    failed = AttemptFailed(attempt=ATTEMPT, failure=FAILURE, next_step="give up")
    journal.save_failure("key", 1, FAILURE, failed)
    journal.save_gap("key", GAP, GapDeclared(gap=GAP))
    journal.save_result("other", RESULT, FINISHED)

    journal.reopen_gaps()  # the run had not finished: what it gave up stays given up
    assert journal.gap("key") == GAP
    assert journal.failures("key") == (FAILURE,)

    journal.record(RunInterrupted())
    journal.reopen_gaps()
    assert journal.gap("key") == GAP

    journal.record(started)
    journal.record(RunFinished(gaps=1, duration=1, text=1, silence=0))
    journal.reopen_gaps()
    assert journal.gap("key") is None
    assert (journal.attempts("key"), journal.failures("key")) == (0, ())
    assert journal.result("other") == RESULT


def test_what_was_not_committed_is_not_there(journal: SqliteJournal) -> None:
    with pytest.raises(RuntimeError), journal._transaction() as db:
        db.execute("INSERT INTO result VALUES ('key', '{}')")
        raise RuntimeError
    assert not journal.has_result("key")
    journal.save_result("key", RESULT, FINISHED)  # and the next one works


KILLED = """
import os, signal, sys
from pathlib import Path
from longscribe.adapters.journal.sqlite import SqliteJournal
from longscribe.events import AudioRead, RunInterrupted
journal = SqliteJournal(Path(sys.argv[1]))
for _ in range(50):
    journal.record(RunInterrupted())
journal._db.execute("BEGIN IMMEDIATE")
journal._db.execute("INSERT INTO event (at, type, body) VALUES ('', 'x', 'half a thing')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    database = tmp_path / "job.db"
    subprocess.run([sys.executable, "-c", KILLED, str(database)], check=False)
    journal = SqliteJournal(database)
    assert [event for _, event in journal.events()] == [RunInterrupted()] * 50
    journal.close()


# --- what is refused ---------------------------------------------------------


def assert_refused_and_untouched(database: Path, *says: str) -> None:
    before = {path.name: path.read_bytes() for path in database.parent.iterdir()}
    with pytest.raises(JournalError) as caught:
        SqliteJournal(database)
    for words in (str(database), *says):
        assert words in str(caught.value)
    assert {path.name: path.read_bytes() for path in database.parent.iterdir()} == before


def fresh(database: Path) -> Path:
    """Write a journal with something in it, closed properly."""
    database.parent.mkdir(exist_ok=True)
    journal = SqliteJournal(database)
    for _ in range(200):
        journal.save_result("key", RESULT, FINISHED)
    journal.close()
    return database


def altered(database: Path, *statements: str) -> Path:
    db = sqlite3.connect(database)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()
    return database


@pytest.mark.parametrize("version", [VERSION + 1, 0])
def test_another_version_is_refused(version: int, database: Path) -> None:
    altered(fresh(database), f"UPDATE schema_ledger SET version = {version}")
    assert_refused_and_untouched(database, f"version {version}", f"has {VERSION}")


def test_a_version_without_number_is_refused(database: Path) -> None:
    altered(fresh(database), "DELETE FROM schema_ledger")
    assert_refused_and_untouched(database)


def test_another_programs_database_is_refused(database: Path) -> None:
    database.parent.mkdir()
    altered(database, "CREATE TABLE diary (day TEXT)", "INSERT INTO diary VALUES ('Monday')")
    assert_refused_and_untouched(database, "is not a Longscribe journal")


def test_a_database_with_our_mark_but_not_our_tables_is_refused(database: Path) -> None:
    database.parent.mkdir()
    altered(database, "CREATE TABLE diary (day TEXT)", f"PRAGMA application_id={APPLICATION_ID}")
    assert_refused_and_untouched(database)


@pytest.mark.parametrize("content", [b"x", b"my diary\n" * 1000, bytes(8192)])
def test_what_is_no_database_is_refused(content: bytes, database: Path) -> None:
    database.parent.mkdir()
    database.write_bytes(content)
    assert_refused_and_untouched(database)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_damaged_journal_is_refused(share: float, database: Path) -> None:
    content = bytearray(fresh(database).read_bytes())
    page = int(len(content) * share) // 4096 * 4096
    content[page : page + 4096] = b"\xa5" * 4096
    database.write_bytes(content)
    assert_refused_and_untouched(database)


def test_a_journal_that_was_cut_short_is_refused(database: Path) -> None:
    content = fresh(database).read_bytes()
    database.write_bytes(content[: len(content) // 2])
    assert_refused_and_untouched(database)


def test_an_empty_file_becomes_a_journal(database: Path) -> None:
    """A run was killed before its first commit."""
    database.parent.mkdir()
    database.touch()
    journal = SqliteJournal(database)
    journal.record(RunInterrupted())
    journal.close()


def test_a_folder_in_its_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "job.db").mkdir()
    with pytest.raises(StorageError, match="can't be used"):
        SqliteJournal(tmp_path / "job.db")


def error(name: str) -> sqlite3.Error:
    made = sqlite3.OperationalError(name)
    made.sqlite_errorname = name
    return made


@pytest.mark.parametrize(
    ("name", "expected", "says"),
    [
        ("SQLITE_FULL", StorageError, "disk is full"),
        ("SQLITE_IOERR_WRITE", StorageError, "disk fails"),
        ("SQLITE_CORRUPT_INDEX", JournalError, "damaged"),
        ("SQLITE_NOTADB", JournalError, "damaged"),
        ("SQLITE_READONLY", StorageError, "can't be used"),
        ("SQLITE_BUSY", StorageError, "can't be used"),
    ],
)
def test_errors_of_the_database_are_ours(name: str, expected: Any, says: str) -> None:
    made = translate(error(name), Path("/job/job.db"))
    assert type(made) is expected
    assert says in str(made)
    assert "/job/job.db" in str(made)


# --- reading while it is written ---------------------------------------------


def test_others_can_read_while_it_is_written(journal: SqliteJournal) -> None:
    journal.record(RunStarted(media="/a", model="m", recognizer="r", settings="{}"))
    with open_journal(journal._path.parent) as reader:
        assert len(list(reader.events())) == 1
        half = reader.events()
        next(half)
        journal.record(ChunkPlanned(chunk=CHUNK))  # a reader in mid-sentence blocks nobody
        journal.save_result("key", RESULT, FINISHED)
        list(half)
        assert len(list(reader.events())) == 3
        dump = reader.dump()
    assert dump["schema_version"] == VERSION
    assert [event["type"] for event in dump["events"]] == [
        "run_started", "chunk_planned", "chunk_finished",
    ]  # fmt: skip
    assert dump["results"][0]["key"] == "key"
    journal.record(RunInterrupted())


def test_a_reader_sees_what_a_killed_run_left(journal: SqliteJournal, tmp_path: Path) -> None:
    """The write-ahead log is still there, and nobody has folded it in."""
    journal.record(RunStarted(media="/a", model="m", recognizer="r", settings="{}"))
    copy = tmp_path / "copy"
    shutil.copytree(journal._path.parent, copy)
    assert (copy / "job.db-wal").stat().st_size > 0
    with open_journal(copy) as reader:
        assert len(list(reader.events())) == 1


@settings(max_examples=200, deadline=None)
@given(events=st.lists(st.one_of([any_of(kind) for kind in KINDS]), max_size=8))
def test_a_summary_can_be_made_of_whatever_a_journal_holds(events: list[JobEvent]) -> None:
    summarize(("", event) for event in events)
