"""Byte pair encoding with Whisper's vocabulary alone.

A ggml file holds the bytes of each token and no merges. It needs none: a token's
number is its rank, and the pair of the lowest rank is joined first (as tiktoken does
for openai/whisper). whisper.cpp itself takes the longest token that fits, and so
spells rare words with other tokens than the model was trained on; so prompts are
encoded here and handed over as tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:_|[^\s\w])+|\s+(?!\S)|\s+")
"""GPT-2's, with Python's classes in the place of \\p{L} and \\p{N}."""


class BytePairs:
    """Encodes and decodes text.

    Args:
        vocabulary: the bytes of each text token, by its number.
    """

    def __init__(self, vocabulary: Sequence[bytes]) -> None:
        self._bytes = tuple(vocabulary)
        self._ranks: dict[bytes, int] = {}
        for rank, token in enumerate(self._bytes):
            self._ranks.setdefault(token, rank)
        self._known: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`."""
        return [token for piece in _PIECES.findall(text) for token in self._piece(piece)]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`, with U+FFFD for bytes that are no character."""
        return b"".join(self._bytes[token] for token in tokens).decode("utf-8", errors="replace")

    def _piece(self, piece: str) -> tuple[int, ...]:
        if piece not in self._known:
            self._known[piece] = self._merge(piece.encode("utf-8", errors="replace"))
        return self._known[piece]

    def _merge(self, spelt: bytes) -> tuple[int, ...]:
        parts = [spelt[at : at + 1] for at in range(len(spelt))]
        none = len(self._bytes)
        while len(parts) > 1:
            rank, at = min(
                (self._ranks.get(one + other, none), at)
                for at, (one, other) in enumerate(pairwise(parts))
            )
            if rank == none:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return tuple(self._ranks[part] for part in parts)
