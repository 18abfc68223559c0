"""The recognizer process: holds one loaded model and decodes one chunk after another.

Run as `python -m longscribe.worker.recognizer`. Whatever native code does here,
the supervisor sees a message, an end of the stream, or silence.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from longscribe.errors import LongscribeError
from longscribe.ports import DecodeTask, LanguageTask, RecognizerFactory
from longscribe.types import FailureKind
from longscribe.worker.decoding import ChunkDecoder
from longscribe.worker.factories import find_factory
from longscribe.worker.lifeline import Lifeline, Line
from longscribe.worker.messages import Broke, FromChildMessage, LoadModel, ModelLoaded


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
    decoder = ChunkDecoder(recognizer, load.glossary, load.language_tools, Path(load.spool))
    while True:
        task = line.receive()
        try:
            for message in _perform(task, decoder):
                line.send(message)
        except Exception as error:  # noqa: BLE001 - as above
            line.send(_broke(error))


def _perform(task: object, decoder: ChunkDecoder) -> Iterator[FromChildMessage]:
    if isinstance(task, LanguageTask):
        yield decoder.tell_language(task)
    elif isinstance(task, DecodeTask):
        yield from decoder.decode(task)
    else:
        raise TypeError(f"a recognizer can't do {type(task).__name__}")


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
