"""Whisper's vocabulary: text, special tokens, and words made of tokens."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from longscribe.config import Task
from longscribe.errors import ModelError
from longscribe.languages import LANGUAGES

TIMES = 1501
"""Timestamp tokens: 0.00 s to 30.00 s, one for every 20 ms."""

_NO_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages that put no spaces between words (openai/whisper, tokenizer.py)."""
_UNFINISHED = "\ufffd"
"""Stands where the bytes of a character are not complete."""

# Not to be written: marks of speakers, notes and music (openai/whisper, tokenizer.py).
_SYMBOLS = (
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("', "((", "))", "(((", ")))"),
    *("[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
)
_MUSIC = tuple("♩♪♫♬♭♮♯")
"""Not even the first of the tokens that these are made of."""


@dataclass(frozen=True, kw_only=True)
class WhisperTokens:
    """The vocabulary of one model, whichever library reads its file."""

    encode: Callable[[str], list[int]]
    """Text to token ids, no special ones among them."""
    decode_text: Callable[[list[int]], str]
    """Ids of text tokens to text."""
    find: Callable[[str], int | None]
    """`<|startoftranscript|>` to its id; None if there is no such token."""
    multilingual: bool

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`; special ones are left out."""
        return self.decode_text([token for token in tokens if token < self.end])

    def _id(self, *names: str) -> int:
        for name in names:
            found = self.find(name)
            if found is not None:
                return found
        raise ModelError(
            f"The model's vocabulary has no {names[0]}.",
            "Expected the vocabulary of a Whisper model; fetch the model again.",
        )

    @cached_property
    def end(self) -> int:
        """End of the text. Every id under it is text."""
        return self._id("<|endoftext|>")

    @cached_property
    def start(self) -> int:
        return self._id("<|startoftranscript|>")

    @cached_property
    def before(self) -> int:
        """Stands in front of a prompt."""
        return self._id("<|startofprev|>")

    @cached_property
    def no_speech(self) -> int:
        return self._id("<|nospeech|>", "<|nocaptions|>")

    @cached_property
    def no_times(self) -> int:
        return self._id("<|notimestamps|>")

    @property
    def first_time(self) -> int:
        """The token for 0.00 s; later times follow it."""
        return self.no_times + 1

    @property
    def last_time(self) -> int:
        return self.first_time + TIMES - 1

    @cached_property
    def languages(self) -> dict[str, int]:
        """Code → token, for each language the model knows."""
        if not self.multilingual:
            return {}
        found = ((code, self.find(f"<|{code}|>")) for code in LANGUAGES.by_code)
        return {code: token for code, token in found if token is not None}

    def opening(self, language: str | None, task: Task) -> tuple[int, ...]:
        """Return what stands between prompt and answer: start, language, task, no times."""
        if not self.multilingual:
            return (self.start, self.no_times)
        spoken = f"<|{language or 'en'}|>"
        return (self.start, self._id(spoken), self._id(f"<|{task}|>"), self.no_times)

    @cached_property
    def suppressed(self) -> tuple[int, ...]:
        """Tokens that are never written: special ones, times, and marks of what is not speech."""
        allowed_marks = {self.encode(" -")[0], self.encode(" '")[0]}  # not at a word's beginning
        found = set(allowed_marks)
        for symbol in (*_SYMBOLS, *_MUSIC):
            for tokens in (self.encode(symbol), self.encode(" " + symbol)):
                if len(tokens) == 1 or symbol in _MUSIC:
                    found.add(tokens[0])
        return (*sorted(found), *range(self.end + 1, self.last_time + 1))

    @cached_property
    def blank(self) -> tuple[int, ...]:
        """The token of a lone space, if there is one: no answer begins with it."""
        return tuple(self.encode(" ")[:1])

    def split_words(
        self, tokens: Sequence[int], language: str | None
    ) -> list[tuple[str, tuple[int, ...]]]:
        """Split text tokens into words, each with its leading space and its tokens."""
        pieces = self._split_characters(tokens)
        if language in _NO_SPACES:
            return pieces
        words: list[tuple[str, tuple[int, ...]]] = []
        for text, own in pieces:
            begins = text.startswith(" ") or text.strip() in string.punctuation
            if begins or not words:
                words.append((text, own))
            else:
                words[-1] = (words[-1][0] + text, words[-1][1] + own)
        return words

    def _split_characters(self, tokens: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
        """Split tokens wherever a character is complete."""
        whole = self.decode(tokens)
        pieces: list[tuple[str, tuple[int, ...]]] = []
        position = 0
        pending: list[int] = []
        for token in tokens:
            pending.append(token)
            text = self.decode(pending)
            at = text.find(_UNFINISHED)
            # A replacement character may also be what the whole text has there.
            if at < 0 or whole[position + at : position + at + 1] == _UNFINISHED:
                pieces.append((text, tuple(pending)))
                position += len(text)
                pending = []
        if pending:
            pieces.append((self.decode(pending), tuple(pending)))
        return pieces
