"""What verifying takes from the language of the text, with a recognizer that is made up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from longscribe.adapters.language import tools
from longscribe.adapters.language.commonness import LISTED
from longscribe.chunk_work import ChunkWork
from longscribe.config import DecodeSettings, Options, PronouncerName, Task, text_language
from longscribe.core.bias.ranking import BiasPlan
from longscribe.core.bias.rule import NO_COMMON_WORDS, SHORT_LIST
from longscribe.ports import DecodeTask, WindowAudio
from longscribe.types import (
    SAMPLE_RATE,
    Attempt,
    Chunk,
    ChunkResult,
    Glossary,
    Proposal,
    Span,
    Term,
    Window,
    WindowResult,
)
from longscribe.worker.decoding import ChunkDecoder
from longscribe.worker.messages import ChunkDecoded
from tests.faults.recognizers import FakeRecognizer

SPAN = Span(start=0, end=10 * SAMPLE_RATE)
CHUNK = Chunk(
    chunk_id=0,
    span=SPAN,
    windows=(Window(index=0, span=SPAN, owns=SPAN, speech=SPAN.length),),
)
LOADED: list[str] = []
"""Languages whose tools were asked for."""


def load(pronouncer: PronouncerName, language: str) -> tools.Tools:
    """Fulfils `LanguageToolsFactory`."""
    LOADED.append(language)
    return tools.load(pronouncer, language)


class Prompted(FakeRecognizer):
    """Writes the best term of its prompt in the place of its fourth and sixth word."""

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        for batch in super().decode(windows, settings, chunk_id):
            yield tuple(self._as_told(result) for result in batch)

    def _as_told(self, result: WindowResult) -> WindowResult:
        if not result.prompt.terms:
            return result
        (segment,) = result.segments
        words = segment.text.split()
        words[3] = words[5] = result.prompt.terms[0]
        text = "".join(f" {word}" for word in words)
        return replace(result, segments=(replace(segment, text=text),))


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "audio.s16"
    np.arange(SPAN.length, dtype="<i2").tofile(path)
    return path


def asked(**changes: Any) -> Options:
    given = {"bias": "verify", "pronouncer": "letters", "glossary": Path("names.txt"), **changes}
    return Options(model="any", **given)


def hear(spool: Path, options: Options, *terms: Term) -> ChunkResult:
    glossary = Glossary(terms=terms)
    task = DecodeTask(
        chunk=CHUNK,
        biases=BiasPlan(glossary=glossary, settings=options.bias_settings).for_chunk(CHUNK),
        settings=options.decode_settings,
        bias=options.bias_settings,
        glossary="",
        recognizer=options.recognizer_settings,
        attempt=Attempt(chunk_id=0, label="0", number=1, rung="as asked"),
    )
    recognizer = Prompted(options.recognizer_settings)
    *_, last = ChunkDecoder(recognizer, glossary, f"{__name__}:load", spool).decode(task)
    assert isinstance(last, ChunkDecoded)
    return last.result


def heard_words(spool: Path) -> list[str]:
    (window,) = hear(spool, asked(bias="off", language="de")).windows
    return window.segments[0].text.split()


# --- a text that is translated -----------------------------------------------------


@pytest.mark.parametrize(
    ("task", "spoken", "text"),
    [
        (Task.TRANSCRIBE, "de", "de"),
        (Task.TRANSLATE, "de", "en"),
        (Task.TRANSLATE, None, "en"),
        (Task.TRANSCRIBE, None, None),
    ],
)
def test_a_translation_is_in_english(task, spoken, text):
    assert text_language(task, spoken) == text


@pytest.mark.parametrize(("task", "language"), [("transcribe", "de"), ("translate", "en")])
def test_a_text_is_verified_in_its_own_language(spool, task, language):
    word = heard_words(spool)[3]
    terms = [
        Term(text=f"{code}-term", aliases=(word,), never=(word,), languages=(code,))
        for code in ("de", "en")
    ]
    LOADED.clear()
    (window,) = hear(spool, asked(language="de", task=task), *terms).windows
    assert set(LOADED) == {language}
    assert {proposal.term for proposal in window.proposals} == {f"{language}-term"}


@pytest.mark.parametrize("mode", ["verify", "prompt"])
def test_the_key_counts_the_terms_of_the_texts_language(mode):
    def key(task: str, *terms: Term) -> str:
        options = asked(language="de", task=task, bias=mode)
        job = SimpleNamespace(
            options=options, glossary=Glossary(terms=terms), bias_settings=options.bias_settings,
            pronouncer="letters", model="any",
        )  # fmt: skip
        work = ChunkWork(job=job, tools=None, language="de")  # type: ignore[arg-type]
        entry = SimpleNamespace(chunk=CHUNK, planned=SimpleNamespace(audio="digest"))
        return work.key(entry)  # type: ignore[arg-type]

    plain = Term(text="Foo")
    german, english = (Term(text="Bar", languages=(code,)) for code in ("de", "en"))
    assert key("transcribe", plain, german) != key("transcribe", plain)
    assert key("transcribe", plain, english) == key("transcribe", plain)
    assert key("translate", plain, english) != key("translate", plain)
    assert key("translate", plain, german) == key("translate", plain)


# --- a language whose common words are not known -------------------------------------


def proposals(spool: Path, language: str, *terms: Term) -> tuple[Proposal, ...]:
    (window,) = hear(spool, asked(language=language), *terms).windows
    return window.proposals


def doubled(term: Term) -> Term:
    """Return a term that is spelt otherwise and sounds the same."""
    return replace(term, text=term.text.replace("m", "mm"))


def test_tools_say_whether_they_know_common_words():
    for language in ("en", "sv", "pl", "ja"):
        known = tools.load(PronouncerName.LETTERS, language).knows_common_words
        assert known == (language in LISTED)


def test_where_common_words_are_not_known_as_much_is_demanded_as_of_a_long_list(spool):
    same = Term(text=heard_words(spool)[3].capitalize())
    (german, *_), (swedish, *_) = (proposals(spool, code, doubled(same)) for code in ("de", "sv"))
    assert (german.heard, german.term) == (swedish.heard, swedish.term)
    assert german.evidence.threshold in (SHORT_LIST.risky, SHORT_LIST.others)
    assert swedish.evidence.threshold in (NO_COMMON_WORDS.risky, NO_COMMON_WORDS.others)


def test_what_sounds_only_alike_is_left_as_heard_there(spool):
    alike = Term(text=heard_words(spool)[3].capitalize() + "n")
    assert any(each.accepted for each in proposals(spool, "de", alike))
    assert not any(each.accepted for each in proposals(spool, "sv", alike))


def test_the_reason_is_the_language_and_not_the_length_of_the_list(spool):
    # It is told of a term that sounds the same as one word, and writes it elsewhere as well.
    term = doubled(Term(text=heard_words(spool)[3].capitalize()))
    elsewhere = [each for each in proposals(spool, "sv", term) if each.evidence.sound > 0.06]
    assert {each.reason for each in elsewhere} == {
        "too far in sound for a language whose common words are not known"
    }
