"""The weights of a Whisper model in the hub's format, read without any engine.

One tensor at a time is in memory, so a large model is converted on a small machine.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longscribe.adapters.recognizers.transformers_models import weight_files
from longscribe.errors import ModelError

Array = npt.NDArray[Any]

_NUMBERS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
"""Name in the header → as numpy reads it; bfloat16 is the upper half of a float32."""

# (openai/whisper, Hugging Face): read from the last to the first on the way from there to here.
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
_TIED = "proj_out.weight"
"""The embedding of the tokens once more."""


@dataclass(frozen=True, kw_only=True)
class Dimensions:
    """The sizes of a Whisper model, under openai/whisper's names."""

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int


def read_dimensions(folder: Path) -> Dimensions:
    """Return the sizes that `config.json` names.

    Raises:
        ModelError: it is not that of a Whisper model.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return Dimensions(
            n_mels=config["num_mel_bins"],
            n_audio_ctx=config["max_source_positions"],
            n_audio_state=config["d_model"],
            n_audio_head=config["encoder_attention_heads"],
            n_audio_layer=config["encoder_layers"],
            n_vocab=config["vocab_size"],
            n_text_ctx=config["max_target_positions"],
            n_text_state=config["d_model"],
            n_text_head=config["decoder_attention_heads"],
            n_text_layer=config["decoder_layers"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The config.json of {folder} is not that of a Whisper model ({error}).",
            "Expected one with num_mel_bins, d_model, encoder_layers and so on.",
        ) from error


def read_alignment_heads(folder: Path) -> list[list[int]]:
    """Return (layer, head) of the heads that follow the audio; empty where it is not said."""
    try:
        config = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
        return [[int(layer), int(head)] for layer, head in config.get("alignment_heads") or ()]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def read_words(folder: Path) -> list[bytes]:
    """Return the bytes of each text token, by its number.

    Raises:
        ModelError: `tokenizer.json` is not Whisper's.
    """
    try:
        tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        by_number = {number: word for word, number in tokenizer["model"]["vocab"].items()}
        by_number |= {added["id"]: added["content"] for added in tokenizer["added_tokens"]}
        count = next(number for number, word in by_number.items() if word == "<|endoftext|>")
        return [bytes(_BYTES[letter] for letter in by_number[number]) for number in range(count)]
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ModelError(
            f"The tokenizer.json of {folder} is not Whisper's ({type(error).__name__}: {error}).",
            "Expected a byte-level vocabulary with <|endoftext|>.",
        ) from error


def read_tensors(folder: Path) -> Iterator[tuple[str, Array]]:
    """Yield (name, numbers) of each tensor under openai/whisper's names.

    Raises:
        ModelError: a tensor is in a format that is not known here.
    """
    for file in weight_files(folder):
        for name, array in _read_safetensors(file):
            if name != _TIED:
                yield _openai_name(name), array


def _read_safetensors(file: Path) -> Iterator[tuple[str, Array]]:
    with file.open("rb") as opened:
        (size,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(size))
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        if tensor["dtype"] not in _NUMBERS:
            raise ModelError(
                f"{file} holds numbers of the kind {tensor['dtype']}.",
                "Expected floats: save the model again without quantization.",
            )
        stored = np.memmap(
            file,
            dtype=_NUMBERS[tensor["dtype"]],
            mode="r",
            offset=8 + size + tensor["data_offsets"][0],
            shape=tuple(tensor["shape"]),
        )
        array: Array = np.asarray(stored)
        if tensor["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        yield name, array


def _openai_name(name: str) -> str:
    """`model.encoder.layers.0.self_attn.q_proj.weight` → `encoder.blocks.0.attn.query.weight`."""
    name = name.removeprefix("model.")
    for ours, theirs in reversed(_NAMES):
        name = name.replace(theirs, ours)
    return name


def _byte_letters() -> dict[str, int]:
    """Return the byte that each letter of a byte-level vocabulary stands for."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(others)}


_BYTES = _byte_letters()
