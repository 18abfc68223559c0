"""CTranslate2's model file, read without its library and written with it.

The repository ships the model in this form alone (int8, with one scale for each row), so every
other format is made from it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .weights import Array, layer_count

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


@dataclass(frozen=True, kw_only=True)
class Counterpart:
    """A layer in CTranslate2's file, and the layers of openai/whisper that it joins, one under the
    other."""

    file: str
    ours: tuple[str, ...]


def _attention(file: str, ours: str, *, cross: bool) -> Iterator[Counterpart]:
    query, key, value, out = (f"{ours}.{part}" for part in ("query", "key", "value", "out"))
    groups = ((query,), (key, value), (out,)) if cross else ((query, key, value), (out,))
    for number, group in enumerate(groups):
        yield Counterpart(file=f"{file}/linear_{number}", ours=group)
    yield Counterpart(file=f"{file}/layer_norm", ours=(f"{ours}_ln",))


def counterparts(encoder_layers: int, decoder_layers: int) -> Iterator[Counterpart]:
    """Every layer that has weights."""
    for part, layers in (("encoder", encoder_layers), ("decoder", decoder_layers)):
        for number in range(layers):
            file, ours = f"{part}/layer_{number}", f"{part}.blocks.{number}"
            yield from _attention(f"{file}/self_attention", f"{ours}.attn", cross=False)
            if part == "decoder":
                yield from _attention(f"{file}/attention", f"{ours}.cross_attn", cross=True)
            yield Counterpart(file=f"{file}/ffn/layer_norm", ours=(f"{ours}.mlp_ln",))
            yield Counterpart(file=f"{file}/ffn/linear_0", ours=(f"{ours}.mlp.0",))
            yield Counterpart(file=f"{file}/ffn/linear_1", ours=(f"{ours}.mlp.2",))
    yield Counterpart(file="encoder/conv1", ours=("encoder.conv1",))
    yield Counterpart(file="encoder/conv2", ours=("encoder.conv2",))
    yield Counterpart(file="encoder/layer_norm", ours=("encoder.ln_post",))
    yield Counterpart(file="decoder/layer_norm", ours=("decoder.ln",))
    yield Counterpart(file="decoder/embeddings", ours=("decoder.token_embedding",))


def read_variables(file: Path) -> dict[str, Array]:
    """The variables of a `model.bin`, as they are stored."""
    data = file.read_bytes()
    place = 0

    def number(kind: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from("<" + kind, data, place)
        place += struct.calcsize(kind)
        return int(value)

    def text() -> str:
        nonlocal place
        length = number("H")
        place += length
        return data[place - length : place - 1].decode()

    version, kind, revision = number("I"), text(), number("I")
    if (kind, version) != ("WhisperSpec", 6):
        raise ValueError(f"{file}: {kind} in file version {version}, not WhisperSpec in version 6")
    if revision != 3:
        raise ValueError(f"{file}: revision {revision} of WhisperSpec, not 3")
    variables: dict[str, Array] = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        dtype, size = _TYPES[number("B")], number("I")
        variables[name] = np.frombuffer(
            data, dtype, size // np.dtype(dtype).itemsize, place
        ).reshape(shape)
        place += size
    return variables


def read_ctranslate2(file: Path) -> dict[str, Array]:
    """The weights of a `model.bin` under openai/whisper's names, in fp16."""
    stored = read_variables(file)
    layers = [
        sum(f"{part}/layer_{i}/ffn/linear_0/weight" in stored for i in range(99))
        for part in ("encoder", "decoder")
    ]
    weights: dict[str, Array] = {}
    for pair in counterparts(*layers):
        for suffix, ours in (
            ("weight", "weight"),
            ("bias", "bias"),
            ("gamma", "weight"),
            ("beta", "bias"),
        ):
            values = stored.get(f"{pair.file}/{suffix}")
            if values is None:
                continue
            scale = stored.get(f"{pair.file}/{suffix}_scale")
            if scale is not None:
                values = values / scale.reshape(-1, *[1] * (values.ndim - 1))
            for name, piece in zip(pair.ours, np.split(values, len(pair.ours)), strict=True):
                if not (name.endswith(".key") and ours == "bias"):
                    weights[f"{name}.{ours}"] = piece.astype(np.float16)
    for part in ("encoder", "decoder"):
        weights[f"{part}.positional_embedding"] = stored[f"{part}/position_encodings/encodings"]
    return weights


def _joined(weights: Mapping[str, Array], names: tuple[str, ...], kind: str) -> Array | None:
    """The layers one under the other; Whisper's keys, which have no bias, get one of zeros."""
    pieces = [weights.get(f"{name}.{kind}") for name in names]
    if all(piece is None for piece in pieces):
        return None
    zeros = np.zeros(len(weights[f"{names[0]}.weight"]), np.float32)
    return np.concatenate([zeros if p is None else p.astype(np.float32) for p in pieces])


def _layer(spec: object, path: str) -> object:
    """The layer of a CTranslate2 specification at a path such as `encoder/layer_0/ffn/linear_1`."""
    for step in path.split("/"):
        name, _, number = step.rpartition("_")
        spec = getattr(spec, step) if hasattr(spec, step) else getattr(spec, name)[int(number)]
    return spec


def write_ctranslate2(
    weights: Mapping[str, Array],
    folder: Path,
    tokens: list[str],
    config: Mapping[str, object],
    heads: int,
) -> None:
    """The weights as a CTranslate2 int8 model folder: `model.bin`, `config.json`,
    `vocabulary.json`."""
    from ctranslate2.specs import whisper_spec  # noqa: PLC0415 - reading does without it

    encoder_layers, decoder_layers = (
        layer_count(weights, "encoder"),
        layer_count(weights, "decoder"),
    )
    spec = whisper_spec.WhisperSpec(encoder_layers, heads, decoder_layers, heads)
    for pair in counterparts(encoder_layers, decoder_layers):
        layer = _layer(spec, pair.file)
        norm = pair.file.endswith("layer_norm")
        layer_weight, layer_bias = ("gamma", "beta") if norm else ("weight", "bias")
        setattr(layer, layer_weight, _joined(weights, pair.ours, "weight"))
        bias = _joined(weights, pair.ours, "bias")
        if bias is not None:
            setattr(layer, layer_bias, bias)
    for part in ("encoder", "decoder"):
        positions = _layer(spec, f"{part}/position_encodings")
        positions.encodings = weights[f"{part}.positional_embedding"].astype(np.float32)  # type: ignore[attr-defined]
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    spec.register_vocabulary(tokens)
    for name, value in config.items():
        setattr(spec.config, name, value)
    spec.validate()
    spec.optimize(quantization="int8_float16")
    spec.save(str(folder))
