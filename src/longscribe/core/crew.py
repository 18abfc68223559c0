"""How many workers a job gets when the user does not say, and the threads of each."""

from __future__ import annotations

MOST_WORKERS = 8
"""Each holds a whole model in memory, and the reader must keep up with all of them."""
MODEL_SHARE = 1.5
WORKER_BASE = 512 * 2**20
"""What a worker on a CPU needs: one and a half times its model's file, for a batch's keys and
values, and 512 MiB. Whisper base (145 MB) in int8 was seen to need 400 MB with eight windows."""
MEMORY_SHARE = 0.5
"""Of the free memory, for all workers together."""


def default_workers(kind: str, cores: int, free: int, model: int) -> int:
    """Return the number of workers on a kind of device.

    A GPU is filled by one worker's batches. On a CPU several workers of few threads are
    quicker than one of many: on two cores two workers of one thread took 15 to 30 % less time
    than one of two (16 minutes of speech, Whisper base), since no thread waits for another.

    Args:
        kind: of the device: `cpu`, `cuda`, `mps`, or `auto` where a GPU may be found.
        cores: physical ones.
        free: bytes of memory that nobody holds.
        model: bytes of the model's files; 0 where that is not known.
    """
    if kind != "cpu":
        return 1
    room = int(MEMORY_SHARE * free // (MODEL_SHARE * model + WORKER_BASE))
    return max(1, min(cores, room, MOST_WORKERS))


def threads_each(cpu_threads: int, workers: int, cores: int) -> int:
    """Return the threads of each worker's engine: as asked, else the cores shared out.

    0 lets the engine choose, which is right for a single worker.
    """
    return cpu_threads if cpu_threads or workers == 1 else max(1, cores // workers)


def shared_out(threads: int, planned: int, started: int) -> int:
    """Return the threads of each of `started` workers where `planned` were meant of `threads` each.

    0 stays 0: the engine chooses.
    """
    return threads * planned // max(1, started) if started < planned else threads
