"""Whisper's vocabulary, held against faster-whisper's reading of it."""

from __future__ import annotations

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("faster_whisper")

from faster_whisper.tokenizer import Tokenizer as Theirs
from faster_whisper.transcribe import get_suppressed_tokens
from tokenizers import Tokenizer

from longscribe.adapters.recognizers.whisper.tokens import WhisperTokens
from longscribe.config import Task
from longscribe.errors import ModelError
from tests.e2e.support import MODEL

TEXTS = (
    " It begins in the north, in the land of Brannock.",
    " Don't (ever) say 42,000.5 — it's naïve; ask Zoë & co.!",
    " 今日は東京へ行きます。",
    " สวัสดีครับ",
    " Ζωή 🎧🎧 a",
    "",
)


@pytest.fixture(scope="module")
def file() -> Tokenizer:
    return Tokenizer.from_file(str(MODEL / "tokenizer.json"))


@pytest.fixture(scope="module")
def ours(file: Tokenizer) -> WhisperTokens:
    return WhisperTokens(
        encode=lambda text: list(file.encode(text, add_special_tokens=False).ids),
        decode_text=file.decode,
        find=file.token_to_id,
        multilingual=True,
    )


def theirs(file: Tokenizer, language: str = "en", task: str = "transcribe") -> Theirs:
    return Theirs(file, True, task=task, language=language)


def test_special_tokens_are_the_same(file: Tokenizer, ours: WhisperTokens) -> None:
    other = theirs(file)
    assert (ours.end, ours.start, ours.before) == (other.eot, other.sot, other.sot_prev)
    assert (ours.no_times, ours.no_speech) == (other.no_timestamps, other.no_speech)
    assert ours.first_time == other.timestamp_begin
    assert ours.last_time == file.token_to_id("<|30.00|>") or ours.last_time == 51_864


@pytest.mark.parametrize(("language", "task"), [("en", "transcribe"), ("de", "translate")])
def test_an_answer_is_opened_the_same_way(
    language: str, task: str, file: Tokenizer, ours: WhisperTokens
) -> None:
    other = theirs(file, language, task)
    opening = [*other.sot_sequence, other.no_timestamps]
    assert list(ours.opening(language, Task(task))) == opening


def test_a_model_of_one_language_is_told_neither_language_nor_task(
    file: Tokenizer, ours: WhisperTokens
) -> None:
    english = WhisperTokens(
        encode=ours.encode, decode_text=ours.decode_text, find=ours.find, multilingual=False
    )
    assert english.opening(None, Task.TRANSCRIBE) == (ours.start, ours.no_times)
    assert english.languages == {}


def test_all_languages_are_known(ours: WhisperTokens) -> None:
    assert len(ours.languages) == 99
    assert ours.languages["en"] == 50_259


def test_the_same_is_never_written(file: Tokenizer, ours: WhisperTokens) -> None:
    other = set(get_suppressed_tokens(theirs(file), [-1]))
    special = set(range(ours.end + 1, ours.last_time + 1))
    assert set(ours.suppressed) - special == other - special
    assert special <= set(ours.suppressed), "languages and times neither"
    assert ours.first_time in special
    assert ours.end not in ours.suppressed


def test_a_lone_space_is_known(file: Tokenizer, ours: WhisperTokens) -> None:
    """openai/whisper's SuppressBlank forbids it as the first token of an answer."""
    assert list(ours.blank) == theirs(file).encode(" ")
    assert len(ours.blank) == 1
    assert ours.decode(ours.blank) == " "


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back(text: str, ours: WhisperTokens) -> None:
    tokens = ours.encode(text)
    assert ours.decode(tokens) == text
    assert ours.decode([ours.start, *tokens, ours.end, ours.first_time]) == text


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("language", ["en", "ja", "th"])
def test_words_are_the_same(text: str, language: str, file: Tokenizer, ours: WhisperTokens) -> None:
    tokens = ours.encode(text)
    texts, groups = theirs(file, language).split_to_word_tokens(tokens)
    assert ours.split_words(tokens, language) == [
        (word, tuple(group)) for word, group in zip(texts, groups, strict=True)
    ]


def test_a_character_that_was_cut_is_not_lost(ours: WhisperTokens) -> None:
    tokens = ours.encode(" 🎧")[:-1]
    pieces = ours.split_words(tokens, "en")
    assert [token for _, own in pieces for token in own] == tokens


def test_another_vocabulary_is_refused(ours: WhisperTokens) -> None:
    foreign = WhisperTokens(
        encode=ours.encode, decode_text=ours.decode_text, find=lambda _: None, multilingual=True
    )
    with pytest.raises(ModelError, match="startoftranscript"):
        foreign.opening("en", Task.TRANSCRIBE)
