"""Journals of later versions, on disks that can't be written, with names that are no Unicode."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from longscribe import Options, bias_report, events
from longscribe.adapters.executors.logs import next_log
from longscribe.adapters.journal import database, seals
from longscribe.adapters.journal.folder import JobFolder
from longscribe.adapters.journal.sqlite import SqliteJournal
from longscribe.cli.inspecting import print_inspection, print_status
from longscribe.errors import JobError, JournalError, LongscribeError, OutputError, UsageError
from longscribe.job_events import MediaEnded, Notice, RunStarted, UnknownEvent
from longscribe.reading import open_journal, summarize


def start(media: str = "/talks/film.mkv") -> RunStarted:
    options = Options.build(recognizer="faster-whisper", model="tiny")
    settings = json.dumps(options.model_dump(mode="json"))
    return RunStarted(media=media, model="tiny", recognizer="faster-whisper", settings=settings)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "film.longscribe"
    folder.mkdir()
    with closing(SqliteJournal(folder / "job.db", on_network=False)) as journal:
        journal.record(start())
    return folder


def add_row(job: Path, kind: str, body: str) -> None:
    """Write as a later version would: sealed, as ours is."""
    db = database.connect(job / "job.db")
    seals.keep_seals(db)
    db.execute("INSERT INTO event (at, type, body) VALUES ('2031', ?, ?)", (kind, body))
    db.close()


def look(job: Path) -> None:
    print_status(job)
    print_inspection(job, as_json=False)
    print_inspection(job, as_json=True)
    bias_report(job)


# --- of later versions --------------------------------------------------------------


def test_an_event_of_a_later_version_is_passed_over(
    job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_row(job, "voices_told_apart", '{"type": "voices_told_apart", "voices": 3}')
    look(job)
    assert 'voices_told_apart {"type": "voices_told_apart", "voices": 3}' in capsys.readouterr().out
    with closing(SqliteJournal(job / "job.db", on_network=False)) as journal:
        *_, (_, last) = journal.events()
        assert isinstance(last, UnknownEvent)
        journal.record(Notice(message="goes on"))


def test_a_known_event_with_something_more_is_read(job: Path) -> None:
    add_row(job, "media_ended", '{"type": "media_ended", "duration": 5, "more": true}')
    assert summarize(job).duration == 5


@pytest.mark.parametrize(
    "body", ['{"type": "media_ended"}', '{"type": "media_ended", "duration": "x"}', "[]", "{", ""]
)
def test_a_known_event_that_can_not_be_read_is_one_line(body: str, job: Path) -> None:
    add_row(job, "media_ended", body)
    for looking in (print_status, lambda job: print_inspection(job, as_json=False), bias_report):
        with pytest.raises(JournalError, match="can't read") as caught:
            looking(job)  # type: ignore[operator]
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "values", "read"),
    [
        ("result", "('k', '{\"windows\": 4}')", lambda journal: journal.result("k")),
        ("language", "('k', '[]')", lambda journal: journal.language("k")),
        ("gap", "('k', 'no json')", lambda journal: journal.gap("k")),
        ("recording", "('k', '{}')", lambda journal: journal.stored_plan("k")),
        ("recording", "('k', '{}')", lambda journal: journal.fingerprints()),
    ],
)
def test_a_record_of_a_later_form_is_one_line(
    table: str, values: str, read: Callable[[SqliteJournal], object], job: Path
) -> None:
    db = database.connect(job / "job.db")
    seals.keep_seals(db)
    db.execute(f"INSERT INTO {table} VALUES {values}")
    db.close()
    with (
        closing(SqliteJournal(job / "job.db", on_network=False)) as journal,
        pytest.raises(JournalError, match="Finish the job with the version that wrote it"),
    ):
        read(journal)


# --- where nothing can be written ----------------------------------------------------


def as_nobody(act: Callable[[], None]) -> None:
    """Do it without root's powers, in a child; fail if it fails."""
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            act()
        except BaseException as error:  # noqa: BLE001 - told to the parent by the status
            os.write(2, f"{type(error).__name__}: {error}".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.fixture
def open_ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that others may enter."""
    folder = tmp_path_factory.mktemp("open")
    for each in (folder, *folder.parents):
        if each != Path("/tmp") and each.is_relative_to("/tmp"):
            each.chmod(0o755)
    return folder


@pytest.mark.parametrize("left", ["", "-wal"])
def test_a_job_on_a_disk_that_can_not_be_written_is_told_of(
    left: str, job: Path, open_ground: Path
) -> None:
    """Also what was not yet written back when its run was killed."""
    if not str(open_ground).startswith("/tmp"):
        pytest.skip("the temporary folder lies where others may not enter")
    there = open_ground / "film.longscribe"
    if left:
        open_db = database.connect(job / "job.db")
        seals.keep_seals(open_db)
        open_db.execute("PRAGMA wal_autocheckpoint=0")
        open_db.execute(
            "INSERT INTO event (at, type, body) VALUES ('2031', 'media_ended', ?)",
            ('{"type": "media_ended", "duration": 77}',),
        )
        shutil.copytree(job, there)  # as a kill leaves it: the change is in the log alone
        open_db.close()
        (there / "job.db-shm").unlink()
        assert (there / "job.db-wal").stat().st_size
    else:
        shutil.copytree(job, there)
    for path in there.iterdir():
        path.chmod(0o444)
    there.chmod(0o555)

    def act() -> None:
        os.environ["TMPDIR"] = "/tmp"
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        look(there)
        assert summarize(there).duration == (77 if left else None)
        assert not os.access(there, os.W_OK)
        assert not (there / "job.db-shm").exists()

    as_nobody(act)


def test_a_job_that_runs_can_be_looked_at(job: Path) -> None:
    with closing(SqliteJournal(job / "job.db", on_network=False)) as journal:
        journal.record(MediaEnded(duration=5))
        assert summarize(job).duration == 5


# --- names -----------------------------------------------------------------------------


def test_a_name_that_is_no_unicode_is_shown_escaped(
    job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(SqliteJournal(job / "job.db", on_network=False)) as journal:
        journal.record(start("/caf\udce9/größe.mkv"))
    print_inspection(job, as_json=False)
    assert '"/caf\\udce9/größe.mkv"' in capsys.readouterr().out


@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "n" * 244])
def test_a_folder_of_an_impossible_name_is_no_job(name: str, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no job in"), open_journal(tmp_path / name):
        pass


@pytest.mark.parametrize(
    ("media", "error"),
    [("a\0b.flac", UsageError), ("n" * 300 + ".flac", LongscribeError), ("é" * 127, UsageError)],
)
def test_media_of_an_impossible_name_is_one_line(
    media: str, error: type[LongscribeError], tmp_path: Path
) -> None:
    options = Options.build(recognizer="faster-whisper", output_dir=tmp_path, model="tiny")
    with pytest.raises(error) as caught:
        next(events(tmp_path / media, options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["glossary", "output_dir", "job_dir", "learn_glossary"])
def test_a_nul_in_an_option_is_refused(option: str, tmp_path: Path) -> None:
    options = Options.build(recognizer="faster-whisper", model="tiny", **{option: "names\0.csv"})
    with pytest.raises(UsageError, match="null character"):
        events(tmp_path / "film.flac", options)


def test_a_job_folder_whose_name_is_too_long_is_one_line(tmp_path: Path) -> None:
    folder = JobFolder(path=tmp_path / f"{'n' * 250}.longscribe")
    with pytest.raises(OutputError, match="the name is too long"), folder.locked():
        pass


# --- logs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stray", ["worker-crash.log", "worker-.log", "worker-x-y.log", "worker-٣.log", "worker--1.log"]
)
def test_a_stray_log_is_left_alone(stray: str, tmp_path: Path) -> None:
    (tmp_path / stray).write_text("mine")
    (tmp_path / "worker-4.log").touch()
    (tmp_path / "worker-6.log").mkdir()
    assert next_log(tmp_path, "worker").name == "worker-7.log"
    assert next_log(tmp_path, "reader").name == "reader-1.log"
    assert (tmp_path / stray).read_text() == "mine"
    with JobFolder(path=tmp_path).locked():
        pass


def test_a_failing_disk_is_no_read_only_one(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_READ"  # type: ignore[misc]
        raise error

    monkeypatch.setattr(database, "connect", failing)
    with pytest.raises(LongscribeError, match="disk fails"):
        summarize(job)
    assert errno.EIO  # the kind of trouble that a copy would not cure
