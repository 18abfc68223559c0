"""Reading a worker's memory while it decodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from longscribe.config import MemorySettings
from longscribe.core.governor import limit_of, should_clean_up
from longscribe.ports import WorkerMemory
from longscribe.types import MemoryReading
from longscribe.worker.lifeline import Line
from longscribe.worker.messages import BatchDone, ChunkDecoded, LanguageHeard, MemoryRead


class MemoryWatch:
    """Reads the memory at batches and chunks, and in between from a thread of its own.

    Args:
        memory: of this process and its device.
        settings: what may be held.
        line: takes what is read.
    """

    def __init__(self, memory: WorkerMemory, settings: MemorySettings, line: Line) -> None:
        self._memory = memory
        self._settings = settings
        self._line = line
        self._busy = threading.Event()
        self._lock = threading.Lock()
        self._most = 0
        if settings.sample_every:
            threading.Thread(target=self._sample, name="memory-watch", daemon=True).start()

    def loaded(self, device: str) -> MemoryReading:
        """Return what is held with the model loaded; tell the engine of the user's limit."""
        self._memory.settle(device, self._settings.shared_by)
        if self._settings.limit is not None:
            self._memory.limit(self._settings.limit)
        self._memory.clean_up()
        return self._memory.read()

    def follow(
        self, steps: Iterable[BatchDone | ChunkDecoded | LanguageHeard]
    ) -> Iterator[BatchDone | ChunkDecoded | LanguageHeard | MemoryRead]:
        """Pass on what a task reports, and what is held before it, at each batch and after it."""
        self._memory.count_anew()
        with self._lock:
            self._most = 0
        self._note(self._memory.read())
        self._busy.set()
        try:
            for message in steps:
                if isinstance(message, BatchDone):
                    yield message
                    yield self._after_batch()
                else:
                    self._busy.clear()
                    yield self._completed(message)
        finally:
            self._busy.clear()

    def _after_batch(self) -> MemoryRead:
        """Return what is held between batches, tidied up if it is much."""
        self._memory.release()
        reading = self._memory.read()
        self._note(reading)
        if not should_clean_up(limit_of(self._settings, reading), reading):
            return MemoryRead(memory=reading)
        self._memory.clean_up()
        return MemoryRead(memory=self._memory.read(), cleaned_from=reading.held)

    def _completed(self, message: ChunkDecoded | LanguageHeard) -> ChunkDecoded | LanguageHeard:
        """Tidy up after a task; note on its result what is held now, and the most in between."""
        self._note(self._memory.read())
        self._memory.clean_up()
        if isinstance(message, LanguageHeard):
            return message
        return replace(message, memory=self._memory.read(), most_memory=self._most)

    def _note(self, reading: MemoryReading) -> None:
        with self._lock:
            self._most = max(self._most, reading.needed, reading.peak)

    def _sample(self) -> None:
        while True:
            self._busy.wait()
            reading = self._memory.read()
            if self._busy.is_set():
                self._note(reading)
                self._line.send(MemoryRead(memory=reading))
            time.sleep(self._settings.sample_every)
