"""People, heard by real Whisper: what is said must stand in the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.score import word_error_rate, words_of
from longscribe import Options, transcribe
from tests.real_speech import Spoken


def _said(text: str) -> list[str]:
    """Return the words of a text, written out as they are said."""
    return ["mister" if word == "mr" else word for word in words_of(text)]


@pytest.mark.needs_real_model
def test_a_sentence_has_its_words(real_base: Path, sentences: list[Spoken], tmp_path: Path) -> None:
    spoken = sentences[0]
    options = Options.build(
        model=str(real_base),
        recognizer="faster-whisper",
        device="cpu",
        compute_type="int8",
        language="en",
        output_dir=tmp_path,
    )
    transcript = transcribe(spoken.media, options)
    assert transcript.complete
    assert _said(transcript.text) == _said(spoken.text)


@pytest.mark.needs_real_model("tiny.en")
def test_an_english_only_model_hears_the_words_too(
    real_tiny_en: Path, sentences: list[Spoken], tmp_path: Path
) -> None:
    options = Options.build(
        model=str(real_tiny_en),
        recognizer="faster-whisper",
        device="cpu",
        compute_type="int8",
        output_dir=tmp_path,
    )
    transcript = transcribe(sentences[0].media, options)
    assert transcript.complete
    assert word_error_rate(sentences[0].text, transcript.text) <= 0.1
