"""Text in composed characters, wherever it comes from."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import pytest

from longscribe.core.bias.glossary import parse_glossary
from longscribe.core.bias.learning import extended
from longscribe.core.composed import composed_window
from longscribe.core.refusals import check_capabilities, one_language_notice, only_language
from longscribe.errors import RecognizerError
from longscribe.ports import Capabilities
from longscribe.types import NO_PROMPT, Glossary, Segment, Span, Term, Window, WindowResult, Word

NAME = "Zoë Brontë"
APART = unicodedata.normalize("NFD", NAME)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.txt", APART),
        ("g.csv", f"term,aliases\n{APART},"),
        ("g.json", json.dumps([{"term": APART}], ensure_ascii=False)),
        ("g.json", json.dumps([{"term": APART}])),
        ("g.yaml", f"- term: {APART}\n"),
    ],
    ids=["lines", "table", "JSON", "JSON with escapes", "YAML"],
)
def test_a_glossary(name, text) -> None:
    [term] = parse_glossary(text.encode(), name).terms
    assert term.text == NAME


def test_both_spellings_are_one_term() -> None:
    [term] = parse_glossary(f"{NAME}\n{APART}\n".encode(), "g.txt").terms
    assert term.text == NAME


def test_extra_terms() -> None:
    [term] = extended(Glossary(), [Term(text=APART, aliases=(APART + "s",))]).terms
    assert term == Term(text=NAME, aliases=(NAME + "s",))


def result(*words: str) -> WindowResult:
    spoken = tuple(
        Word(start=n * 100, end=n * 100 + 90, text=text, probability=1 - n / 10)
        for n, text in enumerate(words)
    )
    segment = Segment(
        start=0,
        end=1000,
        text="".join(words),
        words=spoken,
        chunk_id=0,
        window=0,
        bias_window_id=None,
        bias_terms=(),
        average_logprob=-0.1,
        no_speech_probability=0.0,
        compression_ratio=1.0,
    )
    window = Window(index=0, span=Span(start=0, end=1000), owns=Span(start=0, end=1000), speech=900)
    return WindowResult(
        chunk_id=0, window=window, bias_window_id=None, prompt=NO_PROMPT, segments=(segment,)
    )


def test_what_was_decoded() -> None:
    [segment] = composed_window(result(" Zoe\u0308", " Bronte\u0308")).segments
    assert segment.text == " Zoë Brontë"
    assert [word.text for word in segment.words] == [" Zoë", " Brontë"]


def test_a_mark_that_was_parted_from_its_letter() -> None:
    [segment] = composed_window(result(" Zoe", "\u0308", " said")).segments
    assert [(word.text, word.end) for word in segment.words] == [(" Zoë", 190), (" said", 290)]
    assert segment.text == "".join(word.text for word in segment.words)


def test_composed_text_is_left_alone() -> None:
    whole = result(" Zoë", " said")
    assert composed_window(whole) is whole


ENGLISH = Capabilities(
    prompts=True,
    word_times=True,
    scoring=True,
    batching=True,
    translate=False,
    languages=("en",),
)


class TestOneLanguage:
    def test_which(self) -> None:
        assert only_language(ENGLISH) == "en"
        assert only_language(replace(ENGLISH, languages=("en", "de"))) == ""

    def test_it_is_said_by_name(self) -> None:
        assert one_language_notice("en").startswith("This model knows only English, and no")
        assert one_language_notice("de").startswith("This model knows only German, and no")

    def test_any_other_is_refused(self) -> None:
        with pytest.raises(RecognizerError, match="It knows: en"):
            check_capabilities(ENGLISH, "any", (), "de")
        check_capabilities(ENGLISH, "any", (), "en")
