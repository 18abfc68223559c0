"""Yours stays yours: what lies where the outputs go, before, during and after a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from longscribe import Options, api
from longscribe.adapters.learnt_file import LearntFile
from longscribe.core.bias.learning import Source
from longscribe.job_events import Notice, OutputsWritten
from longscribe.types import Term
from tests.e2e.quick_runs import TALK, contents, here, run, speech
from tests.e2e.support import journal

__all__ = ["here", "run"]

# --- A4, A5: what a person has written or changed ------------------------------


def test_a_file_that_was_there_before_any_job_is_kept(run) -> None:
    speech("a.mp4")
    Path("a.srt").write_text("by hand\n")
    done = run("a.mp4")
    assert done.status == 0
    assert Path("a.srt").read_text() == "by hand\n"
    assert Path("a.new.srt").stat().st_size > 0
    assert done.said.count("a.srt was not written by this job") == 1
    assert "a.new.srt" in done.said.splitlines()[-1]
    # Again: nothing more gathers, nothing is touched.
    before = {name: (text, Path(name).stat().st_mtime_ns) for name, text in contents().items()}
    assert run("a.mp4").status == 0
    after = {name: (text, Path(name).stat().st_mtime_ns) for name, text in contents().items()}
    assert after == before


def test_who_insists_has_it_replaced(run) -> None:
    speech("a.mp4")
    Path("a.srt").write_text("by hand\n")
    assert run("a.mp4").status == 0
    aside = Path("a.new.srt").read_bytes()
    done = run("a.mp4", overwrite=True)
    assert done.status == 0
    assert "replaced" in done.said
    assert Path("a.srt").read_bytes() == aside
    assert not Path("a.new.srt").exists()  # an unchanged state of what stands in a.srt


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.json", "a.txt", "a.tsv"])
def test_what_a_person_has_corrected_is_kept(name: str, run) -> None:
    speech("a.mp4")
    assert run("a.mp4").status == 0
    corrected = contents()[name].replace(b"a", b"A") + b"\n"
    Path(name).write_bytes(corrected)
    before = contents()
    done = run("a.mp4")
    assert done.status == 0
    assert f"{name} was not written by this job, or was changed since" in done.said
    assert contents() == before  # the text is what the person had: no copy beside it
    # With other options the text is new, and goes beside.
    assert run("a.mp4", word_timestamps=False).status == 0
    assert contents()[name] == corrected
    stem, _, extension = name.partition(".")
    new = Path(f"{stem}.new.{extension}")
    if new.exists():  # some formats say the same with and without word times
        new.write_bytes(b"merged by hand\n")
        assert run("a.mp4", chunk_duration=90, beam_size=2).status == 0
        assert new.read_bytes() == b"merged by hand\n"


def test_what_is_the_same_is_not_rewritten(run) -> None:
    speech("a.mp4")
    assert run("a.mp4").status == 0
    old = 1_000_000_000
    for name in contents():
        os.utime(name, (old, old))
    assert run("a.mp4").status == 0
    assert {Path(name).stat().st_mtime for name in contents()} == {old}


@pytest.mark.parametrize("how", ["edit", "replace", "cut", "append"])
def test_a_file_that_is_changed_while_the_run_goes_on_is_kept(how: str, here: Path) -> None:
    media = speech("a.mp4", seconds=200)
    given = Options.build(**TALK, output_format=["srt", "txt"])
    theirs, told = b"", []
    for event in api.events(media, given):
        told += [event.message] if isinstance(event, Notice) else []
        if isinstance(event, OutputsWritten) and not event.complete and not theirs:
            text = Path("a.srt").read_bytes()
            theirs = {
                "edit": text.replace(b"a", b"A"),
                "replace": b"mine\n",
                "cut": text[: len(text) // 2],
                "append": text + b"\n",
            }[how]
            Path("a.srt").write_bytes(theirs)
    assert theirs
    assert Path("a.srt").read_bytes() == theirs
    calm = here / "calm"
    api.transcribe(media, given.model_copy(update={"output_dir": calm}))
    assert Path("a.new.srt").read_bytes() == (calm / "a.srt").read_bytes()
    assert Path("a.txt").read_bytes() == (calm / "a.txt").read_bytes()
    assert sum("a.srt was not written" in message for message in told) == 1


def test_an_empty_file_is_in_nobodys_way(run) -> None:
    speech("a.mp4")
    Path("a.srt").touch()
    assert run("a.mp4").status == 0
    assert Path("a.srt").stat().st_size > 0
    assert not Path("a.new.srt").exists()


def test_a_file_that_was_removed_comes_back(run) -> None:
    speech("a.mp4")
    assert run("a.mp4").status == 0
    before = contents()
    Path("a.srt").unlink()
    assert run("a.mp4").status == 0
    assert contents() == before


def test_resume_does_not_insist_again(run) -> None:
    speech("a.mp4")
    assert run("a.mp4", overwrite=True).status == 0
    Path("a.srt").write_text("by hand\n")
    api.resume("a.longscribe")
    assert Path("a.srt").read_text() == "by hand\n"


def test_a_job_whose_folder_is_gone_ends_with_its_own_files_alone(run) -> None:
    """While it works the finished files are somebody's; at its end they say just the same."""
    speech("a.mp4", seconds=150)
    assert run("a.mp4").status == 0
    before = contents()
    shutil.rmtree("a.longscribe")
    assert run("a.mp4").status == 0
    assert contents() == before


def test_what_goes_beside_takes_the_place_of_nothing_that_is_needed(run) -> None:
    """The glossary has the very name that the text would have beside a file made by hand."""
    speech("a.mp4")
    Path("a.srt").write_text("by hand\n")
    Path("a.new.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nAsk Rosalynd, then Rosalynd.\n")
    before = contents()
    assert run("a.mp4", output_format="srt", glossary=Path("a.new.srt"), bias="prompt").status == 0
    assert {name: contents()[name] for name in before} == before
    assert Path("a.new-2.srt").stat().st_size > 0


def test_a_folder_whose_name_is_not_utf8_keeps_the_record(here: Path) -> None:
    out = here / os.fsdecode(b"caf\xe9")
    media = speech("a.mp4")
    given = Options.build(**TALK, output_dir=out, job_dir=here / "job")
    api.transcribe(media, given)
    (out / "a.srt").write_text("by hand\n")
    api.transcribe(media, given)
    assert (out / "a.srt").read_text() == "by hand\n"
    assert not (out / "a.new.srt").exists()


def test_a_file_that_can_not_even_be_read_is_kept(run) -> None:
    speech("a.mp4")
    Path("a.srt").write_text("by hand\n")
    Path("a.srt").chmod(0)
    assert run("a.mp4").status == 0
    Path("a.srt").chmod(0o600)
    assert Path("a.srt").read_text() == "by hand\n"


# --- A6: names without extension ----------------------------------------------


def test_media_without_extension_have_outputs_of_their_own(run) -> None:
    names = ["1.1 Lesson name", "1.2 Lesson name", "talk.v1", "talk.v2"]
    for number, name in enumerate(names):
        speech(name, number)
    assert run(*names, output_format="txt").status == 0
    texts = {Path(f"{name}.txt").read_bytes() for name in names}
    assert len(texts) == 4
    assert all(Path(f"{name}.longscribe").is_dir() for name in names)


# --- A7: mode and links -------------------------------------------------------


def test_mode_and_links_stay(run) -> None:
    speech("a.mp4")
    assert run("a.mp4").status == 0
    Path("a.srt").chmod(0o600)
    Path("elsewhere").mkdir()
    Path("a.vtt").rename("elsewhere/a.vtt")
    Path("a.vtt").symlink_to("elsewhere/a.vtt")
    old = contents()
    speech("a.mp4", 2)
    assert run("a.mp4").status == 0
    assert Path("a.srt").read_bytes() != old["a.srt"]
    assert Path("a.srt").stat().st_mode & 0o777 == 0o600
    assert Path("a.vtt").is_symlink()
    assert Path("elsewhere/a.vtt").read_bytes() != old["a.vtt"]
    assert [path.name for path in Path("elsewhere").iterdir()] == ["a.vtt"]


def test_what_goes_beside_a_private_file_is_private_too(run) -> None:
    speech("a.mp4")
    Path("a.srt").write_text("by hand\n")
    Path("a.srt").chmod(0o600)
    assert run("a.mp4").status == 0
    assert Path("a.new.srt").stat().st_mode & 0o777 == 0o600


# --- A8: two jobs, one place ---------------------------------------------------


def test_two_jobs_with_one_place_are_told_apart(run) -> None:
    speech("a.mp4")
    assert run("a.mp4", job_dir=Path("one")).status == 0
    first = contents()
    speech("a.mp4", 2)
    done = run("a.mp4", job_dir=Path("two"))
    assert done.status == 0
    assert "a.srt was not written by this job" in done.said
    assert {
        name: text for name, text in contents().items() if name in first and name != "a.mp4"
    } == {name: text for name, text in first.items() if name != "a.mp4"}
    assert Path("a.new.srt").read_bytes() != first["a.srt"]


def test_two_jobs_at_once_write_both_their_texts(here: Path) -> None:
    """One wins each name, and the other is told; neither is disturbed."""
    for number, name in enumerate(("one", "two")):
        Path(name).mkdir()
        speech(f"{name}/a.mp4", number, seconds=200)
    given = Options.build(**TALK, output_format=["srt", "txt"])
    runs = {
        name: api.events(
            Path(name) / "a.mp4", given.model_copy(update={"job_dir": here / f"job-{name}"})
        )
        for name in ("one", "two")
    }
    told: list[str] = []
    going = dict(runs)
    while going:  # in turns
        for name, events in list(going.items()):
            event = next(events, None)
            if event is None:
                del going[name]
            elif isinstance(event, Notice):
                told.append(event.message)
    calm = {}
    for name in runs:
        out = here / f"calm-{name}"
        api.transcribe(Path(name) / "a.mp4", given.model_copy(update={"output_dir": out}))
        calm |= {path.read_bytes(): name for path in out.glob("a.*") if path.is_file()}
    found = [path.read_bytes() for path in sorted(here.glob("a.*"))]
    assert sorted(calm[text] for text in found) == ["one", "one", "two", "two"]
    assert any("was not written by this job" in message for message in told)


# --- A9: one list, several runs --------------------------------------------------

LEARN = """
import sys
from pathlib import Path
from longscribe.adapters.learnt_file import LearntFile
from longscribe.core.bias.learning import Source
from longscribe.types import Term
name = sys.argv[2]
for number in range(25):
    term = Term(text=f"{name}{number:02}", weight=0.5)
    LearntFile(path=Path(sys.argv[1])).add([term], Source(stem=name, fingerprint=name * 12))
"""


@pytest.mark.parametrize("linked", [False, True])
def test_nothing_that_several_runs_learn_at_once_is_lost(linked: bool, here: Path) -> None:
    path = here / "names.csv"
    if linked:
        path.symlink_to("real.csv")
    names = ["Anna", "Berta", "Clara"]
    lists = [path, here / "real.csv" if linked else path, path]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", LEARN, str(file), name], stderr=subprocess.PIPE, text=True
        )
        for file, name in zip(lists, names, strict=True)
    ]
    assert [each.communicate()[1] for each in runs] == ["", "", ""]
    terms = {term.text for term in LearntFile(path=path).terms()}
    assert terms == {f"{name}{number:02}" for name in names for number in range(25)}
    assert path.is_symlink() == linked
    assert [left.name for left in here.iterdir() if left.name.startswith(".")] == []


def test_a_run_that_was_killed_while_it_held_the_list_holds_nobody_up(here: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from longscribe.adapters.locking import exclusively\n"
        "with exclusively(Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = here / "names.csv"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert len(list(here.iterdir())) == 1
    LearntFile(path=path).add([Term(text="Anna")], Source(stem="a", fingerprint="f" * 12))
    assert [file.name for file in here.iterdir()] == ["names.csv"]


def test_the_journal_knows_a_text_before_it_is_in_place(here: Path, monkeypatch) -> None:
    """A crash between the two leaves nothing that the next run would take for somebody else's."""
    media = speech("a.mp4", seconds=150)
    given = Options.build(**TALK, output_format="srt")
    from longscribe.adapters.writers.atomic import Part  # noqa: PLC0415

    class Crash(BaseException):
        pass

    put = Part.put

    def crashing(part: Part, target: Path, like: Path | None = None) -> None:
        put(part, target, like)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Part, "put", crashing)
        with pytest.raises(Crash):
            api.transcribe(media, given)
    assert Path("a.srt").exists()
    assert not any(e["type"] == "outputs_written" for e in journal(here / "a.longscribe"))
    api.transcribe(media, given)
    assert not Path("a.new.srt").exists()
    calm = here / "calm"
    api.transcribe(media, given.model_copy(update={"output_dir": calm}))
    assert Path("a.srt").read_bytes() == (calm / "a.srt").read_bytes()
