"""When tokens are spoken, from the decoder's attention."""

from __future__ import annotations

import numpy as np
import pytest

from longscribe.adapters.recognizers.whisper.alignment import (
    first_frames,
    median_filter,
    time_warp,
)

GENERATOR = np.random.default_rng(5)


def slow_warp(costs: np.ndarray) -> tuple[list[int], list[int]]:
    """openai/whisper's `dtw_cpu` and `backtrace`, cell by cell."""
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf, dtype=np.float32)
    trace = np.full((rows + 1, columns + 1), -1)
    total[0, 0] = 0
    for j in range(1, columns + 1):
        for i in range(1, rows + 1):
            both, down, right = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
            if both < down and both < right:
                least, move = both, 0
            elif down < both and down < right:
                least, move = down, 1
            else:
                least, move = right, 2
            total[i, j] = costs[i - 1, j - 1] + least
            trace[i, j] = move
    trace[0, :] = 2
    trace[:, 0] = 1
    i, j = rows, columns
    path = []
    while i > 0 or j > 0:
        path.append((i - 1, j - 1))
        move = trace[i, j]
        i -= move != 2
        j -= move != 1
    tokens, frames = zip(*reversed(path), strict=True)
    return list(tokens), list(frames)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 3), (9, 40), (40, 9), (20, 150)])
def test_the_warp_is_that_of_openai(shape: tuple[int, int]) -> None:
    for rounded in (False, True):  # rounded costs have ties
        costs = GENERATOR.normal(size=shape).astype(np.float32)
        costs = costs.round() if rounded else costs
        tokens, frames = time_warp(costs)
        assert (tokens.tolist(), frames.tolist()) == slow_warp(costs)


@pytest.mark.parametrize("length", [4, 5, 8, 100])
def test_the_median_is_that_of_the_neighbourhood(length: int) -> None:
    values = GENERATOR.normal(size=(2, 3, length)).astype(np.float32)
    padded = np.pad(values, ((0, 0), (0, 0), (3, 3)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 7, axis=-1)
    assert np.array_equal(median_filter(values, 7), np.median(windows, axis=-1))


def test_too_few_values_are_left_as_they_are() -> None:
    values = GENERATOR.normal(size=(1, 2, 3)).astype(np.float32)
    assert median_filter(values, 7) is values


def attention(starts: list[int], frames: int, total: int = 1500) -> np.ndarray:
    """Two heads that look at where each token is spoken, with some noise."""
    found = GENERATOR.normal(size=(2, len(starts), total)).astype(np.float32) * 0.1
    for row, (start, end) in enumerate(zip(starts, [*starts[1:], frames], strict=True)):
        found[:, row, start:end] += 8.0
    return found


def test_tokens_begin_where_they_are_looked_for() -> None:
    starts = [0, 20, 45, 80, 82, 120]
    found = first_frames(attention(starts, 200), 200, slice(None))
    assert np.abs(found - starts).max() <= 3


def test_only_the_rows_asked_for_are_placed() -> None:
    starts = [0, 0, 20, 45, 80]
    found = first_frames(attention(starts, 100), 100, slice(1, -1))
    assert len(found) == 3
    assert np.abs(found - [0, 20, 45]).max() <= 3


def test_times_never_decrease_whatever_is_looked_at() -> None:
    noise = GENERATOR.normal(size=(4, 30, 1500)).astype(np.float32) * 10
    found = first_frames(noise, 300, slice(None))
    assert len(found) == 30
    assert (np.diff(found) >= 0).all()
    assert found.max() < 300


@pytest.mark.parametrize("frames", [0, 1, 2, 5, 1500, 2000])
def test_windows_of_any_length_are_no_trouble(frames: int) -> None:
    found = first_frames(attention([0, 1, 2], 3), frames, slice(None))
    assert len(found) == 3
    assert np.isfinite(found).all()


def test_a_single_token_is_no_trouble() -> None:
    """Its attention has no spread."""
    assert first_frames(attention([0], 10), 10, slice(None)).tolist() == [0]
