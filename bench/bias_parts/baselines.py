"""What others do with a list of names: faster-whisper's prompt and hotwords, and fuzzy replacement.

faster-whisper runs as its users run it: `BatchedInferencePipeline` with its VAD, the whole glossary
as one string. It keeps what fits: of a prompt the last 223 tokens, of hotwords the first.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from faster_whisper import BatchedInferencePipeline, WhisperModel
from rapidfuzz import process
from rapidfuzz.distance import JaroWinkler

from demo.score import words_of

from .glossaries import read_terms
from .metrics import HeardWord
from .ours import BATCH, BEAM
from .recordings import Recording
from .rows import Hypothesis, Transcriber, cpu_now

FUZZY_THRESHOLD = 0.92
"""Likeness (Jaro-Winkler, 0 to 1) from which a span is replaced; the best F on the
tuning set with 500 others (0.88 with 100)."""
MOST_SPAN = 2
"""Words in the longest span that is compared."""


@functools.cache
def _pipeline(model: Path) -> BatchedInferencePipeline:
    return BatchedInferencePipeline(WhisperModel(str(model), device="cpu", compute_type="default"))


def faster_whisper_row(model: Path, use: str = "") -> Transcriber:
    """Return a row's function; `use` is `initial_prompt` or `hotwords`, or nothing."""

    def run(recording: Recording, glossary: Path) -> Hypothesis:
        listed = {use: ", ".join(read_terms(glossary))} if use else {}
        pipeline = _pipeline(model)
        begun, cpu = time.perf_counter(), cpu_now()
        segments, _ = pipeline.transcribe(
            str(recording.media),
            language="en",
            beam_size=BEAM,
            batch_size=BATCH,
            vad_filter=True,
            without_timestamps=False,
            word_timestamps=True,
            **listed,
        )
        words = tuple(
            HeardWord(text=word.word, start=float(word.start), end=float(word.end))
            for segment in segments
            for word in segment.words
        )
        return Hypothesis(
            words=words,
            seconds=time.perf_counter() - begun,
            cpu_seconds=cpu_now() - cpu,
        )

    return run


def fuzzy_row(unbiased: Callable[[Recording], Hypothesis], threshold: float) -> Transcriber:
    """Return a row's function that replaces words in the text of the run without bias."""

    def run(recording: Recording, glossary: Path) -> Hypothesis:
        heard = unbiased(recording)
        begun, cpu = time.perf_counter(), cpu_now()
        words = replaced(heard.words, read_terms(glossary), threshold)
        return Hypothesis(
            words=words,
            seconds=heard.seconds + time.perf_counter() - begun,
            cpu_seconds=heard.cpu_seconds + cpu_now() - cpu,
        )

    return run


def replaced(
    words: Sequence[HeardWord], terms: Sequence[str], threshold: float
) -> tuple[HeardWord, ...]:
    """Return `words` with each span that is like a term replaced by the term it is most like.

    Of overlapping spans the one most like a term goes first, of equals the longer, then the
    earlier. A possessive is kept.
    """
    plain = [" ".join(words_of(word.text)) for word in words]
    bare = [word.removesuffix("'s") for word in plain]
    folded = {" ".join(words_of(term)): term for term in terms}
    found = []
    for length in range(1, MOST_SPAN + 1):
        spans = [" ".join([*plain[i : i + length - 1], bare[i + length - 1]])
                 for i in range(len(words) - length + 1)]  # fmt: skip
        for start, span in enumerate(spans):
            best = process.extractOne(
                span, folded.keys(), scorer=JaroWinkler.similarity, score_cutoff=threshold
            )
            if best is not None and span.strip():
                found.append((-best[1], -length, start, folded[best[0]]))
    taken: set[int] = set()
    texts: list[HeardWord | None] = list(words)
    for _, negative, start, term in sorted(found):
        place = range(start, start - negative)
        if taken & set(place):
            continue
        taken |= set(place)
        ending = "'s" if plain[place[-1]] != bare[place[-1]] else ""
        texts[start] = HeardWord(
            text=f" {term}{ending}", start=words[start].start, end=words[place[-1]].end
        )
        for other in place[1:]:
            texts[other] = None
    return tuple(each for each in texts if each is not None)
