"""The Whisper architecture as a module to train, small, with a letter-reading head on its encoder.

The head is trained to spell what the encoder hears (CTC). It teaches the encoder quickly and is
left out of every exported format.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its customary name
from torch import Tensor, nn

from . import vocabulary
from .windows import LETTERS

FRAMES = 1500


@dataclass(frozen=True, kw_only=True)
class Dimensions:
    """The size of the model."""

    width: int = 256
    heads: int = 4
    encoder_layers: int = 6
    decoder_layers: int = 4
    mels: int = 80
    dropout: float = 0.05


class Attention(nn.Module):
    """Multi-head attention with Whisper's projections: the keys have no bias."""

    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        self.heads = size.heads
        self.query = nn.Linear(size.width, size.width)
        self.key = nn.Linear(size.width, size.width, bias=False)
        self.value = nn.Linear(size.width, size.width)
        self.out = nn.Linear(size.width, size.width)

    def forward(self, x: Tensor, heard: Tensor | None = None, *, causal: bool = False) -> Tensor:
        source = x if heard is None else heard

        def split(y: Tensor) -> Tensor:
            return y.view(*y.shape[:2], self.heads, -1).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(
            split(self.query(x)),
            split(self.key(source)),
            split(self.value(source)),
            is_causal=causal,
        )
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A pre-norm transformer block; a decoder's also looks at what was heard."""

    def __init__(self, size: Dimensions, *, decoding: bool) -> None:
        super().__init__()
        self.attn, self.attn_ln = Attention(size), nn.LayerNorm(size.width)
        self.cross_attn = Attention(size) if decoding else None
        self.cross_attn_ln = nn.LayerNorm(size.width) if decoding else None
        self.mlp = nn.Sequential(
            nn.Linear(size.width, 4 * size.width), nn.GELU(), nn.Linear(4 * size.width, size.width)
        )
        self.mlp_ln = nn.LayerNorm(size.width)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, x: Tensor, heard: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attn(self.attn_ln(x), causal=heard is not None))
        if self.cross_attn is not None and self.cross_attn_ln is not None:
            x = x + self.dropout(self.cross_attn(self.cross_attn_ln(x), heard))
        return x + self.dropout(self.mlp(self.mlp_ln(x)))


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's fixed positions of the encoder."""
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class AudioEncoder(nn.Module):
    """Log-mel features to what was heard, 50 states a second."""

    positional_embedding: Tensor

    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(size.mels, size.width, 3, padding=1)
        self.conv2 = nn.Conv1d(size.width, size.width, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", sinusoids(FRAMES, size.width))
        self.blocks = nn.ModuleList(Block(size, decoding=False) for _ in range(size.encoder_layers))
        self.ln_post = nn.LayerNorm(size.width)

    def forward(self, features: Tensor) -> Tensor:
        x = F.gelu(self.conv2(F.gelu(self.conv1(features)))).transpose(1, 2)
        x = x + self.positional_embedding.to(x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x)


class TextDecoder(nn.Module):
    """Tokens so far and what was heard to one state a token."""

    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary.SIZE, size.width)
        self.positional_embedding = nn.Parameter(
            0.01 * torch.randn(vocabulary.TEXT_CONTEXT, size.width)
        )
        self.blocks = nn.ModuleList(Block(size, decoding=True) for _ in range(size.decoder_layers))
        self.ln = nn.LayerNorm(size.width)
        nn.init.normal_(self.token_embedding.weight, std=size.width**-0.5)

    def forward(self, tokens: Tensor, heard: Tensor) -> Tensor:
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, heard)
        return self.ln(x)


class Recognizer(nn.Module):
    """Encoder, decoder and the auxiliary head."""

    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        self.encoder = AudioEncoder(size)
        self.decoder = TextDecoder(size)
        self.letters = nn.Linear(size.width, len(LETTERS))
        nn.init.zeros_(self.letters.weight)

    def forward(self, features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Decoder states (the logits are their products with the token embeddings) and letter
        logits."""
        heard = self.encoder(features)
        return self.decoder(tokens, heard), self.letters(heard)


def deepen(model: Recognizer, known: dict[str, Tensor]) -> None:
    """Load weights that may come from a shallower model. Blocks that they lack start as no-ops:
    their branches add nothing until training wants them to."""
    missing, unexpected = model.load_state_dict(known, strict=False)
    if unexpected:
        raise ValueError(f"weights of another architecture: {unexpected[:3]}")
    for name, parameter in model.named_parameters():
        if name in missing and name.endswith(
            ("attn.out.weight", "attn.out.bias", "mlp.2.weight", "mlp.2.bias")
        ):
            nn.init.zeros_(parameter)
