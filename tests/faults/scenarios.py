"""Everything that may happen to a job."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from tests.faults import (
    clocks,
    disks,
    foreign,
    instants,
    kills,
    ladders,
    power,
    swaps,
    words,
    workers,
)
from tests.faults.stage import Scenario

GROUPS = (instants, workers, words, clocks, ladders, kills, disks, power, foreign, swaps)


def all_scenarios() -> Iterator[Scenario]:
    """Yield every scenario of the suite."""
    return chain.from_iterable(group.scenarios() for group in GROUPS)
