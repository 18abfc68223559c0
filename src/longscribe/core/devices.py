"""What a device can do: number formats, and how many windows at once.

Facts, not measurements of this machine: those come in from `adapters/devices`.
"""

from __future__ import annotations

from dataclasses import dataclass

from longscribe.config import DEFAULT_BATCH

MPS_BATCH = 8
"""Most windows together on Apple's GPU, whatever is asked for: beyond it the pools that Metal's
graphs keep grow faster than the work gets done (pytorch#132596 and its kin)."""

HALF = frozenset({"float16", "bfloat16", "int8_float16", "int8_bfloat16"})
"""Formats that compute in 16 bits."""
IN_FULL = {
    "float16": "float32",
    "bfloat16": "float32",
    "int8_float16": "int8_float32",
    "int8_bfloat16": "int8_float32",
}
"""What stands in for them where a device can't."""
DEFAULT_FORMATS = {
    ("faster-whisper", "cpu"): "int8",
    ("whisperx", "cpu"): "int8",
    ("faster-whisper", "cuda"): "float16",
    ("mlx", "cpu"): "float32",
    ("mlx", "mps"): "float16",
    ("mlx", "cuda"): "float16",
    ("transformers", "cpu"): "float32",
    ("transformers", "mps"): "float16",
    ("transformers", "cuda"): "float16",
}
"""What `--compute-type default` comes to, by recognizer and kind of device, with a model whose
weights are kept in floats. Those not named here take a model's numbers as they are. CTranslate2 on
a CPU: int8 took 6 s of processor time where float32 took 35 (84 s of speech, Whisper base), at the
same word error (docs/decisions/0021)."""
MADE_BY_US = frozenset({("faster-whisper", "cpu"), ("whisperx", "cpu")})
"""Where `default` is no word of the engine's own for this: CTranslate2's is the model's numbers."""
IMPOSSIBLE = {("faster-whisper", "cpu"): HALF}
"""What an engine can't compute on a device. Others may be slow there, but they work."""


@dataclass(frozen=True, kw_only=True)
class NumberChoice:
    """A compute type, and why it is not the one asked for."""

    compute_type: str
    reason: str = ""
    """A sentence; empty where it is what was asked for."""


def default_format(recognizer: str, kind: str) -> str:
    """Return what `--compute-type default` comes to on a kind of device."""
    return DEFAULT_FORMATS.get((recognizer, kind), "the model's own")


def usable_format(recognizer: str, kind: str, asked: str) -> NumberChoice:
    """Return the compute type that a device can really do, nearest to the one asked for.

    Args:
        recognizer: its name.
        kind: `cpu`, `cuda` or `mps`.
        asked: as `--compute-type` takes it.
    """
    if asked == "default" and (recognizer, kind) in MADE_BY_US:
        return NumberChoice(compute_type=DEFAULT_FORMATS[recognizer, kind])
    if asked not in IMPOSSIBLE.get((recognizer, kind), ()):
        return NumberChoice(compute_type=asked)
    instead = IN_FULL[asked]
    return NumberChoice(
        compute_type=instead,
        reason=f"{recognizer} can't compute in {asked} on {kind}; {instead} is used instead.",
    )


def most_windows(asked: int | None, kind: str) -> int:
    """Return how many windows may be decoded together at most on a kind of device."""
    wanted = DEFAULT_BATCH if asked is None else asked
    return min(wanted, MPS_BATCH) if kind == "mps" else wanted


WINDOW_SHARE = 0.12
BEAM_SHARE = 0.04
"""What a window needs while it is decoded, as a share of the model in memory, and what each beam
adds. Whisper large-v3 in float16 holds 3.1 GB; the keys and values of a window's audio in its
32 layers take 245 MB and those of each hypothesis 73 MB at most. Small: 480, 55 and 17 MB.
Turbo models have fewer layers and need less."""
WINDOW_LEAST = 32 * 2**20
"""Bytes that a window needs even with the smallest model."""


def window_bytes(model: int, beam_size: int) -> int:
    """Return about how many bytes each window of a batch needs, beside the model.

    Args:
        model: bytes that the loaded model holds.
        beam_size: hypotheses followed.
    """
    return max(WINDOW_LEAST, round(model * (WINDOW_SHARE + BEAM_SHARE * beam_size)))


def default_batch(most: int, window: int, room: int) -> int:
    """Return how many windows to decode together: halves of `most` until they fit, 1 at least.

    Args:
        most: no more than this.
        window: bytes that each needs.
        room: bytes that there are for them.
    """
    batch = most
    while batch > 1 and batch * window > room:
        batch //= 2
    return batch
