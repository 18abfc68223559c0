"""Yours stays yours: what lies where the outputs go, before, during and after a run.

The runs are real but for the decoding, which is the fault suite's, in this process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from longscribe import Options, api, wiring
from longscribe.adapters.learnt_file import LearntFile
from longscribe.cli.batch import transcribe_all
from longscribe.core.bias.learning import Source
from longscribe.errors import LongscribeError, UsageError
from longscribe.job_events import Notice, OutputsWritten
from longscribe.types import Term
from tests.e2e.support import FORMATS, journal
from tests.faults.media import make_speech

TALK = {
    "recognizer": "tests.faults.recognizers:load",
    "model": "none",
    "language": "en",
    "isolation": "off",
    "device": "cpu",
    "beam_size": 1,
    "chunking": "on",
    "chunk_duration": 60,
}


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended."""

    status: int
    said: str


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a user, empty."""
    monkeypatch.setattr(wiring, "MEDIA_READER", "tests.faults.media:open_media")
    monkeypatch.setattr(wiring, "SPEECH_DETECTOR", "tests.faults.media:WaveDetector")
    monkeypatch.setattr(os, "fsync", os.fsync)  # the reader puts its own there
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command, with the options that all runs here share."""

    def transcribe(*media: str, **more: object) -> Done:
        capsys.readouterr()
        try:
            options = Options.build(**{**TALK, **more})
            status = transcribe_all([Path(m) for m in media], options, verbose=False, quiet=False)
        except LongscribeError as error:
            return Done(status=error.exit_status, said=str(error))
        return Done(status=status, said=capsys.readouterr().err)

    return transcribe


def speech(name: str, seed: int = 1, seconds: float = 20) -> Path:
    return make_speech(Path(name), seconds, seed)


def contents() -> dict[str, bytes]:
    """Return the content of every file here, but for those in job folders."""
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}


# --- A1, A2: what the job works with -----------------------------------------


@pytest.mark.parametrize("extension", FORMATS)
def test_a_glossary_is_not_overwritten(extension: str, run) -> None:
    speech("a.mp4")
    Path(f"a.{extension}").write_text("Rosalynd\n")
    before = contents()
    done = run("a.mp4", glossary=Path(f"a.{extension}"), overwrite=True)
    assert done.status == 2
    assert f"a.{extension}" in done.said
    assert "the glossary" in done.said
    assert contents() == before
    assert not Path("a.longscribe").exists()


def test_a_glossary_in_a_format_that_is_not_written_is_no_obstacle(run) -> None:
    speech("a.mp4")
    Path("a.txt").write_text("Rosalynd\n")
    assert run("a.mp4", glossary=Path("a.txt"), output_format="srt").status == 0
    assert Path("a.txt").read_text() == "Rosalynd\n"


@pytest.mark.parametrize("name", ["film.txt", "film.json", "film.TXT"])
def test_media_with_the_name_of_an_output_are_not_overwritten(name: str, run) -> None:
    speech(name)
    before = contents()
    done = run(name)
    assert done.status == 2
    assert name in done.said
    assert "the media" in done.said
    assert contents() == before


def _link(target: Path, name: Path) -> None:
    name.symlink_to(target)


def _hard_link(target: Path, name: Path) -> None:
    name.hardlink_to(target)


@pytest.mark.parametrize("link", [_link, _hard_link])
@pytest.mark.parametrize("target", ["a.mp4", "names.txt", "learnt.csv", "b.mp4"])
def test_links_are_seen_through(target: str, link: Callable[[Path, Path], None], run) -> None:
    speech("a.mp4")
    speech("b.mp4", 2)
    Path("names.txt").write_text("Rosalynd\n")
    Path("learnt.csv").write_text("term,weight,note\n")
    link(Path(target), Path("a.srt"))
    before = contents()
    more = {"glossary": Path("names.txt"), "learn_glossary": Path("learnt.csv")}
    done = run("a.mp4", "b.mp4", overwrite=True, **more)
    assert done.status == 2
    assert target in done.said
    assert "a.srt" in done.said
    assert contents() == before


def test_case_is_seen_through(run) -> None:
    """On a disk that knows no case, `A.TXT` is `a.txt`."""
    speech("a.mp4")
    Path("A.TXT").write_text("Rosalynd\n")
    done = run("a.mp4", glossary=Path("A.TXT"))
    assert done.status == 2
    assert "A.TXT" in done.said


def test_another_file_of_the_command_is_not_overwritten(run) -> None:
    speech("film.mp4")
    speech("film.json", 2)
    before = contents()
    done = run("film.mp4", "film.json", output_format="json")
    assert done.status == 2
    assert contents() == before


def test_a_file_of_the_model_is_not_overwritten(here: Path) -> None:
    model = here / "model"
    model.mkdir()
    (model / "vocabulary.json").write_text("[]")
    given = Options.build(model=str(model), output_dir=model)
    with pytest.raises(UsageError, match=r"vocabulary\.json.*a file of the model"):
        wiring.refuse_own_goals([Path("vocabulary.mp3")], given)
    (here / "a.json").symlink_to(model / "vocabulary.json")
    with pytest.raises(UsageError, match="a file of the model"):
        wiring.refuse_own_goals([Path("a.mp3")], Options.build(model=str(model)))
    wiring.refuse_own_goals([Path("b.mp3")], Options.build(model=str(model)))


@pytest.mark.parametrize("name", ["audio.s16", "lock", "job.db"])
def test_a_job_folder_does_not_take_the_media_for_its_own(name: str, run) -> None:
    speech(name)
    before = contents()
    done = run(name, job_dir=Path())
    assert done.status == 2
    assert "a file of the job" in done.said.lower()
    assert contents() == before


def test_the_journal_is_not_overwritten_through_a_link(run) -> None:
    speech("a.mp4")
    assert run("a.mp4", output_format="srt").status == 0
    Path("a.json").symlink_to("a.longscribe/job.db")
    done = run("a.mp4", overwrite=True)
    assert done.status == 2
    assert "job.db" in done.said


def test_pieces_of_a_playlist_are_not_overwritten(here: Path) -> None:
    (here / "talk.m3u8").write_text(
        '#EXTM3U\n#EXT-X-MAP:URI="talk.txt"\n#EXTINF:5,\ntalk.json\nhttp://a/b\n'
    )
    for name in ("talk.txt", "talk.json"):
        (here / name).write_bytes(b"piece")
        with pytest.raises(UsageError, match="a piece of the playlist"):
            wiring.refuse_own_goals(
                [Path("talk.m3u8")], Options.build(output_format=name.rpartition(".")[2])
            )
    wiring.refuse_own_goals([Path("talk.m3u8")], Options.build(output_format="srt"))


@pytest.mark.parametrize("make", [_link, _hard_link])
def test_a_list_of_learnt_terms_is_not_the_glossary(make, run) -> None:
    speech("a.mp4")
    Path("names.csv").write_text("term,weight,note\nRosalynd,1,\n")
    make(Path("names.csv"), Path("learnt.csv"))
    done = run("a.mp4", glossary=Path("names.csv"), learn_glossary=Path("learnt.csv"))
    assert done.status == 2
    assert "learnt.csv" in done.said
    assert "names.csv" in done.said


def test_two_outputs_that_are_one_file_are_refused(run) -> None:
    speech("a.mp4")
    Path("a.srt").symlink_to("a.txt")
    done = run("a.mp4")
    assert done.status == 2
    assert "a.srt" in done.said
    assert "a.txt" in done.said


def test_the_media_is_not_overwritten_by_a_link_made_during_the_run(here: Path) -> None:
    media = speech("a.mp4", seconds=150)
    before = media.read_bytes()
    given = Options.build(**TALK, output_format="srt", overwrite=True)
    for event in api.events(media, given):
        if isinstance(event, OutputsWritten) and not event.complete:
            Path("a.srt").unlink(missing_ok=True)
            Path("a.srt").symlink_to("a.mp4")
    assert media.read_bytes() == before
    assert Path("a.new.srt").stat().st_size > 0


# --- A3: two films of one stem -----------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [("film.mp4", "film.mkv"), ("Film.mp4", "film.mkv"), ("a/f.m4a", "b/f.m4a")],
)
def test_two_films_of_one_stem_are_refused_in_one_command(first: str, second: str, run) -> None:
    for number, name in enumerate((first, second)):
        Path(name).parent.mkdir(exist_ok=True)
        speech(name, number)
    done = run(first, second)
    assert done.status == 2
    assert first in done.said
    assert second in done.said
    assert not list(Path().glob("*.srt"))


def test_another_film_does_not_take_over_a_job(run) -> None:
    speech("film.mp4")
    speech("film.mkv", 2)
    assert run("film.mp4").status == 0
    before, job = contents(), len(journal(Path("film.longscribe").absolute()))
    done = run("film.mkv")
    assert done.status == 2
    assert "film.mp4" in done.said
    assert "film.mkv" in done.said
    assert contents() == before
    assert len(journal(Path("film.longscribe").absolute())) == job
    # The rest of a batch is done, and the first goes on.
    speech("other.mp4", 3)
    assert run("film.mkv", "other.mp4").status == 2
    assert Path("other.srt").exists()
    assert run("film.mp4").status == 0
    # Told apart as the message says.
    assert run("film.mkv", output_dir=Path("out")).status == 0
    assert Path("out/film.srt").read_bytes() != before["film.srt"]


def test_a_folder_whose_case_is_not_told_apart_is_one_job(run) -> None:
    """As on a disk that knows no case, where `film.longscribe` is `Film.longscribe`."""
    speech("Film.mp4")
    speech("film.mkv", 2)
    assert run("Film.mp4").status == 0
    Path("film.longscribe").symlink_to("Film.longscribe")
    done = run("film.mkv")
    assert done.status == 2
    assert "Film.mp4" in done.said


def test_a_new_version_in_its_place_is_the_same_film(run) -> None:
    speech("film.mp4")
    assert run("film.mp4").status == 0
    before = contents()["film.srt"]
    speech("film.mp4", 2)
    assert run("film.mp4").status == 0
    assert contents()["film.srt"] != before
    assert not Path("film.new.srt").exists()


def test_a_film_that_was_moved_with_its_job_goes_on(run, monkeypatch) -> None:
    Path("old").mkdir()
    monkeypatch.chdir("old")
    speech("film.mp4")
    assert run("film.mp4").status == 0
    monkeypatch.chdir("..")
    Path("old").rename("new")
    monkeypatch.chdir("new")
    times = {name: Path(name).stat().st_mtime_ns for name in contents()}
    assert run("film.mp4").status == 0
    assert {name: Path(name).stat().st_mtime_ns for name in contents()} == times
    # Renamed, film and job: known by its content; then changed, its outputs are still known.
    for path in sorted(Path().glob("film.*")):
        path.rename(f"movie.{path.name.partition('.')[2]}")
    assert run("movie.mp4").status == 0
    assert run("movie.mp4", word_timestamps=False).status == 0
    assert not list(Path().glob("*.new.*"))


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
