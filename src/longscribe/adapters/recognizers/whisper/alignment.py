"""When each token is spoken: from the decoder's attention, by dynamic time warping.

The procedure is that of openai/whisper (`timing.py`). It runs on the CPU in
single precision: Apple's GPUs know no double.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

MEDIAN_WIDTH = 7


def first_frames(attention: Floats, frames: int, rows: slice) -> npt.NDArray[np.int64]:
    """Return the frame (of 20 ms) at which each token of `rows` begins.

    Args:
        attention: of some heads, before softmax: (heads, tokens, frames of the encoder).
        frames: how many hold audio; what lies behind is padding.
        rows: the tokens to place; the others only count for what attention is usual.
    """
    frames = max(1, min(frames, attention.shape[-1]))
    weights = _softmax(attention[:, :, :frames].astype(np.float32))
    spread = weights.std(axis=1, keepdims=True)
    weights = (weights - weights.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-10)
    tokens, times = time_warp(-median_filter(weights, MEDIAN_WIDTH).mean(axis=0)[rows])
    found: npt.NDArray[np.int64] = times[np.diff(tokens, prepend=-1) > 0]
    return found


def _softmax(values: Floats) -> Floats:
    exponents = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: Floats = exponents / exponents.sum(axis=-1, keepdims=True)
    return shares


def median_filter(values: Floats, width: int) -> Floats:
    """Replace each value by the median of its neighbourhood along the last axis.

    The edges are mirrored. Too few values are left as they are.
    """
    reach = width // 2
    if values.shape[-1] <= reach:
        return values
    edges = [(0, 0)] * (values.ndim - 1) + [(reach, reach)]
    padded = np.pad(values, edges, mode="reflect")
    length = values.shape[-1]
    shifted = [padded[..., at : at + length].copy() for at in range(width)]
    # Let the greatest rise to the end, as often as there are values behind the median.
    for end in range(width - 1, reach - 1, -1):
        for at in range(end):
            low = np.minimum(shifted[at], shifted[at + 1])
            shifted[at + 1] = np.maximum(shifted[at], shifted[at + 1])
            shifted[at] = low
    return shifted[reach]


def time_warp(costs: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the cheapest monotonic path through `costs` (tokens, frames): both indices along it.

    Sums are made diagonal by diagonal: the cells of one need only the two before it.
    """
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf, dtype=np.float32)
    total[0, 0] = 0
    step = np.zeros((rows + 1, columns + 1), dtype=np.int8)
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        both, down, right = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
        take_both = (both < down) & (both < right)
        take_down = ~take_both & (down < both) & (down < right)
        step[i, j] = np.where(take_both, 0, np.where(take_down, 1, 2))
        total[i, j] = costs[i - 1, j - 1] + np.where(
            take_both, both, np.where(take_down, down, right)
        )
    return _walk_back(step)


def _walk_back(step: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    i, j = step.shape[0] - 1, step.shape[1] - 1
    path: list[tuple[int, int]] = []
    while i > 0 or j > 0:
        path.append((i - 1, j - 1))
        move = 2 if i == 0 else 1 if j == 0 else step[i, j]
        if move != 2:
            i -= 1
        if move != 1:
            j -= 1
    tokens, frames = np.array(path[::-1], dtype=np.int64).T
    return tokens, frames
