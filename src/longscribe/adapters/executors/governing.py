"""What the governor has to say about a worker, as events."""

from __future__ import annotations

from collections.abc import Iterator

from longscribe.core.governor import Governor, Measure, Remedy
from longscribe.job_events import MemoryRelieved, MemorySampled
from longscribe.ports import DecodeTask
from longscribe.sizes import say_size
from longscribe.types import MemoryReading
from longscribe.worker.messages import ChunkDecoded, MemoryRead


def sampled(worker: int, message: MemoryRead) -> Iterator[MemorySampled | MemoryRelieved]:
    """Yield what a worker holds, and that it has tidied up if it has."""
    reading = message.memory
    yield MemorySampled(worker=worker, memory=reading)
    if message.cleaned_from is not None:
        given_back = say_size(max(0, message.cleaned_from - reading.held))
        reason = f"it held {say_size(message.cleaned_from)} and gave back {given_back}"
        yield _relieved(worker, Measure(remedy=Remedy.CLEAN_UP, reason=reason), reading)


def after_chunk(
    worker: int, governor: Governor, done: ChunkDecoded, task: DecodeTask
) -> Iterator[MemoryRelieved]:
    """Yield what is to be done before the worker's next chunk."""
    if done.memory is None:
        return
    batch = min(task.settings.batch_size, len(task.chunk.windows))
    for measure in governor.after_chunk(done.memory, done.most_memory, batch):
        smaller = batch // 2 if measure.remedy is Remedy.SMALLER_BATCH else None
        yield _relieved(worker, measure, done.memory, smaller)


def _relieved(
    worker: int, measure: Measure, reading: MemoryReading, batch_size: int | None = None
) -> MemoryRelieved:
    return MemoryRelieved(
        worker=worker,
        remedy=measure.remedy,
        reason=measure.reason,
        memory=reading,
        batch_size=batch_size,
    )
