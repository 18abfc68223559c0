"""Ways to ask for a transcript of real speech: the command with its options, and the library."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pysubs2
import pytest

from longscribe import Options, resume, transcribe
from longscribe.api import events
from longscribe.errors import JobError, UsageError
from longscribe.job_events import (
    AudioRead,
    ChunkFinished,
    LanguageDetected,
    RunFinished,
    RunStarted,
)
from longscribe.types import CoverageKind
from tests.e2e import support
from tests.e2e.conftest import TINY_SECONDS, Finished
from tests.e2e.support import FORMATS, GLOSSARY, MODEL, document, options, outputs

pytestmark = pytest.mark.needs_model


# --- other ways to ask -------------------------------------------------------


def test_without_word_times_segments_still_have_times(media: Path, tmp_path: Path) -> None:
    more = ("--no-word-timestamps", "--language", "english")
    done = support.longscribe("transcribe", media / "tiny.flac", *options(tmp_path, *more))
    assert done.status == 0
    found = document(tmp_path, "tiny")
    assert all(segment["words"] == [] for segment in found["segments"])
    assert all(segment["start"] < segment["end"] for segment in found["segments"])
    assert found["language"] == "en"
    told = support.journal(tmp_path / "tiny.longscribe")
    assert "language_detected" not in support.kinds(told)
    assert len(pysubs2.load(str(tmp_path / "tiny.srt"))) >= 3


def test_without_word_times_the_text_and_its_phrases_are_the_same(
    media: Path, tmp_path: Path
) -> None:
    """Words are timed all the same: phrases are cut by them, and the ledger is held to them."""
    found = []
    for number, more in enumerate(((), ("--no-word-timestamps",))):
        out = tmp_path / str(number)
        done = support.longscribe(
            "transcribe", media / "tiny.flac", *options(out, "--language", "en", *more)
        )
        assert done.status == 0, done.err
        found.append(document(out, "tiny"))
    words, bare = found
    assert [s["text"] for s in words["segments"]] == [s["text"] for s in bare["segments"]]
    assert [(s["start"], s["end"]) for s in words["segments"]] == [
        (s["start"], s["end"]) for s in bare["segments"]
    ]
    assert all(segment["words"] for segment in words["segments"])
    assert bare["text"] == words["text"]
    assert bare["coverage"] == words["coverage"]


def test_the_language_is_detected(without_glossary: Finished) -> None:
    assert document(without_glossary.out, "short")["language"] == "en"
    told = support.journal(without_glossary.out / "short.longscribe")
    [detected] = [event for event in told if event["type"] == "language_detected"]
    assert detected["guess"]["language"] == "en"
    assert detected["windows"] >= 3


def test_translate_is_accepted(media: Path, tmp_path: Path) -> None:
    more = ("--task", "translate", "--language", "en", "-f", "txt")
    done = support.longscribe("transcribe", media / "tiny.flac", *options(tmp_path, *more))
    assert done.status == 0
    assert set(outputs(tmp_path, "tiny")) == {"txt"}


def test_formats_can_be_given_several_times(media: Path, tmp_path: Path) -> None:
    more = ("-f", "srt", "-f", "txt", "-f", "srt", "--language", "en")
    done = support.longscribe("transcribe", media / "tiny.flac", *options(tmp_path, *more))
    assert done.status == 0
    assert set(outputs(tmp_path, "tiny")) == {"srt", "txt"}


def test_the_environment_gives_options_and_the_command_line_wins(
    media: Path, tmp_path: Path
) -> None:
    env = {
        "LONGSCRIBE_MODEL": str(MODEL),
        "LONGSCRIBE_BEAM_SIZE": "2",
        "LONGSCRIBE_LANGUAGE": "en",
        "LONGSCRIBE_OUTPUT_FORMAT": "txt",
        "LONGSCRIBE_OUTPUT_DIR": str(tmp_path),
        "ASR_USE_CHUNKING": "false",
    }
    done = support.longscribe("transcribe", media / "tiny.flac", "--beam-size", "1", env=env)
    assert done.status == 0, done.err
    assert set(outputs(tmp_path, "tiny")) == {"txt"}
    told = support.journal(tmp_path / "tiny.longscribe")
    settings = json.loads(told[0]["settings"])
    assert (settings["beam_size"], settings["chunking"]) == (1, "off")
    assert support.finished_chunks(told) == [0]


# --- several files -----------------------------------------------------------


def test_one_bad_file_does_not_stop_the_rest(media: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("this is no film\n" * 100)
    good = media / "tiny.flac"
    more = ("-f", "txt", "--language", "en")
    done = support.longscribe("transcribe", bad, good, *options(tmp_path / "out", *more))
    assert done.status == 1
    assert (tmp_path / "out" / "tiny.txt").read_text().startswith("Good evening")
    assert not (tmp_path / "out" / "bad.txt").exists()
    errors = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "bad.mp4" in errors[0]


def test_two_files_of_one_name_are_refused_before_any_work(media: Path, tmp_path: Path) -> None:
    twin = tmp_path / "short.wav"
    shutil.copy(media / "short.flac", twin)
    done = support.longscribe("transcribe", media / "short.flac", twin, *options(tmp_path / "out"))
    assert done.status == 2
    assert "'short'" in done.error_line()
    assert not (tmp_path / "out").exists()


def test_one_job_folder_for_several_files_is_refused(media: Path, tmp_path: Path) -> None:
    more = ("--job-dir", tmp_path / "job")
    files = (media / "short.flac", media / "long.flac")
    done = support.longscribe("transcribe", *files, *options(tmp_path / "out", *more))
    assert done.status == 2
    assert "--job-dir" in done.error_line()


# --- what a person sees ------------------------------------------------------


def test_away_from_a_terminal_one_line_says_where_the_files_are(with_glossary: Finished) -> None:
    outcome = with_glossary.outcome
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert "\x1b" not in outcome.err
    named = [Path(name.strip()) for name in outcome.err.partition("→")[2].split(",")]
    assert sorted(named) == sorted(with_glossary.out / f"short.{ext}" for ext in FORMATS)


def test_the_last_line_names_the_files_also_when_the_job_lies_elsewhere(
    media: Path, tmp_path: Path
) -> None:
    out, job = tmp_path / "out", tmp_path / "elsewhere" / "job"
    more = ("--job-dir", job, "--language", "en", "-f", "txt", "--keep-audio")
    done = support.longscribe("transcribe", media / "tiny.flac", *options(out, *more))
    assert done.status == 0
    named = Path(done.err.partition("→")[2].strip())
    assert named == out / "tiny.txt"
    assert (job / "job.db").is_file()
    assert (job / "audio.s16").stat().st_size == TINY_SECONDS * 16_000 * 2
    assert [path.name for path in out.iterdir()] == ["tiny.txt"]


def test_quiet_says_nothing_when_all_is_well(media: Path, tmp_path: Path) -> None:
    more = ("--quiet", "--language", "en", "-f", "txt")
    done = support.longscribe("transcribe", media / "tiny.flac", *options(tmp_path, *more))
    assert (done.status, done.out, done.err) == (0, "", "")


def test_a_file_name_may_be_anything_the_system_allows(media: Path, tmp_path: Path) -> None:
    for name in ("[bold]my talk[bold] 100%.flac", "ünï “çø∂é” 東京.flac", "-dash \n newline.flac"):
        path = tmp_path / name
        shutil.copy(media / "tiny.flac", path)
        more = ("--language", "en", "-f", "txt", "-f", "json", "--no-word-timestamps")
        done = support.longscribe("transcribe", *options(tmp_path / "out", *more), "--", path)
        assert done.status == 0, done.err
        assert (tmp_path / "out" / f"{path.stem}.txt").stat().st_size > 100
        assert document(tmp_path / "out", path.stem)["media"] == name
        status = support.longscribe("status", tmp_path / "out" / f"{path.stem}.longscribe")
        assert status.status == 0
        assert "complete" in status.out


def test_a_file_name_that_is_not_utf8_is_no_obstacle(media: Path, tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.flac"  # b"caf\xe9.flac", as an old Windows disk has it
    shutil.copy(media / "tiny.flac", path)
    more = ("--language", "en", "-f", "txt", "-f", "json", "--no-word-timestamps")
    done = support.longscribe("transcribe", path, *options(tmp_path / "out", *more))
    assert done.status == 0, done.err
    assert len((tmp_path / "out" / "caf\udce9.txt").read_text()) > 100


def test_status_and_inspect_tell_of_the_job(with_glossary: Finished) -> None:
    job = with_glossary.out / "short.longscribe"
    status = support.longscribe("status", job)
    assert status.status == 0
    assert "complete" in status.out
    assert "2 of 2 planned chunks done" in status.out
    inspected = support.longscribe("inspect", job, "--json")
    assert inspected.status == 0
    told = json.loads(inspected.out)
    assert told["events"][-1]["type"] == "run_finished"
    assert sorted(result["chunk_id"] for result in told["results"]) == [0, 1]  # as they were done
    lines = support.longscribe("inspect", job)
    assert lines.status == 0
    assert len(lines.out.splitlines()) == len(told["events"])


def test_status_of_what_is_no_job(tmp_path: Path) -> None:
    for command in ("status", "inspect"):
        done = support.longscribe(command, tmp_path)
        assert done.status == 1
        assert str(tmp_path) in done.error_line()


# --- the library -------------------------------------------------------------


def given(out: Path, **more: Any) -> Options:
    return Options(
        model=str(MODEL), output_dir=out, chunking="on", chunk_duration=60, beam_size=1, **more
    )


def test_transcribe_returns_what_the_command_writes(
    media: Path, tmp_path: Path, with_glossary: Finished
) -> None:
    transcript = transcribe(media / "short.flac", given(tmp_path, glossary=GLOSSARY))
    assert transcript.complete
    assert transcript.language == "en"
    assert transcript.text.split() == document(with_glossary.out, "short")["text"].split()
    assert outputs(tmp_path, "short") == outputs(with_glossary.out, "short")
    assert sum(entry.span.length for entry in transcript.coverage) == transcript.duration
    assert {entry.kind for entry in transcript.coverage} == {
        CoverageKind.TEXT,
        CoverageKind.SILENCE,
    }


def test_events_come_as_they_happen_and_closing_interrupts(media: Path, tmp_path: Path) -> None:
    options = given(tmp_path, language="en")
    happening = events(media / "short.flac", options)
    assert isinstance(next(happening), RunStarted)
    first = next(event for event in happening if isinstance(event, ChunkFinished))
    assert first.chunk_id == 0
    happening.close()
    kinds = support.kinds(support.journal(tmp_path / "short.longscribe"))
    assert kinds[-1] == "run_interrupted"

    rest = list(events(media / "short.flac", options))
    assert isinstance(rest[-1], RunFinished)
    assert [event.chunk_id for event in rest if isinstance(event, ChunkFinished)] == [1]
    assert not any(isinstance(event, LanguageDetected) for event in rest)
    positions = [event.position for event in rest if isinstance(event, AudioRead)]
    assert positions == sorted(positions)


def test_resume_goes_on_from_any_folder(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job's options may hold relative paths; they mean where the job was begun."""
    begun, elsewhere = tmp_path / "begun", tmp_path / "elsewhere"
    begun.mkdir()
    elsewhere.mkdir()
    shutil.copy(media / "short.flac", begun)
    shutil.copy(GLOSSARY, begun / "names.txt")
    (begun / "model").symlink_to(MODEL)
    monkeypatch.chdir(begun)
    options = Options(
        model="model", glossary=Path("names.txt"), output_dir=Path("out"), output_format=("txt",),
        chunking="on", chunk_duration=60, beam_size=1,
    )  # fmt: skip
    happening = events("short.flac", options)
    next(event for event in happening if isinstance(event, ChunkFinished))
    happening.close()
    monkeypatch.chdir(elsewhere)
    transcript = resume(begun / "out" / "short.longscribe")
    assert transcript.complete
    assert (begun / "out" / "short.txt").read_text().split() == transcript.text.split()
    assert list(elsewhere.iterdir()) == []


def test_resume_of_what_is_no_job(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=str(tmp_path)):
        resume(tmp_path)


def test_a_second_run_on_a_job_says_who_is_at_work(media: Path, tmp_path: Path) -> None:
    options = given(tmp_path, language="en", output_format=("txt",))
    happening = events(media / "tiny.flac", options)
    next(happening)
    again = support.longscribe("transcribe", media / "tiny.flac", *support.options(tmp_path))
    assert again.status == 1
    assert f"process {os.getpid()}" in again.error_line()
    happening.close()


def test_bad_options_are_refused_when_they_are_built() -> None:
    with pytest.raises(UsageError, match="batch-size"):
        Options.build(batch_size=0)
    with pytest.raises(UsageError, match="there is no option --colour"):
        Options.build(colour="red")


IMPORTS = """
import os, sys, threading
before = set(os.listdir('.')), dict(os.environ), threading.active_count()
import longscribe
assert before == (set(os.listdir('.')), dict(os.environ), threading.active_count())
assert not sys.stdout.closed
def native():
    heavy = ('av', 'onnxruntime', 'ctranslate2', 'torch', 'faster_whisper', 'tokenizers')
    return [name for name in heavy if name in sys.modules]
print('after import:', native())
if len(sys.argv) > 1:
    options = longscribe.Options(
        model=sys.argv[2], output_dir=sys.argv[3], language='en', beam_size=1, output_format='txt')
    assert longscribe.transcribe(sys.argv[1], options).complete
    print('after a run:', native())
"""


def test_the_names_of_the_package_stay_what_they_are(tmp_path: Path) -> None:
    """`longscribe.events` is a function, and no module of that name is to take its place."""
    code = (
        "import longscribe\n"
        "for _ in range(2):\n"
        "    for name in ('transcribe', 'events', 'resume', 'bias_report', 'load_glossary', 'Options'):\n"
        "        assert callable(getattr(longscribe, name)), (name, getattr(longscribe, name))\n"
        "from longscribe import events\n"
        "assert callable(events), events\n"
    )
    done = support.python(code, cwd=tmp_path)
    assert done.status == 0, done.err


def test_importing_has_no_side_effects_and_loads_nothing_native(tmp_path: Path) -> None:
    done = support.python(IMPORTS, cwd=tmp_path)
    assert (done.status, done.out, done.err) == (0, "after import: []\n", "")


def test_native_code_stays_out_of_the_parent(media: Path, tmp_path: Path) -> None:
    done = support.python(IMPORTS, media / "tiny.flac", MODEL, tmp_path)
    assert done.out == "after import: []\nafter a run: []\n", done.err


def test_looking_for_a_model_by_name_loads_nothing_native(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from longscribe.adapters.recognizers.ct2_models import find_ct2_model\n"
        "for name in ('nonesuch', 'tiny'):\n"
        "    try: find_ct2_model(name)\n"
        "    except Exception as error: print(type(error).__name__)\n"
        "print([name for name in ('av', 'onnxruntime', 'ctranslate2') if name in sys.modules])\n"
    )
    assert support.python(code, cwd=tmp_path).out == "UsageError\nModelError\n[]\n"


def test_nothing_of_a_run_stays_open(media: Path, tmp_path: Path) -> None:
    """A service calls `transcribe` a thousand times: no descriptor and no thread may stay."""
    code = (
        "import os, sys, threading, longscribe\n"
        "options = longscribe.Options(model=sys.argv[2], output_dir=sys.argv[3], language='en')\n"
        "def count(): return len(os.listdir('/proc/self/fd')), threading.active_count()\n"
        "longscribe.transcribe(sys.argv[1], options)\n"
        "before = count()\n"
        "for beam in (1, 2):\n"
        "    changed = options.model_copy(update={'beam_size': beam})\n"
        "    longscribe.transcribe(sys.argv[1], changed)\n"
        "print(before == count(), before, count())\n"
    )
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("counts descriptors in /proc")
    done = support.python(code, media / "tiny.flac", MODEL, tmp_path)
    assert done.out.startswith("True"), done.out + done.err
