"""Decoding one chunk: hear every window, hear the doubtful ones again, verify the glossary."""

from __future__ import annotations

import errno
import resource
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from longscribe.config import BiasMode, BiasSettings, text_language
from longscribe.core.bias.ranking import of_language
from longscribe.core.bias.retrieval import TermIndex
from longscribe.core.composed import composed_window
from longscribe.core.coverage import audio_extent
from longscribe.core.quality import best_hearing, complaint, other_hearings, without_piles
from longscribe.errors import SpoolError
from longscribe.job_files import BYTES_PER_SAMPLE, check_samples, open_samples
from longscribe.ports import (
    DecodeTask,
    LanguageTask,
    LanguageToolsFactory,
    Recognizer,
    WindowAudio,
)
from longscribe.types import AudioSeal, ChunkResult, Glossary, Segment, Span, Window, WindowResult
from longscribe.worker.factories import find_factory
from longscribe.worker.messages import BatchDone, ChunkDecoded, LanguageHeard
from longscribe.worker.pronunciations import MANY, KeptPronunciations
from longscribe.worker.verifying import Verifier
from longscribe.worker.wordless import SecondDecoder

if TYPE_CHECKING:
    from longscribe.ports import Pcm

LANGUAGE_WINDOWS = 8
"""Most windows judged to tell the language: one batch, up to four minutes."""

_OUR_OWN_TROUBLE = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""Why a file can't be mapped that may be in order."""


TELL_EVERY = 2.0
"""Seconds between two signs of progress from work that yields no windows."""


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
        audio = self._audio(windows, task.audio)
        guess = self._recognizer.detect_language(audio)
        return LanguageHeard(guess=guess, windows=len(windows))

    def decode(self, task: DecodeTask) -> Iterator[BatchDone | ChunkDecoded]:
        """Decode a chunk; report each batch, and the result last.

        Raises:
            SpoolError: the spool does not hold the audio that was planned.
        """
        started = time.monotonic()
        chunk_id = task.chunk.chunk_id
        verifying = task.bias.mode is BiasMode.VERIFY
        # Words are timed whether or not they are wanted in the result: phrases are cut by them,
        # and speech without words is found.
        word_times = self._recognizer.capabilities.word_times
        settings = replace(task.settings, word_times=word_times or task.settings.word_times)
        audio = [
            WindowAudio(window=window, bias=bias, pcm=pcm)
            for window, bias, pcm in zip(
                task.chunk.windows,
                task.biases,
                self._audio(task.chunk.windows, task.audio),
                strict=True,
            )
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
                results[member.window.index] = without_piles(better)
                yield BatchDone(chunk_id=chunk_id, windows=1, samples=0)
        if word_times:
            yield from self._fill(results, audio, replace(task, settings=settings))
        windows = tuple(composed_window(results[member.window.index]) for member in audio)
        if verifying and self._glossary.terms:
            language = text_language(settings.task, settings.language) or "en"
            verifier = yield from _told(self._verifier(task.bias, language), chunk_id)
            steps = verifier.verify(windows, audio, settings, chunk_id)
            windows = yield from _told(steps, chunk_id)
        if not task.settings.word_times:
            windows = tuple(_without_words(window) for window in windows)
        yield ChunkDecoded(
            result=ChunkResult(chunk_id=chunk_id, windows=windows),
            seconds=time.monotonic() - started,
            peak_memory=peak_memory(),
        )

    def _fill(
        self, results: dict[int, WindowResult], members: Sequence[WindowAudio], task: DecodeTask
    ) -> Iterator[BatchDone]:
        """Decode speech again in which no word was found; put what is found into `results`."""
        bounds = audio_extent(task.chunk)
        decoder = SecondDecoder(self._recognizer, self._samples, bounds)
        for better in decoder.fill(results, members, task.settings):
            results[better.window.index] = better
            yield BatchDone(chunk_id=task.chunk.chunk_id, windows=1, samples=0)

    def _verifier(
        self, settings: BiasSettings, language: str
    ) -> Generator[tuple[()], None, Verifier]:
        """Return what verifies text in this language; its index over the terms is built once."""
        key = settings, language
        if key not in self._verifiers:
            load = cast(LanguageToolsFactory, find_factory(self._language_tools))
            tools = load(settings.pronouncer, language)
            glossary = of_language(self._glossary, language)
            pronounce = tools.pronouncer.pronounce
            if len(glossary.terms) >= MANY:
                kept = KeptPronunciations(tools.pronouncer, language, self._spool.parent)
                pronounce = kept.pronounce
            building = TermIndex.building(glossary.terms, pronounce)
            index = yield from _steps(building)
            self._verifiers[key] = Verifier(self._recognizer, glossary, settings, tools, index)
        return self._verifiers[key]

    def _audio(self, windows: Sequence[Window], seals: Sequence[AudioSeal]) -> list[Pcm]:
        """Compare the samples with those planned; then map each window's.

        Raises:
            SpoolError: they are others.
        """
        return self._mapped([window.span for window in windows], seals)

    def _samples(self, span: Span) -> Pcm:
        """Map a part of the audio of a chunk whose samples were compared already."""
        return self._mapped([span], ())[0]

    def _mapped(self, spans: Sequence[Span], seals: Sequence[AudioSeal]) -> list[Pcm]:
        """Map parts of the recording; only their own pages are touched, and only while in use."""
        try:
            with open_samples(self._spool) as file:
                check_samples(file, seals)
                return [
                    np.memmap(
                        file,
                        dtype="<i2",
                        mode="r",
                        offset=BYTES_PER_SAMPLE * span.start,
                        shape=(span.length,),
                    )
                    for span in spans
                ]
        except (OSError, ValueError) as error:  # it has gone, or ends too soon
            if getattr(error, "errno", None) in _OUR_OWN_TROUBLE:
                raise
            raise SpoolError(
                f"The decoded audio in {self._spool} can't be read ({error}).",
                "The disk fails, or something removes it: give --job-dir another folder.",
            ) from error


Done = TypeVar("Done")


def _steps(building: Generator[None, None, Done]) -> Generator[tuple[()], None, Done]:
    """Return what is being built; each step towards it is a batch of nothing."""
    while True:
        try:
            next(building)
        except StopIteration as end:
            built: Done = end.value
            return built
        yield ()


def _told(
    steps: Generator[Sequence[WindowResult], None, Done], chunk_id: int
) -> Generator[BatchDone, None, Done]:
    """Return what the steps lead to; tell of each batch, and of progress without one at times."""
    told = time.monotonic()
    while True:
        try:
            batch = next(steps)
        except StopIteration as end:
            done: Done = end.value
            return done
        if batch or time.monotonic() - told >= TELL_EVERY:
            yield BatchDone(chunk_id=chunk_id, windows=len(batch), samples=0)
            told = time.monotonic()


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
