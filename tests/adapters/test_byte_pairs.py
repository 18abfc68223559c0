"""Byte pairs against the tokenizer that the model was trained with."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.adapters.recognizers.byte_pairs import BytePairs
from tests.e2e.support import GLOSSARY, MODEL, ROOT

tokenizers = pytest.importorskip("tokenizers")
pytestmark = pytest.mark.skipif(
    not (MODEL / "tokenizer.json").is_file(), reason="the demo model is not here"
)


def letters() -> dict[str, int]:
    """Return the letters that byte-level vocabularies write for each byte."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(b): b for b in shown} | {chr(256 + n): b for n, b in enumerate(hidden)}


@pytest.fixture(scope="module")
def theirs():
    return tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))


@pytest.fixture(scope="module")
def ours() -> BytePairs:
    """The same vocabulary, without the merges."""
    vocabulary = json.loads((MODEL / "tokenizer.json").read_text(encoding="utf-8"))["model"][
        "vocab"
    ]
    byte = letters()
    by_number = {number: token for token, number in vocabulary.items()}
    return BytePairs(
        [bytes(byte[letter] for letter in by_number[number]) for number in range(len(by_number))]
    )


@pytest.mark.parametrize(
    "text",
    [
        "", " ", " Rosalynd, Marygold", "don't they're  two  spaces \n new\tline",
        " Zürich, Đorđe; 北京 東京 — naïve café 12,345", "_under_score_ O'Brien's №5",
        "emoji 😀👩‍👩‍👧 end", "اسم العائلة", " 한국어 테스트", "ไทยภาษา",
    ],
)  # fmt: skip
def test_it_spells_as_the_model_learnt_to(text: str, ours: BytePairs, theirs) -> None:
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids
    assert ours.decode(ours.encode(text)) == text


def test_the_sample_and_its_glossary(ours: BytePairs, theirs) -> None:
    for file in (ROOT / "demo" / "play.txt", GLOSSARY):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert ours.encode(line) == theirs.encode(line, add_special_tokens=False).ids


@given(text=st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_nothing_is_lost(text: str, ours: BytePairs) -> None:
    spelt = text.encode("utf-8", errors="replace").decode()
    assert ours.decode(ours.encode(text)) == spelt


def test_a_character_in_parts_is_marked(ours: BytePairs) -> None:
    tokens = ours.encode("😀")
    assert len(tokens) > 1
    assert "\N{REPLACEMENT CHARACTER}" in ours.decode(tokens[:1])
