"""What every writer must do, whatever its format. Add a writer to `WRITERS` and it is held to this."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.adapters.writers.json_writer import JsonWriter
from longscribe.adapters.writers.srt import SrtWriter
from longscribe.adapters.writers.tsv import TsvWriter
from longscribe.adapters.writers.txt import TxtWriter
from longscribe.adapters.writers.vtt import VttWriter
from longscribe.config import OutputFormat
from longscribe.ports import TranscriptWriter
from longscribe.types import Segment, WindowResult
from tests.views import MemoryView, missing, said, spoken, view_of

WRITERS: dict[OutputFormat, TranscriptWriter] = {
    OutputFormat.SRT: SrtWriter(),
    OutputFormat.VTT: VttWriter(),
    OutputFormat.JSON: JsonWriter(),
    OutputFormat.TXT: TxtWriter(),
    OutputFormat.TSV: TsvWriter(),
}

HOSTILE = [
    "00:00:01,000 --> 00:00:02,000",
    "00:00:01.000 --> 00:00:02.000\n\n2\n\nNOTE",
    "<script>alert(1)</script> & {\\an8}\\N\\h",
    'tab\there, quote " and back\\slash',
    "\ufeffWEBVTT\r\n\r\n\u2028\u2029\x85\x0b\x0c\x00\x1b",
    "\ud83d half a pair",
    "مرحبا بالعالم 你好 👩‍👩‍👧 e\u0301",
]

each_writer = pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)


def written(writer: TranscriptWriter, view: MemoryView) -> str:
    out = io.StringIO()
    writer.write(view, out)
    return out.getvalue()


def test_every_format_has_a_writer_with_its_extension() -> None:
    assert {name: writer.extension for name, writer in WRITERS.items()} == {
        name: name.value for name in OutputFormat
    }


@each_writer
def test_equal_views_give_equal_text(writer: TranscriptWriter) -> None:
    def view() -> MemoryView:
        return view_of(spoken(0, "Twice the same."), missing(5, 9), spoken(10, "Yes."))

    assert written(writer, view()) == written(writer, view())


@each_writer
def test_gaps_can_be_seen(writer: TranscriptWriter) -> None:
    text = written(writer, view_of(spoken(0, "Before."), missing(5, 17), spoken(20, "After.")))
    if isinstance(writer, JsonWriter):
        assert json.loads(text)["gaps"][0]["reason"] == "worker crashed"
    else:
        assert "[not transcribed: 12 s, worker crashed]" in text
        assert text.index("Before.") < text.index("[not") < text.index("After.")


@each_writer
def test_an_empty_transcript_gives_a_valid_file(writer: TranscriptWriter) -> None:
    text = written(writer, view_of(language=None))
    expected = {"srt": "", "txt": "", "vtt": "WEBVTT\n\n", "tsv": "start\tend\ttext\n"}
    if isinstance(writer, JsonWriter):
        assert json.loads(text)["segments"] == []
    else:
        assert text == expected[writer.extension]


@each_writer
def test_an_incomplete_transcript_holds_what_there_is(writer: TranscriptWriter) -> None:
    text = written(writer, view_of(spoken(0, "So far."), complete=False))
    assert "So far." in text
    assert text.endswith("\n")


@each_writer
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_cannot_break_the_file(writer: TranscriptWriter, text: str) -> None:
    written_text = written(
        writer, view_of(said(0, 3, text), spoken(5, "Then this."), missing(8, 9))
    )
    assert "Then this." in written_text
    assert "\r" not in written_text
    assert not any(mark in written_text for mark in "\x00\x0b\x0c\x1b\x85")
    for line in written_text.split("\n"):
        # A line of times is one that the writer wrote itself.
        assert line.count("-->") <= 1
        assert "-->" not in line or line.startswith("00:00:0") or writer.extension not in "srt vtt"


@each_writer
@given(st.lists(st.text(max_size=40), max_size=4))
@settings(max_examples=40, deadline=None)
def test_any_text_can_be_written_as_utf_8(writer: TranscriptWriter, texts: list[str]) -> None:
    view = view_of(*(said(n * 5, n * 5 + 4, text) for n, text in enumerate(texts)))
    text = written(writer, view)
    assert not text.startswith("\ufeff")
    text.encode("utf-8", "backslashreplace").decode()


@each_writer
def test_memory_does_not_grow_with_the_transcript(writer: TranscriptWriter) -> None:
    class Sink(io.TextIOBase):
        def write(self, text: str) -> int:
            return len(text)

    class LongView(MemoryView):
        def segments(self) -> Iterator[Segment]:
            return (
                spoken(n * 3.5, "Ten words that are said again and again and again.")
                for n in range(self.duration)
            )

        def windows(self) -> Iterator[WindowResult]:
            return (view_of(segment).all_windows[0] for segment in self.segments())

    def peak(segments: int) -> int:
        view = LongView(**{**view_of().__dict__, "duration": segments})
        writer.write(view, Sink())  # what Python itself keeps from a first time is not counted
        tracemalloc.start()
        try:
            writer.write(view, Sink())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # The texts and times of 1,200 more segments would be over 500 kB, however held.
    assert peak(1500) < peak(300) + 200_000


@each_writer
def test_nothing_of_the_run_is_in_the_file(writer: TranscriptWriter) -> None:
    view = view_of(spoken(0, "Only this."))
    assert written(writer, view) == written(writer, replace(view))
    assert "/" not in written(writer, view)
