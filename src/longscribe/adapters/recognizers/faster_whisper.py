"""The `faster-whisper` recognizer: Whisper on CTranslate2, on a CPU or a CUDA GPU.

It stands on the primitives of `faster_whisper.WhisperModel` (feature extractor,
encoder, CTranslate2's `generate` and `align`, tokenizer), not on its
`transcribe`: so each window of a batch gets a prompt of its own.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from longscribe.adapters.recognizers.ct2_libraries import HOW_TO_HAVE_CUBLAS, load_cublas
from longscribe.adapters.recognizers.whisper.results import Decoded, Place, segments, timed_words
from longscribe.config import DecodeSettings, RecognizerSettings
from longscribe.core.bias.prompts import Batch, FittedPrompt, fit_prompt, make_batches, pad_prompt
from longscribe.core.devices import usable_format
from longscribe.core.phrases import FRAME_STEP
from longscribe.errors import ModelError, RecognizerError
from longscribe.ports import Capabilities, WindowAudio
from longscribe.types import (
    NO_PROMPT,
    SAMPLE_RATE,
    LanguageGuess,
    Prompt,
    WindowResult,
    Word,
)

try:
    import ctranslate2
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import get_suppressed_tokens
except ImportError as missing:
    raise RecognizerError(
        f"The recognizer 'faster-whisper' needs {missing.name}, which is not installed.",
        "Run: pip install 'longscribe[faster-whisper]'.",
    ) from missing

if TYPE_CHECKING:
    import numpy.typing as npt

    from longscribe.ports import Pcm

WINDOW_SAMPLES = 30 * SAMPLE_RATE
FRAMES_PER_SECOND = 100
MAX_LENGTH = 448
"""Positions of Whisper's decoder: prompt and answer together."""
ENCODINGS_KEPT = 16
"""Windows whose encoding is kept: those of a chunk of 300 s. 1500 x 1280 floats each (8 MB) with
the largest models."""
SCORED_TOGETHER = 8
"""Texts scored in one call."""


def device_kinds() -> tuple[str, ...]:
    """Return the kinds of device that it can use as it is installed, the best first."""
    with_gpu = ctranslate2.get_cuda_device_count() > 0 and load_cublas()
    return (*(["cuda"] if with_gpu else []), "cpu")


def load(settings: RecognizerSettings, model_path: str) -> FasterWhisperRecognizer:
    """Load a CTranslate2 Whisper model.

    Raises:
        RecognizerError: the device or the compute type can't be had here.
        ModelError: the files are not a model that CTranslate2 can read.
    """
    # Its warnings tell of what `WorkerReady` says: the compute type that was really chosen.
    ctranslate2.set_log_level(logging.ERROR)
    settings = with_format(settings)
    device, index = place_of(settings)
    try:
        model = WhisperModel(
            model_path,
            device=device,
            device_index=index,
            compute_type=settings.compute_type,
            cpu_threads=settings.cpu_threads,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"The model in {model_path} can't be loaded: {str(error).strip()}.",
            "Expected a Whisper model converted for CTranslate2; fetch or convert it again.",
        ) from error
    return FasterWhisperRecognizer(model)


def with_format(settings: RecognizerSettings) -> RecognizerSettings:
    """Return settings with a device, and with a number format that suits it.

    What was asked for by name on a device asked for by name stays, also where it can't be had.
    """
    kind = device_kinds()[0] if settings.device == "auto" else settings.device.partition(":")[0]
    if settings.device == "auto":
        settings = replace(settings, device=kind)
    elif settings.compute_type != "default":
        return settings
    choice = usable_format(settings.name, kind, settings.compute_type)
    return replace(settings, compute_type=choice.compute_type)


def place_of(settings: RecognizerSettings) -> tuple[str, int]:
    """Return the device and its index on which CTranslate2 is to run.

    Raises:
        RecognizerError: the device or the compute type can't be had here.
    """
    device, _, index = settings.device.partition(":")
    if device == "mps":
        raise RecognizerError(
            f"The recognizer {settings.name!r} does not run on mps (CTranslate2 has no Metal).",
            "Use --device cpu.",
        )
    if device == "cuda" and ctranslate2.get_cuda_device_count() == 0:
        raise RecognizerError(
            "There is no CUDA device that CTranslate2 can use.", "Use --device cpu."
        )
    if device == "cuda" and not load_cublas():
        raise RecognizerError(
            "CTranslate2 needs cuBLAS of CUDA 12 (libcublas.so.12) for a GPU; it was not found.",
            HOW_TO_HAVE_CUBLAS,
        )
    if device == "auto":
        device = device_kinds()[0]
    known = ctranslate2.get_supported_compute_types(device)
    if settings.compute_type not in {"default", "auto", *known}:
        raise RecognizerError(
            f"The compute type {settings.compute_type!r} is not supported on {device} here.",
            f"Use default, {', '.join(sorted(known))}.",
        )
    return device, int(index or 0)


class FasterWhisperRecognizer:
    """Fulfils `Recognizer` with CTranslate2."""

    def __init__(self, model: WhisperModel) -> None:
        self._model = model
        self._engine: Any = model.model
        self._encoded: OrderedDict[bytes, npt.NDArray[np.float32]] = OrderedDict()
        """The encoder's output of the latest windows, by their audio (CPU only)."""
        self.device: str = self._engine.device
        self.compute_type: str = self._engine.compute_type
        multilingual: bool = self._engine.is_multilingual
        self.capabilities = Capabilities(
            prompts=True,
            word_times=True,
            scoring=True,
            batching=True,
            translate=multilingual,
            languages=tuple(model.supported_languages),
        )

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        """Average CTranslate2's language probabilities over all `windows`."""
        if not self._engine.is_multilingual:
            return LanguageGuess(language="en", probability=1.0)
        sums: dict[str, float] = {}
        for token, probability in (
            pair
            for ranked in self._engine.detect_language(self._encode(windows))
            for pair in ranked
        ):
            language = token.strip("<|>")
            sums[language] = sums.get(language, 0.0) + probability / len(windows)
        best = max(sums, key=lambda language: (sums[language], language))
        return LanguageGuess(language=best, probability=round(sums[best], 4))

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        tokenizer = self._tokenizer(settings)
        prompts = [
            fit_prompt(
                window.bias.terms, settings.initial_prompt, settings.prompt_tokens, tokenizer.encode
            )
            for window in windows
        ]
        # What the decoder is really given: an introduction may have lost its beginning.
        prompts = [
            replace(prompt, text=tokenizer.decode(prompt.token_ids).strip()) for prompt in prompts
        ]
        lengths = [len(prompt.token_ids) for prompt in prompts]
        batches = make_batches(
            lengths, settings.batch_size, settings.prompt_tokens, settings.prompt_group
        )
        for batch in batches:
            yield self._decode_batch(batch, windows, prompts, tokenizer, (settings, chunk_id))

    def _tokenizer(self, settings: DecodeSettings) -> Tokenizer:
        return Tokenizer(
            self._model.hf_tokenizer,
            self._engine.is_multilingual,
            task=str(settings.task),
            language=settings.language or "en",
        )

    def _encode(self, windows: Sequence[Pcm]) -> Any:
        """Run the encoder; return its output for all windows as one CTranslate2 array.

        On a CPU the windows go through one by one: a batch is no faster there, and the
        encoder's attention takes 1500 x 1500 numbers a head for each window in it.
        """
        if self.device != "cpu":
            return self._model.encode(np.stack([self._features(pcm) for pcm in windows]))
        return ctranslate2.StorageView.from_array(np.concatenate([*map(self._encode_one, windows)]))

    def _encode_one(self, pcm: Pcm) -> npt.NDArray[np.float32]:
        """Run the encoder on one window, or remember its output.

        So hearing a window again and scoring texts for it cost the decoder alone.
        """
        key = hashlib.blake2b(pcm.tobytes(), digest_size=16).digest()
        if key in self._encoded:
            self._encoded.move_to_end(key)
            return self._encoded[key]
        encoded = np.array(self._model.encode(self._features(pcm)[None]))
        self._encoded[key] = encoded
        if len(self._encoded) > ENCODINGS_KEPT:
            self._encoded.popitem(last=False)
        return encoded

    def score(
        self, window: WindowAudio, texts: Sequence[str], settings: DecodeSettings
    ) -> tuple[float, ...]:
        """Sum the log probabilities that `align` gives the text's tokens."""
        if not texts:
            return ()
        tokenizer = self._tokenizer(settings)
        tokens = [tokenizer.encode(text) for text in texts]
        # On a CPU several are slower than one by one, as they are for the encoder.
        together = 1 if self.device == "cpu" else SCORED_TOGETHER
        encoded: dict[int, Any] = {}  # the window once for each text: how many texts → output
        scores: list[float] = []
        for first in range(0, len(tokens), together):
            batch = tokens[first : first + together]
            size = len(batch)
            if size not in encoded:
                encoded[size] = self._encode([window.pcm] * size)
            # Only the probabilities are wanted: over two frames the alignment itself is cheap.
            found = self._engine.align(encoded[size], tokenizer.sot_sequence, batch, [2] * size)
            scores += [sum(map(_safe_log, one.text_token_probs)) for one in found]
        return tuple(scores)

    def time_words(
        self, window: WindowAudio, text: str, settings: DecodeSettings
    ) -> tuple[Word, ...]:
        """Return the words of `text`, timed by cross-attention, from the window's start."""
        tokenizer = self._tokenizer(settings)
        [words] = self._align(
            self._encode([window.pcm]), [window], [tuple(tokenizer.encode(text))], tokenizer
        )
        return tuple(words)

    def _features(self, pcm: Pcm) -> npt.NDArray[np.float32]:
        """Return the log-mel spectrogram of one window, padded to 30 s: (mels, 3000)."""
        audio = np.zeros(WINDOW_SAMPLES, dtype=np.float32)
        audio[: len(pcm)] = pcm[:WINDOW_SAMPLES].astype(np.float32) / 32768
        mel: npt.NDArray[np.float32] = self._model.feature_extractor(audio)
        return mel[:, : WINDOW_SAMPLES * FRAMES_PER_SECOND // SAMPLE_RATE]

    def _decode_batch(
        self,
        batch: Batch,
        windows: Sequence[WindowAudio],
        prompts: Sequence[FittedPrompt],
        tokenizer: Tokenizer,
        job: tuple[DecodeSettings, int],
    ) -> tuple[WindowResult, ...]:
        settings, chunk_id = job
        members = [windows[index] for index in batch.indices]
        padded = [
            pad_prompt(prompts[index], batch.prompt_length) if batch.prompt_length else NO_PROMPT
            for index in batch.indices
        ]
        encoded = self._encode([member.pcm for member in members])
        decoded = self._generate(encoded, padded, tokenizer, settings)
        texts = [one.tokens for one in decoded]
        words = self._align(encoded, members, texts, tokenizer) if settings.word_times else None
        return tuple(
            WindowResult(
                chunk_id=chunk_id,
                window=member.window,
                bias_window_id=member.bias.bias_window_id,
                prompt=prompt,
                segments=segments(
                    Place(member=member, prompt=prompt, chunk_id=chunk_id),
                    tokenizer.decode(result.tokens),
                    words[n] if words is not None else None,
                    result,
                ),
            )
            for n, (member, prompt, result) in enumerate(zip(members, padded, decoded, strict=True))
        )

    def _generate(
        self,
        encoded: Any,
        prompts: Sequence[Prompt],
        tokenizer: Tokenizer,
        settings: DecodeSettings,
    ) -> list[Decoded]:
        outputs = self._engine.generate(
            encoded,
            [prompt_ids(prompt, tokenizer) for prompt in prompts],
            beam_size=settings.beam_size,
            repetition_penalty=settings.repetition_penalty,
            no_repeat_ngram_size=settings.no_repeat_ngram,
            max_length=MAX_LENGTH,
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        decoded = []
        for output in outputs:
            tokens = output.sequences_ids[0]
            # CTranslate2 divides the score by the length; openai/whisper counts the end too.
            average = output.scores[0] * len(tokens) / (len(tokens) + 1)
            decoded.append(Decoded.of(tokens, tokenizer.eot, average, output.no_speech_prob))
        return decoded

    def _align(
        self,
        encoded: Any,
        members: Sequence[WindowAudio],
        texts: Sequence[tuple[int, ...]],
        tokenizer: Tokenizer,
    ) -> list[list[Word]]:
        """Return the words of each window's text, timed from the window's start."""
        if not any(texts):
            return [[] for _ in texts]
        lengths = [member.window.span.length for member in members]
        frames = [-(-length * FRAMES_PER_SECOND // SAMPLE_RATE) for length in lengths]
        alignments = self._align_tokens(encoded, texts, frames, tokenizer)
        return [
            _words(text, alignment, tokenizer, length)
            for text, alignment, length in zip(texts, alignments, lengths, strict=True)
        ]

    def _align_tokens(
        self,
        encoded: Any,
        texts: Sequence[Sequence[int]],
        frames: Sequence[int],
        tokenizer: Tokenizer,
    ) -> list[Any]:
        """Align text tokens with frames; window by window on a CPU, as the encoder runs."""
        options = {"median_filter_width": 7}
        if self.device != "cpu":
            found: list[Any] = self._engine.align(
                encoded, tokenizer.sot_sequence, texts, frames, **options
            )
            return found
        return [
            self._engine.align(window, tokenizer.sot_sequence, [text], [count], **options)[0]
            for window, text, count in zip(_one_by_one(encoded), texts, frames, strict=True)
        ]


def _safe_log(probability: float) -> float:
    return math.log(max(probability, 1e-10))


def _one_by_one(encoded: Any) -> Iterator[Any]:
    """Yield the encoder's output of each window (CPU only)."""
    for window in np.array(encoded):
        yield ctranslate2.StorageView.from_array(window[None])


def prompt_ids(prompt: Prompt, tokenizer: Tokenizer) -> list[int]:
    """Return all that stands before the answer: prompt, start, language, task, no times."""
    before = [tokenizer.sot_prev, *prompt.token_ids] if prompt.token_ids else []
    return [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps]


def _words(tokens: Sequence[int], alignment: Any, tokenizer: Tokenizer, length: int) -> list[Word]:
    """Cut one window's alignment into words, timed in samples from the window's start."""
    if not tokens:
        return []
    first_time: dict[int, int] = {}  # token index → first sample
    for token_index, frame in alignment.alignments:
        first_time.setdefault(token_index, min(frame * FRAME_STEP, length))
    texts, groups = tokenizer.split_to_word_tokens(list(tokens))
    return timed_words(
        [(text, tuple(group)) for text, group in zip(texts, groups, strict=True)],
        [first_time.get(position, length) for position in range(len(tokens) + 1)],
        alignment.text_token_probs,
    )
