"""What an engine must do to be searched: encode, say how likely each token is, go one on.

Arrays of the engine's own kind (encoded audio, caches) are `Any` here and stay inside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from longscribe.adapters.recognizers.whisper.tokens import WhisperTokens
from longscribe.errors import RecognizerError
from longscribe.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from longscribe.ports import Pcm

WINDOW_SAMPLES = 30 * SAMPLE_RATE
MAX_POSITIONS = 448
"""Of Whisper's decoder: prompt and answer together."""
IMPOSSIBLE = -1e30
"""Log probability of a token that the rules forbid: finite, since not every GPU library
handles infinities well. Nothing possible comes near it."""


@dataclass(frozen=True, kw_only=True)
class StepRules:
    """What may come next in each hypothesis: one row of each array."""

    end: npt.NDArray[np.bool_]
    """Whether the end may come next, one flag a row."""
    penalty: float = 1.0
    """Over 1 makes the tokens of `repeated` less likely."""
    repeated: npt.NDArray[np.bool_] | None = None
    """(rows, vocabulary)"""
    forbidden: npt.NDArray[np.bool_] | None = None
    """(rows, vocabulary)"""


class Decoding(Protocol):
    """A batch while it is decoded."""

    def probabilities(self, position: int, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return how likely each of `tokens` is behind the prompts' token at `position`.

        Shape: (windows, tokens).
        """
        ...

    def best(
        self, rules: StepRules, count: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return the `count` likeliest next tokens of each hypothesis under `rules`.

        Their log probabilities and their ids, in any order. At first there is one
        hypothesis a window.
        """
        ...

    def advance(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """Go on with new hypotheses: each follows one of the last step, by a token.

        There are as many for each window, and those of a window stand together.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Forced:
    """What the decoder made of texts that it was told to write."""

    logprobs: tuple[npt.NDArray[np.float32], ...]
    """For each row, the log probability of each token but the first."""
    attention: npt.NDArray[np.float32] | None
    """How the first row's tokens attend to the audio, before softmax: (heads, tokens, 1500)."""


class Engine(Protocol):
    """A loaded Whisper model."""

    tokens: WhisperTokens
    device: str
    compute_type: str

    def encode(self, windows: Sequence[Pcm]) -> list[Any]:
        """Return the encoder's output for each window."""
        ...

    def begin(self, encoded: Sequence[Any], prompts: Sequence[Sequence[int]]) -> Decoding:
        """Start to decode windows behind their prompts, which are equally long."""
        ...

    def force(self, encoded: Any, rows: Sequence[Sequence[int]], *, attention: bool) -> Forced:
        """Run the decoder over equally long rows of tokens for one window.

        Probabilities are among text tokens only, as in openai/whisper's alignment.
        """
        ...


def samples_of(pcm: Pcm) -> npt.NDArray[np.float32]:
    """Return one window as the networks want it: 30 s of float samples, silence at the end."""
    audio = np.zeros(WINDOW_SAMPLES, dtype=np.float32)
    audio[: len(pcm)] = pcm[:WINDOW_SAMPLES].astype(np.float32) / 32768
    return audio


# --- number formats ---

_FLOATS = ("float32", "float16", "bfloat16")
COMPUTE_TYPES = ("default", "auto", *_FLOATS, "int8", *(f"int8_{name}" for name in _FLOATS))
"""What `--compute-type` may be. With int8 the weights have 8 bits; floats are computed."""


@dataclass(frozen=True, kw_only=True)
class NumberFormat:
    """How the numbers of a model are kept."""

    floats: str
    int8: bool

    @property
    def name(self) -> str:
        return f"int8_{self.floats}" if self.int8 else self.floats


def number_format(asked: str, device: str) -> NumberFormat:
    """Return what `--compute-type` means on a device: half precision on GPUs, full on CPUs.

    Raises:
        RecognizerError: there is no such type.
    """
    if asked not in COMPUTE_TYPES:
        raise RecognizerError(
            f"The compute type {asked!r} is not supported on {device} here.",
            f"Use {', '.join(COMPUTE_TYPES)}.",
        )
    usual = "float32" if device == "cpu" else "float16"
    kind, _, floats = asked.partition("_")
    if kind == "int8":
        return NumberFormat(floats=floats or usual, int8=True)
    return NumberFormat(floats=kind if kind in _FLOATS else usual, int8=False)


# --- errors ---

_MEMORY_SIGNS = ("allocate", "out of memory")
"""In what MLX and torch write when memory runs out, in lower case: "Unable to allocate",
"Attempting to allocate", "can't allocate memory", "out of memory"."""


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise an engine's complaint about memory as MemoryError, which the ladder understands."""
    try:
        yield
    except RuntimeError as error:
        if any(sign in str(error).lower() for sign in _MEMORY_SIGNS):
            raise MemoryError(f"out of memory: {error}") from error
        raise
