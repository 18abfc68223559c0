"""The recognizer process: holds one loaded model and decodes one chunk after another.

Run as `python -m longscribe.worker.recognizer`. Whatever native code does here,
the supervisor sees a message, an end of the stream, or silence.
"""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from longscribe.core.quality import best_hearing, complaint, other_hearings
from longscribe.errors import LongscribeError
from longscribe.ports import (
    DecodeTask,
    LanguageTask,
    Recognizer,
    RecognizerFactory,
    WindowAudio,
)
from longscribe.types import ChunkResult, FailureKind, Window, WindowResult
from longscribe.worker.factories import find_factory
from longscribe.worker.lifeline import Lifeline, Line
from longscribe.worker.messages import (
    BatchDone,
    Broke,
    ChunkDecoded,
    FromChildMessage,
    LanguageHeard,
    LoadModel,
    ModelLoaded,
)

if TYPE_CHECKING:
    from longscribe.ports import Pcm

LANGUAGE_WINDOWS = 8
"""Most windows judged to tell the language: one batch, up to four minutes."""


def serve(line: Line) -> None:
    """Load a model as told, then do one task after another; ends with the line."""
    load = line.receive()
    assert isinstance(load, LoadModel), f"expected LoadModel first, got {load}"
    try:
        started = time.monotonic()
        load_recognizer = cast(RecognizerFactory, find_factory(load.factory))
        recognizer = load_recognizer(load.settings, load.model_path)
    except Exception as error:  # noqa: BLE001 - whatever it was, the supervisor must hear of it
        line.send(_broke(error))
        while True:
            line.receive()
    line.send(
        ModelLoaded(
            capabilities=recognizer.capabilities,
            device=recognizer.device,
            compute_type=recognizer.compute_type,
            seconds=time.monotonic() - started,
        )
    )
    spool = Path(load.spool)
    while True:
        task = line.receive()
        try:
            for message in _perform(task, recognizer, spool):
                line.send(message)
        except Exception as error:  # noqa: BLE001 - as above
            line.send(_broke(error))


def _perform(task: object, recognizer: Recognizer, spool: Path) -> Iterator[FromChildMessage]:
    if isinstance(task, LanguageTask):
        windows = task.windows[:LANGUAGE_WINDOWS]
        guess = recognizer.detect_language([read_window(spool, window) for window in windows])
        yield LanguageHeard(guess=guess, windows=len(windows))
    elif isinstance(task, DecodeTask):
        yield from _decode(task, recognizer, spool)
    else:
        raise TypeError(f"a recognizer can't do {type(task).__name__}")


def _decode(task: DecodeTask, recognizer: Recognizer, spool: Path) -> Iterator[FromChildMessage]:
    started = time.monotonic()
    chunk_id = task.chunk.chunk_id
    audio = [
        WindowAudio(window=window, bias=bias, pcm=read_window(spool, window))
        for window, bias in zip(task.chunk.windows, task.biases, strict=True)
    ]
    results: dict[int, WindowResult] = {}
    for batch in recognizer.decode(audio, task.settings, chunk_id):
        results.update((result.window.index, result) for result in batch)
        heard = sum(result.window.owns.length for result in batch)
        yield BatchDone(chunk_id=chunk_id, windows=len(batch), samples=heard)
    for member in audio:
        first = results[member.window.index]
        if complaint(first) is not None:
            better = _hear_again(first, member, task, recognizer)
            while (result := next(better, None)) is not None:
                results[member.window.index] = result
                yield BatchDone(chunk_id=chunk_id, windows=1, samples=0)
    yield ChunkDecoded(
        result=ChunkResult(
            chunk_id=chunk_id, windows=tuple(results[index] for index in sorted(results))
        ),
        seconds=time.monotonic() - started,
        peak_memory=peak_memory(),
    )


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


def read_window(spool: Path, window: Window) -> Pcm:
    """Map the window's samples; only its own pages are touched, and only while it is in use."""
    return np.memmap(
        spool, dtype="<i2", mode="r", offset=2 * window.span.start, shape=(window.span.length,)
    )


def peak_memory() -> int:
    """Return the highest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak if sys.platform == "darwin" else peak * 1024


def _broke(error: Exception) -> Broke:
    if isinstance(error, LongscribeError):
        slug, found, remedy = error.slug, error.found, error.remedy
    else:
        slug, found, remedy = "", f"{type(error).__name__}: {error}", ""
    return Broke(
        kind=FailureKind.OOM if _is_out_of_memory(error) else FailureKind.ERROR,
        slug=slug,
        found=found,
        remedy=remedy,
        traceback="".join(traceback.format_exception(error)),
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Tell whether memory ran out, by the type or by what native libraries write."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        sign in text for sign in ("out of memory", "bad_alloc", "failed to allocate")
    )


if __name__ == "__main__":
    serve(Lifeline())
