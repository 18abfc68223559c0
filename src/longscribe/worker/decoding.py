"""Decoding one chunk: hear every window, hear the doubtful ones again, verify the glossary."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from longscribe.config import BiasMode, BiasSettings, text_language
from longscribe.core.bias.ranking import of_language
from longscribe.core.composed import composed_window
from longscribe.core.quality import best_hearing, complaint, other_hearings
from longscribe.ports import (
    DecodeTask,
    LanguageTask,
    LanguageToolsFactory,
    Recognizer,
    WindowAudio,
)
from longscribe.types import ChunkResult, Glossary, Segment, Window, WindowResult
from longscribe.worker.factories import find_factory
from longscribe.worker.messages import BatchDone, ChunkDecoded, LanguageHeard
from longscribe.worker.verifying import Verifier

if TYPE_CHECKING:
    from longscribe.ports import Pcm

LANGUAGE_WINDOWS = 8
"""Most windows judged to tell the language: one batch, up to four minutes."""


class ChunkDecoder:
    """Decodes chunks with one recognizer and one glossary, from one spool.

    Args:
        recognizer: with its model loaded.
        glossary: for verifying.
        language_tools: `package.module:attribute` of a `LanguageToolsFactory`.
        spool: the file of samples.
    """

    def __init__(
        self, recognizer: Recognizer, glossary: Glossary, language_tools: str, spool: Path
    ) -> None:
        self._recognizer = recognizer
        self._glossary = glossary
        self._language_tools = language_tools
        self._spool = spool
        self._verifiers: dict[tuple[BiasSettings, str], Verifier] = {}

    def tell_language(self, task: LanguageTask) -> LanguageHeard:
        """Tell the language of some windows, judged together."""
        windows = task.windows[:LANGUAGE_WINDOWS]
        guess = self._recognizer.detect_language([self._audio(window) for window in windows])
        return LanguageHeard(guess=guess, windows=len(windows))

    def decode(self, task: DecodeTask) -> Iterator[BatchDone | ChunkDecoded]:
        """Decode a chunk; report each batch, and the result last."""
        started = time.monotonic()
        chunk_id = task.chunk.chunk_id
        verifying = task.bias.mode is BiasMode.VERIFY
        settings = replace(task.settings, word_times=task.settings.word_times or verifying)
        audio = [
            WindowAudio(window=window, bias=bias, pcm=self._audio(window))
            for window, bias in zip(task.chunk.windows, task.biases, strict=True)
        ]
        results: dict[int, WindowResult] = {}
        for batch in self._recognizer.decode(audio, settings, chunk_id):
            results.update((result.window.index, result) for result in batch)
            yield _progress(chunk_id, batch)
        for member in audio:
            first = results[member.window.index]
            if complaint(first) is None:
                continue
            again = replace(task, settings=settings)
            for better in _hear_again(first, member, again, self._recognizer):
                results[member.window.index] = better
                yield BatchDone(chunk_id=chunk_id, windows=1, samples=0)
        windows = tuple(composed_window(results[member.window.index]) for member in audio)
        if verifying and self._glossary.terms:
            language = text_language(settings.task, settings.language) or "en"
            verifier = self._verifier(task.bias, language)
            steps = verifier.verify(windows, audio, settings, chunk_id)
            while True:
                try:
                    batch = next(steps)
                except StopIteration as end:
                    windows = end.value
                    break
                yield BatchDone(chunk_id=chunk_id, windows=len(batch), samples=0)
        if not task.settings.word_times:
            windows = tuple(_without_words(window) for window in windows)
        yield ChunkDecoded(
            result=ChunkResult(chunk_id=chunk_id, windows=windows),
            seconds=time.monotonic() - started,
            peak_memory=peak_memory(),
        )

    def _verifier(self, settings: BiasSettings, language: str) -> Verifier:
        """Return what verifies text in this language; its index over the terms is built once."""
        key = settings, language
        if key not in self._verifiers:
            load = cast(LanguageToolsFactory, find_factory(self._language_tools))
            self._verifiers[key] = Verifier(
                self._recognizer,
                of_language(self._glossary, language),
                settings,
                load(settings.pronouncer, language),
            )
        return self._verifiers[key]

    def _audio(self, window: Window) -> Pcm:
        """Map the window's samples; only its own pages are touched, and only while in use."""
        span = window.span
        return np.memmap(
            self._spool, dtype="<i2", mode="r", offset=2 * span.start, shape=(span.length,)
        )


def _progress(chunk_id: int, batch: Sequence[WindowResult]) -> BatchDone:
    heard = sum(result.window.owns.length for result in batch)
    return BatchDone(chunk_id=chunk_id, windows=len(batch), samples=heard)


def _without_words(result: WindowResult) -> WindowResult:
    def bare(segment: Segment) -> Segment:
        return replace(segment, words=())

    return replace(result, segments=tuple(map(bare, result.segments)))


def _hear_again(
    first: WindowResult, member: WindowAudio, task: DecodeTask, recognizer: Recognizer
) -> Iterator[WindowResult]:
    """Decode a window again until it is without complaint; yield the best so far each time."""
    hearings = [first]
    for hearing in other_hearings(prompted=bool(first.prompt.token_ids)):
        bias = replace(member.bias, terms=())
        settings = replace(
            task.settings,
            initial_prompt="",
            beam_size=hearing.beam_size or task.settings.beam_size,
            repetition_penalty=hearing.repetition_penalty,
            no_repeat_ngram=hearing.no_repeat_ngram,
        )
        ((again,),) = recognizer.decode([replace(member, bias=bias)], settings, task.chunk.chunk_id)
        remark = f"{complaint(first)}: decoded again {hearing.how}"
        hearings.append(replace(again, remarks=(remark,)))
        best = hearings[best_hearing(hearings)]
        if best is first:
            best = replace(first, remarks=(f"{complaint(first)}: no other hearing was better",))
        yield best
        if complaint(best) is None:
            return


def peak_memory() -> int:
    """Return the highest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak if sys.platform == "darwin" else peak * 1024
