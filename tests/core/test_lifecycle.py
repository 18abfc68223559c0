"""The life of a chunk, as its table says."""

from __future__ import annotations

from itertools import product

import pytest

from longscribe.core.lifecycle import ALLOWED, SETTLED, ChunkState, moved


@pytest.mark.parametrize(("state", "to"), list(product(ChunkState, ChunkState)))
def test_the_table_decides(state, to):
    if to in ALLOWED[state]:
        assert moved(state, to) is to
    else:
        with pytest.raises(ValueError, match=f"that is {state} can't become {to}"):
            moved(state, to)


def test_every_state_stands_in_the_table_and_is_reached():
    assert set(ALLOWED) == set(ChunkState)
    reached, fresh = {ChunkState.PLANNED}, {ChunkState.PLANNED}
    while fresh:
        fresh = {to for state in fresh for to in ALLOWED[state]} - reached
        reached |= fresh
    assert reached == set(ChunkState)


def test_what_is_settled_stays_so_and_only_that():
    assert {state for state in ChunkState if not ALLOWED[state]} == SETTLED
