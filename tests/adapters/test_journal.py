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

from longscribe.adapters.journal.database import translate
from longscribe.adapters.journal.schema import APPLICATION_ID, VERSION
from longscribe.adapters.journal.sqlite import SqliteJournal
from longscribe.errors import JournalError, StorageError
from longscribe.job_events import (
    AttemptFailed,
    AttemptStarted,
    AudioRead,
    BatchDecoded,
    ChunkFinished,
    ChunkPlanned,
    GapDeclared,
    JobEvent,
    MediaIdentified,
    OutputsWritten,
    RunFinished,
    RunInterrupted,
    RunStarted,
)
from longscribe.ports import DecodeTask, PlannedChunk, StoredPlan
from longscribe.reading import JobSummary, open_journal
from longscribe.types import (
    Attempt,
    Chunk,
    ChunkFailure,
    ChunkResult,
    Gap,
    LanguageGuess,
    Recording,
    Segment,
    WindowResult,
)
from tests.e2e.strategies import any_of, sample

CHUNK = sample(Chunk, chunk_id=1)
FAILURE = sample(ChunkFailure, chunk_id=1)
GAP = sample(Gap, chunk_id=1)
ATTEMPT = sample(Attempt, chunk_id=1, number=1)
FINISHED = sample(ChunkFinished, chunk_id=1)
SEGMENT = sample(Segment, text=" Good evening — “Kathryn” 😀", average_logprob=-0.1234567890123)
RESULT = sample(
    ChunkResult, chunk_id=1, windows=(sample(WindowResult, segments=(SEGMENT, SEGMENT)),) * 2
)
RECORDING = sample(Recording)
STARTED = sample(RunStarted)
TASK = sample(DecodeTask)
FINISHED_RUN = sample(RunFinished)
KINDS = typing.get_args(JobEvent)
EVENTS: list[JobEvent] = [sample(kind) for kind in KINDS]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "a folder with 100% # ? & ü" / "job.db"


def opened(database: Path, *, on_network: bool = False) -> SqliteJournal:
    return SqliteJournal(database, on_network=on_network)


@pytest.fixture(params=[False, True], ids=["local", "network"])
def journal(database: Path, request: pytest.FixtureRequest) -> Iterator[SqliteJournal]:
    database.parent.mkdir()
    journal = opened(database, on_network=request.param)
    yield journal
    journal.close()


def reopened(journal: SqliteJournal) -> SqliteJournal:
    journal.close()
    return opened(journal._path)


# --- what is stored ----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(kind: type[Any], data: st.DataObject) -> None:
    event = data.draw(any_of(kind))
    with TemporaryDirectory() as folder:
        journal = opened(Path(folder) / "job.db")
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
    event = sample(RunStarted, media="/caf\udce9.flac")
    journal.record(event)
    assert [found for _, found in journal.events()] == [event]


def plan_of(chunks: int) -> StoredPlan:
    planned = (
        PlannedChunk(chunk=dataclasses.replace(CHUNK, chunk_id=number), audio=f"digest{number}")
        for number in range(chunks)
    )
    return StoredPlan(recording=RECORDING, chunks=tuple(planned))


def test_a_plan_is_there_once_it_is_finished(journal: SqliteJournal) -> None:
    plan = plan_of(3)
    assert journal.stored_plan("plan") is None
    journal.save_plan("plan", plan)
    assert reopened(journal).stored_plan("plan") == plan


def test_a_later_reading_takes_the_place_of_an_earlier_one(journal: SqliteJournal) -> None:
    """No chunk of the earlier one is left behind the later one's."""
    journal.save_plan("plan", plan_of(3))
    journal.save_plan("other", plan_of(4))
    journal.save_plan("plan", plan_of(2))
    assert journal.stored_plan("plan") == plan_of(2)
    assert journal.stored_plan("other") == plan_of(4)


def test_it_knows_which_media_were_read(journal: SqliteJournal) -> None:
    assert journal.fingerprints() == frozenset()
    assert not journal.knows_languages()
    journal.save_plan("plan", plan_of(1))
    assert journal.fingerprints() == {RECORDING.fingerprint}
    journal.save_language("one", LanguageGuess(language="de", probability=0.75))
    assert journal.knows_languages()


def test_plans_and_languages_are_kept_apart_by_their_keys(journal: SqliteJournal) -> None:
    journal.save_plan("one", plan_of(1))
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
    started = sample(AttemptStarted, attempt=ATTEMPT)
    assert journal.start_attempt("key", TASK, started) == started
    assert journal.attempts("key") == 1
    assert journal.failures("key") == ()
    failed = sample(AttemptFailed, attempt=ATTEMPT, failure=FAILURE)
    journal.save_failure("key", 1, FAILURE, failed)
    second = dataclasses.replace(ATTEMPT, number=2)
    journal.start_attempt("key", TASK, sample(AttemptStarted, attempt=second))
    again = reopened(journal)
    assert again.attempts("key") == 2
    assert again.failures("key") == (FAILURE,)
    assert (again.attempts("other"), again.failures("other")) == (0, ())


def test_a_gap_stays_until_a_finished_run_is_begun_anew(journal: SqliteJournal) -> None:
    journal.record(STARTED)
    journal.start_attempt("key", TASK, sample(AttemptStarted, attempt=ATTEMPT))
    failed = sample(AttemptFailed, attempt=ATTEMPT, failure=FAILURE)
    journal.save_failure("key", 1, FAILURE, failed)
    journal.save_gap("key", GAP, sample(GapDeclared, gap=GAP))
    journal.save_result("other", RESULT, FINISHED)

    journal.reopen_gaps()  # the run had not finished: what it gave up stays given up
    assert journal.gap("key") == GAP
    assert journal.failures("key") == (FAILURE,)

    journal.record(RunInterrupted())
    journal.reopen_gaps()
    assert journal.gap("key") == GAP

    journal.record(STARTED)
    journal.record(FINISHED_RUN)
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
from longscribe.job_events import AudioRead, RunInterrupted
journal = SqliteJournal(Path(sys.argv[1]), on_network=False)
for _ in range(50):
    journal.record(RunInterrupted())
journal._db.execute("BEGIN IMMEDIATE")
journal._db.execute("INSERT INTO event (at, type, body) VALUES ('', 'x', 'half a thing')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    database = tmp_path / "job.db"
    subprocess.run([sys.executable, "-c", KILLED, str(database)], check=False)
    journal = opened(database)
    assert [event for _, event in journal.events()] == [RunInterrupted()] * 50
    journal.close()


# --- what is refused ---------------------------------------------------------


def assert_refused_and_untouched(database: Path, *says: str) -> None:
    before = {path.name: path.read_bytes() for path in database.parent.iterdir()}
    with pytest.raises(JournalError) as caught:
        opened(database)
    for words in (str(database), *says):
        assert words in str(caught.value)
    assert {path.name: path.read_bytes() for path in database.parent.iterdir()} == before


def fresh(database: Path) -> Path:
    """Write a journal with something in it, closed properly."""
    database.parent.mkdir(exist_ok=True)
    journal = opened(database)
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
    added = f"INSERT INTO schema_ledger VALUES ({version}, '')"
    altered(fresh(database), "DELETE FROM schema_ledger", added)
    assert_refused_and_untouched(database, f"version {version}", f"has {VERSION}")


def of_version_1(database: Path) -> Path:
    """Write a journal as the first version of the schema had it."""
    left = ("DELETE FROM schema_ledger WHERE version > 1", "DROP TABLE written")
    return altered(fresh(database), *left, "DROP TABLE delivered")


def test_a_journal_of_the_first_version_goes_on(database: Path) -> None:
    of_version_1(database)
    journal = opened(database)
    assert journal.result("key") == RESULT
    assert not journal.wrote("a")
    journal.will_write({"a"})
    journal = reopened(journal)
    assert journal.wrote("a")
    journal.close()
    db = sqlite3.connect(database)
    assert [v for (v,) in db.execute("SELECT version FROM schema_ledger ORDER BY 1")] == [1, 2]
    db.close()


def test_a_journal_of_the_first_version_can_be_read_as_it_is(database: Path) -> None:
    before = of_version_1(database).read_bytes()
    with open_journal(database.parent) as reader:
        assert reader.dump()["schema_version"] == 1
        assert "written" not in reader.dump()
    assert database.read_bytes() == before


def test_a_damaged_journal_of_the_first_version_is_refused(database: Path) -> None:
    altered(of_version_1(database), "DELETE FROM result")
    assert_refused_and_untouched(database, "seals")


def test_it_knows_what_was_written_and_where(journal: SqliteJournal) -> None:
    journal.will_write({"a", "b"})
    journal.will_write({"b", "c"})
    event = OutputsWritten(files=("film.srt",), complete=False)
    assert journal.save_outputs(event, {"./srt": "a", "./vtt": "b"}) == event
    journal.save_outputs(event, {"./srt": "c"})
    journal = reopened(journal)
    assert [journal.wrote(digest) for digest in "abcd"] == [True, True, True, False]
    assert journal.delivered("./srt") == "c"
    assert journal.delivered("./vtt") == "b"
    assert journal.delivered("../srt") is None
    assert [found for _, found in journal.events()] == [event, event]


def test_it_knows_its_films(journal: SqliteJournal) -> None:
    assert journal.films() == (None, frozenset())
    journal.record(sample(RunStarted, media="/a.mp4"))
    journal.record(MediaIdentified(fingerprint="one"))
    later = sample(RunStarted, media="/b.mp4")
    journal.record(later)
    journal.record(MediaIdentified(fingerprint="two"))
    recording = sample(Recording, fingerprint="three")
    journal.save_plan("plan", StoredPlan(recording=recording, chunks=()))
    assert journal.films() == (later, frozenset({"one", "two", "three"}))


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


@pytest.mark.parametrize("content", [b"my diary\n" * 1000, b"\x01" * 8192])
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
    journal = opened(database)
    journal.record(RunInterrupted())
    journal.close()


def test_a_folder_in_its_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "job.db").mkdir()
    with pytest.raises(StorageError, match="can't be used"):
        opened(tmp_path / "job.db")


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
    journal.record(STARTED)
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
    """Without a WAL on a network; with one, it is still there and nobody has folded it in."""
    journal.record(STARTED)
    copy = tmp_path / "copy"
    shutil.copytree(journal._path.parent, copy)
    with open_journal(copy) as reader:
        assert len(list(reader.events())) == 1


@settings(max_examples=200, deadline=None)
@given(events=st.lists(st.one_of([any_of(kind) for kind in KINDS]), max_size=8))
def test_a_summary_can_be_made_of_whatever_a_journal_holds(events: list[JobEvent]) -> None:
    summary = JobSummary()
    for event in events:
        summary.add(event)
    assert summary.settled >= 0
    assert summary.done >= 0
