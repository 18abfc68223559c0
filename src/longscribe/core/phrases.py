"""Words of a decoded window: punctuation, plausible lengths, and phrases made of them.

Whisper is decoded without timestamp tokens (docs/decisions/0020), so a window's answer is
one text. Its words are timed by alignment, and phrases are cut where sentences end and
where speech pauses.
"""

from __future__ import annotations

import statistics
import zlib
from collections.abc import Sequence
from dataclasses import replace

from longscribe.types import SAMPLE_RATE, Segment, Word, to_samples

FRAME_STEP = SAMPLE_RATE // 50
"""Samples between two frames that the decoder attends to: 20 ms (openai/whisper, audio.py)."""

LONGEST_MEDIAN = to_samples(0.7)
SENTENCE_ENDS = ".。!！?？…"
CLOSING = "\"'”’)]}»」』"
"""What may stand behind the mark that ends a sentence."""
PHRASE_PAUSE = to_samples(1.0)
"""A pause that ends a phrase wherever it falls; the same ends a subtitle (`core/cues.py`)."""
LONGEST_PHRASE = to_samples(15.0)
"""A longer phrase is divided at its longest pause."""
ABBREVIATIONS = frozenset(
    {
        "mr",
        "mrs",
        "ms",
        "dr",
        "st",
        "jr",
        "sr",
        "prof",
        "rev",
        "gen",
        "col",
        "capt",
        "lt",
        "sgt",
        "hon",
        "esq",
        "messrs",
        "mme",
        "mlle",
        "hr",
        "fr",
        "vs",
    }
)
"""Words, in small letters, whose full stop is no end of a sentence."""
PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the next and to the previous word (openai/whisper, timing.py)."""


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


def split_phrases(words: Sequence[Word]) -> list[tuple[Word, ...]]:
    """Split the words of a window into phrases: at sentence ends and at pauses.

    A phrase that lasts over 15 s is divided at its longest pause.
    """
    phrases: list[tuple[Word, ...]] = []
    begun: list[Word] = []
    for word in words:
        if begun and (_ends_sentence(begun[-1].text) or word.start - begun[-1].end >= PHRASE_PAUSE):
            phrases += _divided(tuple(begun))
            begun = []
        begun.append(word)
    return phrases + (_divided(tuple(begun)) if begun else [])


def _ends_sentence(text: str) -> bool:
    """Return whether a sentence ends with this word: not with *Mr.* or the *J.* of a name."""
    bare = text.strip().rstrip(CLOSING)
    if not bare.endswith(tuple(SENTENCE_ENDS)):
        return False
    stem = bare[:-1].lstrip(PREPENDED)
    initial = len(stem) == 1 and stem.isupper() and stem != "I"
    return bare[-1] != "." or not (initial or stem.casefold() in ABBREVIATIONS)


def _divided(phrase: tuple[Word, ...]) -> list[tuple[Word, ...]]:
    if len(phrase) < 2 or phrase[-1].end - phrase[0].start <= LONGEST_PHRASE:
        return [phrase]
    # Of pauses equally long, the one nearest to the middle, so that no part is a sliver.
    middle = (phrase[0].start + phrase[-1].end) // 2
    at = max(
        range(1, len(phrase)),
        key=lambda n: (phrase[n].start - phrase[n - 1].end, -abs(phrase[n].start - middle)),
    )
    return [*_divided(phrase[:at]), *_divided(phrase[at:])]


def segments_of(words: Sequence[Word], like: Segment) -> tuple[Segment, ...]:
    """Return phrases made of `words`, which share what `like` says of their window."""
    return tuple(
        replace(
            like,
            start=phrase[0].start,
            end=phrase[-1].end,
            text=(text := "".join(word.text for word in phrase)),
            words=phrase,
            compression_ratio=compression_ratio(text),
        )
        for phrase in split_phrases(words)
    )
