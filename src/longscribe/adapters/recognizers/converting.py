"""Turning a model from the hub's format into that of another engine.

What is written appears at once or not at all: a conversion that was cut short leaves
no model behind. To CTranslate2's format its own converter is run, in a child; the other
two are written here, one tensor at a time.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longscribe.adapters.recognizers.catalog import CATALOG
from longscribe.adapters.recognizers.ggml_file import MAGIC
from longscribe.adapters.recognizers.hf_weights import (
    Array,
    Dimensions,
    read_alignment_heads,
    read_dimensions,
    read_tensors,
    read_words,
)
from longscribe.errors import LongscribeError, ModelError, OutputError, RecognizerError, UsageError

SOURCE = "transformers"
"""The recognizer whose format models are converted from."""
QUANTIZATIONS = (
    *("float16", "int8", "int8_float16", "int8_float32", "int8_bfloat16"),
    *("bfloat16", "int16", "float32"),
)
"""CTranslate2's, the default first."""
_CT2 = "from ctranslate2.converters.transformers import main; main()"
_CT2_COPIES = ("tokenizer.json", "preprocessor_config.json")
SAMPLE_RATE, FFT = 16_000, 400


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What is to be done."""

    source: Path
    """A folder in the hub's format."""
    out: Path
    """The folder, or for whisper.cpp the file, that is to be."""
    quantization: str


def default_name(recognizer: str, model: str) -> str:
    """Return what the converted `model` is called."""
    stem = Path(model).name
    return _TARGETS[recognizer].name.format(stem) if recognizer in _TARGETS else stem


def convert(recognizer: str, order: Conversion) -> None:
    """Write the model of `order` in the format of `recognizer`.

    Raises:
        UsageError: there is no way from here to that format.
        OutputError: something is there already, or can't be written.
        RecognizerError: the converter is not installed.
        ModelError: the model can't be converted.
    """
    target = check_target(recognizer)
    if order.out.exists():
        raise OutputError(f"There is something at {order.out} already.", "Give another --to.")
    unfinished = order.out.with_name(f"{order.out.name}.unfinished")
    try:
        _remove(unfinished)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        target.write(order, unfinished)
        _check(recognizer, unfinished)
        unfinished.rename(order.out)
    except OSError as error:
        raise OutputError(
            f"{order.out} can't be written ({error.strerror or error}).", "Give another --to."
        ) from error
    finally:
        _remove(unfinished)


def check_target(recognizer: str) -> _Target:
    """Return how models are written for a recognizer.

    Raises:
        UsageError: they can't be, with the command that makes them.
    """
    if recognizer in _TARGETS:
        return _TARGETS[recognizer]
    if recognizer == SOURCE:
        raise UsageError(
            "Models are converted from the format of 'transformers', not to it.",
            "Most are on the hub in it: longscribe models fetch NAME --recognizer transformers.",
        )
    raise UsageError(
        f"There is no conversion to a model for {recognizer!r}.", f"Known: {', '.join(_TARGETS)}."
    )


def _check(recognizer: str, path: Path) -> None:
    """Look at what was written as at any other model."""
    try:
        CATALOG[recognizer].shelf.look(str(path.absolute()))
    except LongscribeError as error:
        raise ModelError(f"The conversion failed: {error.found}") from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# --- CTranslate2 ---------------------------------------------------------------


def _to_ctranslate2(order: Conversion, out: Path) -> None:
    needed = [*CATALOG["faster-whisper"].missing, *CATALOG[SOURCE].missing]
    if needed:
        raise RecognizerError(
            f"To convert for 'faster-whisper', {', '.join(needed)} must be installed as well.",
            "Run: pip install 'longscribe[faster-whisper,transformers]'.",
        )
    copies = [name for name in _CT2_COPIES if (order.source / name).is_file()]
    command = [sys.executable, "-P", "-c", _CT2, "--model", str(order.source)]
    command += ["--output_dir", str(out), "--quantization", order.quantization]
    done = subprocess.run(
        [*command, *(["--copy_files", *copies] if copies else [])],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ModelError(
            f"CTranslate2 can't convert {order.source}: {lines[-1].strip()[:300]}.",
            "Expected a Whisper model in the hub's format.",
        )


# --- mlx-whisper ---------------------------------------------------------------


def _to_mlx(order: Conversion, out: Path) -> None:
    """Write `config.json` and `weights.safetensors`.

    Convolutions have the channels last; the encoder's positions are left out, as computed.
    """
    out.mkdir()
    config = {"model_type": "whisper", **asdict(read_dimensions(order.source))}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    heads = read_alignment_heads(order.source)
    arrays = (
        (name.replace("mlp.0.", "mlp1.").replace("mlp.2.", "mlp2."), _mlx_array(array))
        for name, array in read_tensors(order.source)
        if name != "encoder.positional_embedding"
    )
    header: dict[str, Any] = {}
    position = 0
    data = out / "data"
    with data.open("wb") as file:
        every = [("alignment_heads", np.array(heads, np.int32))] if heads else []
        for name, array in (pair for group in (every, arrays) for pair in group):
            end = position + array.nbytes
            header[name] = {
                "dtype": "I32" if array.dtype == np.int32 else "F16",
                "shape": list(array.shape),
                "data_offsets": [position, end],
            }
            file.write(array.tobytes())
            position = end
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with (out / "weights.safetensors").open("wb") as file, data.open("rb") as written:
        file.write(struct.pack("<Q", len(head)) + head)
        shutil.copyfileobj(written, file)
    data.unlink()


def _mlx_array(array: Array) -> Array:
    turned = array.swapaxes(1, 2) if array.ndim == _CONVOLUTION else array
    return np.ascontiguousarray(turned, np.float16)


_CONVOLUTION = 3
"""Dimensions of its weights."""


# --- whisper.cpp ---------------------------------------------------------------


def _to_ggml(order: Conversion, out: Path) -> None:
    """Write sizes, mel filters, words, then the tensors (whisper.cpp, `whisper_model_load`).

    Vectors, biases of convolutions and positions are in float32, as whisper.cpp expects; the
    rest is in float16.
    """
    size = read_dimensions(order.source)
    filters = mel_filters(size.n_mels)
    with out.open("wb") as file:
        file.write(struct.pack("<12i", MAGIC, *_ggml_sizes(size), 1))
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        words = read_words(order.source)
        file.write(struct.pack("<i", len(words)))
        for word in words:
            file.write(struct.pack("<i", len(word)) + word)
        for name, array in read_tensors(order.source):
            file.write(_ggml_tensor(name, array))


def _ggml_sizes(size: Dimensions) -> tuple[int, ...]:
    return (
        *(size.n_vocab, size.n_audio_ctx, size.n_audio_state, size.n_audio_head),
        *(size.n_audio_layer, size.n_text_ctx, size.n_text_state, size.n_text_head),
        *(size.n_text_layer, size.n_mels),
    )


def _ggml_tensor(name: str, array: Array) -> bytes:
    full = array.ndim == 1 or name.endswith("positional_embedding")
    if name.startswith("encoder.conv") and name.endswith(".bias"):
        array = array.reshape(-1, 1)
    label = name.encode()
    numbers = np.ascontiguousarray(array, np.float32 if full else np.float16)
    return (
        struct.pack("<3i", array.ndim, len(label), 0 if full else 1)
        + struct.pack(f"<{array.ndim}i", *reversed(array.shape))
        + label
        + numbers.tobytes()
    )


def mel_filters(mels: int) -> npt.NDArray[np.float32]:
    """Return the triangular filters of Whisper's features, (mels, 201): Slaney's scale and norm."""

    def hertz(at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        logarithmic = 1000 * np.exp((at - 15) * math.log(6.4) / 27)
        return np.where(at < 15, at * 200 / 3, logarithmic)

    top = 15 + 27 * math.log(SAMPLE_RATE / 2 / 1000) / math.log(6.4)
    edges = hertz(np.linspace(0, top, mels + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A format that models can be written in."""

    name: str
    """Of what is written; `{}` is the model's own."""
    write: Callable[[Conversion, Path], None]


_TARGETS = {
    "faster-whisper": _Target(name="{}-ct2", write=_to_ctranslate2),
    "mlx": _Target(name="{}-mlx", write=_to_mlx),
    "whisper.cpp": _Target(name="ggml-{}.bin", write=_to_ggml),
}
