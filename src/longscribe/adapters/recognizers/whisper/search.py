"""Finding what a window says: greedy and beam search, without timestamp tokens.

The rules and the search are those of openai/whisper (`decoding.py`, with
`without_timestamps`); a beam of one is its greedy decoding. When a word is said
comes from the alignment (docs/decisions/0020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from longscribe.adapters.recognizers.whisper.engine import (
    IMPOSSIBLE,
    MAX_POSITIONS,
    Decoding,
    StepRules,
)
from longscribe.adapters.recognizers.whisper.tokens import WhisperTokens
from longscribe.config import DecodeSettings

LONGEST_ANSWER = MAX_POSITIONS // 2


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one window says, by the search."""

    tokens: tuple[int, ...]
    """Text tokens, without the end."""
    logprob: float
    """Sum over all tokens and the end."""

    @property
    def average_logprob(self) -> float:
        return self.logprob / (len(self.tokens) + 1)


def repeating(written: Sequence[int], length: int) -> set[int]:
    """Return the tokens that would end a run of `length` tokens that stands there already."""
    if length <= 0 or len(written) < length:
        return set()
    tail = tuple(written[len(written) - length + 1 :])
    return {
        written[at + length - 1]
        for at in range(len(written) - length + 1)
        if tuple(written[at : at + length - 1]) == tail
    }


def search(
    decoding: Decoding,
    windows: int,
    prompt_length: int,
    tokens: WhisperTokens,
    settings: DecodeSettings,
) -> list[Answer]:
    """Return the best answer for each window.

    Args:
        decoding: just begun.
        windows: how many it was begun for.
        prompt_length: of all that stands before the answer.
        tokens: the model's vocabulary.
        settings: how wide to search, and what to do about repetition.

    Raises:
        FloatingPointError: the engine computes no numbers.
    """
    beams = [_Beam(size=settings.beam_size, end=tokens.end) for _ in range(windows)]
    for _ in range(min(LONGEST_ANSWER, MAX_POSITIONS - prompt_length)):
        rows = [hypothesis for beam in beams for hypothesis in beam.live]
        rules = _rules([row.tokens for row in rows], tokens, settings)
        scores, found = decoding.best(rules, settings.beam_size + 1)
        if np.isnan(scores).any():
            raise FloatingPointError("the decoder's output is not a number")
        parents: list[int] = []
        offset = 0
        for beam in beams:
            width = len(beam.live)
            own = slice(offset, offset + width)
            parents += [offset + parent for parent in beam.step(scores[own], found[own])]
            offset += width
        if all(beam.finished for beam in beams):
            break
        decoding.advance(parents, [row.tokens[-1] for beam in beams for row in beam.live])
    return [beam.best() for beam in beams]


def _rules(
    rows: Sequence[Sequence[int]], tokens: WhisperTokens, settings: DecodeSettings
) -> StepRules:
    penalized = settings.repetition_penalty != 1.0
    repeated = [{token for token in row if penalized and token < tokens.end} for row in rows]
    # No answer begins with the end or with a lone space (openai/whisper's SuppressBlank).
    forbidden = [
        repeating(row, settings.no_repeat_ngram) if row else set(tokens.blank) for row in rows
    ]
    return StepRules(
        end=np.array([bool(row) for row in rows]),
        penalty=settings.repetition_penalty,
        repeated=_marked(repeated, tokens) if penalized else None,
        forbidden=_marked(forbidden, tokens) if any(forbidden) else None,
    )


def _marked(rows: Sequence[set[int]], tokens: WhisperTokens) -> np.ndarray:
    marks = np.zeros((len(rows), tokens.last_time + 1), dtype=np.bool_)
    for mark, row in zip(marks, rows, strict=True):
        mark[list(row)] = True
    return marks


@dataclass(frozen=True, kw_only=True)
class _Hypothesis:
    tokens: tuple[int, ...]
    logprob: float

    @property
    def possible(self) -> bool:
        return self.logprob > IMPOSSIBLE / 2


@dataclass(kw_only=True)
class _Beam:
    """The hypotheses of one window. Mutable: it lives for one search."""

    size: int
    end: int
    live: list[_Hypothesis] = field(default_factory=list)
    """`size` of them from the first step on, so that every step has the same shape."""
    done: list[_Hypothesis] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.live = [_Hypothesis(tokens=(), logprob=0.0)]

    @property
    def finished(self) -> bool:
        return len(self.done) >= self.size or not any(one.possible for one in self.live)

    def step(self, scores: np.ndarray, found: np.ndarray) -> list[int]:
        """Take the likeliest next tokens; return which hypothesis each live one follows."""
        if self.finished:
            return self._mark_time()
        candidates = sorted(
            (
                (-(parent.logprob + float(score)), number, int(token))
                for number, parent in enumerate(self.live)
                for score, token in zip(scores[number], found[number], strict=True)
            ),
        )
        parents: list[int] = []
        live: list[_Hypothesis] = []
        for loss, number, token in candidates:
            grown = _Hypothesis(tokens=(*self.live[number].tokens, token), logprob=-loss)
            if not grown.possible or len(live) == self.size:
                break
            if token == self.end:
                self.done.append(_Hypothesis(tokens=self.live[number].tokens, logprob=-loss))
            else:
                live.append(grown)
                parents.append(number)
        while len(live) < self.size:
            live.append(self._dead())
            parents.append(0)
        self.live = live
        return parents

    def _mark_time(self) -> list[int]:
        """Keep as many rows as the other windows, for the shape of the batch alone."""
        kept = len(self.live)
        self.live = [self._dead() for _ in range(self.size)]
        return [min(number, kept - 1) for number in range(self.size)]

    def _dead(self) -> _Hypothesis:
        return _Hypothesis(tokens=(self.end,), logprob=IMPOSSIBLE)

    def best(self) -> Answer:
        """Return the hypothesis that is likeliest for its length."""
        ends = self.done[: self.size]
        if len(ends) < self.size:  # the room ran out before the end was written
            ends += [one for one in self.live if one.possible][: self.size - len(ends)]
        # Of equally good ones the first, so that the same comes out every time.
        chosen = max(ends, key=lambda one: one.logprob / max(1, len(one.tokens)))
        return Answer(tokens=chosen.tokens, logprob=chosen.logprob)
