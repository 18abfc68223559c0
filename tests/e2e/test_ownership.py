"""Yours stays yours: what a job works with is never written, and another film's job is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from longscribe import Options, api, wiring
from longscribe.errors import UsageError
from longscribe.job_events import OutputsWritten
from tests.e2e.quick_runs import TALK, contents, here, run, speech
from tests.e2e.support import FORMATS, journal

__all__ = ["here", "run"]

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
    (here / "talk.m3u8").write_text('#EXTM3U\n#EXT-X-MAP:URI="talk.txt"\n#EXTINF:5,\ntalk.json\n')
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
