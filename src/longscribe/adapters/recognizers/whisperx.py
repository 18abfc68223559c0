"""The `whisperx` recognizer: WhisperX's pipeline, and its alignment by a wav2vec 2.0 model.

Our windows go through WhisperX's own `FasterWhisperPipeline`, in the place of what its
VAD would cut; each text then goes through its `align`. The pipeline takes one prompt for
all windows of a call, so windows with the same prompt share a call. It writes text
without times: where there is no alignment model, words are timed by the attention of
the same Whisper model (`faster_whisper.py`), which also tells languages and scores texts.

Sources: whisperx 3.8, `asr.py` and `alignment.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from longscribe.adapters.recognizers import faster_whisper
from longscribe.adapters.recognizers.faster_whisper import (
    FasterWhisperRecognizer,
    place_of,
    with_format,
)
from longscribe.adapters.recognizers.whisperx_models import AUTO, NONE
from longscribe.config import DecodeSettings, RecognizerSettings
from longscribe.core.aligned_words import NOT_ALIGNED, AlignedWord, words_in
from longscribe.core.bias.prompts import fit_prompt
from longscribe.core.phrases import compression_ratio
from longscribe.errors import ModelError, RecognizerError
from longscribe.ports import Capabilities, WindowAudio
from longscribe.types import (
    NO_PROMPT,
    SAMPLE_RATE,
    LanguageGuess,
    Prompt,
    Segment,
    WindowResult,
    Word,
)

try:
    import torch
    import whisperx
    import whisperx.alignment
    import whisperx.asr
    from faster_whisper.tokenizer import Tokenizer
    from nltk.tokenize.punkt import PunktSentenceTokenizer
except ImportError as missing:
    raise RecognizerError(
        f"The recognizer 'whisperx' needs {missing.name}, which is not installed.",
        "Run: longscribe install whisperx.",
    ) from missing

if TYPE_CHECKING:
    import numpy.typing as npt

    from longscribe.ports import Pcm

NO_VAD = object()
"""Stands where the pipeline wants a detector: it is never asked."""


def device_kinds() -> tuple[str, ...]:
    """Return the kinds of device that it can use as it is installed, the best first."""
    return faster_whisper.device_kinds()


def load(settings: RecognizerSettings, model_path: str) -> WhisperXRecognizer:
    """Load a CTranslate2 Whisper model into WhisperX's pipeline.

    Raises:
        RecognizerError: the device or the compute type can't be had here.
        ModelError: the files are not a model that CTranslate2 can read.
    """
    settings = with_format(settings)
    device, index = place_of(settings)
    if settings.cpu_threads:
        torch.set_num_threads(settings.cpu_threads)  # for the alignment model
    try:
        pipeline = whisperx.load_model(
            model_path,
            device=device,
            device_index=index,
            compute_type=settings.compute_type,
            vad_model=NO_VAD,
            local_files_only=True,
            threads=settings.cpu_threads,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"The model in {model_path} can't be loaded: {str(error).strip()}.",
            "Expected a Whisper model converted for CTranslate2; fetch or convert it again.",
        ) from error
    place = f"{device}:{index}" if device == "cuda" else device
    return WhisperXRecognizer(pipeline, Aligners(settings.align_model, place))


class WhisperXRecognizer:
    """Fulfils `Recognizer` with WhisperX."""

    def __init__(self, pipeline: Any, aligners: Aligners) -> None:
        self._pipeline = pipeline
        self._aligners = aligners
        # The pipeline's model is one of faster-whisper's, with a method more.
        self._whisper = FasterWhisperRecognizer(pipeline.model)
        self.device = self._whisper.device
        self.compute_type = self._whisper.compute_type
        self.capabilities: Capabilities = self._whisper.capabilities

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        """As faster-whisper: WhisperX itself looks at the first 30 s only."""
        return self._whisper.detect_language(windows)

    def score(
        self, window: WindowAudio, texts: Sequence[str], settings: DecodeSettings
    ) -> tuple[float, ...]:
        """As faster-whisper, with the same model."""
        return self._whisper.score(window, texts, settings)

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        tokenizer = Tokenizer(
            self._pipeline.model.hf_tokenizer,
            self._pipeline.model.model.is_multilingual,
            task=str(settings.task),
            language=settings.language or "en",
        )
        prompts = [whole_prompt(window.bias.terms, settings, tokenizer) for window in windows]
        for batch in batches_of(prompts, settings.batch_size):
            members = [windows[index] for index in batch]
            heard = self._hear(members, prompts[batch[0]], settings, tokenizer)
            yield tuple(
                self._result(member, prompts[index], text, (settings, chunk_id))
                for index, member, text in zip(batch, members, heard, strict=True)
            )

    def _hear(
        self,
        members: Sequence[WindowAudio],
        prompt: Prompt,
        settings: DecodeSettings,
        tokenizer: Tokenizer,
    ) -> list[_Heard]:
        """Put one batch through the pipeline."""
        self._pipeline.tokenizer = tokenizer
        self._pipeline.options = replace(
            self._pipeline.options,
            beam_size=settings.beam_size,
            repetition_penalty=settings.repetition_penalty,
            no_repeat_ngram_size=settings.no_repeat_ngram,
            initial_prompt=prompt.text or None,
        )
        audio = ({"inputs": as_floats(member.pcm)} for member in members)
        outputs = self._pipeline(audio, batch_size=len(members), num_workers=0)
        return [_heard(output) for output in outputs]

    def _result(
        self,
        member: WindowAudio,
        prompt: Prompt,
        heard: _Heard,
        job: tuple[DecodeSettings, int],
    ) -> WindowResult:
        settings, chunk_id = job
        sentences: Sequence[Sequence[Word]] = ()
        remarks: tuple[str, ...] = ()
        if settings.word_times and heard.text:
            sentences, remarks = self._timed(member, heard.text, settings)
        window = member.window
        whole = Segment(
            start=window.span.start,
            end=window.span.end,
            text=heard.text,
            words=(),
            chunk_id=chunk_id,
            window=window.index,
            bias_window_id=member.bias.bias_window_id,
            bias_terms=prompt.terms,
            average_logprob=heard.average_logprob,
            no_speech_probability=0.0,  # the pipeline does not tell
            compression_ratio=compression_ratio(heard.text),
        )
        segments = [_sentence(whole, words) for words in sentences]
        return WindowResult(
            chunk_id=chunk_id,
            window=window,
            bias_window_id=member.bias.bias_window_id,
            prompt=prompt,
            segments=tuple(segments) if segments else (whole,) if heard.text else (),
            remarks=remarks,
        )

    def _timed(
        self, member: WindowAudio, text: str, settings: DecodeSettings
    ) -> tuple[Sequence[Sequence[Word]], tuple[str, ...]]:
        """Return the words by sentence, timed from the window's start; a remark if not aligned."""
        aligner = self._aligners.of(settings.language or "en")
        if isinstance(aligner, Aligner):
            sentences = aligner.align(text, member.pcm)
            if sentences:
                return sentences, ()
            why = "the text could not be aligned"
        else:
            why = aligner
        words = self._whisper.time_words(member, text, settings)
        remarks = (f"{NOT_ALIGNED}: {why}",) if why else ()
        return ([words] if words else []), remarks


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """One window as the pipeline heard it."""

    text: str
    """With its leading space; empty if there is nothing but space."""
    average_logprob: float


def _heard(output: Any) -> _Heard:
    """Return one output of the pipeline, which leaves a batch of one in lists."""
    text, average = output["text"], output["avg_logprob"]
    if isinstance(text, list):
        text, average = text[0], average[0]
    return _Heard(text=text.rstrip(), average_logprob=round(float(average), 4))


def as_floats(pcm: Pcm) -> npt.NDArray[np.float32]:
    """Return samples as WhisperX takes them: (n,), from -1 to 1."""
    floats: npt.NDArray[np.float32] = pcm.astype(np.float32) / np.float32(32768)
    return floats


def whole_prompt(terms: Sequence[str], settings: DecodeSettings, tokenizer: Tokenizer) -> Prompt:
    """Return the prompt of one window with the tokens that WhisperX will make of its text.

    It takes text and tokenizes it again (`generate_segment_batched`), and what is cut
    from an introduction may come back as more tokens: then less of it is offered.
    """
    for budget in range(settings.prompt_tokens, -1, -1):
        fitted = fit_prompt(terms, settings.initial_prompt, budget, tokenizer.encode)
        text = tokenizer.decode(fitted.token_ids).strip()
        if not text:
            break
        token_ids = tuple(tokenizer.encode(" " + text))
        if len(token_ids) <= settings.prompt_tokens:
            return Prompt(terms=fitted.terms, text=text, token_ids=token_ids)
    return NO_PROMPT


def batches_of(prompts: Sequence[Prompt], batch_size: int) -> list[list[int]]:
    """Group windows with the same prompt into batches, early windows first."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(prompt.token_ids, []).append(index)
    return sorted(
        group[first : first + batch_size]
        for group in groups.values()
        for first in range(0, len(group), batch_size)
    )


def _sentence(whole: Segment, words: Sequence[Word]) -> Segment:
    """Return the part of a window that holds `words`, on the recording's clock."""
    placed = tuple(
        replace(word, start=whole.start + word.start, end=whole.start + word.end) for word in words
    )
    text = "".join(word.text for word in words)
    return replace(
        whole,
        start=placed[0].start,
        end=placed[-1].end,
        text=text,
        words=placed,
        compression_ratio=compression_ratio(text),
    )


# --- alignment ---------------------------------------------------------------


class Aligners:
    """The alignment models of one worker, a language each, loaded when first asked for."""

    def __init__(self, name: str, place: str) -> None:
        self._name = name
        self._place = place
        self._loaded: dict[str, Aligner | str] = {}

    def of(self, language: str) -> Aligner | str:
        """Return the aligner for a language, or why there is none; empty if none is wanted.

        Raises:
            ModelError: the model that was named can't be loaded.
        """
        if language not in self._loaded:
            self._loaded[language] = "" if self._name == NONE else self._load(language)
        return self._loaded[language]

    def _load(self, language: str) -> Aligner | str:
        named = None if self._name == AUTO else self._name
        try:
            model, about = whisperx.load_align_model(language, self._place, model_name=named)
        except Exception as error:
            # WhisperX turns the hub's errors into ValueError and lets those of downloads through.
            lines = str(error).strip().splitlines() or [type(error).__name__]
            told = lines[0].strip().rstrip(".")[:200]
            if named is None:
                # Without the reason: it gets into the results, which are equal in equal runs.
                return f"no alignment model for {language!r} can be had"
            raise ModelError(
                f"The alignment model {named!r} can't be loaded: {told}.",
                "Give --align-model a folder of a wav2vec 2.0 model, or none.",
            ) from error
        return Aligner(model, about, self._place)


class Aligner:
    """WhisperX's alignment with one model.

    Args:
        model: gives each frame the likelihood of each letter.
        about: what WhisperX says of it: language, letters, kind.
        place: where it runs, as torch calls it.
    """

    def __init__(self, model: Any, about: Any, place: str) -> None:
        self._model = model
        self._about = about
        self._place = place

    def align(self, text: str, pcm: Pcm) -> list[list[Word]]:
        """Return the words of `text` by sentence, timed from the start of `pcm`.

        Empty if WhisperX can't align it, or returns other words than it was given.
        """
        segment = {"start": 0.0, "end": len(pcm) / SAMPLE_RATE, "text": text}
        found = whisperx.align([segment], self._model, self._about, as_floats(pcm), self._place)
        times = [[_times(word) for word in one["words"]] for one in found["segments"]]
        return words_in(text, times, len(pcm))


def _times(word: Any) -> AlignedWord:
    start, end, score = (float(word.get(key, math.nan)) for key in ("start", "end", "score"))
    return AlignedWord(text=word["word"], start=start, end=end, score=score)


def _split_sentences(_: str) -> PunktSentenceTokenizer:
    """Return what splits sentences, in the place of nltk's trained models.

    Those are fetched when first used, in the middle of a decode, and where a sentence
    ends must not depend on whether that went well. Times of words don't depend on it.
    """
    return PunktSentenceTokenizer()


whisperx.alignment.nltk_load = _split_sentences
