"""The model in every form that recognizers read.

    python -m tools.demo_model.export FORMAT MODEL OUT

MODEL is a Hugging Face folder (`model.safetensors`) or a CTranslate2 folder (`model.bin`); both
must hold `tokenizer.json`. FORMAT is one of

    hugging-face   safetensors in fp16, for transformers
    ctranslate2    int8, for faster-whisper and WhisperX; the form that the repository ships
    mlx            safetensors in fp16, for mlx-whisper
    openai         a checkpoint, for openai/whisper; the only one that needs torch
    ggml           one fp16 file, for whisper.cpp
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from . import vocabulary
from .ctranslate2_format import read_ctranslate2, write_ctranslate2
from .mel import MELS, mel_filters
from .weights import Array, layer_count, read_weights, write_weights

HEAD_SIZE = 64
# Nothing but the lone space is forbidden as the first token. Whisper also forbids the end of the
# text there, but this model says with it, when asked for no timestamps, that it heard no speech.
SUPPRESSED_AT_BEGIN = [vocabulary.BLANK]


@dataclass(frozen=True, kw_only=True)
class ModelDimensions:
    """The sizes that openai/whisper, MLX and whisper.cpp write down, under openai/whisper's
    names."""

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

    @classmethod
    def of(cls, weights: Mapping[str, Array]) -> ModelDimensions:
        """Read off the shapes of the weights."""
        audio_context, width = weights["encoder.positional_embedding"].shape
        words = len(weights["decoder.token_embedding.weight"])
        return cls(
            n_mels=weights["encoder.conv1.weight"].shape[1],
            n_audio_ctx=audio_context,
            n_audio_state=width,
            n_audio_head=width // HEAD_SIZE,
            n_audio_layer=layer_count(weights, "encoder"),
            n_vocab=words,
            n_text_ctx=len(weights["decoder.positional_embedding"]),
            n_text_state=width,
            n_text_head=width // HEAD_SIZE,
            n_text_layer=layer_count(weights, "decoder"),
        )

    @property
    def alignment_heads(self) -> list[tuple[int, int]]:
        """All heads of the upper half of the decoder, as Whisper's implementations assume by
        default."""
        layers = range(self.n_text_layer // 2, self.n_text_layer)
        return [(layer, head) for layer in layers for head in range(self.n_text_head)]


@dataclass(frozen=True, kw_only=True)
class Model:
    """Weights under openai/whisper's names, and the tokenizer that belongs to them."""

    weights: Mapping[str, Array]
    tokenizer_file: Path

    @classmethod
    def read(cls, folder: Path) -> Model:
        """From a Hugging Face or a CTranslate2 folder."""
        safetensors, binary = folder / "model.safetensors", folder / "model.bin"
        if safetensors.exists():
            weights = read_weights(safetensors)
        elif binary.exists():
            weights = read_ctranslate2(binary)
        else:
            raise SystemExit(f"{folder} holds neither model.safetensors nor model.bin")
        return cls(weights=weights, tokenizer_file=folder / "tokenizer.json")

    @property
    def tokens(self) -> list[str]:
        """The written form of every token, by id."""
        tokenizer = json.loads(self.tokenizer_file.read_text(encoding="utf-8"))
        by_id = {i: token for token, i in tokenizer["model"]["vocab"].items()}
        by_id |= {added["id"]: added["content"] for added in tokenizer["added_tokens"]}
        return [by_id[i] for i in range(len(by_id))]

    @property
    def languages(self) -> dict[str, int]:
        """`<|en|>` → 50259, for every language of the vocabulary."""
        return {
            t: i
            for i, t in enumerate(self.tokens[: vocabulary.TRANSCRIBE])
            if re.fullmatch(r"<\|[a-z]{2,3}\|>", t)
        }


def write_json(path: Path, content: object) -> None:
    """Readable JSON with a stable order."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _preprocessor() -> dict[str, object]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": MELS, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400,
        "chunk_length": 30, "n_samples": 480_000, "nb_max_frames": 3000, "padding_side": "right",
        "padding_value": 0.0, "dither": 0.0, "return_attention_mask": False,
    }  # fmt: skip


def to_hugging_face(model: Model, out: Path) -> None:
    """A folder for transformers."""
    size = ModelDimensions.of(model.weights)
    end, start = vocabulary.END_OF_TEXT, vocabulary.START_OF_TRANSCRIPT
    special = {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": start,
    }
    suppress = {"suppress_tokens": [], "begin_suppress_tokens": SUPPRESSED_AT_BEGIN}
    write_weights(model.weights, out / "model.safetensors")
    write_json(out / "config.json", {
        "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper",
        "is_encoder_decoder": True, "activation_function": "gelu", "dtype": "float16",
        "scale_embedding": False, "tie_word_embeddings": True, "dropout": 0.0,
        "attention_dropout": 0.0, "activation_dropout": 0.0,
        "d_model": size.n_text_state, "vocab_size": size.n_vocab, "num_mel_bins": size.n_mels,
        "encoder_layers": size.n_audio_layer, "encoder_attention_heads": size.n_audio_head,
        "encoder_ffn_dim": 4 * size.n_audio_state, "decoder_layers": size.n_text_layer,
        "decoder_attention_heads": size.n_text_head, "decoder_ffn_dim": 4 * size.n_text_state,
        "max_source_positions": size.n_audio_ctx, "max_target_positions": size.n_text_ctx,
        **special, **suppress,
    })  # fmt: skip
    write_json(out / "generation_config.json", {
        **special, **suppress, "max_length": size.n_text_ctx, "is_multilingual": True,
        "return_timestamps": False, "lang_to_id": model.languages,
        "task_to_id": {"transcribe": vocabulary.TRANSCRIBE, "translate": vocabulary.TRANSCRIBE - 1},
        "no_timestamps_token_id": vocabulary.NO_TIMESTAMPS,
        "prev_sot_token_id": vocabulary.START_OF_PREVIOUS, "alignment_heads": size.alignment_heads,
    })  # fmt: skip
    write_json(out / "preprocessor_config.json", _preprocessor())
    text_end = "<|endoftext|>"
    write_json(out / "tokenizer_config.json", {
        "tokenizer_class": "WhisperTokenizerFast", "model_max_length": 1024, "bos_token": text_end,
        "eos_token": text_end, "unk_token": text_end, "pad_token": text_end,
    })  # fmt: skip
    _copy_tokenizer(model, out)


def to_ctranslate2(model: Model, out: Path) -> None:
    """A folder for CTranslate2, in int8."""
    size = ModelDimensions.of(model.weights)
    config = {
        "alignment_heads": size.alignment_heads,
        "lang_ids": sorted(model.languages.values()),
        "suppress_ids": [],
        "suppress_ids_begin": SUPPRESSED_AT_BEGIN,
    }
    write_ctranslate2(model.weights, out, model.tokens, config, size.n_text_head)
    write_json(out / "preprocessor_config.json", _preprocessor())
    _copy_tokenizer(model, out)


def to_mlx(model: Model, out: Path) -> None:
    """A folder for mlx-whisper: its positions of the encoder are computed, its convolutions have
    the channels last."""
    arrays = {
        name.replace("mlp.0", "mlp1").replace("mlp.2", "mlp2"): np.ascontiguousarray(
            array.swapaxes(1, 2) if array.ndim == 3 else array, np.float16
        )
        for name, array in model.weights.items()
        if name != "encoder.positional_embedding"
    }
    save_file(arrays, out / "weights.safetensors")
    (out / "weights.safetensors").chmod(0o644)
    write_json(
        out / "config.json", {"model_type": "whisper", **asdict(ModelDimensions.of(model.weights))}
    )


def to_openai(model: Model, out: Path) -> None:
    """`model.pt` for openai/whisper."""
    import torch  # noqa: PLC0415 - the other formats do without it

    state = {
        name: torch.from_numpy(array.astype(np.float16)) for name, array in model.weights.items()
    }
    dimensions = asdict(ModelDimensions.of(model.weights))
    torch.save({"dims": dimensions, "model_state_dict": state}, out / "model.pt")


def to_ggml(model: Model, out: Path) -> None:
    """`ggml-model.bin` for whisper.cpp: sizes, mel filters, words, then the tensors.

    Vectors, biases of convolutions and positions are fp32, as whisper.cpp expects; the rest is
    fp16.
    """
    size = ModelDimensions.of(model.weights)
    filters = mel_filters()
    words = [_bytes_of(token) for token in model.tokens[: vocabulary.END_OF_TEXT]]
    with (out / "ggml-model.bin").open("wb") as file:
        file.write(struct.pack(
            "<12i", 0x67676D6C, size.n_vocab, size.n_audio_ctx, size.n_audio_state,
            size.n_audio_head, size.n_audio_layer, size.n_text_ctx, size.n_text_state,
            size.n_text_head, size.n_text_layer, size.n_mels, 1,
        ))  # fmt: skip
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        file.write(struct.pack("<i", len(words)))
        for word in words:
            file.write(struct.pack("<i", len(word)) + word)
        for name, array in model.weights.items():
            file.write(_ggml_tensor(name, array))


def _ggml_tensor(name: str, array: Array) -> bytes:
    if re.fullmatch(r"encoder\.conv\d\.bias", name):
        array = array.reshape(-1, 1)
        full = True
    else:
        full = array.ndim < 2 or name.endswith("positional_embedding")
    label = name.encode()
    header = struct.pack("<3i", array.ndim, len(label), 0 if full else 1)
    shape = struct.pack(f"<{array.ndim}i", *reversed(array.shape))
    return (
        header
        + shape
        + label
        + np.ascontiguousarray(array, np.float32 if full else np.float16).tobytes()
    )


def _bytes_of(token: str) -> bytes:
    """The bytes behind a token of a byte-level vocabulary, which writes unprintable bytes as
    letters."""
    return bytes(_BYTE[letter] for letter in token)


def _byte_alphabet() -> dict[str, int]:
    """The letters that byte-level vocabularies write for each byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


_BYTE = _byte_alphabet()


def _copy_tokenizer(model: Model, out: Path) -> None:
    target = out / "tokenizer.json"
    if model.tokenizer_file.resolve() != target.resolve():
        shutil.copyfile(model.tokenizer_file, target)


FORMATS: Mapping[str, Callable[[Model, Path], None]] = {
    "hugging-face": to_hugging_face,
    "ctranslate2": to_ctranslate2,
    "mlx": to_mlx,
    "openai": to_openai,
    "ggml": to_ggml,
}


def main() -> None:
    """Export as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    FORMATS[arguments.format](Model.read(arguments.model), arguments.out)


if __name__ == "__main__":
    main()
