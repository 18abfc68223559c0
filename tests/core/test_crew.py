"""How many workers, and how many threads each."""

from __future__ import annotations

import pytest

from longscribe.core.crew import MOST_WORKERS, default_workers, shared_out, threads_each

GB = 10**9
PLENTY = 1000 * GB


@pytest.mark.parametrize(
    ("cores", "workers"), [(1, 1), (2, 2), (3, 2), (4, 2), (8, 3), (16, 4), (32, 6), (200, 8)]
)
def test_a_cpu_gets_about_as_many_workers_as_each_has_threads(cores, workers):
    assert default_workers("cpu", cores, PLENTY, GB) == workers
    assert workers <= MOST_WORKERS
    assert workers * threads_each(0, workers, cores) <= cores or workers == 1


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_gpu_is_filled_by_one_worker(kind):
    assert default_workers(kind, 64, PLENTY, GB) == 1


def test_memory_decides_before_cores_do():
    """Half of what is free, one and a half models and half a gigabyte each."""
    assert default_workers("cpu", 16, 16 * GB, 3 * GB) == 1
    assert default_workers("cpu", 16, 24 * GB, 3 * GB) == 2
    assert default_workers("cpu", 16, 0, 3 * GB) == 1, "never none"
    assert default_workers("cpu", 16, PLENTY, 0) == 4, "a model that is not there yet"


def test_threads_that_were_named_stay():
    assert threads_each(3, 4, 16) == 3
    assert threads_each(0, 4, 16) == 4
    assert threads_each(0, 4, 2) == 1
    assert threads_each(0, 1, 16) == 0, "one worker: the engine chooses"


@pytest.mark.parametrize(
    ("threads", "planned", "started", "each"),
    [(4, 4, 4, 4), (4, 4, 1, 16), (1, 2, 1, 2), (2, 3, 2, 3), (0, 1, 1, 0), (1, 2, 0, 2)],
)
def test_workers_that_are_not_needed_leave_their_threads_to_the_others(
    threads, planned, started, each
):
    assert shared_out(threads, planned, started) == each
