"""The `mlx` recognizer: Whisper on MLX, on the GPU of Apple silicon (or, slowly, a CPU).

Of mlx-whisper it takes the network, the vocabulary and the spectrogram. Its
`transcribe` and `decode` it leaves aside: they take one prompt for a whole
recording, know no beams, and let times run backwards (their filter compares a
time's place in the answer with its token).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longscribe.adapters.devices.memory import Mlx
from longscribe.adapters.recognizers.whisper.engine import (
    IMPOSSIBLE,
    Forced,
    NumberFormat,
    StepRules,
    memory_errors,
    number_format,
    samples_of,
)
from longscribe.adapters.recognizers.whisper.recognizer import WhisperRecognizer
from longscribe.adapters.recognizers.whisper.tokens import WhisperTokens
from longscribe.config import RecognizerSettings
from longscribe.errors import ModelError, RecognizerError

try:
    import mlx.core as mx
    import mlx.nn
    import mlx.utils
    import mlx_whisper.audio
    import mlx_whisper.tokenizer
    import mlx_whisper.whisper
except ImportError as missing:
    raise RecognizerError(
        f"The recognizer 'mlx' needs {missing.name or 'mlx'}, which can't be imported ({missing}).",
        "Run: pip install 'longscribe[mlx]'.",
    ) from missing

if TYPE_CHECKING:
    import numpy.typing as npt

    from longscribe.ports import Pcm

WEIGHTS = ("weights.safetensors", "weights.npz")
QUANTIZED_GROUP = 64
"""Weights that share a scale, MLX's default. Every Whisper's width is a multiple of it."""


def device_kinds() -> tuple[str, ...]:
    """Return the kinds of device that it can use as it is installed, the best first."""
    best = _device("auto").partition(":")[0]
    return ("cpu",) if best == "cpu" else (best, "cpu")


def load(settings: RecognizerSettings, model_path: str) -> WhisperRecognizer:
    """Load a Whisper model in mlx-whisper's format.

    Raises:
        RecognizerError: the device or the compute type can't be had here.
        ModelError: the files are not a model that MLX can read.
    """
    device = _device(settings.device)
    form = number_format(settings.compute_type, device)
    mx.set_default_device(mx.cpu if device == "cpu" else mx.gpu)
    Mlx(mx=mx).limit_cache()
    try:
        with memory_errors():
            model, form = _load_model(Path(model_path), form)
    except (RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
        raise ModelError(
            f"The model in {model_path} can't be loaded: {str(error).strip()}.",
            f"Expected a Whisper model for mlx-whisper (config.json and {WEIGHTS[0]}); "
            "fetch or convert it again.",
        ) from error
    return WhisperRecognizer(MlxEngine(model, device, form))


def _device(asked: str) -> str:
    """Return `mps` for Apple's GPU, `cuda:0` where MLX was built for that, or `cpu`."""
    gpu = None
    if mx.is_available(mx.gpu):
        gpu = "mps" if mx.metal.is_available() else "cuda:0"
    if asked == "cpu" or (asked == "auto" and gpu is None):
        return "cpu"
    if gpu is not None and asked in {"auto", gpu, gpu.partition(":")[0]}:
        return gpu
    known = ", ".join(filter(None, ("auto", gpu, "cpu")))
    raise RecognizerError(
        f"The recognizer 'mlx' has no device {asked!r} on this machine.",
        f"Use --device {known}.",
    )


def _load_model(path: Path, form: NumberFormat) -> tuple[Any, NumberFormat]:
    """Return the network with its weights, and the number format it really has."""
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    config.pop("model_type", None)
    stored = config.pop("quantization", None)
    floats = getattr(mx, form.floats)
    model = mlx_whisper.whisper.Whisper(mlx_whisper.whisper.ModelDimensions(**config), floats)
    weights = _read_weights(path)
    if stored is not None:
        mlx.nn.quantize(
            model, **stored, class_predicate=lambda name, _: f"{name}.scales" in weights
        )
    _check_whole(model, weights)
    model.load_weights(list(weights.items()), strict=False)
    model.set_dtype(floats)
    if stored is not None:
        form = StoredFormat(floats=form.floats, int8=True, bits=stored.get("bits", 4))
    elif form.int8:
        mlx.nn.quantize(model, group_size=QUANTIZED_GROUP, bits=8)
    mx.eval(model.parameters())
    return model, form


@dataclass(frozen=True, kw_only=True)
class StoredFormat(NumberFormat):
    """Weights that were quantized when the model was converted, with so many bits."""

    bits: int

    @property
    def name(self) -> str:
        return f"int{self.bits}_{self.floats}"


def _read_weights(path: Path) -> dict[str, Any]:
    file = next((path / name for name in WEIGHTS if (path / name).is_file()), path / WEIGHTS[0])
    found: dict[str, Any] = mx.load(str(file))
    return found


def _check_whole(model: Any, weights: Mapping[str, Any]) -> None:
    """Refuse weights that lack some: MLX would leave random numbers in their places."""
    expected = dict(mlx.utils.tree_flatten(model.parameters()))
    expected.pop("alignment_heads", None)
    missing = sorted(set(expected) - set(weights))
    if missing:
        raise ValueError(f"{len(missing)} weights are missing, such as {missing[0]}")
    for name, array in expected.items():
        if array.shape != weights[name].shape:
            raise ValueError(f"{name} has the shape {weights[name].shape}, expected {array.shape}")


def _vocabulary(model: Any) -> WhisperTokens:
    encoding = mlx_whisper.tokenizer.get_tokenizer(
        model.is_multilingual, num_languages=model.num_languages
    ).encoding

    def find(name: str) -> int | None:
        return encoding.encode_single_token(name) if name in encoding.special_tokens_set else None

    return WhisperTokens(
        encode=lambda text: list(encoding.encode(text, disallowed_special=())),
        decode_text=encoding.decode,
        find=find,
        multilingual=model.is_multilingual,
    )


class MlxEngine:
    """Fulfils `Engine` with mlx-whisper's network."""

    def __init__(self, model: Any, device: str, form: NumberFormat) -> None:
        self.model = model
        self.tokens = _vocabulary(model)
        self.device = device
        self.compute_type = form.name
        self.floats = getattr(mx, form.floats)
        self.vocabulary = self.tokens.last_time + 1
        self.ids = mx.arange(self.vocabulary)
        suppressed = np.zeros(self.vocabulary, dtype=np.bool_)
        suppressed[list(self.tokens.suppressed)] = True
        self.suppressed = mx.array(suppressed)

    def encode(self, windows: Sequence[Pcm]) -> list[Any]:
        """One by one on a CPU, which gains nothing from a batch and needs the memory."""
        together = 1 if self.device == "cpu" else max(1, len(windows))
        encoded: list[Any] = []
        for first in range(0, len(windows), together):
            mels = mx.stack([self._mel(pcm) for pcm in windows[first : first + together]])
            found = self.model.encoder(mels.astype(self.floats))
            mx.eval(found)
            encoded += [found[row] for row in range(found.shape[0])]
        return encoded

    def _mel(self, pcm: Pcm) -> Any:
        return mlx_whisper.audio.log_mel_spectrogram(samples_of(pcm), n_mels=self.model.dims.n_mels)

    def begin(self, encoded: Sequence[Any], prompts: Sequence[Sequence[int]]) -> MlxDecoding:
        return MlxDecoding(self, mx.stack(list(encoded)), prompts)

    def force(self, encoded: Any, rows: Sequence[Sequence[int]], *, attention: bool) -> Forced:
        decoder = MlxDecoder(self, encoded[None])
        tokens = mx.array(np.asarray(rows, dtype=np.int32))
        hidden = decoder.run(tokens)
        logits = decoder.logits(hidden[:, :-1])[..., : self.tokens.end]
        chosen = mx.minimum(tokens[:, 1:], self.tokens.end - 1)[..., None]
        logprobs = mx.take_along_axis(logits, chosen, axis=-1)[..., 0] - mx.logsumexp(
            logits, axis=-1
        )
        heads = None
        if attention:
            picked = [
                decoder.attention[layer][0, head, : tokens.shape[1]]
                for layer, head in self.model.alignment_heads.tolist()
            ]
            heads = np.array(mx.stack(picked).astype(mx.float32))
        return Forced(logprobs=tuple(np.array(logprobs.astype(mx.float32))), attention=heads)


class MlxDecoder:
    """mlx-whisper's decoder, block by block.

    The hypotheses of a window stand as one long row before its audio, so that they
    share the audio's keys and values, which would fill gigabytes if each had its own.
    """

    def __init__(self, engine: MlxEngine, audio: Any) -> None:
        self._decoder = engine.model.decoder
        self._on_cpu = engine.device == "cpu"
        self._audio = audio
        blocks = len(self._decoder.blocks)
        self._written: list[Any] = [None] * blocks
        self._heard: list[Any] = [None] * blocks
        self._position = 0
        self.attention: list[Any] = [None] * blocks
        """Of the last run: (windows, heads, hypotheses x tokens, frames), not yet computed."""

    def run(self, tokens: Any) -> Any:
        """Read `tokens` (hypotheses, count) behind what was read; return their hidden states."""
        rows, count = tokens.shape
        windows = self._audio.shape[0]
        decoder, start = self._decoder, self._position
        x = decoder.token_embedding(tokens) + decoder.positional_embedding[start : start + count]
        causal = mlx.nn.MultiHeadAttention.create_additive_causal_mask(count).astype(x.dtype)
        for n, block in enumerate(decoder.blocks):
            y, self._written[n], _ = block.attn(
                block.attn_ln(x), mask=causal, kv_cache=self._written[n]
            )
            x = x + y
            asked = block.cross_attn_ln(x).reshape(windows, rows // windows * count, -1)
            y, self._heard[n], self.attention[n] = block.cross_attn(
                asked, self._audio, kv_cache=self._heard[n]
            )
            x = x + y.reshape(rows, count, -1)
            x = x + block.mlp2(mlx.nn.gelu(block.mlp1(block.mlp_ln(x))))
        self._position += count
        return decoder.ln(x)

    def logits(self, hidden: Any) -> Any:
        embedding = self._decoder.token_embedding
        if self._on_cpu and isinstance(embedding, mlx.nn.Embedding):
            # MLX on a CPU multiplies twice as fast this way round.
            rows = hidden.reshape(-1, hidden.shape[-1])
            found = (embedding.weight @ rows.T).T.reshape(*hidden.shape[:-1], -1)
        else:
            found = embedding.as_linear(hidden)
        return found.astype(mx.float32)

    def follow(self, parents: Sequence[int]) -> None:
        """Let hypothesis n go on from what hypothesis `parents[n]` has read."""
        order = mx.array(list(parents))
        self._written = [(keys[order], values[order]) for keys, values in self._written]


class MlxDecoding:
    """Fulfils `Decoding`."""

    def __init__(self, engine: MlxEngine, audio: Any, prompts: Sequence[Sequence[int]]) -> None:
        self._engine = engine
        self._decoder = MlxDecoder(engine, audio)
        self._hidden = self._decoder.run(mx.array(np.asarray(prompts, dtype=np.int32)))
        self._rows = len(prompts)

    def probabilities(self, position: int, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        logits = self._decoder.logits(self._hidden[:, position])
        found = mx.softmax(logits, axis=-1)[:, mx.array(list(tokens))]
        return np.array(found)

    def best(
        self, rules: StepRules, count: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        engine = self._engine
        logits = self._decoder.logits(self._hidden[:, -1])[:, : engine.vocabulary]
        if rules.repeated is not None:
            weaker = mx.where(logits < 0, logits * rules.penalty, logits / rules.penalty)
            logits = mx.where(mx.array(rules.repeated), weaker, logits)
        logits = mx.where(self._allowed(rules), logits, IMPOSSIBLE)
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        ids = mx.argpartition(-logprobs, kth=count - 1, axis=-1)[:, :count]
        scores = mx.take_along_axis(logprobs, ids, axis=-1)
        return np.array(scores), np.array(ids).astype(np.int64)

    def _allowed(self, rules: StepRules) -> Any:
        engine = self._engine
        may_end = mx.array(rules.end)[:, None]
        allowed = ~engine.suppressed & (may_end | (engine.ids != engine.tokens.end))
        return allowed if rules.forbidden is None else allowed & ~mx.array(rules.forbidden)

    def advance(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        if list(parents) != list(range(self._rows)):
            self._decoder.follow(parents)
            self._rows = len(parents)
        self._hidden = self._decoder.run(mx.array(np.asarray(tokens, dtype=np.int32)[:, None]))
