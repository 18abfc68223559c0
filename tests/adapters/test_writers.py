"""Each format read back by somebody else's reader."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.adapters.writers.json_writer import SCHEMA, JsonWriter
from longscribe.adapters.writers.srt import SrtWriter
from longscribe.adapters.writers.timestamps import clock
from longscribe.adapters.writers.tsv import TsvWriter
from longscribe.adapters.writers.txt import TxtWriter
from longscribe.adapters.writers.vtt import VttWriter
from longscribe.core.cues import cues_of
from longscribe.ports import TranscriptWriter
from longscribe.types import CoverageEntry, CoverageKind, Span, to_samples
from tests.views import MemoryView, missing, proposed, said, spoken, view_of, with_proposals

JOINER = "\u2060"
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"

# What speech could hold at worst, and what readers take for markup.
NASTY = st.lists(
    st.sampled_from(
        [
            "<i>",
            "</i>",
            "<",
            "b>",
            "{\\an8}",
            "{\\p1}",
            "{y:i}",
            "\\N",
            "\\h",
            "-->",
            "&amp;",
            "&",
            "word",
            "12",
            "00:00:01,000",
            "00:00:01.000",
            "1:2:3.4",
            "NOTE",
            "WEBVTT",
            "[Script",
            "Info]",
            "{",
            "}",
            ">",
            "a\n\nb",
        ]
    ),
    min_size=1,
    max_size=12,
)


def written(writer: TranscriptWriter, view: MemoryView) -> str:
    out = io.StringIO()
    writer.write(view, out)
    return out.getvalue()


def sample() -> MemoryView:
    view = view_of(
        spoken(1, "Good morning & welcome to <Zürich>."),
        missing(5, 17),
        said(20, 22.5, " Thank you, Mr. Nguyễn.", terms=("Nguyễn", "Zürich")),
        spoken(
            30,
            "It is said that some sentences are so long that two cues are needed to hold them all.",
        ),
    )
    # " <Zürich>." is the fifth of words of 0.3 s from 1 s on.
    return with_proposals(
        view,
        proposed(2.5, 2.8, "<Zürich>", "Surrick", accepted=True),
        proposed(1.0, 1.3, "Gould", "Good", accepted=False),
    )


def expected_cues(view: MemoryView) -> list[tuple[int, int, str]]:
    found = cues_of(view)
    return [(cue.start_ms, cue.end_ms, cue.text) for cue in found]


# --- subtitles ---------------------------------------------------------------


def read_srt(text: str) -> list[tuple[int, int, str]]:
    subs = pysubs2.SSAFile.from_string(text, format_="srt")
    return [(e.start, e.end, e.text.replace("\\N", "\n").replace(JOINER, "")) for e in subs]


def read_vtt(text: str) -> list[tuple[int, int, str]]:
    subs = pysubs2.SSAFile.from_string(text, format_="vtt")
    return [(e.start, e.end, html.unescape(e.text.replace("\\N", "\n"))) for e in subs]


def test_srt_reads_back_as_the_cues() -> None:
    assert read_srt(written(SrtWriter(), sample())) == expected_cues(sample())


def test_vtt_reads_back_as_the_cues() -> None:
    assert read_vtt(written(VttWriter(), sample())) == expected_cues(sample())


def test_srt_looks_like_srt() -> None:
    assert written(SrtWriter(), view_of(spoken(1, "Good morning."), missing(5, 17))) == (
        "1\n00:00:01,000 --> 00:00:01,833\nGood morning.\n\n"
        "2\n00:00:05,000 --> 00:00:17,000\n[not transcribed: 12 s, worker crashed]\n\n"
    )


def test_vtt_looks_like_vtt() -> None:
    assert written(VttWriter(), view_of(said(1, 3, "1 < 2 && 3 --> 4"))) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\n1 &lt; 2 &amp;&amp; 3 --&gt; 4\n\n"
    )


@given(NASTY)
@settings(max_examples=150, deadline=None)
def test_readers_of_srt_find_no_markup_in_speech(words: list[str]) -> None:
    view = view_of(said(0, 6, " ".join(words)), spoken(10, "The end."))
    assert read_srt(written(SrtWriter(), view)) == expected_cues(view)


@given(NASTY)
@settings(max_examples=150, deadline=None)
def test_vtt_holds_no_markup_and_one_arrow_a_cue(words: list[str]) -> None:
    view = view_of(said(0, 6, " ".join(words)), spoken(10, "The end."))
    text = written(VttWriter(), view)
    blocks = text.removesuffix("\n\n").split("\n\n")
    assert blocks[0] == "WEBVTT"
    found = []
    for block in blocks[1:]:
        times, *lines = block.split("\n")
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} --> \d\d:\d\d:\d\d\.\d{3}", times)
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", "\n".join(lines))
        found.append(html.unescape("\n".join(lines)))
    assert found == [text for *_, text in expected_cues(view)]


def test_plain_speech_is_written_without_invisible_characters() -> None:
    text = 'At 10:30, "A & B" {sic} paid 5.5 > 3 - see C:/x. Ü, 你好'
    assert JOINER not in written(SrtWriter(), view_of(spoken(0, text)))


def test_hours_may_have_three_digits() -> None:
    assert clock(((123 * 60 + 4) * 60 + 5) * 1000 + 6, ",") == "123:04:05,006"


# --- text and table ----------------------------------------------------------


def test_txt_has_one_line_a_segment_and_a_gap() -> None:
    assert written(TxtWriter(), sample()).splitlines() == [
        "Good morning & welcome to <Zürich>.",
        "[not transcribed: 12 s, worker crashed]",
        "Thank you, Mr. Nguyễn.",
        "It is said that some sentences are so long that two cues are needed to hold them all.",
    ]


def test_tsv_reads_back_as_a_table() -> None:
    view = view_of(said(0.5, 1.25, ' a "b"\tc\nd '), missing(2, 3.5), said(4, 4.5, " "))
    table = csv.reader(io.StringIO(written(TsvWriter(), view)), "excel-tab", quoting=csv.QUOTE_NONE)
    assert list(table) == [
        ["start", "end", "text"],
        ["500", "1250", 'a "b" c d'],
        ["2000", "3500", "[not transcribed: 2 s, worker crashed]"],
    ]


# --- JSON --------------------------------------------------------------------


def documented() -> dict[str, list[str]]:
    """Return the fields that the reference names, by section."""
    fields: dict[str, list[str]] = {}
    section = ""
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:].strip("`")
        elif line.startswith("| `"):
            fields.setdefault(section, []).extend(re.findall(r"`(\w+)`", line.split(" | ")[0]))
    return fields


def found_fields(document: dict) -> dict[str, list[str]]:
    sections = {
        "The object": document,
        "segments[]": document["segments"][0],
        "segments[].replaced[]": document["segments"][0]["replaced"][0],
        "segments[].words[]": document["segments"][0]["words"][0],
        "windows[]": document["windows"][0],
        "windows[].prompt": document["windows"][0]["prompt"],
        "windows[].proposals[]": document["windows"][0]["proposals"][0],
        "windows[].proposals[].evidence": document["windows"][0]["proposals"][0]["evidence"],
        "gaps[]": document["gaps"][0],
        "coverage": document["coverage"],
        "coverage.entries[]": document["coverage"]["entries"][0],
    }
    return {name: sorted(record) for name, record in sections.items()}


def test_json_has_exactly_the_fields_of_its_reference() -> None:
    document = json.loads(written(JsonWriter(), sample()))
    assert found_fields(document) == {name: sorted(keys) for name, keys in documented().items()}


def test_json_says_what_is_in_the_view() -> None:
    document = json.loads(written(JsonWriter(), sample()))
    assert document["schema"] == SCHEMA
    assert document["media"] == "film.mp4"
    assert document["language"] == "en"
    assert document["duration"] == 35.4
    assert document["complete"] is True
    first, second = document["segments"][:2]
    assert (first["id"], first["start"], first["text"]) == (
        0,
        1.0,
        " Good morning & welcome to <Zürich>.",
    )
    assert first["words"][0] == {"word": " Good", "start": 1.0, "end": 1.3, "probability": 0.9}
    assert second["words"] == []
    assert second["bias_terms"] == ["Nguyễn", "Zürich"]
    assert document["windows"][1] == {
        "chunk_id": 0,
        "index": 0,
        "start": 20.0,
        "end": 22.5,
        "bias_window_id": 0,
        "prompt": {
            "terms": ["Nguyễn", "Zürich"],
            "text": " Nguyễn, Zürich",
            "tokens": [50361, 1, 2],
        },
        "remarks": [],
        "proposals": [],
    }
    assert document["gaps"] == [
        {"start": 5.0, "end": 17.0, "reason": "worker crashed", "chunk_id": 1}
    ]
    assert document["coverage"]["seconds"]["gap"] == 12.0


def test_json_says_what_was_weighed_and_what_came_of_it() -> None:
    document = json.loads(written(JsonWriter(), sample()))
    place = {"start": 2.5, "end": 2.8}
    first, second = document["segments"][:2]
    assert first["replaced"] == [
        {"heard": "Surrick", "written": "<Zürich>", "term": "<Zürich>", **place}
    ]
    assert second["replaced"] == []
    accepted, refused = document["windows"][0]["proposals"]
    assert accepted == {
        "term": "<Zürich>",
        "heard": "Surrick",
        "written": "<Zürich>",
        **place,
        "accepted": True,
        "reason": "probability over the threshold",
        "evidence": {
            "sound": 0.0412,
            "acoustic": -1.5,
            "margin": -0.1,
            "confidence": 0.4,
            "commonness": 0.1,
            "second_pass": True,
            "recurrence": 0,
            "timing": 0,
            "alias": False,
            "small": False,
            "letters": 8,
            "words": 1,
            "probability": 0.9123,
            "threshold": 0.5,
        },
    }
    assert (refused["term"], refused["accepted"]) == ("Gould", False)


def test_the_ledger_accounts_for_every_sample() -> None:
    view = view_of(spoken(1, "Some text."), missing(5, 17), complete=False)
    document = json.loads(written(JsonWriter(), view))
    coverage = document["coverage"]
    assert document["complete"] is False
    assert sum(coverage["samples"].values()) == view.duration
    assert set(coverage["samples"]) == {"text", "silence", "wordless", "gap", "pending"}
    assert coverage["seconds"]["pending"] == 60.0
    ends = [entry["end"] for entry in coverage["entries"]]
    assert [entry["start"] for entry in coverage["entries"]] == [0.0, *ends[:-1]]


def test_speech_without_words_stands_in_the_ledger() -> None:
    view = view_of(spoken(1, "Some text."))
    rest = Span(start=view.duration, end=view.duration + to_samples(3.4))
    lacking = CoverageEntry(span=rest, kind=CoverageKind.WORDLESS, reason="speech without words")
    view = replace(view, duration=rest.end, ledger=(*view.ledger, lacking))
    coverage = json.loads(written(JsonWriter(), view))["coverage"]
    assert coverage["seconds"]["wordless"] == 3.4
    assert coverage["entries"][-1] == {
        "start": rest.start / 16_000,
        "end": rest.end / 16_000,
        "kind": "wordless",
        "reason": "speech without words",
    }


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=5))
@settings(max_examples=150, deadline=None)
def test_json_text_is_the_segments_joined_and_stripped(texts: list[str]) -> None:
    view = view_of(*(said(n, n + 1, text) for n, text in enumerate(texts)))
    document = json.loads(written(JsonWriter(), view))
    assert document["text"] == "".join(texts).strip()
    assert [segment["text"] for segment in document["segments"]] == texts


def test_json_has_one_segment_a_line() -> None:
    lines = written(JsonWriter(), sample()).splitlines()
    assert sum('"avg_logprob"' in line for line in lines) == 3
    assert json.loads(lines[lines.index('"segments": [') + 1].rstrip(",]"))["id"] == 0


def test_json_has_no_word_for_not_a_number() -> None:
    view = view_of(said(0, 1, " x"))
    (segment,) = view.all_segments
    view = view_of(type(segment)(**{**segment.__dict__, "average_logprob": float("nan")}))
    assert json.loads(written(JsonWriter(), view))["segments"][0]["avg_logprob"] is None


@pytest.mark.parametrize("name", ["film.mp4", 'a "b"\\c.mkv', "caf\udce9.wav"])
def test_json_names_the_media_whatever_its_name(name: str) -> None:
    view = MemoryView(media=name)
    text = written(JsonWriter(), view).encode("utf-8", "backslashreplace").decode()
    assert json.loads(text)["media"] == name


# --- the language of the text ------------------------------------------------


@pytest.mark.parametrize("spoken_language", ["ja", "zh", "ko", "th"])
@pytest.mark.parametrize("writer", [SrtWriter, VttWriter])
def test_a_translation_is_laid_out_as_english(writer, spoken_language: str) -> None:
    segment = said(0, 6, " And so, my fellow Americans, ask not what your country can do for you.")
    translated = replace(view_of(segment, language=spoken_language), spelt="en")
    assert written(writer(), translated) == written(writer(), view_of(segment, language="en"))
    assert written(writer(), view_of(segment, language=spoken_language)) != written(
        writer(), translated
    )


@pytest.mark.parametrize("writer", [SrtWriter, VttWriter])
def test_the_last_subtitle_ends_with_the_media(writer) -> None:
    view = replace(view_of(said(9, 9.1, " No!")), duration=round(9.2 * 16_000))
    assert "09.200" in written(writer(), view).replace(",", ".")
