"""Verify mode with a recognizer that says what it is told: what the glossary decides by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longscribe.adapters.language import tools
from longscribe.config import Options, PronouncerName
from longscribe.ports import Capabilities, WindowAudio
from longscribe.types import (
    NO_PROMPT,
    Glossary,
    Prompt,
    Segment,
    Span,
    Term,
    Window,
    WindowBias,
    WindowResult,
    Word,
    to_samples,
)
from longscribe.worker.verifying import CONTESTED, Verifier

SPAN = Span(start=0, end=to_samples(30))
WINDOW = Window(index=0, span=SPAN, owns=SPAN, speech=SPAN.length)


def heard(text: str, prompt: Prompt = NO_PROMPT, sure: float = 0.6) -> WindowResult:
    """Return a window of one phrase, its words a quarter of a second long."""
    step = to_samples(0.25)
    words = tuple(
        Word(start=n * step, end=(n + 1) * step, text=f" {word}", probability=sure)
        for n, word in enumerate(text.split())
    )
    segment = Segment(
        start=0, end=len(words) * step, text=f" {text}", words=words, chunk_id=0, window=0,
        bias_window_id=None, bias_terms=(), average_logprob=-0.1, no_speech_probability=0.0,
        compression_ratio=1.0,
    )  # fmt: skip
    return WindowResult(
        chunk_id=0, window=WINDOW, bias_window_id=None, prompt=prompt, segments=(segment,)
    )


class Told:
    """A recognizer whose second pass writes what it is told, if anything."""

    def __init__(self, again: str | None) -> None:
        self.again = again
        self.asked = 0
        self.capabilities = Capabilities(
            prompts=again is not None, word_times=True, scoring=True, batching=True,
            translate=False, languages=("en",),
        )  # fmt: skip

    def decode(self, members: Sequence[WindowAudio], *_: Any) -> Iterator[tuple[WindowResult, ...]]:
        assert self.again is not None
        self.asked += 1
        for member in members:
            terms = member.bias.terms
            yield (heard(self.again, Prompt(terms=terms, text="", token_ids=(1,))),)

    def score(self, member: WindowAudio, texts: Sequence[str], *_: Any) -> tuple[float, ...]:
        return (0.0,) * len(texts)


def verify(
    text: str,
    *terms: Term | str,
    again: str | None = None,
    language: str = "en",
    sure: float = 0.6,
    never: tuple[str, ...] = (),
) -> WindowResult:
    options = Options(model="x", language=language, glossary=Path("names.txt"))
    whole = tuple(Term(text=term) if isinstance(term, str) else term for term in terms)
    verifier = Verifier(
        Told(again),  # type: ignore[arg-type]
        Glossary(terms=whole, never=never),
        options.bias_settings,
        tools.load(PronouncerName.LETTERS, language),
    )
    audio = WindowAudio(
        window=WINDOW, bias=WindowBias(bias_window_id=None, terms=()), pcm=np.zeros(1, np.int16)
    )
    running = verifier.verify([heard(text, sure=sure)], [audio], options.decode_settings, 0)
    while True:
        try:
            next(running)
        except StopIteration as end:
            (result,) = end.value
            return result


def written(text: str, *terms: Term | str, **more: Any) -> str:
    return "".join(segment.text for segment in verify(text, *terms, **more).segments).strip()


# --- what is never right ----------------------------------------------------------


def test_what_is_never_right_is_replaced_however_often_it_is_heard() -> None:
    term = Term(text="okey", never=("okay",))
    times = CONTESTED + 5
    assert written(" ".join(["okay"] * times), term) == " ".join(["okey"] * times)


def test_of_too_many_candidates_the_likeliest_are_weighed_wherever_they_stand() -> None:
    far, near = "Bramok", "Branock"
    text = " and ".join([*[far] * CONTESTED, near, near])
    proposals = verify(text, "Brannock", sure=0.5).proposals
    assert len(proposals) == CONTESTED
    assert [p.heard for p in proposals[-2:]] == [near, near]
    assert [p.start for p in proposals] == sorted(p.start for p in proposals)


def test_what_is_never_right_is_replaced_though_a_part_of_it_is_a_term() -> None:
    lake = Term(text="Lyndon Lake", never=("Linden Lake",))
    assert written("at Linden Lake today", "Linden", lake) == "at Lyndon Lake today"


def test_the_very_capitals_that_are_never_right_are_replaced() -> None:
    term = Term(text="Captain", never=("captain",))
    assert written("the captain, the captain’s", term) == "the Captain, the Captain’s"
    assert written("the CAPTAIN told the Captain", term) == "the CAPTAIN told the Captain"
