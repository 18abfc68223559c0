"""From tokens with times to words and segments on the recording's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from longscribe.core.phrases import (
    compression_ratio,
    join_punctuation,
    shorten_stretched,
    split_phrases,
)
from longscribe.ports import WindowAudio
from longscribe.types import Prompt, Segment, Word

NO_SPEECH = 0.2
INVENTED = 1.2
"""A window holds no words if it is likelier silent than 0.2, and this probability less the average
log probability of its text is over 1.2. Of 2,109 windows of people who read none has over 0.7 or is
likelier silent than 0.06, of a telephone call and meetings none over 0.7; what base and tiny.en
write for noise, hum, music, applause and breath has 1.3 to 3 (docs/decisions/0020). openai/whisper
asks for 0.6 and -1 each, and lets "Thank you." stand for music."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """One window as it was decoded."""

    tokens: tuple[int, ...]
    """Text tokens; none where the window is taken to hold no words."""
    average_logprob: float
    no_speech: float

    @classmethod
    def of(
        cls, tokens: Sequence[int], end_of_text: int, average_logprob: float, no_speech: float
    ) -> Decoded:
        """Keep a decoder's answer, if it holds words at all.

        Args:
            tokens: of the answer.
            end_of_text: the token that ends a text; ids from it on are special, not text.
            average_logprob: of the answer's tokens and its end, in nats.
            no_speech: probability that nothing is said.
        """
        silent = no_speech > NO_SPEECH and no_speech - average_logprob > INVENTED
        return cls(
            tokens=() if silent else tuple(token for token in tokens if token < end_of_text),
            average_logprob=round(average_logprob, 4),
            no_speech=round(no_speech, 4),
        )


def timed_words(
    pieces: Sequence[tuple[str, tuple[int, ...]]],
    starts: Sequence[int],
    probabilities: Sequence[float],
) -> list[Word]:
    """Give the words of a window their times, from the window's start.

    Args:
        pieces: the words with their tokens.
        starts: when each token of the window begins, and when the last one ends, in samples.
        probabilities: of each token.
    """
    words = []
    position = 0
    for text, tokens in pieces:
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
    return shorten_stretched(join_punctuation(words))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a window's text belongs."""

    member: WindowAudio
    prompt: Prompt
    chunk_id: int


def segments(
    place: Place, text: str, words: Sequence[Word] | None, sureness: Decoded
) -> tuple[Segment, ...]:
    """Build a window's segments, on the recording's clock.

    Args:
        place: the window, what it was prompted with, and its chunk.
        text: of the whole window.
        words: of the text, timed from the window's start; None if they were not asked for:
            then the text is one segment, as long as the window.
        sureness: of the window.
    """
    if not text.strip():
        return ()
    span = place.member.window.span
    if words is None:
        return (_segment(place, text, (), sureness),)
    placed = [
        replace(word, start=span.start + word.start, end=span.start + word.end) for word in words
    ]
    return tuple(
        _segment(place, "".join(word.text for word in phrase), phrase, sureness)
        for phrase in split_phrases(placed)
    )


def _segment(place: Place, text: str, words: tuple[Word, ...], sureness: Decoded) -> Segment:
    window, bias = place.member.window, place.member.bias
    return Segment(
        start=words[0].start if words else window.span.start,
        end=words[-1].end if words else window.span.end,
        text=text,
        words=words,
        chunk_id=place.chunk_id,
        window=window.index,
        bias_window_id=bias.bias_window_id,
        bias_terms=place.prompt.terms,
        average_logprob=sureness.average_logprob,
        no_speech_probability=sureness.no_speech,
        compression_ratio=compression_ratio(text),
    )
