"""What the outputs hold after a run on real speech: the files, the words, the bias."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pysubs2
import pytest
from tokenizers import Tokenizer

from demo.score import names_right, read_terms, word_error_rate
from longscribe import Options
from longscribe.api import events
from longscribe.job_events import BatchDecoded
from tests.e2e import support
from tests.e2e.conftest import SHORT_SECONDS, Finished
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
    more = ("--glossary", GLOSSARY, "--bias", "prompt", "--prompt-tokens", "24", "-f", "json")
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
        beam_size=1, bias="prompt",
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
