"""The ladder: a retry changes something or follows a cause that may pass, and it ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.core.ladder import ADMITTED, Effort, Rung, Step, delay, describe, next_step
from longscribe.types import ChunkFailure, FailureKind

KINDS = list(FailureKind)
# The same again would end the same way.
LASTING = {FailureKind.OOM, FailureKind.ERROR}
EFFORTS = st.builds(
    Effort,
    batch_size=st.integers(1, 64),
    beam_size=st.integers(1, 8),
    compute_type=st.sampled_from(["default", "float16", "int8", "int8_float16"]),
    device=st.sampled_from(["cpu", "cuda", "cuda:1", "auto"]),
)


def climb(effort: Effort, kinds: list[FailureKind], *, can_split: bool) -> list[Step | None]:
    """Return the steps of a chunk whose attempts fail in these ways, up to giving up."""
    start = Step(rung=Rung.AS_ASKED, effort=effort)
    steps: list[Step | None] = []
    for count in range(len(kinds) + 1):
        steps.append(next_step(start, kinds[:count], can_split=can_split, max_attempts=100))
        if steps[-1] is None or steps[-1].rung is Rung.SPLIT:
            break
    return steps


def test_every_kind_of_failure_stands_in_the_table():
    assert set(ADMITTED) == set(FailureKind)
    assert all((Rung.AGAIN in ADMITTED[kind]) != (kind in LASTING) for kind in FailureKind)


@settings(max_examples=200)
@given(EFFORTS, st.lists(st.sampled_from(KINDS), min_size=40, max_size=40), st.booleans())
def test_every_retry_changes_something_and_the_ladder_ends(effort, kinds, can_split):
    steps = climb(effort, kinds, can_split=can_split)
    assert steps[0] == Step(rung=Rung.AS_ASKED, effort=effort)
    assert steps[-1] is None or steps[-1].rung is Rung.SPLIT
    order = list(Rung)
    again = 0
    for before, after in pairwise(steps):
        if after is None:
            break
        assert before is not None
        assert order.index(after.rung) >= order.index(before.rung)
        assert after.effort.batch_size <= before.effort.batch_size
        assert after.effort.beam_size <= before.effort.beam_size
        if after.rung is Rung.AGAIN:
            again += 1
        elif after.rung is not Rung.SPLIT:
            assert after.effort != before.effort
    assert again <= 1


@given(EFFORTS, st.lists(st.sampled_from(KINDS), min_size=3, max_size=9), st.integers(1, 3))
def test_no_more_attempts_than_allowed(effort, kinds, most):
    start = Step(rung=Rung.AS_ASKED, effort=effort)
    assert next_step(start, kinds, can_split=True, max_attempts=most) is None


def test_what_is_waited_doubles_up_to_a_limit():
    waits = [delay(count, 1.0) for count in range(10)]
    assert waits == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [None, 9, 11, 40])
def test_every_failure_is_described(kind, number):
    failure = ChunkFailure(chunk_id=0, kind=kind, message="it broke", signal=number, exit_code=1)
    said = describe(failure)
    assert said
    assert said == said.strip()
    if kind is FailureKind.CRASH:
        wanted = {None: "exit status 1", 9: "SIGKILL", 11: "SIGSEGV", 40: "signal 40"}
        assert wanted[number] in said
