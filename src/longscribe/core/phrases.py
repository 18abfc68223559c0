"""From a decoder's tokens to timed phrases and words: what all Whisper engines share."""

from __future__ import annotations

import statistics
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from longscribe.types import SAMPLE_RATE, Word, to_samples

TIMESTAMP_STEP = SAMPLE_RATE // 50
"""Samples a timestamp token: 20 ms (openai/whisper, audio.py)."""

LONGEST_MEDIAN = to_samples(0.7)
SENTENCE_ENDS = ".。!！?？"
PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the next and to the previous word (openai/whisper, timing.py)."""


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """One phrase as the decoder timed it, in samples from the window's start."""

    start: int
    end: int
    tokens: tuple[int, ...]
    """Text tokens only."""


def split_phrases(
    tokens: Sequence[int], timestamp_begin: int, end_of_text: int, length: int
) -> list[Phrase]:
    """Split a decoded window at its timestamp tokens.

    Args:
        tokens: what the decoder wrote, timestamps included.
        timestamp_begin: id of the token for 0.00 s; later times follow it.
        end_of_text: ids from here on that are not timestamps are special, not text.
        length: of the window, in samples. Times past it are drawn back to it.
    """
    phrases: list[Phrase] = []
    text: list[int] = []
    start = 0
    for token in tokens:
        if token < timestamp_begin:
            if token < end_of_text:
                text.append(token)
            continue
        time = min((token - timestamp_begin) * TIMESTAMP_STEP, length)
        if text:
            phrases.append(Phrase(start=min(start, time), end=time, tokens=tuple(text)))
            text = []
        start = time
    if text:  # the decoder stopped without a closing timestamp
        phrases.append(Phrase(start=start, end=length, tokens=tuple(text)))
    return phrases


def compression_ratio(text: str) -> float:
    """Return how well the text compresses; over 2.4 it repeats itself (openai/whisper)."""
    data = text.encode()
    return round(len(data) / len(zlib.compress(data)), 4) if data else 0.0


def join_punctuation(words: Sequence[Word]) -> list[Word]:
    """Give punctuation that was aligned on its own to the word it belongs to."""
    joined: list[Word] = []
    opening = ""
    for word in words:
        bare = word.text.strip()
        if bare and all(mark in PREPENDED for mark in bare) and word.text.startswith(" "):
            opening += word.text
        elif joined and bare and all(mark in APPENDED for mark in bare) and not opening:
            joined[-1] = replace(joined[-1], text=joined[-1].text + word.text)
        elif opening:
            joined.append(replace(word, text=opening + word.text))
            opening = ""
        else:
            joined.append(word)
    if not joined:
        return list(words)
    if opening:
        joined[-1] = replace(joined[-1], text=joined[-1].text + opening)
    return joined


def shorten_stretched(words: Sequence[Word]) -> list[Word]:
    """Shorten words that attention stretched over a pause.

    A word at the edge of a sentence that lasts over twice the median is cut to
    twice the median, on the side of the pause (the rule of openai/whisper's
    `add_word_timestamps`).
    """
    lengths = [word.end - word.start for word in words if word.end > word.start]
    if not lengths:
        return list(words)
    longest = round(2 * min(statistics.median(lengths), LONGEST_MEDIAN))
    shortened = list(words)
    for index, word in enumerate(words):
        if word.end - word.start <= longest:
            continue
        ends = word.text.strip().endswith(tuple(SENTENCE_ENDS)) or index == len(words) - 1
        begins = index == 0 or words[index - 1].text.strip().endswith(tuple(SENTENCE_ENDS))
        if begins:
            shortened[index] = replace(word, start=word.end - longest)
        elif ends:
            shortened[index] = replace(word, end=word.start + longest)
    return shortened
