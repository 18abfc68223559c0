"""The main job on real speech, through the command and through the library."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pysubs2
import pytest
from tokenizers import Tokenizer

from demo.score import names_right, read_terms, word_error_rate
from longscribe import Options, resume, transcribe
from longscribe.api import events
from longscribe.errors import JobError, UsageError
from longscribe.job_events import (
    AudioRead,
    BatchDecoded,
    ChunkFinished,
    LanguageDetected,
    RunFinished,
    RunStarted,
)
from longscribe.types import CoverageKind
from tests.e2e import support
from tests.e2e.conftest import SHORT_SECONDS, TINY_SECONDS, Finished
from tests.e2e.support import FORMATS, GLOSSARY, MODEL, document, options, outputs, reference

pytestmark = pytest.mark.needs_model


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(MODEL / "tokenizer.json"))


# --- the files ---------------------------------------------------------------


def test_every_format_is_written_and_valid(with_glossary: Finished) -> None:
    assert with_glossary.outcome.status == 0
    written = outputs(with_glossary.out, "short")
    assert set(written) == set(FORMATS)
    for text in written.values():
        assert text.decode("utf-8").endswith("\n")
    for extension in ("srt", "vtt"):
        cues = pysubs2.load(str(with_glossary.out / f"short.{extension}"))
        assert len(cues) > 10
        assert all(0 <= cue.start < cue.end <= SHORT_SECONDS * 1000 for cue in cues)
        assert all(a.end <= b.start for a, b in itertools.pairwise(cues))
    rows = [line.split("\t") for line in written["tsv"].decode().splitlines()]
    assert rows[0] == ["start", "end", "text"]
    assert all(int(start) <= int(end) for start, end, _ in rows[1:])
    assert document(with_glossary.out, "short")["complete"] is True


def test_all_formats_say_the_same_words(with_glossary: Finished) -> None:
    files = {ext: text.decode() for ext, text in outputs(with_glossary.out, "short").items()}
    said = document(with_glossary.out, "short")["text"].split()
    assert files["txt"].split() == said
    assert [
        word for line in files["tsv"].splitlines()[1:] for word in line.split("\t")[2].split()
    ] == said
    for extension in ("srt", "vtt"):
        cues = pysubs2.load(str(with_glossary.out / f"short.{extension}"))
        assert [word for cue in cues for word in cue.plaintext.split()] == said


def test_no_file_is_left_over(with_glossary: Finished) -> None:
    names = {path.name for path in with_glossary.out.iterdir()} - {".made", "outcome.json"}
    assert names == {*(f"short.{ext}" for ext in FORMATS), "short.longscribe"}
    assert not (with_glossary.out / "short.longscribe" / "audio.s16").exists()


def test_the_outputs_hold_no_path_and_no_clock(with_glossary: Finished, media: Path) -> None:
    for text in outputs(with_glossary.out, "short").values():
        assert str(media) not in text.decode()
        assert not re.search(r"20\d\d-\d\d-\d\d", text.decode())


# --- the words ---------------------------------------------------------------


def test_the_text_is_close_to_what_was_said(
    with_glossary: Finished, without_glossary: Finished
) -> None:
    said, terms = reference(SHORT_SECONDS), read_terms(GLOSSARY)
    biased = (with_glossary.out / "short.txt").read_text()
    plain = (without_glossary.out / "short.txt").read_text()
    assert word_error_rate(said, biased) <= 0.08
    right, of = names_right(said, biased, terms)
    assert of >= 10
    assert right / of >= 0.85, biased
    right, of = names_right(said, plain, terms)
    assert right / of < 0.4, plain
    # Names apart, the model hears as well without a glossary.
    assert word_error_rate(said, plain) <= 0.08 + of / len(said.split())


def test_words_have_times_in_order_and_inside_the_media(with_glossary: Finished) -> None:
    found = document(with_glossary.out, "short")
    words = [word for segment in found["segments"] for word in segment["words"]]
    assert "".join(word["word"] for word in words).split() == found["text"].split()
    assert all(0 <= word["start"] <= word["end"] <= found["duration"] for word in words)
    assert all(a["start"] <= b["start"] for a, b in itertools.pairwise(words))
    assert all(a["end"] <= b["end"] for a, b in itertools.pairwise(words))
    assert all(0 <= word["probability"] <= 1 for word in words)


def test_words_are_where_they_are_spoken(with_glossary: Finished) -> None:
    """The reference gives the turns of the play; their first words must begin there."""
    turns = json.loads((support.ROOT / "demo" / "sample.json").read_text(encoding="utf-8"))
    turns = [turn for turn in turns if turn["end"] <= SHORT_SECONDS]
    words = [w for s in document(with_glossary.out, "short")["segments"] for w in s["words"]]
    off = []
    for turn in turns:
        nearest = min(abs(word["start"] - turn["start"]) for word in words)
        off.append(nearest)
    assert sorted(off)[len(off) // 2] < 0.3
    assert max(off) < 1.0


def test_segments_lie_in_order_inside_text_of_the_coverage(with_glossary: Finished) -> None:
    found = document(with_glossary.out, "short")
    segments, coverage = found["segments"], found["coverage"]
    assert all(a["end"] <= b["start"] + 0.001 for a, b in itertools.pairwise(segments))
    entries = coverage["entries"]
    assert entries[0]["start"] == 0
    assert entries[-1]["end"] == found["duration"] == pytest.approx(SHORT_SECONDS, abs=0.001)
    assert all(a["end"] == b["start"] for a, b in itertools.pairwise(entries))
    assert {entry["kind"] for entry in entries} == {"text", "silence"}
    assert sum(coverage["samples"].values()) == round(found["duration"] * 16_000)
    # The sample has 6.7 s without speech at 1:07.
    assert any(e["kind"] == "silence" and e["start"] < 70 < e["end"] for e in entries)
    text = [entry for entry in entries if entry["kind"] == "text"]
    for segment in segments:
        middle = (segment["start"] + segment["end"]) / 2
        assert any(entry["start"] <= middle <= entry["end"] for entry in text)


# --- the bias ----------------------------------------------------------------


def test_prompts_are_real_tokens_within_the_budget(
    with_glossary: Finished, tokenizer: Tokenizer
) -> None:
    windows = document(with_glossary.out, "short")["windows"]
    assert len(windows) >= 4
    for window in windows:
        prompt = window["prompt"]
        assert 0 < len(prompt["tokens"]) <= 223
        assert prompt["terms"]
        decoded = tokenizer.decode(prompt["tokens"])
        assert prompt["text"] in decoded
        assert all(term in decoded for term in prompt["terms"])
        # The best term stands last.
        assert decoded.endswith(prompt["terms"][0])


def test_segments_say_where_they_come_from(with_glossary: Finished) -> None:
    found = document(with_glossary.out, "short")
    windows = {(window["chunk_id"], window["index"]): window for window in found["windows"]}
    assert {segment["chunk_id"] for segment in found["segments"]} == {0, 1}
    for segment in found["segments"]:
        window = windows[segment["chunk_id"], segment["window"]]
        assert window["start"] <= segment["start"] <= segment["end"] <= window["end"]
        assert segment["bias_window_id"] == window["bias_window_id"]
        assert segment["bias_terms"] == window["prompt"]["terms"]
        # A bias window is 45 s long, and one begins every 15 s.
        bias = segment["bias_window_id"] * 15
        assert bias < window["end"]
        assert bias + 45 > window["start"]


def test_without_a_glossary_there_is_no_prompt(without_glossary: Finished) -> None:
    for window in document(without_glossary.out, "short")["windows"]:
        assert window["prompt"] == {"terms": [], "text": "", "tokens": []}
        assert window["bias_window_id"] is None


def test_a_small_budget_is_kept_by_leaving_out_the_last_terms(
    media: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    more = ("--glossary", GLOSSARY, "--prompt-tokens", "24", "-f", "json")
    done = support.longscribe("transcribe", media / "tiny.flac", *options(tmp_path, *more))
    assert done.status == 0
    for window in document(tmp_path, "tiny")["windows"]:
        assert 0 < len(window["prompt"]["tokens"]) <= 24
        assert 0 < len(window["prompt"]["terms"]) < len(read_terms(GLOSSARY))
        assert window["prompt"]["terms"][0] == read_terms(GLOSSARY)[0]


def test_windows_of_one_batch_have_prompts_of_their_own(
    media: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    table = tmp_path / "names.csv"
    table.write_text(
        "term,aliases,weight,start,end\n"
        "Annabell,,1,0,15\nBrannock,,1,0:00,0:20\nRosalynd,,1,32,50\nNikolas,,2,45,70\n"
        "Konrad,,1,74,102\nHarwick,,1,,\n"
    )
    given = Options(
        model=str(MODEL), glossary=table, output_dir=tmp_path, chunking="on", chunk_duration=60,
        beam_size=1,
    )  # fmt: skip
    seen = list(events(media / "short.flac", given))
    batches = [event for event in seen if isinstance(event, BatchDecoded) and event.chunk_id == 0]
    windows = [w for w in document(tmp_path, "short")["windows"] if w["chunk_id"] == 0]
    assert len(windows) >= 3
    assert len(batches) == 1, "the windows of the first chunk were not one batch"
    prompts = [tuple(window["prompt"]["tokens"]) for window in windows]
    assert len(set(prompts)) >= 2
    assert len({len(prompt) for prompt in prompts}) == 1, "CTranslate2 wants equal lengths"
    first, last = windows[0]["prompt"]["terms"], windows[-1]["prompt"]["terms"]
    assert {"Annabell", "Brannock", "Harwick"} <= set(first)
    assert "Konrad" not in first
    assert first[0] in {"Annabell", "Brannock"}
    assert last[0] == "Nikolas"
    assert all("Harwick" in tokenizer.decode(list(prompt)) for prompt in prompts)


def test_the_initial_prompt_reaches_the_decoder(
    media: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    more = ("--initial-prompt", "A play about a lighthouse.", "-f", "json")
    done = support.longscribe("transcribe", media / "tiny.flac", *options(tmp_path, *more))
    assert done.status == 0
    for window in document(tmp_path, "tiny")["windows"]:
        assert "A play about a lighthouse." in tokenizer.decode(window["prompt"]["tokens"])


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
    assert [result["chunk_id"] for result in told["results"]] == [0, 1]
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
        "    for name in ('transcribe', 'events', 'resume', 'load_glossary', 'Options'):\n"
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
        "from longscribe.adapters.recognizers.models import find_ct2_model\n"
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
