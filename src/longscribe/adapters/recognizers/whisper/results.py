"""From tokens with times to words and segments on the recording's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longscribe.core.phrases import (
    Phrase,
    compression_ratio,
    join_punctuation,
    shorten_stretched,
    split_phrases,
)
from longscribe.ports import WindowAudio
from longscribe.types import Prompt, Segment, Word

NO_SPEECH = 0.6
LOW_LOGPROB = -1.0
"""A window this likely silent and this unsure holds no words (openai/whisper)."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """One window as it was decoded."""

    phrases: tuple[Phrase, ...]
    average_logprob: float
    no_speech: float

    @classmethod
    def of(
        cls,
        tokens: Sequence[int],
        marks: tuple[int, int],
        sureness: tuple[float, float],
        length: int,
    ) -> Decoded:
        """Cut a decoder's answer into phrases, if it holds words at all.

        Args:
            tokens: of the answer.
            marks: the first time token, and the token that ends a text.
            sureness: average log probability of the answer, and probability of no speech.
            length: of the window, in samples.
        """
        average, no_speech = sureness
        silent = no_speech > NO_SPEECH and average < LOW_LOGPROB
        return cls(
            phrases=tuple(split_phrases(() if silent else tokens, *marks, length)),
            average_logprob=round(average, 4),
            no_speech=round(no_speech, 4),
        )


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When the phrases of a window are spoken, and their words if those were asked for."""

    phrases: Sequence[Phrase]
    words: Sequence[Sequence[Word]] | None


def phrase_words(
    phrases: Sequence[Sequence[tuple[str, tuple[int, ...]]]],
    starts: Sequence[int],
    probabilities: Sequence[float],
) -> list[list[Word]]:
    """Give the words of each phrase of a window their times.

    Args:
        phrases: of each, its words with their tokens.
        starts: when each token of the window begins, and when the last one ends, in samples.
        probabilities: of each token.
    """
    found: list[list[Word]] = []
    position = 0
    for phrase in phrases:
        words = []
        for text, tokens in phrase:
            share = list(probabilities[position : position + len(tokens)]) or [0.0]
            start = starts[position]
            position += len(tokens)
            words.append(
                Word(
                    start=start,
                    end=max(start, starts[position]),
                    text=text,
                    probability=round(sum(share) / len(share), 4),
                )
            )
        found.append(shorten_stretched(join_punctuation(words)))
    return found


def segments(
    place: tuple[WindowAudio, Prompt, int],
    texts: Sequence[str],
    timing: Timing,
    sureness: tuple[float, float],
) -> tuple[Segment, ...]:
    """Build a window's segments, on the recording's clock.

    Args:
        place: the window, what it was prompted with, and its chunk.
        texts: of the phrases; empty ones are left out.
        timing: of the phrases.
        sureness: average log probability of the window, and probability of no speech.
    """
    member, prompt, chunk_id = place
    offset = member.window.span.start
    built = []
    for number, (phrase, text) in enumerate(zip(timing.phrases, texts, strict=True)):
        if not text.strip():
            continue
        words = timing.words[number] if timing.words else ()
        start, end = (words[0].start, words[-1].end) if words else (phrase.start, phrase.end)
        built.append(
            Segment(
                start=offset + start,
                end=offset + max(start, end),
                text=text,
                words=tuple(
                    Word(
                        start=offset + word.start,
                        end=offset + word.end,
                        text=word.text,
                        probability=word.probability,
                    )
                    for word in words
                ),
                chunk_id=chunk_id,
                window=member.window.index,
                bias_window_id=member.bias.bias_window_id,
                bias_terms=prompt.terms,
                average_logprob=sureness[0],
                no_speech_probability=sureness[1],
                compression_ratio=compression_ratio(text),
            )
        )
    return tuple(built)
