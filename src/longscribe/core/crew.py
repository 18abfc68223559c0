"""How many workers a job gets when the user does not say."""

from __future__ import annotations

CORES_A_WORKER = 8
"""One Whisper decode hardly gains from more threads than this (CTranslate2's own default is 4)."""
MOST_WORKERS = 4
"""Each holds a whole model in memory."""


def default_workers(device: str, cores: int) -> int:
    """Return the number of workers for a device and so many physical cores.

    A GPU is filled by one worker's batches; a large CPU is not filled by one decode.
    `auto` may turn out to be a GPU, so it gets one too.
    """
    if device != "cpu":
        return 1
    return max(1, min(cores // CORES_A_WORKER, MOST_WORKERS))


def threads_each(cpu_threads: int, workers: int, cores: int) -> int:
    """Return the threads of each worker's engine: as asked, else the cores shared out.

    0 lets the engine choose, which is right for a single worker.
    """
    return cpu_threads if cpu_threads or workers == 1 else max(1, cores // workers)
