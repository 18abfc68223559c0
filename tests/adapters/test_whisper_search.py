"""Whisper's search without timestamp tokens, with a decoder made of numbers."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from longscribe.adapters.recognizers.whisper.engine import IMPOSSIBLE, StepRules
from longscribe.adapters.recognizers.whisper.search import (
    LONGEST_ANSWER,
    Answer,
    repeating,
    search,
)
from longscribe.adapters.recognizers.whisper.tokens import TIMES, WhisperTokens
from longscribe.config import DecodeSettings, Options

WORDS = 8
END = WORDS
BLANK = 7
"""A lone space."""
NAMES = ("<|endoftext|>", "<|startoftranscript|>", "<|startofprev|>", "<|notimestamps|>")
IDS = {name: WORDS + number for number, name in enumerate(NAMES)}
TOKENS = WhisperTokens(
    encode=lambda text: [BLANK] if text == " " else [0] * len(text),
    decode_text=lambda tokens: "".join(map(str, tokens)),
    find=IDS.get,
    multilingual=False,
)
T0 = TOKENS.first_time
VOCABULARY = T0 + TIMES
SPECIAL = range(END + 1, VOCABULARY)
"""Marks and times."""

Model = Callable[[Sequence[int]], np.ndarray]
"""What was written → logits of what comes next."""


def settings(**changes: object) -> DecodeSettings:
    return replace(Options(beam_size=1).decode_settings, **changes)


@dataclass
class Decoder:
    """Decodes one window with each of `models`."""

    models: Sequence[Model]
    written: list[tuple[int, list[int]]] = field(default_factory=list)
    """Of each hypothesis: its window and what it wrote."""
    shapes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.written = [(number, []) for number in range(len(self.models))]

    def probabilities(self, position: int, tokens: Sequence[int]) -> np.ndarray:
        raise NotImplementedError

    def best(self, rules: StepRules, count: int) -> tuple[np.ndarray, np.ndarray]:
        self.shapes.append(len(self.written))
        rows = [
            log_probabilities(self.models[window](written), rules, row)
            for row, (window, written) in enumerate(self.written)
        ]
        ids = np.argsort(-np.array(rows), axis=1, kind="stable")[:, :count]
        return np.take_along_axis(np.array(rows), ids, axis=1).astype(np.float32), ids

    def advance(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        self.written = [
            (self.written[parent][0], [*self.written[parent][1], token])
            for parent, token in zip(parents, tokens, strict=True)
        ]


def log_probabilities(logits: np.ndarray, rules: StepRules, row: int) -> np.ndarray:
    """The rules, written down once more and plainly, with what engines never write."""
    found = logits.astype(np.float64).copy()
    for token in range(VOCABULARY):
        if rules.repeated is not None and rules.repeated[row, token]:
            found[token] *= rules.penalty if found[token] < 0 else 1 / rules.penalty
        forbidden = rules.forbidden is not None and rules.forbidden[row, token]
        too_soon = token == END and not rules.end[row]
        if forbidden or too_soon or token in TOKENS.suppressed:
            found[token] = IMPOSSIBLE
    return found - np.logaddexp.reduce(found)


def speaker(*script: int) -> Model:
    """A model that is sure of what to write."""

    def next_logits(written: Sequence[int]) -> np.ndarray:
        logits = np.zeros(VOCABULARY)
        logits[script[len(written)] if len(written) < len(script) else END] = 20.0
        return logits

    return next_logits


def mumbler(seed: int, words: int = 3) -> Model:
    """A model that is unsure: text, a space and the end get odd but fixed probabilities."""

    def next_logits(written: Sequence[int]) -> np.ndarray:
        logits = np.full(VOCABULARY, -30.0)
        for token in (*range(1, 1 + words), BLANK, END, T0, T0 + 1):
            key = f"{seed}:{list(written)}:{token}".encode()
            logits[token] = zlib.crc32(key) % 1000 / 250
        logits[END] += len(written) / 2
        return logits

    return next_logits


def answers(models: Sequence[Model], prompt_length: int = 3, **changes: object) -> list[Answer]:
    return search(Decoder(models), len(models), prompt_length, TOKENS, settings(**changes))


# --- what may follow -----------------------------------------------------------


@pytest.mark.parametrize("wanted", [END, BLANK])
def test_an_answer_begins_neither_with_its_end_nor_with_a_lone_space(wanted: int) -> None:
    def eager(written: Sequence[int]) -> np.ndarray:
        logits = np.zeros(VOCABULARY)
        logits[[wanted, 3]] = (20.0, 10.0)
        return logits

    [answer] = answers([eager], prompt_length=444)
    assert answer.tokens[0] == 3
    assert answer.tokens[1:] == ((BLANK,) * 3 if wanted == BLANK else ()), "later they may stand"


def test_an_answer_may_begin_with_any_other_token() -> None:
    for token in range(1, WORDS):
        if token != BLANK:
            assert answers([speaker(token)])[0].tokens == (token,)


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("special", [T0, T0 + 9, VOCABULARY - 1, END + 1, IDS["<|notimestamps|>"]])
def test_no_mark_and_no_time_is_ever_written(special: int, beams: int) -> None:
    """A window in which the model wants nothing but times still has its text."""

    def timer(written: Sequence[int]) -> np.ndarray:
        logits = speaker(1, 2, 3)(written)
        logits[special] = 40.0
        return logits

    [answer] = answers([timer], beam_size=beams)
    assert answer.tokens == (1, 2, 3)


def test_repeats_are_found() -> None:
    assert repeating((1, 2, 3, 1, 2), 3) == {3}
    assert repeating((1, 2, 3, 1, 2, 4, 1, 2), 3) == {3, 4}
    assert repeating((1, 2, 1), 1) == {1, 2}
    assert repeating((1, 2), 3) == set()
    assert repeating((1, 1, 1), 0) == set()


# --- the search ----------------------------------------------------------------


def test_what_the_model_is_sure_of_is_written() -> None:
    script = (1, 2, BLANK, 3, 3, 1)
    for beams in (1, 2, 5):
        [answer] = answers([speaker(*script)], beam_size=beams)
        assert answer.tokens == script
        assert answer.average_logprob == pytest.approx(0, abs=1e-3)


def plain_rules(written: Sequence[int]) -> StepRules:
    """What may follow `written`: nothing is asked for against repetition."""
    first = not written
    blank = np.array([[first and token == BLANK for token in range(VOCABULARY)]])
    return StepRules(end=np.array([not first]), forbidden=blank)


@pytest.mark.parametrize("seed", range(20))
def test_a_beam_of_one_takes_the_likeliest_each_time(seed: int) -> None:
    model = mumbler(seed)
    written: list[int] = []
    total = 0.0
    while len(written) < LONGEST_ANSWER:
        rules = plain_rules(written)
        scores = log_probabilities(model(written), rules, 0)
        total += scores.max()
        if scores.argmax() == END:
            break
        written.append(int(scores.argmax()))
    [answer] = answers([model])
    assert answer.tokens == tuple(written)
    assert answer.logprob == pytest.approx(total, abs=1e-3)


def probability(model: Model, tokens: Sequence[int]) -> float | None:
    """The log probability of a whole answer; None if the rules forbid it."""
    total = 0.0
    for number, token in enumerate((*tokens, END)):
        rules = plain_rules(tokens[:number])
        score = log_probabilities(model(tokens[:number]), rules, 0)[token]
        if score < IMPOSSIBLE / 2:
            return None
        total += score
    return total


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_finds_no_worse_than_greed_and_never_breaks_a_rule(seed: int) -> None:
    model = mumbler(seed)
    [greedy] = answers([model])
    [wide] = answers([model], beam_size=6)
    for answer in (greedy, wide):
        expected = probability(model, answer.tokens)
        assert expected is not None, "against the rules"
        assert answer.logprob == pytest.approx(expected, abs=1e-3)
    assert wide.logprob / len(wide.tokens) >= greedy.logprob / len(greedy.tokens) - 1e-6


def test_a_wide_beam_finds_the_best_of_all_short_answers() -> None:
    """Every answer of up to four tokens is tried by hand."""

    def model(written: Sequence[int]) -> np.ndarray:
        logits = mumbler(3, words=2)(written)
        logits[END] = 50.0 if len(written) >= 4 else logits[END]
        return logits

    every = [
        (score / len(tokens), tokens)
        for length in range(1, 5)
        for tokens in itertools.product((1, 2, BLANK, T0), repeat=length)
        if (score := probability(model, tokens)) is not None
    ]
    [answer] = answers([model], beam_size=200)
    best = max(every)
    assert answer.tokens == best[1]


@pytest.mark.parametrize("beams", [1, 3])
def test_windows_decoded_together_say_what_they_say_alone(beams: int) -> None:
    models = [mumbler(seed) for seed in range(5)] + [speaker(1, 2)]
    together = answers(models, beam_size=beams)
    assert together == [answers([model], beam_size=beams)[0] for model in models]


def test_every_step_but_the_first_has_the_same_shape() -> None:
    """For GPU libraries that keep a program for each shape; finished windows stay in the batch."""
    decoder = Decoder([speaker(1), speaker(*[1, 2, 3] * 20), mumbler(1)])
    search(decoder, 3, 3, TOKENS, settings(beam_size=4))
    assert decoder.shapes[0] == 3
    assert set(decoder.shapes[1:]) == {12}
    assert len(decoder.shapes) > 60


def test_the_answer_ends_where_the_room_does() -> None:
    endless = speaker(*[1, 2] * 500)
    [answer] = answers([endless])
    assert len(answer.tokens) == LONGEST_ANSWER
    [answer] = answers([endless], prompt_length=400, beam_size=3)
    assert len(answer.tokens) == 48
    assert answer.tokens[:4] == (1, 2, 1, 2)


def test_a_model_with_nothing_to_say_says_its_likeliest_token() -> None:
    """Whether a window holds words at all is judged from its probabilities (`Decoded.of`)."""
    [answer] = answers([speaker()], beam_size=5)
    assert len(answer.tokens) == 1
    assert answer.average_logprob < -0.8


# --- against repetition --------------------------------------------------------


def test_a_loop_is_broken_where_runs_may_not_repeat() -> None:
    looping = speaker(*[1, 2, 3] * 30)
    [answer] = answers([looping], no_repeat_ngram=4)
    runs = list(itertools.pairwise(itertools.pairwise(itertools.pairwise(answer.tokens))))
    assert len(runs) == len(set(runs))
    assert answers([looping])[0].tokens[:6] == (1, 2, 3, 1, 2, 3)


def test_a_penalty_lowers_what_was_written() -> None:
    def stutterer(written: Sequence[int]) -> np.ndarray:
        logits = np.full(VOCABULARY, -30.0)
        logits[[1, 2, END]] = (3.0, 2.9, 1.0 + len(written) / 8)
        return logits

    [plain] = answers([stutterer])
    [penalized] = answers([stutterer], repetition_penalty=1.1)
    assert 2 not in plain.tokens
    assert 2 in penalized.tokens


# --- when the engine fails -----------------------------------------------------


def test_what_is_not_a_number_is_an_error() -> None:
    def broken(written: Sequence[int]) -> np.ndarray:
        return np.full(VOCABULARY, np.nan)

    with np.errstate(invalid="ignore"), pytest.raises(FloatingPointError, match="not a number"):
        answers([broken])
