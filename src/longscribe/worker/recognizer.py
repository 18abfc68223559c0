"""The recognizer process: holds one loaded model and decodes one chunk after another.

Run as `python -m longscribe.worker.recognizer`. Whatever native code does here,
the supervisor sees a message, an end of the stream, or silence.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from longscribe.errors import LongscribeError
from longscribe.ports import DecodeTask, LanguageTask, RecognizerFactory, WorkerMemoryFactory
from longscribe.types import FailureKind
from longscribe.worker.decoding import ChunkDecoder
from longscribe.worker.factories import find_factory
from longscribe.worker.lifeline import Lifeline, Line
from longscribe.worker.messages import (
    Broke,
    EngineFound,
    FromChildMessage,
    LoadModel,
    ModelLoaded,
    TryEngine,
    hello,
)
from longscribe.worker.watching import MemoryWatch


def serve(line: Line) -> None:
    """Load a model as told, then do one task after another; ends with the line."""
    line.send(hello())
    load = line.receive()
    if isinstance(load, TryEngine):
        line.send(_try_engine(load))
        while True:
            line.receive()
    assert isinstance(load, LoadModel), f"expected LoadModel first, got {load}"
    try:
        started = time.monotonic()
        open_memory = cast(WorkerMemoryFactory, find_factory(load.memory_reader))
        watch = MemoryWatch(open_memory(), load.memory, line)
        load_recognizer = cast(RecognizerFactory, find_factory(load.factory))
        recognizer = load_recognizer(load.settings, load.model_path)
        memory = watch.loaded(recognizer.device)
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
            memory=memory,
        )
    )
    decoder = ChunkDecoder(recognizer, load.glossary, load.language_tools, Path(load.spool))
    while True:
        task = line.receive()
        try:
            for message in _perform(task, decoder, watch):
                line.send(message)
        except Exception as error:  # noqa: BLE001 - as above
            line.send(_broke(error))


def _try_engine(task: TryEngine) -> EngineFound | Broke:
    """Import a recognizer with all that it needs, and say how it went."""
    try:
        find_factory(task.factory)
        kinds = getattr(sys.modules.get(task.factory.partition(":")[0]), "device_kinds", tuple)
        return EngineFound(versions=tuple(_versions(task.packages)), devices=tuple(kinds()))
    except Exception as error:  # noqa: BLE001 - as above
        return _broke(error)


def _versions(packages: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in packages:
        with contextlib.suppress(PackageNotFoundError):
            yield name, version(name)


def _perform(task: object, decoder: ChunkDecoder, watch: MemoryWatch) -> Iterator[FromChildMessage]:
    if isinstance(task, LanguageTask):
        yield from watch.follow(map(decoder.tell_language, [task]))
    elif isinstance(task, DecodeTask):
        yield from watch.follow(decoder.decode(task))
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
