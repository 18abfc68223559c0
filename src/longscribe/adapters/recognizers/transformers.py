"""The `transformers` recognizer: Whisper on torch, on a GPU (CUDA or Apple's MPS) or a CPU.

Of transformers it takes the network with its weights and the spectrogram. Its
`generate` it leaves aside: that takes one prompt for all windows of a batch.
The decoder is run layer by layer instead, on buffers of a fixed size, for
Apple's MPS keeps memory for every new shape that it meets (pytorch#132596).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longscribe.adapters.recognizers.whisper.engine import (
    IMPOSSIBLE,
    MAX_POSITIONS,
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
from longscribe.types import SAMPLE_RATE

# Threads that have nothing to do sleep instead of spinning. This process shares the cores with
# the reader and other workers; on a busy machine spinning made decoding seven times as slow.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
try:
    import tokenizers
    import torch
    from safetensors import SafetensorError
    from torch.nn.functional import linear, scaled_dot_product_attention
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
    from transformers.utils import logging as transformers_logging
except ImportError as missing:
    raise RecognizerError(
        f"The recognizer 'transformers' needs {missing.name or 'transformers'}, which can't be "
        f"imported ({missing}).",
        "Run: pip install 'longscribe[transformers]'; install torch before it, in the build for "
        "your machine.",
    ) from missing

if TYPE_CHECKING:
    import numpy.typing as npt

    from longscribe.ports import Pcm

MULTILINGUAL = 51_865
"""Tokens that a vocabulary of many languages has at least."""


def device_kinds() -> tuple[str, ...]:
    """Return the kinds of device that it can use as it is installed, the best first."""
    cuda, mps = torch.cuda.device_count() > 0, torch.backends.mps.is_available()
    return (*(["cuda"] if cuda else []), *(["mps"] if mps else []), "cpu")


def load(settings: RecognizerSettings, model_path: str) -> WhisperRecognizer:
    """Load a Whisper model in the format of the Hugging Face hub.

    Raises:
        RecognizerError: the device or the compute type can't be had here.
        ModelError: the files are not a model that transformers can read.
    """
    device = _device(settings.device)
    form = number_format(settings.compute_type, device.type)
    if settings.cpu_threads:
        torch.set_num_threads(settings.cpu_threads)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with memory_errors():
            model = _load_model(Path(model_path), form)
            tokens = _vocabulary(Path(model_path), model)
            return WhisperRecognizer(TorchEngine(model.to(device).eval(), tokens, form))
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
        raise ModelError(
            f"The model in {model_path} can't be loaded: {_first_line(error)}.",
            "Expected a Whisper model as on the Hugging Face hub (config.json, "
            "model.safetensors, tokenizer.json); fetch or save it again.",
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _device(asked: str) -> Any:
    """Return the torch device: `auto` takes a CUDA GPU before Apple's, and that before the CPU."""
    cuda, here = torch.cuda.device_count(), device_kinds()
    kind, _, index = (here[0] if asked == "auto" else asked).partition(":")
    if kind not in here or (kind == "cuda" and int(index or 0) >= cuda):
        raise RecognizerError(
            f"The recognizer 'transformers' has no device {asked!r} on this machine.",
            f"Use --device auto, {', '.join(here)}.",
        )
    return torch.device(kind, int(index or 0)) if kind == "cuda" else torch.device(kind)


def _load_model(path: Path, form: NumberFormat) -> Any:
    model, info = WhisperForConditionalGeneration.from_pretrained(
        str(path), local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    # transformers would leave random numbers in the places of missing weights.
    missing = sorted(info["missing_keys"])
    if missing:
        raise ValueError(f"{len(missing)} weights are missing, such as {missing[0]}")
    model = model.to(getattr(torch, form.floats)).requires_grad_(False)
    if form.int8:
        for part in (model.model.encoder, model.model.decoder):
            for module in list(part.modules()):
                for name, child in list(module.named_children()):
                    if isinstance(child, torch.nn.Linear):
                        setattr(module, name, Int8Linear(child))
    return model


class Int8Linear(torch.nn.Module):  # type: ignore[misc]  # torch is Any where it is not installed
    """A linear layer whose weights are kept in 8 bits, each row with a scale of its own.

    It saves memory, not time: the weights become floats again for every use.
    """

    def __init__(self, whole: Any) -> None:
        super().__init__()
        weight = whole.weight.detach().float()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("weight", (weight / scale).round().to(torch.int8))
        self.register_buffer("scale", scale.to(whole.weight.dtype))
        self.bias = whole.bias

    def forward(self, x: Any) -> Any:
        return linear(x, self.weight.to(x.dtype) * self.scale, self.bias)


def _vocabulary(path: Path, model: Any) -> WhisperTokens:
    file = path / "tokenizer.json"
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"{file.name} can't be read ({_first_line(error)})") from error
    return WhisperTokens(
        encode=lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids),
        decode_text=tokenizer.decode,
        find=tokenizer.token_to_id,
        multilingual=model.config.vocab_size >= MULTILINGUAL,
    )


def _alignment_heads(model: Any) -> list[tuple[int, int]]:
    """Return the heads that follow the words, as (layer, head).

    The model names its own; by default it is all of the upper half, as in openai/whisper.
    """
    layers, heads = model.config.decoder_layers, model.config.decoder_attention_heads
    named = getattr(model.generation_config, "alignment_heads", None) or ()
    found = [(int(layer), int(head)) for layer, head in named]
    if found and all(layer < layers and head < heads for layer, head in found):
        return found
    return [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]


class TorchEngine:
    """Fulfils `Engine` with transformers' network."""

    def __init__(self, model: Any, tokens: WhisperTokens, form: NumberFormat) -> None:
        self.model = model
        self.tokens = tokens
        self.place = model.device
        self.device = str(model.device)
        self.compute_type = form.name
        self.fixed = model.device.type == "mps"
        """Whether every step has the same shape, at the price of a little more work."""
        self.heads = _alignment_heads(model)
        self._extract = WhisperFeatureExtractor(feature_size=model.config.num_mel_bins)
        self._floats = getattr(torch, form.floats)
        self.vocabulary = tokens.last_time + 1
        self.ids = torch.arange(self.vocabulary, device=self.place)
        suppressed = torch.zeros(self.vocabulary, dtype=torch.bool)
        suppressed[list(tokens.suppressed)] = True
        self.suppressed = suppressed.to(self.place)

    def encode(self, windows: Sequence[Pcm]) -> list[Any]:
        """One by one on a CPU, which gains nothing from a batch and needs the memory."""
        together = 1 if self.place.type == "cpu" else max(1, len(windows))
        encoded: list[Any] = []
        for first in range(0, len(windows), together):
            audio = [samples_of(pcm) for pcm in windows[first : first + together]]
            mels = self._extract(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt")
            features = mels.input_features.to(self.place, self._floats)
            encoded += list(self.model.model.encoder(features).last_hidden_state)
        return encoded

    def begin(self, encoded: Sequence[Any], prompts: Sequence[Sequence[int]]) -> TorchDecoding:
        return TorchDecoding(self, torch.stack(list(encoded)), prompts)

    def force(self, encoded: Any, rows: Sequence[Sequence[int]], *, attention: bool) -> Forced:
        decoder = TorchDecoder(self, encoded[None], len(rows[0]))
        tokens = torch.tensor(rows, device=self.place)
        hidden = decoder.run(tokens, attention=attention)
        logits = decoder.logits(hidden[:, :-1])[..., : self.tokens.end]
        chosen = tokens[:, 1:].clamp(max=self.tokens.end - 1)[..., None]
        logprobs = logits.log_softmax(dim=-1).gather(-1, chosen)[..., 0].cpu().numpy()
        heads = torch.stack(decoder.attention).cpu().numpy() if attention else None
        return Forced(logprobs=tuple(logprobs), attention=heads)


class TorchDecoder:
    """transformers' decoder, layer by layer.

    The hypotheses of a window stand as one long row before its audio, so that they
    share the audio's keys and values, which would fill gigabytes if each had its own.
    """

    def __init__(self, engine: TorchEngine, audio: Any, room: int) -> None:
        self._engine = engine
        self._decoder = engine.model.model.decoder
        self._windows = audio.shape[0]
        self._room = room
        """Most tokens that will be read."""
        self._position = 0
        config = engine.model.config
        self._scale = math.sqrt(config.d_model) if config.scale_embedding else 1.0
        self._split = config.decoder_attention_heads
        self._heard = [
            tuple(self._heads(project(audio)) for project in (layer.k_proj, layer.v_proj))
            for layer in (each.encoder_attn for each in self._decoder.layers)
        ]
        self._written: list[tuple[Any, Any]] = []
        self.attention: list[Any] = []
        """Of the alignment heads, for the first hypothesis, if asked for: (tokens, frames)."""

    def _heads(self, x: Any) -> Any:
        """(rows, tokens, width) to (rows, heads, tokens, width of a head)."""
        return x.unflatten(-1, (self._split, -1)).transpose(1, 2)

    def run(self, tokens: Any, *, attention: bool = False) -> Any:
        """Read `tokens` (hypotheses, count) behind what was read; return their hidden states."""
        start, count = self._position, tokens.shape[1]
        places = self._decoder.embed_positions.weight[start : start + count]
        x = self._decoder.embed_tokens(tokens) * self._scale + places
        mask = self._mask(start, count)
        for number, layer in enumerate(self._decoder.layers):
            x = x + self._look_back(number, layer.self_attn, layer.self_attn_layer_norm(x), mask)
            queries = layer.encoder_attn.q_proj(layer.encoder_attn_layer_norm(x))
            if attention:
                self._note_attention(number, queries)
            x = x + layer.encoder_attn.out_proj(self._listen(number, queries))
            x = x + layer.fc2(layer.activation_fn(layer.fc1(layer.final_layer_norm(x))))
        self._position += count
        return self._decoder.layer_norm(x)

    def _mask(self, start: int, count: int) -> Any:
        """Return which earlier places each new token may look at; None for all."""
        if count == 1 and not self._engine.fixed:
            return None
        length = self._room if self._engine.fixed else start + count
        place = self._engine.place
        return (
            torch.arange(length, device=place)
            <= torch.arange(start, start + count, device=place)[:, None]
        )

    def _look_back(self, number: int, layer: Any, x: Any, mask: Any) -> Any:
        """Self-attention, over the buffers of what was read."""
        start, end = self._position, self._position + x.shape[1]
        query, key, value = (self._heads(p(x)) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
        if number == len(self._written):
            empty = key.new_zeros(*key.shape[:2], self._room, key.shape[-1])
            self._written.append((empty, empty.clone()))
        keys, values = self._written[number]
        keys[:, :, start:end] = key
        values[:, :, start:end] = value
        length = self._room if self._engine.fixed else end
        found = scaled_dot_product_attention(
            query, keys[:, :, :length], values[:, :, :length], attn_mask=mask
        )
        return layer.out_proj(found.transpose(1, 2).flatten(2))

    def _listen(self, number: int, queries: Any) -> Any:
        """Cross-attention. All hypotheses of a window share its audio."""
        keys, values = self._heard[number]
        shared = self._heads(queries.reshape(self._windows, -1, queries.shape[-1]))
        found = scaled_dot_product_attention(shared, keys, values)
        return found.transpose(1, 2).reshape(queries.shape)

    def _note_attention(self, number: int, queries: Any) -> None:
        heads = [head for layer, head in self._engine.heads if layer == number]
        if heads:
            keys = self._heard[number][0][0, heads].float()
            asked = self._heads(queries[:1])[0, heads].float() * keys.shape[-1] ** -0.5
            self.attention += list(asked @ keys.transpose(1, 2))

    def logits(self, hidden: Any) -> Any:
        return self._engine.model.proj_out(hidden).float()

    def follow(self, parents: Sequence[int]) -> None:
        """Let hypothesis n go on from what hypothesis `parents[n]` has read."""
        order = torch.tensor(list(parents), device=self._engine.place)
        used = self._room if self._engine.fixed else self._position
        for number, (keys, values) in enumerate(self._written):
            if len(keys) == len(parents):
                keys[:, :, :used] = keys[order, :, :used]
                values[:, :, :used] = values[order, :, :used]
            else:
                self._written[number] = (keys[order], values[order])


class TorchDecoding:
    """Fulfils `Decoding`."""

    def __init__(self, engine: TorchEngine, audio: Any, prompts: Sequence[Sequence[int]]) -> None:
        self._engine = engine
        self._decoder = TorchDecoder(engine, audio, MAX_POSITIONS)
        self._hidden = self._decoder.run(torch.tensor(prompts, device=engine.place))
        self._rows = len(prompts)

    def probabilities(self, position: int, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        logits = self._decoder.logits(self._hidden[:, position])
        found: npt.NDArray[np.float32] = logits.softmax(dim=-1)[:, list(tokens)].cpu().numpy()
        return found

    def best(
        self, rules: StepRules, count: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        engine = self._engine
        logits = self._decoder.logits(self._hidden[:, -1])[:, : engine.vocabulary]
        if rules.repeated is not None:
            weaker = torch.where(logits < 0, logits * rules.penalty, logits / rules.penalty)
            logits = torch.where(self._there(rules.repeated), weaker, logits)
        logits = logits.masked_fill(~self._allowed(rules), IMPOSSIBLE)
        scores, ids = logits.log_softmax(dim=-1).topk(count, dim=-1)
        return scores.cpu().numpy(), ids.cpu().numpy()

    def _there(self, array: npt.NDArray[Any]) -> Any:
        return torch.from_numpy(array).to(self._engine.place)

    def _allowed(self, rules: StepRules) -> Any:
        engine = self._engine
        may_end = self._there(rules.end)[:, None]
        allowed = ~engine.suppressed & (may_end | (engine.ids != engine.tokens.end))
        return allowed if rules.forbidden is None else allowed & ~self._there(rules.forbidden)

    def advance(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        if list(parents) != list(range(self._rows)):
            self._decoder.follow(parents)
            self._rows = len(parents)
        self._hidden = self._decoder.run(torch.tensor(tokens, device=self._engine.place)[:, None])
