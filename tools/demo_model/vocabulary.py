"""The ids of Whisper's multilingual vocabulary that the recipe needs, and a fast encoder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

SIZE = 51_865
END_OF_TEXT = 50_257
START_OF_TRANSCRIPT = 50_258
ENGLISH = 50_259
TRANSCRIBE = 50_359
START_OF_PREVIOUS = 50_361
NO_SPEECH = 50_362
NO_TIMESTAMPS = 50_363
FIRST_TIMESTAMP = 50_364
LAST_TIMESTAMP = FIRST_TIMESTAMP + 1500
BLANK = 220  # a lone space

TEXT_CONTEXT = 448
PROMPT_LIMIT = TEXT_CONTEXT // 2 - 1
TIMESTAMP_STEP = 320  # samples: 20 ms at 16 kHz


def timestamp(sample: int) -> int:
    """The timestamp token nearest to a sample of the window."""
    return min(LAST_TIMESTAMP, FIRST_TIMESTAMP + round(sample / TIMESTAMP_STEP))


class Encoder:
    """Text to token ids, one cached word at a time.

    Whisper's pre-tokenizer never joins anything across a space, so encoding word by word gives the
    same ids as encoding the whole text, and training windows repeat their words endlessly.
    """

    def __init__(self, tokenizer_file: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._word = lru_cache(maxsize=400_000)(self._encode_word)

    def _encode_word(self, word: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(" " + word, add_special_tokens=False).ids)

    def __call__(self, text: str) -> list[int]:
        """Token ids of ` text`: every word with the space before it, as Whisper writes speech."""
        return [token for word in text.split() for token in self._word(word)]
