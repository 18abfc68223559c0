"""Verify mode with the real recognizer: what the decoder is given, and what becomes of the text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longscribe import wiring
from longscribe.adapters.recognizers import faster_whisper
from longscribe.config import Options
from longscribe.core.bias.ranking import BiasPlan
from longscribe.ports import Capabilities, DecodeTask
from longscribe.types import (
    SAMPLE_RATE,
    Attempt,
    Chunk,
    ChunkResult,
    Glossary,
    Proposal,
    Span,
    Term,
    Window,
)
from longscribe.worker.decoding import ChunkDecoder
from longscribe.worker.messages import ChunkDecoded
from tests.e2e.support import MODEL, sample_audio

pytestmark = pytest.mark.needs_model

TURNS = ((1.0, 7.2), (7.3, 13.1), (13.1, 18.2), (42.3, 49.2))
"""Seconds of the sample: Annabell; Brannock; Brannock, Harwick; Rosalynd, Marygold."""
NAMES = ("Annabell", "Harwick", "Rosalynd", "Marygold")
FAR = ("Xylophone Quixote", "Umuzi", "Fuzhou")


def chunk() -> Chunk:
    windows = []
    for index, (start, end) in enumerate(TURNS):
        span = Span(start=round(start * SAMPLE_RATE), end=round(end * SAMPLE_RATE))
        windows.append(Window(index=index, span=span, owns=span, speech=span.length))
    return Chunk(chunk_id=0, span=Span(start=0, end=windows[-1].span.end), windows=tuple(windows))


class Listening:
    """A recognizer that notes the prompts its decoder is given, and may lack abilities."""

    def __init__(self, recognizer: Any, **lacking: bool) -> None:
        self._recognizer = recognizer
        self.capabilities: Capabilities = replace(recognizer.capabilities, **lacking)
        self.batches: list[list[list[int]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recognizer, name)

    def decode(self, *arguments: Any) -> Any:
        engine = self._recognizer._engine
        outer = self

        class Spy:
            def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> Any:
                outer.batches.append([list(prompt) for prompt in prompts])
                return engine.generate(features, prompts, **options)

            def __getattr__(self, name: str) -> Any:
                return getattr(engine, name)

        self._recognizer._engine = Spy()
        try:
            yield from self._recognizer.decode(*arguments)
        finally:
            self._recognizer._engine = engine


@pytest.fixture(scope="module")
def engine() -> Any:
    options = Options(model=str(MODEL), device="cpu")
    return faster_whisper.load(options.recognizer_settings, str(MODEL))


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spool") / "audio.s16"
    sample_audio().astype(np.int16)[: 50 * SAMPLE_RATE].tofile(path)
    return path


def hear(
    recognizer: Any, spool: Path, glossary: Glossary, mode: str = "verify", **changes: Any
) -> ChunkResult:
    options = Options(
        model=str(MODEL), language="en", beam_size=1, glossary=Path("names.txt"), bias=mode,
        pronouncer="letters", **changes,
    )  # fmt: skip
    plan = BiasPlan(glossary=glossary, settings=options.bias_settings)
    task = DecodeTask(
        chunk=chunk(),
        biases=plan.for_chunk(chunk()),
        settings=options.decode_settings,
        bias=options.bias_settings,
        glossary="",
        recognizer=options.recognizer_settings,
        attempt=Attempt(chunk_id=0, label="0", number=1, rung="as asked"),
    )
    decoder = ChunkDecoder(recognizer, glossary, wiring.LANGUAGE_TOOLS, spool)
    *_, last = decoder.decode(task)
    assert isinstance(last, ChunkDecoded)
    return last.result


def of(*names: str) -> Glossary:
    return Glossary(terms=tuple(Term(text=name) for name in names))


def texts(result: ChunkResult) -> list[str]:
    return ["".join(s.text for s in window.segments).strip() for window in result.windows]


# --- what the decoder is given ---------------------------------------------------


def test_terms_reach_the_decoder_only_where_they_sound_like_what_was_heard(engine, spool):
    listening = Listening(engine)
    result = hear(listening, spool, of(*NAMES, *FAR))
    first_pass, *second_pass = listening.batches
    start = engine._tokenizer(Options().decode_settings).sot
    assert all(prompt[0] == start for prompt in first_pass)
    assert len(first_pass) == len(TURNS)
    prompted = {tuple(prompt[1 : prompt.index(start)]) for batch in second_pass for prompt in batch}
    recorded = {w.prompt.token_ids for w in result.windows if w.prompt.token_ids}
    assert prompted == recorded
    tokenizer = engine._tokenizer(Options(language="en").decode_settings)
    for window in result.windows:
        said = tokenizer.decode(list(window.prompt.token_ids))
        assert all(term in said for term in window.prompt.terms)
        assert not any(name in said for name in FAR)
    assert "Rosalynd" in result.windows[3].prompt.terms
    assert "Rosalynd" not in result.windows[0].prompt.terms


def test_two_windows_of_one_batch_get_different_prompts(engine, spool):
    listening = Listening(engine)
    hear(listening, spool, of(*NAMES))
    together = [batch for batch in listening.batches[1:] if len(batch) > 1]
    assert together
    assert any(len({tuple(prompt) for prompt in batch}) > 1 for batch in together)


def test_a_window_in_which_nothing_sounds_like_a_term_is_not_decoded_again(engine, spool):
    listening = Listening(engine)
    result = hear(listening, spool, of(*FAR))
    assert len(listening.batches) == 1
    assert all(not window.prompt.token_ids for window in result.windows)


# --- what becomes of the text ------------------------------------------------------


def test_names_are_put_right_and_nothing_else_changes(engine, spool):
    plain = hear(engine, spool, of(*NAMES), mode="off")
    verified = hear(engine, spool, of(*NAMES))
    accepted = [p for window in verified.windows for p in window.proposals if p.accepted]
    assert {p.term for p in accepted} >= {"Annabell", "Harwick"}
    for before, after in zip(plain.windows, verified.windows, strict=True):
        kept = [w for s in after.segments for w in s.words]
        for word in (w for s in before.segments for w in s.words):
            middle = (word.start + word.end) // 2
            if not any(p.start <= middle < p.end for p in after.proposals if p.accepted):
                assert word in kept
    for window in verified.windows:
        for segment in window.segments:
            assert "".join(word.text for word in segment.words).strip() == segment.text.strip()


def test_all_that_was_weighed_is_on_record(engine, spool):
    result = hear(engine, spool, of(*NAMES, "Rohlund"))
    proposals = [p for window in result.windows for p in window.proposals]
    assert any(not p.accepted for p in proposals)
    for p in proposals:
        assert p.accepted == (p.reason == "probability over the threshold")
        if p.accepted:
            assert p.evidence.probability >= p.evidence.threshold
            assert p.evidence.acoustic is not None


def test_a_name_that_comes_back_in_the_chunk_counts_for_itself(engine, spool):
    result = hear(engine, spool, of("Brannock", "Annabell"))
    came_back = {p.term: p.evidence.recurrence for w in result.windows for p in w.proposals}
    assert came_back["Brannock"] == 1  # at 0:07 and 0:13
    assert came_back["Annabell"] == 0


def test_the_evidence_says_whether_an_alias_was_heard(engine, spool):
    def weighed(*aliases: str) -> Proposal:
        glossary = Glossary(terms=(Term(text="Annabell", aliases=aliases),))
        return hear(engine, spool, glossary).windows[0].proposals[0]

    by_sound = weighed()
    by_alias = weighed(by_sound.heard.strip(",.").upper())
    assert by_alias.heard == by_sound.heard
    assert (by_sound.evidence.alias, by_alias.evidence.alias) == (False, True)
    assert by_alias.evidence.probability > by_sound.evidence.probability


def test_the_same_is_decided_each_time(engine, spool):
    assert hear(engine, spool, of(*NAMES, *FAR)) == hear(engine, spool, of(*NAMES, *FAR))


def test_an_anti_term_is_never_written(engine, spool):
    barred = Glossary(terms=of(*NAMES).terms, never=("harwick",))
    assert "Harwick" in " ".join(texts(hear(engine, spool, of(*NAMES))))
    result = hear(engine, spool, barred)
    assert all("Harwick" not in window.prompt.terms for window in result.windows)
    assert all(p.term != "Harwick" for window in result.windows for p in window.proposals)


def test_a_spelling_that_is_never_right_is_replaced_whatever_the_acoustics_say(engine, spool):
    plain = " ".join(texts(hear(engine, spool, of(*NAMES), mode="off")))
    assert "island" in plain
    glossary = Glossary(terms=(Term(text="Eyeland", never=("island",)),))
    result = hear(engine, spool, glossary)
    assert "Eyeland" in texts(result)[3]
    (proposal,) = [p for p in result.windows[3].proposals if p.accepted]
    assert proposal.reason == "the glossary says that what was heard is never right"


def test_words_are_left_out_where_none_were_asked_for(engine, spool):
    with_words = hear(engine, spool, of(*NAMES))
    without = hear(engine, spool, of(*NAMES), word_timestamps=False)
    assert texts(without) == texts(with_words)
    assert not any(s.words for window in without.windows for s in window.segments)


# --- recognizers that can do less ----------------------------------------------------


def test_without_prompts_sound_and_acoustics_decide(engine, spool):
    listening = Listening(engine, prompts=False)
    result = hear(listening, spool, of(*NAMES))
    assert len(listening.batches) == 1
    proposals = [p for window in result.windows for p in window.proposals]
    assert proposals
    assert all(not p.evidence.second_pass for p in proposals)
    assert any(p.evidence.acoustic is not None for p in proposals)
    assert all(p.evidence.acoustic is not None for p in proposals if p.accepted)


def test_without_prompts_and_scoring_the_sound_decides(engine, spool):
    result = hear(Listening(engine, prompts=False, scoring=False), spool, of(*NAMES))
    proposals = [p for window in result.windows for p in window.proposals]
    assert proposals
    assert all(p.evidence.acoustic is None for p in proposals)
