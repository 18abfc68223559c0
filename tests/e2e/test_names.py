"""What became of the names: the report on a glossary, and names learnt for the next files."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longscribe import Options, bias_report, events, resume
from longscribe.core.bias.report import GlossaryState
from longscribe.job_events import ChunkFinished, OutputsWritten, RunFinished, TermsLearnt
from tests.e2e import support
from tests.e2e.conftest import Finished
from tests.e2e.support import GLOSSARY, MODEL, RATE, document, options, outputs

pytestmark = pytest.mark.needs_model


def report(job: Path) -> dict[str, Any]:
    done = support.longscribe("bias-report", job, "--json")
    assert done.status == 0, done.err
    return json.loads(done.out)


@pytest.fixture(scope="session")
def prompted(run_once, media) -> Finished:
    more = ("--glossary", GLOSSARY, "--bias", "prompt")
    return run_once("prompted", media / "short.flac", *more)


# --- the report ----------------------------------------------------------------


def test_the_report_and_the_outputs_say_the_same(with_glossary: Finished) -> None:
    told = report(with_glossary.out / "short.longscribe")
    found = document(with_glossary.out, "short")
    assert (told["media"], told["bias"], told["complete"]) == ("short.flac", "verify", True)
    assert (told["glossary_state"], told["extra_terms"]) == ("same", [])
    assert told["windows"] == len(found["windows"])
    replaced = [each for segment in found["segments"] for each in segment["replaced"]]
    assert replaced
    assert [{name: each[name] for name in replaced[0]} for each in told["accepted"]] == replaced
    proposals = [each for window in found["windows"] for each in window["proposals"]]
    assert len(told["accepted"]) + len(told["rejected"]) == len(proposals)
    for each in told["accepted"]:
        (use,) = [use for use in told["terms"] if use["term"] == each["term"]]
        assert each["start"] in use["in_text"]
        assert each["evidence"]["probability"] >= each["evidence"]["threshold"]


def test_the_report_for_people_names_what_was_replaced_and_what_never_occurs(
    with_glossary: Finished,
) -> None:
    job = with_glossary.out / "short.longscribe"
    done = support.longscribe("bias-report", job)
    assert done.status == 0
    assert "--bias verify" in done.out
    for each in report(job)["accepted"]:
        assert each["heard"] in done.out
        assert each["term"] in done.out
    absent = done.out.partition("Never in the text: ")[2]
    assert "Jocelynn" in absent
    assert "Brannock" not in absent


def test_terms_that_were_prompted_are_reported_too(prompted: Finished) -> None:
    told = report(prompted.out / "short.longscribe")
    assert told["bias"] == "prompt"
    assert told["accepted"] == told["rejected"] == []
    assert {use["offered"] for use in told["terms"]} == {told["windows"]}
    (use,) = [use for use in told["terms"] if use["term"] == "Brannock"]
    assert len(use["in_text"]) == 2
    assert {"Jocelynn", "Veronyka"} <= set(told["absent"])
    done = support.longscribe("bias-report", prompted.out / "short.longscribe")
    assert "--bias prompt" in done.out


def test_without_a_glossary_there_is_nothing_to_report(without_glossary: Finished) -> None:
    job = without_glossary.out / "short.longscribe"
    done = support.longscribe("bias-report", job)
    assert done.status == 0
    assert "no glossary" in done.out
    assert report(job)["glossary_state"] == "none"


def test_the_report_on_what_is_no_job(tmp_path: Path) -> None:
    done = support.longscribe("bias-report", tmp_path)
    assert done.status == 1
    assert str(tmp_path) in done.error_line()


def test_a_glossary_that_has_changed_or_gone_is_said(media: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("Brannock\nAnnabell\n!light\n")
    more = ("--glossary", names, "--bias", "prompt", "-f", "txt", "--language", "en")
    done = support.longscribe("transcribe", media / "tiny.flac", *options(tmp_path, *more))
    assert done.status == 0, done.err
    job = tmp_path / "tiny.longscribe"
    told = report(job)
    assert told["glossary_state"] == "same"
    assert [(each["text"], each["instead"]) for each in told["anti_terms"]] == [("light", None)]
    assert "light" in support.longscribe("bias-report", job).out

    names.write_text("Annabell\nZebedee\n")
    told = report(job)
    assert told["glossary_state"] == "changed"
    assert {use["term"] for use in told["terms"]} == {"Annabell", "Brannock"}
    assert "Zebedee" not in told["absent"]
    assert [each["text"] for each in told["anti_terms"]] == ["light"]
    assert "changed" in support.longscribe("bias-report", job).out

    for spoilt in ("| no term", None):  # a mistake in it, then no file: the job has its own copy
        names.unlink() if spoilt is None else names.write_text(spoilt)
        later = report(job)
        assert later == {**told, "glossary_state": "gone"}
        assert "can't be read" in support.longscribe("bias-report", job).out


def test_the_library_reports_on_a_run_that_goes_on(media: Path, tmp_path: Path) -> None:
    asked = Options(
        model=str(MODEL), output_dir=tmp_path, chunking="on", chunk_duration=60, beam_size=1,
        language="en", glossary=GLOSSARY, output_format=("txt",),
    )  # fmt: skip
    happening = events(media / "short.flac", asked)
    next(event for event in happening if isinstance(event, ChunkFinished))
    so_far = bias_report(tmp_path / "short.longscribe")
    assert not so_far.subject.complete
    assert so_far.windows > 0
    for _ in happening:
        pass
    whole = bias_report(tmp_path / "short.longscribe")
    assert whole.subject.complete
    assert whole.subject.state is GlossaryState.SAME
    assert whole.windows > so_far.windows
    assert whole.accepted[: len(so_far.accepted)] == so_far.accepted


# --- names that are learnt -------------------------------------------------------


@pytest.fixture(scope="session")
def films(shared) -> Path:
    """`first.flac`, in which *Geoffrey* is heard right three times, and `second.flac`, where not."""

    def make(folder: Path) -> None:
        audio = support.sample_audio()
        said = audio[round(12.5 * RATE) : 25 * RATE]
        hush = np.zeros(6 * RATE, dtype=audio.dtype)
        support.write_flac(folder / "first.flac", np.concatenate([hush, said] * 3))
        support.write_flac(folder / "second.flac", audio[107 * RATE : 125 * RATE])

    return shared("films", make)


def batch(films: Path, out: Path, *more: str | Path) -> list[str]:
    files = [str(films / "first.flac"), str(films / "second.flac")]
    learnt = ("--learn-glossary", out / "learnt.csv", "--language", "en")
    return ["transcribe", *files, *options(out, *learnt, *more)]


def test_a_name_learnt_from_one_file_is_written_in_the_next(films: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    more = options(alone, "--language", "en", "-f", "txt")
    done = support.longscribe("transcribe", films / "second.flac", *more)
    assert done.status == 0, done.err
    assert "Geoffrey" not in (alone / "second.txt").read_text()

    out = tmp_path / "out"
    done = support.longscribe(*batch(films, out))
    assert done.status == 0, done.err
    assert "learnt for the next files: Geoffrey" in done.err
    (row,) = csv.DictReader((out / "learnt.csv").open(encoding="utf-8"))
    assert (row["term"], row["weight"]) == ("Geoffrey", "0.5")
    assert row["note"].startswith("learnt from first [")
    assert "Tell us, Geoffrey" in (out / "second.txt").read_text()
    told = report(out / "second.longscribe")
    assert (told["glossary"], told["extra_terms"]) == (None, ["Geoffrey"])
    assert report(out / "first.longscribe")["glossary_state"] == "none"


def test_the_same_batch_again_redoes_nothing(films: Path, tmp_path: Path) -> None:
    """The first file must not be redone with what it taught itself."""
    out = tmp_path / "out"
    assert support.longscribe(*batch(films, out)).status == 0
    before = {stem: outputs(out, stem) for stem in ("first", "second")}
    learnt = (out / "learnt.csv").read_bytes()
    assert support.longscribe(*batch(films, out)).status == 0
    assert {stem: outputs(out, stem) for stem in before} == before
    assert (out / "learnt.csv").read_bytes() == learnt
    resume(out / "second.longscribe")
    for stem in before:
        runs = support.runs(support.journal(out / f"{stem}.longscribe"))
        assert len(runs) == 2 + (stem == "second")
        assert all(not support.attempted_chunks(run) for run in runs[1:])
    replayed = support.longscribe("replay", out / "second.longscribe", "0")
    assert replayed.status == 0, replayed.err
    assert "Geoffrey" in replayed.out


def test_a_run_cut_short_before_it_learnt_learns_when_it_goes_on(
    films: Path, tmp_path: Path
) -> None:
    learnt = tmp_path / "learnt.csv"
    asked = Options(
        model=str(MODEL), output_dir=tmp_path, beam_size=1, language="en", learn_glossary=learnt,
        output_format=("txt",), chunking="off",
    )  # fmt: skip
    happening = events(films / "first.flac", asked)
    next(event for event in happening if isinstance(event, OutputsWritten) and event.complete)
    happening.close()
    assert not learnt.exists()
    again = list(events(films / "first.flac", asked))
    assert [type(event) for event in again[-2:]] == [TermsLearnt, RunFinished]
    assert not any(isinstance(event, ChunkFinished) for event in again)
    assert "Geoffrey" in learnt.read_text()


def test_a_list_that_is_there_is_offered_from_the_first_file_on(
    films: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("term,weight,note\nHarwick,2,my own\n")
    more = ("--language", "en", "-f", "txt", "--learn-glossary", mine, "--bias", "prompt")
    done = support.longscribe("transcribe", films / "first.flac", *options(tmp_path, *more))
    assert done.status == 0, done.err
    assert "Harwick" in (tmp_path / "first.txt").read_text()
    rows = list(csv.DictReader(mine.open(encoding="utf-8")))
    assert [row["term"] for row in rows] in (["Harwick"], ["Geoffrey", "Harwick"])
    assert rows[-1] == {"term": "Harwick", "weight": "2.0", "note": "my own"}


@pytest.mark.parametrize("content", ["", "term,weight,note\n"])
def test_a_list_that_holds_nothing_yet_is_filled(content: str, films: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text(content)
    more = ("--language", "en", "-f", "txt", "--learn-glossary", mine)
    done = support.longscribe("transcribe", films / "first.flac", *options(tmp_path, *more))
    assert done.status == 0, done.err
    assert [row["term"] for row in csv.DictReader(mine.open(encoding="utf-8"))] == ["Geoffrey"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--learn-glossary", "names.txt"], "names.txt"),
        (["--learn-glossary", "learnt.csv", "--no-word-timestamps"], "--no-word-timestamps"),
        (["--learn-glossary", "learnt.csv", "--glossary", "learnt.csv"], "the same file"),
        (["--learn-glossary", "own.csv"], "first line"),
        (["--learn-glossary", "broken.csv"], "broken.csv, line 2"),
        (["--learn-glossary", "folder.csv"], "is a folder"),
        (["--learn-glossary", "own.csv/learnt.csv"], "can't be made"),
    ],
)
def test_a_list_that_cannot_be_kept_is_refused_before_any_work(
    more: list[str], says: str, media: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.csv").write_text("term,aliases\nAnnabell,Annabel\n")
    (tmp_path / "broken.csv").write_text("term,weight,note\nAnnabell,heavy,\n")
    (tmp_path / "folder.csv").mkdir()
    shutil.copy(media / "tiny.flac", tmp_path / "again.flac")
    files = (media / "tiny.flac", tmp_path / "again.flac")
    done = support.longscribe("transcribe", *files, *options(tmp_path / "out", *more), cwd=tmp_path)
    assert done.status == 2
    assert says in done.error_line()
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "own.csv").read_text() == "term,aliases\nAnnabell,Annabel\n"
