"""WhisperX's own alignment, on a model with random weights: what it says is noise, how is not.

Runs in WhisperX's environment: make conformance-whisperx
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longscribe.config import DecodeSettings, Options
from longscribe.errors import ModelError
from longscribe.ports import WindowAudio
from longscribe.types import SAMPLE_RATE, Span, Window, WindowBias
from tests.e2e.support import MODEL, sample_audio

if importlib.util.find_spec("whisperx") is None:
    pytest.skip("whisperx is not installed", allow_module_level=True)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from longscribe.adapters.recognizers import whisperx  # noqa: E402 - needs what was just looked for

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
SETTINGS = Options(language="en", beam_size=1).decode_settings


@pytest.fixture(scope="module")
def aligner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wav2vec 2.0 model as small as its code allows."""
    folder = tmp_path_factory.mktemp("aligner")
    vocabulary = {
        "<pad>": 0,
        "<unk>": 1,
        "|": 2,
        **{letter: n + 3 for n, letter in enumerate(LETTERS)},
    }
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"), pad_token="<pad>", unk_token="<unk>", word_delimiter_token="|"
    )
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=SAMPLE_RATE)
    transformers.Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    torch.manual_seed(1)
    config = transformers.Wav2Vec2Config(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, conv_dim=(16,) * 7, num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


def load(align_model: str) -> whisperx.WhisperXRecognizer:
    options = Options(
        recognizer="whisperx", model=str(MODEL), device="cpu", align_model=align_model
    )
    return whisperx.load(options.recognizer_settings, str(MODEL))


def window(start: float = 1.0, end: float = 13.1) -> WindowAudio:
    span = Span(start=round(start * SAMPLE_RATE), end=round(end * SAMPLE_RATE))
    return WindowAudio(
        window=Window(index=0, span=span, owns=span, speech=span.length),
        bias=WindowBias(bias_window_id=None, terms=()),
        pcm=sample_audio()[span.start : span.end],
    )


def decode(recognizer: Any, given: WindowAudio, settings: DecodeSettings = SETTINGS) -> Any:
    ((result,),) = list(recognizer.decode([given], settings, 3))
    return result


def test_words_are_timed_by_the_alignment_model(
    aligner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = load(str(aligner))
    attention: list[str] = []
    monkeypatch.setattr(recognizer._whisper, "time_words", lambda *_: attention.append("asked"))
    result = decode(recognizer, window())
    assert not attention
    assert result.remarks == ()
    assert len(result.segments) == 2, "two sentences"
    plain = decode(load("none"), window(), replace(SETTINGS, word_times=False))
    assert "".join(segment.text for segment in result.segments) == plain.segments[0].text
    last = result.window.span.start
    for segment in result.segments:
        assert "".join(word.text for word in segment.words) == segment.text
        for word in segment.words:
            assert last <= word.start <= word.end <= result.window.span.end
            assert 0 <= word.probability <= 1
            last = word.start
    times = [(word.start, word.end) for segment in result.segments for word in segment.words]
    assert len(set(times)) > len(times) // 2, "each has its own"
    assert decode(recognizer, window()) == result


def test_what_has_no_letters_of_the_model_is_still_there(aligner: Path) -> None:
    about = whisperx.Aligners(str(aligner), "cpu").of("en")
    assert isinstance(about, whisperx.Aligner)
    pcm = window(1.0, 7.0).pcm
    for text in (" In 1984, for £5.", " 42", " ...", " é Mr. O'Neil — said: 'yes'!", "日本 語"):
        found = about.align(text, pcm)
        assert found == [] or "".join(w.text for words in found for w in words) == text


def test_a_window_too_short_to_align_keeps_its_words(aligner: Path) -> None:
    recognizer = load(str(aligner))
    short = replace(window(1.0, 1.0 + 20 / SAMPLE_RATE), pcm=np.zeros(20, np.int16))
    long_text = " This is more text than twenty samples can hold."
    words, remarks = recognizer._timed(short, long_text, SETTINGS)
    assert "".join(word.text for sentence in words for word in sentence) == long_text
    assert remarks == () or "could not be aligned" in remarks[0]


def test_without_a_model_the_words_are_timed_by_attention_and_that_is_said() -> None:
    """WhisperX knows no alignment model for Swahili."""
    result = decode(load("auto"), window(), replace(SETTINGS, language="sw"))
    (remark,) = result.remarks
    assert (
        remark == "words are timed by Whisper's attention: no alignment model for 'sw' can be had"
    )
    assert all(segment.words for segment in result.segments)


def test_without_a_model_on_purpose_nothing_is_said() -> None:
    result = decode(load("none"), window())
    assert result.remarks == ()
    assert result.segments[0].words


def test_a_model_that_was_named_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--align-model"):
        decode(load(str(tmp_path)), window())


def test_windows_with_one_prompt_share_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = load("none")
    sizes: list[int] = []
    generate = recognizer._pipeline.model.generate_segment_batched

    def watched(features: Any, *rest: Any) -> Any:
        sizes.append(len(features))
        return generate(features, *rest)

    monkeypatch.setattr(recognizer._pipeline.model, "generate_segment_batched", watched)
    terms: list[tuple[str, ...]] = [(), ("Annabell",), (), ("Annabell",), ()]
    windows = [
        replace(
            window(),
            window=replace(window().window, index=n),
            bias=WindowBias(bias_window_id=None, terms=names),
        )
        for n, names in enumerate(terms)
    ]
    batches = list(recognizer.decode(windows, replace(SETTINGS, batch_size=2), 0))
    assert sizes == [2, 2, 1]
    assert [[result.window.index for result in batch] for batch in batches] == [[0, 2], [1, 3], [4]]
