"""The life of a chunk, as a table. Everything about its states lives in this file.

planned ──▶ ready ──▶ running ──▶ done
   │          │  ▲       │  │
   │          │  └───────┘  └────▶ gap
   │          └──▶ done, gap      (an earlier run had settled it)
   └──▶ done                      (no speech in it)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ChunkState(StrEnum):
    PLANNED = "planned"
    """Cut, but the language is not known yet."""
    READY = "ready"
    """Everything is known; it waits for a worker."""
    RUNNING = "running"
    DONE = "done"
    GAP = "gap"
    """Given up, and declared so."""


ALLOWED: Mapping[ChunkState, frozenset[ChunkState]] = {
    ChunkState.PLANNED: frozenset({ChunkState.READY, ChunkState.DONE}),
    ChunkState.READY: frozenset({ChunkState.RUNNING, ChunkState.DONE, ChunkState.GAP}),
    ChunkState.RUNNING: frozenset({ChunkState.READY, ChunkState.DONE, ChunkState.GAP}),
    ChunkState.DONE: frozenset(),
    ChunkState.GAP: frozenset(),
}

SETTLED = frozenset({ChunkState.DONE, ChunkState.GAP})


def moved(state: ChunkState, to: ChunkState) -> ChunkState:
    """Return `to` if a chunk may go there from `state`.

    Raises:
        ValueError: the table does not allow it. A defect of Longscribe.
    """
    if to not in ALLOWED[state]:
        raise ValueError(f"a chunk that is {state} can't become {to}")
    return to
