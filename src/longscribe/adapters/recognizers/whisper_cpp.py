"""The `whisper.cpp` recognizer: Whisper on ggml, on a CPU, Metal or CUDA, as its build has.

It stands on the functions that pywhispercpp binds, not on its `Model`: the prompt of each
window goes over as tokens, and what comes back is taken token by token.

Facts of whisper.cpp that shape this (whisper_full_with_state in 1.8):

- It goes on where the last timestamp of a window stood, with what it has written as a further
  prompt, or in the last five seconds with none. So the prompt recorded would not be the one
  used. `single_segment` makes it take a window in one go, timestamps and all.
- Its beam search draws the tokens of each hypothesis by lot, from a generator that runs on from
  window to window. A resumed job would write something else, so the search is greedy here,
  whatever the size of the beam.
- At fallback temperatures from 0.5 it drops the prompt. There is no fallback here, for that and
  the same reason (docs/decisions, number 10).
- It keeps the last 223 tokens of a prompt, which is our limit too.
- Attention that is needed for the times of words comes only without flash attention.
"""

from __future__ import annotations

import atexit
import os
import re
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longscribe.adapters.recognizers.byte_pairs import BytePairs
from longscribe.adapters.recognizers.ggml_file import GgmlHeader, check_whole, read_vocabulary
from longscribe.adapters.recognizers.ggml_models import file_in
from longscribe.adapters.recognizers.whisper.results import Decoded, Place, segments, timed_words
from longscribe.adapters.recognizers.whisper.tokens import WhisperTokens
from longscribe.config import DecodeSettings, RecognizerSettings, Task
from longscribe.core.bias.prompts import fit_prompt
from longscribe.errors import ModelError, RecognizerError
from longscribe.ports import Capabilities, WindowAudio
from longscribe.types import (
    SAMPLE_RATE,
    LanguageGuess,
    Prompt,
    Segment,
    WindowResult,
    Word,
)

# Its threads wait for each other in loops that keep the processor busy, by default so long that
# on a machine with other work a window takes twice its time. A thousand turns cost nothing where
# there is none. Read once, when GNU's OpenMP is loaded; other libraries do not mind.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

try:
    import _pywhispercpp
except ImportError as missing:
    raise RecognizerError(
        f"The recognizer 'whisper.cpp' needs pywhispercpp, which is not installed ({missing}).",
        "Run: pip install 'longscribe[whisper-cpp]'.",
    ) from missing

if TYPE_CHECKING:
    from longscribe.ports import Pcm

SHORTEST = SAMPLE_RATE
"""Audio under a second is padded to one: whisper.cpp declines what is under 100 ms, and its
alignment needs some frames."""
DTW_STEP = SAMPLE_RATE // 100
UNKNOWN_NO_SPEECH = 0.0
"""pywhispercpp does not bind whisper.cpp's probability that nothing was said. whisper.cpp itself
goes by it: a window likelier silent than 0.6 and unsurer than -1 a token has no text."""
GPUS = {"cuda": ("CUDA", "ROCm"), "mps": ("MTL", "Metal")}
"""Our name of a device → how ggml's backends for it are called."""
LIGHTEST = ("int8", "int8_float16")
"""Compute types that the ladder asks for last. There is only the file's own."""
FAILED = re.compile(r"whisper_(init|model)\w*: .*(fail|error|invalid|unknown)", re.IGNORECASE)
"""What whisper.cpp writes when it could not load a model."""

# Alignment heads, by layers of encoder and decoder. What is not in here (Distil-Whisper, models
# of one's own) is aligned by all heads of the upper half of its decoder, as openai/whisper does.
_ALIGNMENT_HEADS = {(4, 4): "TINY", (6, 6): "BASE", (12, 12): "SMALL", (24, 24): "MEDIUM"}
_MULTILINGUAL = 51865
"""Words in a vocabulary from here on: several languages."""
_BEFORE_LANGUAGES = 51765
"""Words of a vocabulary without languages."""
_V3_MELS = 128
_DTW_TOKENS, _DTW_FRAMES, _DTW_COPIES = 240, 1500, 5
_DTW_MARGIN = 64 * 2**20

_log: deque[tuple[int, str]] = deque(maxlen=200)
_ERROR = 4
"""Level of ggml's log."""


def _note(level: int, text: str) -> None:
    _log.append((level, text.strip()))


_pywhispercpp.whisper_log_set(_note)
# ggml must not call into an interpreter that is gone.
atexit.register(_pywhispercpp.whisper_log_set, None)


def device_kinds() -> tuple[str, ...]:
    """Return the kinds of device that it can use as it is installed, the best first."""
    built = set(re.findall(r"(\w+) : ", _pywhispercpp.whisper_print_system_info()))
    return (*(kind for kind, names in GPUS.items() if built & set(names)), "cpu")


def load(settings: RecognizerSettings, model_path: str) -> WhisperCppRecognizer:
    """Load a ggml Whisper model.

    Raises:
        RecognizerError: the device or the compute type can't be had here.
        ModelError: there is no whole ggml model.
    """
    file = file_in(Path(model_path))
    header = check_whole(file)
    _check_device(settings.device)
    if settings.compute_type not in {"default", "auto", header.format, *LIGHTEST}:
        raise RecognizerError(
            f"The compute type {settings.compute_type!r} is not that of the model: whisper.cpp "
            f"computes with what its file holds, here {header.format}.",
            "Use --compute-type default, or another file (such as large-v3-turbo-q5_0).",
        )
    _log.clear()
    try:
        context = _pywhispercpp.whisper_init_from_file_with_params(
            str(file), _context_params(settings, header, file)
        )
    except RuntimeError as error:
        raise _can_not_load(file, str(error)) from error
    told = [text for level, text in _log if level == _ERROR and FAILED.match(text)]
    if told:  # the context is null, and any further call with it would crash
        raise _can_not_load(file, told[-1])
    device = _device_used()
    if settings.device not in {"auto", "cpu"} and device == "cpu":
        raise _no_device(settings.device)
    return WhisperCppRecognizer(
        _Loaded(
            engine=_pywhispercpp,
            context=context,
            header=header,
            tokens=_tokens(context, header, file),
        ),
        device,
        settings.cpu_threads,
    )


def _tokens(context: Any, header: GgmlHeader, file: Path) -> WhisperTokens:
    special = {
        "<|endoftext|>": _pywhispercpp.whisper_token_eot(context),
        "<|notimestamps|>": _pywhispercpp.whisper_token_not(context),
    }
    pairs = BytePairs(read_vocabulary(file)[: special["<|endoftext|>"]])
    return WhisperTokens(
        encode=pairs.encode,
        decode_text=pairs.decode,
        find=special.get,
        multilingual=header.vocabulary >= _MULTILINGUAL,
    )


def _check_device(device: str) -> None:
    """Refuse a device for which this build of whisper.cpp has no backend."""
    if device.partition(":")[0] not in {"auto", *device_kinds()}:
        raise _no_device(device)


def _no_device(device: str) -> RecognizerError:
    return RecognizerError(
        f"This build of whisper.cpp can't use {device!r} here.",
        "Use --device cpu, or install pywhispercpp built for the device "
        "(CUDA: GGML_CUDA=1 pip install --no-binary pywhispercpp pywhispercpp).",
    )


def _can_not_load(file: Path, why: str) -> ModelError:
    return ModelError(
        f"The model in {file} can't be loaded: {why.rstrip('.')}.",
        "Expected a ggml Whisper model; fetch or convert it again.",
    )


def _device_used() -> str:
    """Return the device that whisper.cpp says it took."""
    for _, text in _log:
        told = re.match(r"whisper_backend_init_gpu: using ([A-Za-z]+)(\d*) backend", text)
        if told:
            names = [name for name, backends in GPUS.items() if told[1] in backends]
            kind = names[0] if names else told[1].lower()
            return f"{kind}:{told[2] or 0}" if kind == "cuda" else kind
    return "cpu"


def _context_params(settings: RecognizerSettings, header: GgmlHeader, file: Path) -> Any:
    params = _pywhispercpp.whisper_context_default_params()
    params.use_gpu = settings.device != "cpu"
    params.gpu_device = int(settings.device.partition(":")[2] or 0)
    params.flash_attn = False
    params.dtw_token_timestamps = True
    preset = _alignment_heads(header, file.name)
    params.dtw_aheads_preset = getattr(_pywhispercpp, f"WHISPER_AHEADS_{preset}")
    params.dtw_n_top = max(1, header.text_layers // 2)
    # Too little of it ends the process. The largest preset names 23 heads.
    heads = params.dtw_n_top * header.text_heads if preset == "N_TOP_MOST" else 24
    params.dtw_mem_size = _DTW_MARGIN + 4 * _DTW_COPIES * heads * _DTW_TOKENS * _DTW_FRAMES
    return params


def _alignment_heads(header: GgmlHeader, name: str) -> str:
    """Return the name of whisper.cpp's preset for a model of this size."""
    layers = header.audio_layers, header.text_layers
    if layers in _ALIGNMENT_HEADS:
        size = _ALIGNMENT_HEADS[layers]
        return size if header.vocabulary >= _MULTILINGUAL else f"{size}_EN"
    if layers == (32, 4):
        return "LARGE_V3_TURBO"
    if layers == (32, 32):
        if header.mels == _V3_MELS:
            return "LARGE_V3"
        return "LARGE_V1" if "large-v1" in name else "LARGE_V2"  # only the name tells them apart
    return "N_TOP_MOST"


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    engine: Any
    """The module of bound functions; tests look at what reaches it."""
    context: Any
    header: GgmlHeader
    tokens: WhisperTokens


@dataclass(frozen=True, kw_only=True)
class _Token:
    """One token as whisper.cpp wrote it."""

    number: int
    probability: float
    logprob: float
    end: int
    """Where the attention leaves it, in samples from the window's start; for text only."""


class WhisperCppRecognizer:
    """Fulfils `Recognizer` with whisper.cpp, one window after another."""

    def __init__(self, loaded: _Loaded, device: str, threads: int) -> None:
        self._engine = loaded.engine
        self._context = loaded.context
        self._tokens = loaded.tokens
        self._threads = threads
        self.device = device
        self.compute_type = loaded.header.format
        self._multilingual = loaded.tokens.multilingual
        weakref.finalize(self, self._engine.whisper_free, self._context)
        count = loaded.header.vocabulary - _BEFORE_LANGUAGES - 1
        codes = tuple(self._engine.whisper_lang_str(number) for number in range(count))
        self.capabilities = Capabilities(
            prompts=True,
            word_times=True,
            scoring=False,  # pywhispercpp binds no more than the first of the logits
            batching=False,
            translate=self._multilingual,
            languages=codes if self._multilingual else ("en",),
        )

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        """Average whisper.cpp's language probabilities over all `windows`."""
        codes = self.capabilities.languages
        if not self._multilingual:
            return LanguageGuess(language="en", probability=1.0)
        sums = np.zeros(len(codes))
        for pcm in windows:
            samples = _samples(pcm)
            found = np.zeros(self._engine.whisper_lang_max_id() + 1, dtype=np.float32)
            threads = self._params().n_threads
            self._check(
                self._engine.whisper_pcm_to_mel(self._context, samples, len(samples), threads)
            )
            self._check(self._engine.whisper_lang_auto_detect(self._context, 0, threads, found))
            sums += found[: len(codes)] / len(windows)
        best = max(range(len(codes)), key=lambda number: (sums[number], codes[number]))
        return LanguageGuess(language=codes[best], probability=round(float(sums[best]), 4))

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        """Decode one window after another, greedily."""
        for member in windows:
            yield (self._decode_window(member, settings, chunk_id),)

    def _decode_window(
        self, member: WindowAudio, settings: DecodeSettings, chunk_id: int
    ) -> WindowResult:
        fitted = fit_prompt(
            member.bias.terms, settings.initial_prompt, settings.prompt_tokens, self._tokens.encode
        )
        prompt = Prompt(
            terms=fitted.terms,
            text=self._tokens.decode(fitted.token_ids).strip(),
            token_ids=fitted.token_ids,
        )
        segments: tuple[Segment, ...] = ()
        if member.window.span.length:
            place = Place(member=member, prompt=prompt, chunk_id=chunk_id)
            segments = self._segments(place, self._generate(member, settings, prompt), settings)
        return WindowResult(
            chunk_id=chunk_id,
            window=member.window,
            bias_window_id=member.bias.bias_window_id,
            prompt=prompt,
            segments=segments,
        )

    def _params(self) -> Any:
        params = self._engine.whisper_full_default_params(self._engine.WHISPER_SAMPLING_GREEDY)
        if self._threads:
            params.n_threads = self._threads
        return params

    def _decode_params(self, settings: DecodeSettings, prompt: Prompt) -> Any:
        params = self._params()
        params.greedy = {"best_of": 1}
        params.language = settings.language or "en"
        params.translate = settings.task is Task.TRANSLATE
        params.no_context = True
        params.no_timestamps = True  # when words are said comes from the alignment
        params.single_segment = True
        params.temperature_inc = 0.0
        params.suppress_nst = True
        params.print_progress = False
        if prompt.token_ids:
            params.set_prompt_tokens(list(prompt.token_ids))
        # A hypothesis that ran into a loop would be gone on from; once through a window is all.
        passes = iter((True,))
        self._engine.assign_encoder_begin_callback(params, lambda *_: next(passes, False))
        return params

    def _generate(
        self, member: WindowAudio, settings: DecodeSettings, prompt: Prompt
    ) -> list[_Token]:
        """Return the tokens of a window, the end of the text included."""
        samples = _samples(member.pcm)
        params = self._decode_params(settings, prompt)
        self._check(self._engine.whisper_full(self._context, params, samples, len(samples)))
        if not self._engine.whisper_full_n_segments(self._context):
            return []
        found = []
        for index in range(self._engine.whisper_full_n_tokens(self._context, 0)):
            token = self._engine.whisper_full_get_token_data(self._context, 0, index)
            found.append(
                _Token(
                    number=token.id,
                    probability=token.p,
                    logprob=token.plog,
                    end=min(max(token.t_dtw, 0) * DTW_STEP, member.window.span.length),
                )
            )
        return found

    def _check(self, status: int) -> None:
        """Raise what whisper.cpp noted, if a call of it failed (returned less than 0)."""
        if status < 0:
            said = "; ".join(text for level, text in _log if level == _ERROR)[-500:]
            raise RuntimeError(f"whisper.cpp failed with status {status}: {said}")

    def _segments(
        self, place: Place, found: Sequence[_Token], settings: DecodeSettings
    ) -> tuple[Segment, ...]:
        """Build the window's segments, on the recording's clock."""
        decoded = Decoded.of(
            [token.number for token in found],
            self._tokens.end,
            sum(token.logprob for token in found) / max(len(found), 1),
            UNKNOWN_NO_SPEECH,
        )
        words = self._words(decoded.tokens, found, settings) if settings.word_times else None
        return segments(place, self._tokens.decode(decoded.tokens), words, decoded)

    def _words(
        self, tokens: Sequence[int], found: Sequence[_Token], settings: DecodeSettings
    ) -> list[Word]:
        text = [token for token in found if token.number < self._tokens.end]
        return timed_words(
            self._tokens.split_words(tokens, settings.language),
            # A token begins where the attention left the one before it.
            [0, *accumulate((token.end for token in text), max)],
            [token.probability for token in text],
        )


def _samples(pcm: Pcm) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a window as whisper.cpp takes it, at least a second long."""
    samples = np.zeros(max(len(pcm), SHORTEST), dtype=np.float32)
    samples[: len(pcm)] = pcm.astype(np.float32) / 32768
    return samples
