"""The governor: what is done about a worker that holds too much memory, before the system kills it.

    clean up  ─▶  smaller batches  ─▶  a new worker  ─▶  the attempt is ended

Each step stands at a share of what the worker may hold. The first three happen between
batches and between chunks, and nothing is lost or decoded twice by them; the last one
counts as memory that ran out, and the ladder takes it from there. None changes what is
written: a batch of one gives what a batch of many gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from longscribe.config import MemorySettings
from longscribe.core.devices import default_batch, most_windows, window_bytes
from longscribe.sizes import say_size
from longscribe.types import MemoryReading

CLEAN_UP = 0.7
"""Of the limit: beyond this a worker tidies up after each batch, not only after each chunk."""
SMALLER = 0.8
"""Beyond this, reached while decoding, the next chunks are decoded in smaller batches."""
RENEW = 0.9
"""Beyond this, held with nothing left to tidy up, the worker is replaced."""
SHARE = 0.9
"""Of what its device may hold, a worker may have this much where the user names no limit."""
NOTABLE = 0.1
"""Of the limit: less than this is not worth a smaller batch or a new worker."""


class Remedy(StrEnum):
    CLEAN_UP = "clean up"
    SMALLER_BATCH = "smaller batch"
    NEW_WORKER = "new worker"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is done about memory, and why."""

    remedy: Remedy
    reason: str


def limit_of(settings: MemorySettings, reading: MemoryReading) -> int | None:
    """Return the bytes that a worker may hold on its device; None: whatever it gets."""
    if settings.limit is not None:
        return settings.limit
    if not settings.guarded or reading.device_memory is None:
        return None
    return round(SHARE * reading.device_memory / settings.shared_by)


def room_of(settings: MemorySettings, reading: MemoryReading) -> int | None:
    """Return how many bytes a worker may still take on its device, for its work."""
    limit = limit_of(settings, reading)
    rooms = [] if limit is None else [limit - reading.needed]
    if reading.device_free is not None:
        rooms.append(round(SHARE * (reading.device_free + reading.kept)) // settings.shared_by)
    return max(0, min(rooms)) if rooms else None


def should_clean_up(limit: int | None, reading: MemoryReading) -> bool:
    """Tell whether a worker should tidy up before it goes on with its chunk."""
    return limit is not None and reading.held > CLEAN_UP * limit


@dataclass(kw_only=True)
class Governor:
    """Follows what one worker holds, from its start to its end."""

    settings: MemorySettings
    _loaded: MemoryReading
    """When it held the model and had done nothing yet."""
    _rested: MemoryReading | None = None
    """After its first chunk, tidied up: with all that it needs for good."""

    @classmethod
    def begin(cls, settings: MemorySettings, loaded: MemoryReading) -> Governor:
        return cls(settings=settings, _loaded=loaded)

    def model_is_too_large(self) -> str | None:
        """Tell why there is no point in beginning: the model alone exceeds the user's limit."""
        limit, held = self.settings.limit, self._loaded.needed
        if limit is None or held <= limit or not self.settings.replaceable:
            return None
        return f"the loaded model holds {say_size(held)}, and it may hold {say_size(limit)}"

    def overrun(self, reading: MemoryReading) -> str | None:
        """Tell why the worker must be ended at once, if it must.

        What a clean-up would give back does not count. On a GPU with memory of its own and
        no limit by the user, the engine itself reports when there is no more.
        """
        if not self.settings.replaceable:
            return None
        if self.settings.limit is None and reading.device.startswith("cuda"):
            return None
        limit = limit_of(self.settings, reading)
        if limit is None or reading.needed <= limit:
            return None
        return (
            f"the worker ran out of memory: it held {say_size(reading.needed)} "
            f"and may hold {say_size(limit)}"
        )

    def after_chunk(self, rest: MemoryReading, most: int, batch: int) -> tuple[Measure, ...]:
        """Return what to do before the next chunk.

        Args:
            rest: what is held after the chunk, tidied up.
            most: the most bytes that were needed while it was decoded.
            batch: windows that were decoded together.
        """
        found = (self._smaller_batch(rest, most, batch), self._new_worker(rest))
        self._rested = self._rested or rest
        return tuple(measure for measure in found if measure is not None)

    def _smaller_batch(self, rest: MemoryReading, most: int, batch: int) -> Measure | None:
        limit = limit_of(self.settings, rest)
        work = most - rest.held
        if limit is None or batch <= 1 or most <= SMALLER * limit or work <= NOTABLE * limit:
            return None
        return Measure(
            remedy=Remedy.SMALLER_BATCH,
            reason=f"decoding {batch} windows together took {say_size(most)} "
            f"of the {say_size(limit)} that a worker may hold",
        )

    def _new_worker(self, rest: MemoryReading) -> Measure | None:
        if not self.settings.replaceable:
            return None
        growth = self.settings.growth
        grown = rest.held - (self._rested or rest).held
        if growth is not None and grown > growth:
            return Measure(
                remedy=Remedy.NEW_WORKER,
                reason=f"it holds {say_size(grown)} more than after its first chunk",
            )
        limit = limit_of(self.settings, rest)
        if limit is None or rest.held <= RENEW * limit:
            return None
        if rest.held - (self._rested or rest).held <= NOTABLE * limit:
            return None  # a new one would hold as much after its first chunk
        return Measure(
            remedy=Remedy.NEW_WORKER,
            reason=f"it holds {say_size(rest.held)} of the {say_size(limit)} that it may hold",
        )


@dataclass(frozen=True, kw_only=True)
class BatchChoice:
    """How many windows are decoded together, and why not as many as one would think."""

    windows: int
    reason: str = ""
    """A sentence; empty where it is what was asked for, or the default."""


def batch_choice(
    asked: int | None, beam_size: int, loaded: MemoryReading | None, settings: MemorySettings
) -> BatchChoice:
    """Return how many windows to decode together on a device, with the model loaded.

    Args:
        asked: by the user, who may know better than an estimate; None leaves it to us.
        beam_size: hypotheses followed.
        loaded: what a worker holds that has done nothing yet; None where that is unknown.
        settings: what a worker may hold.
    """
    kind = "cpu" if loaded is None else loaded.device.partition(":")[0]
    most = most_windows(asked, kind)
    if asked is not None and most < asked:
        return BatchChoice(
            windows=most,
            reason=f"On Apple's GPU {most} windows are decoded together at most, "
            f"not the {asked} asked for (--batch-size): it holds on to more memory with each.",
        )
    room = None if loaded is None else room_of(settings, loaded)
    if loaded is None or room is None or asked is not None:
        return BatchChoice(windows=most)
    fitting = default_batch(most, window_bytes(loaded.needed, beam_size), room)
    if fitting == most:
        return BatchChoice(windows=most)
    return BatchChoice(
        windows=fitting,
        reason=f"{fitting} windows are decoded together, not {most}: beside the model there is "
        f"room for {say_size(room)} on {loaded.device}.",
    )
