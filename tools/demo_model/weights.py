"""The weights on disk, and their names in each family of Whisper implementations.

The one form that everything else is made from is the Hugging Face form (`model.safetensors`, fp16).
In memory the recipe uses openai/whisper's names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

Array = npt.NDArray[Any]

# (openai/whisper, Hugging Face): applied in this order; read from right to left for the way back.
_NAMES = (
    ("blocks.", "layers."),
    ("mlp.0.", "fc1."),
    ("mlp.2.", "fc2."),
    ("mlp_ln.", "final_layer_norm."),
    ("cross_attn_ln.", "encoder_attn_layer_norm."),
    (".cross_attn.", ".encoder_attn."),
    (".attn_ln.", ".self_attn_layer_norm."),
    (".attn.", ".self_attn."),
    (".query.", ".q_proj."),
    (".key.", ".k_proj."),
    (".value.", ".v_proj."),
    (".out.", ".out_proj."),
    ("encoder.ln_post.", "encoder.layer_norm."),
    ("decoder.ln.", "decoder.layer_norm."),
    ("coder.positional_embedding", "coder.embed_positions.weight"),
    ("token_embedding.", "embed_tokens."),
)


def hugging_face_name(name: str) -> str:
    """`encoder.blocks.0.attn.query.weight` → `model.encoder.layers.0.self_attn.q_proj.weight`."""
    for ours, theirs in _NAMES:
        name = name.replace(ours, theirs)
    return "model." + name


def openai_name(name: str) -> str:
    """The inverse of `hugging_face_name`."""
    name = name.removeprefix("model.")
    for ours, theirs in reversed(_NAMES):
        name = name.replace(theirs, ours)
    return name


def read_weights(file: Path) -> dict[str, Array]:
    """A Hugging Face `model.safetensors` under openai/whisper's names."""
    return {openai_name(name): array for name, array in load_file(file).items()}


def write_weights(weights: Mapping[str, Array], file: Path) -> None:
    """Weights under openai/whisper's names as a Hugging Face `model.safetensors` in fp16."""
    save_file(
        {
            hugging_face_name(name): np.ascontiguousarray(a, np.float16)
            for name, a in weights.items()
        },
        file,
        metadata={"format": "pt"},
    )
    file.chmod(0o644)  # safetensors writes for its owner alone


def layer_count(weights: Mapping[str, Array], part: str) -> int:
    """How many blocks the `encoder` or the `decoder` has."""
    numbers = (re.match(rf"{part}\.blocks\.(\d+)\.", name) for name in weights)
    return 1 + max(int(number[1]) for number in numbers if number)


def split_file(file: Path, folder: Path, part_size: int = 15_000_000) -> list[Path]:
    """The file in parts of at most so many bytes, for ways of transport with a limit:
    `cat NAME.part* > NAME` joins them."""
    data = file.read_bytes()
    parts = []
    for number, begin in enumerate(range(0, len(data), part_size)):
        part = folder / f"{file.name}.part{number}"
        part.write_bytes(data[begin : begin + part_size])
        parts.append(part)
    return parts
