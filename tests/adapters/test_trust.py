"""A stranger's job folder: nothing in it is imported, read or followed that was not named here."""

from __future__ import annotations

import json
import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from longscribe import Options, bias_report, resume
from longscribe.adapters.journal.folder import JobFolder
from longscribe.adapters.journal.sqlite import SqliteJournal
from longscribe.adapters.marks import is_marked, marked
from longscribe.cli.inspecting import print_inspection, print_status
from longscribe.errors import JobError, LongscribeError, UsageError
from longscribe.job_events import RunStarted
from longscribe.reading import begun_recognizer, open_journal, summarize
from longscribe.replay import replay
from longscribe.trust import Named, named_glossary, named_media, named_run, own_run

EVIL = "tests.adapters.evil_recognizer:load"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LONGSCRIBE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `evil` that can be imported; the file is there once it was."""
    (tmp_path / "modules").mkdir()
    sign = tmp_path / "imported"
    (tmp_path / "modules" / "evil.py").write_text(
        f"open({str(sign)!r}, 'w').close()\ndef load(*a): raise SystemExit\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    return sign


def started(**settings: str) -> RunStarted:
    options = Options.build(**{"recognizer": "faster-whisper", "model": "tiny", **settings})
    return RunStarted(
        media="/elsewhere/film.mkv",
        model=options.model,
        recognizer=options.recognizer,
        settings=json.dumps(options.model_dump(mode="json")),
    )


def job_with(folder: Path, start: RunStarted) -> Path:
    folder.mkdir(parents=True)
    with closing(SqliteJournal(folder / "job.db", on_network=False)) as journal:
        journal.record(start)
    return folder


# --- marks -----------------------------------------------------------------------


def test_a_mark_is_of_one_machine_and_of_all_that_is_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = marked(started())
    assert is_marked(start)
    assert not is_marked(started())
    for change in ({"media": "/x"}, {"settings": "{}"}, {"recognizer": EVIL}, {"mark": "0" * 64}):
        assert not is_marked(RunStarted(**{**vars(start), **change}))
    monkeypatch.setenv("LONGSCRIBE_HOME", str(tmp_path / "another"))
    assert not is_marked(start)
    assert is_marked(marked(started()))


def test_the_key_is_the_users_alone_and_stays(home: Path) -> None:
    first = marked(started())
    assert stat.S_IMODE((home / "own-key").stat().st_mode) == 0o600
    assert marked(started()) == first
    assert [path.name for path in home.iterdir()] == ["own-key"]


def test_without_a_place_for_the_key_runs_have_no_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LONGSCRIBE_HOME", str(tmp_path / "file"))
    assert marked(started()) == started()
    assert not is_marked(started())


# --- what is named ---------------------------------------------------------------


def test_a_run_that_was_begun_here_is_gone_on_with(tmp_path: Path) -> None:
    start = marked(started(recognizer="mine:load", glossary="/my/names.txt"))
    job = job_with(tmp_path / "job", start)
    assert own_run(job)[0] == start
    assert named_run(job, Named())[1].recognizer == "mine:load"
    assert named_media(start, Named()) == Path("/elsewhere/film.mkv")


def test_resume_follows_nothing_of_a_strangers_run(tmp_path: Path, touched: Path) -> None:
    job = job_with(tmp_path / "job", started(recognizer="evil:load"))
    with pytest.raises(JobError, match="not begun by you on this machine"):
        resume(job)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("named", "option"),
    [
        ({"recognizer": "evil:load"}, "--recognizer evil:load"),
        ({"model": "/home/them/model"}, "--model /home/them/model"),
        ({"model": "them/model"}, "--model them/model"),
        ({"align_model": "/home/them/aligner"}, "--align-model /home/them/aligner"),
    ],
)
def test_replay_follows_nothing_that_is_not_named_again(
    named: dict[str, str], option: str, tmp_path: Path, touched: Path
) -> None:
    job = job_with(tmp_path / "job", started(**named))
    with pytest.raises(UsageError) as caught:
        replay(job, "0", Named())
    assert option in caught.value.remedy
    assert not touched.exists()
    (name, value), *_ = named.items()
    options = named_run(job, Named(**{name: value}))[1]  # type: ignore[arg-type]
    assert str(getattr(options, name)) == value


def test_what_the_environment_names_is_named_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_with(tmp_path / "job", started(recognizer="evil:load"))
    monkeypatch.setenv("LONGSCRIBE_RECOGNIZER", "evil:load")
    assert named_run(job, Named())[1].recognizer == "evil:load"


def test_a_strangers_media_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--media /elsewhere/film"):
        named_media(started(), Named())
    assert named_media(started(), Named(media=tmp_path)) == tmp_path


def test_a_strangers_glossary_is_not_read(tmp_path: Path) -> None:
    options = Options.build(glossary="/etc/passwd")
    with pytest.raises(UsageError, match="--glossary /etc/passwd"):
        named_glossary(started(), options, Named())
    assert named_glossary(started(), options, Named(glossary=tmp_path)) == tmp_path
    assert named_glossary(started(), Options.build(), Named()) is None


def test_looking_at_a_strangers_job_imports_and_reads_nothing(
    tmp_path: Path, touched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # whoever read the glossary would wait for ever
    job = job_with(tmp_path / "job", started(recognizer="evil:load", glossary=str(pipe)))
    print_status(job)
    print_inspection(job, as_json=True)
    print_inspection(job, as_json=False)
    assert bias_report(job).subject.path == str(pipe)
    assert "evil:load" in capsys.readouterr().out
    assert not touched.exists()


def test_auto_does_not_take_over_what_a_journal_names(tmp_path: Path) -> None:
    """`choose_recognizer` takes it only if it is one of those installed."""
    job = job_with(tmp_path / "job", started(recognizer="evil:load"))
    assert begun_recognizer(job, "auto") == "evil:load"
    from longscribe import wiring  # noqa: PLC0415 - beside what it shows

    try:
        chosen = wiring.chosen_recognizer(Options.build(), "evil:load").recognizer
    except LongscribeError:
        return  # none is installed
    assert chosen != "evil:load"


# --- files that lead elsewhere ------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["job.db", "job.db-wal", "job.db-shm", "job.db-journal", "audio.s16", "audio.plan", "lock"],
)
@pytest.mark.parametrize("to", ["file", "nothing"])
def test_links_in_a_job_folder_are_refused(name: str, to: str, tmp_path: Path) -> None:
    job, mine = tmp_path / "job", tmp_path / "mine"
    job.mkdir()
    if to == "file":
        mine.write_text("mine")
    (job / name).symlink_to(mine)
    with pytest.raises(JobError, match=f"{name} is a symbolic link"), JobFolder(path=job).locked():
        pass
    assert mine.exists() == (to == "file")
    if to == "file":
        assert mine.read_text() == "mine"
    if name.startswith("job.db"):
        with pytest.raises(JobError, match="symbolic link"), open_journal(job):
            pass


def test_a_linked_folder_of_dumps_is_refused(tmp_path: Path) -> None:
    job, mine = tmp_path / "job", tmp_path / "mine"
    job.mkdir()
    mine.mkdir()
    (mine / "empty.log").touch()
    (job / "dumps").symlink_to(mine)
    with pytest.raises(JobError, match="dumps is a symbolic link"), JobFolder(path=job).locked():
        pass
    assert (mine / "empty.log").exists()


@pytest.mark.parametrize("name", ["audio.s16", "lock", "job.db"])
def test_a_pipe_in_the_place_of_a_file_is_refused(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(JobError, match="no plain file"), JobFolder(path=tmp_path).locked():
        pass


def test_a_spool_with_another_name_too_is_not_written_into(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    spool = JobFolder(path=tmp_path).spool
    spool.path.hardlink_to(mine)
    spool.begin()
    spool.path.write_bytes(b"samples")
    assert mine.read_bytes() == b"mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_that_anyone_may_change_is_refused_unless_it_is_ours(tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    job.chmod(0o777)
    with JobFolder(path=job).locked():
        pass
    os.chown(job, 12345, 12345)
    with pytest.raises(JobError, match="anyone may change it"), JobFolder(path=job).locked():
        pass
    job.chmod(0o755)
    with JobFolder(path=job).locked():
        pass


def test_a_summary_of_a_strangers_run_is_there(tmp_path: Path) -> None:
    job = job_with(tmp_path / "job", started(recognizer="evil:load"))
    assert summarize(job).recognizer == "evil:load"
