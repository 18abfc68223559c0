"""A `Recognizer` on top of any `Engine`: prompts, batches, words, scores, language."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from longscribe.adapters.recognizers.whisper.alignment import first_frames
from longscribe.adapters.recognizers.whisper.engine import (
    MAX_POSITIONS,
    Engine,
    memory_errors,
    samples_of,
)
from longscribe.adapters.recognizers.whisper.results import Decoded, Place, segments, timed_words
from longscribe.adapters.recognizers.whisper.search import search
from longscribe.config import DecodeSettings
from longscribe.core.bias.prompts import Batch, FittedPrompt, fit_prompt, make_batches, pad_prompt
from longscribe.core.phrases import FRAME_STEP
from longscribe.ports import Capabilities, WindowAudio
from longscribe.types import NO_PROMPT, LanguageGuess, Prompt, WindowResult, Word

if TYPE_CHECKING:
    from longscribe.ports import Pcm

ENCODINGS_KEPT = 16
"""Windows whose encoding is kept: those of a chunk of 300 s. 1500 x 1280 numbers each (4 or 8 MB)
with the largest models."""
FORCED_TOGETHER = 8
"""Texts scored in one call."""
FORCED_STEP = 32
"""Lengths of forced texts are rounded up to a multiple of this: few shapes, for the sake of GPU
libraries that keep a program for each."""


class WhisperRecognizer:
    """Fulfils `Recognizer`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokens = engine.tokens
        self._encoded: OrderedDict[bytes, Any] = OrderedDict()
        """The encoder's output for the latest windows, by their audio."""
        self.device = engine.device
        self.compute_type = engine.compute_type
        self.capabilities = Capabilities(
            prompts=True,
            word_times=True,
            scoring=True,
            batching=True,
            translate=self._tokens.multilingual,
            languages=tuple(self._tokens.languages) or ("en",),
        )

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        """Average the probabilities of the languages over all `windows`."""
        languages = self._tokens.languages
        if not languages:
            return LanguageGuess(language="en", probability=1.0)
        shares = np.zeros(len(languages))
        with memory_errors():
            for pcm in windows:
                decoding = self._engine.begin(self._encode([pcm]), [[self._tokens.start]])
                found = decoding.probabilities(0, list(languages.values()))[0].astype(np.float64)
                shares += found / found.sum() / len(windows)
        best = max(zip(shares, languages, strict=True))
        return LanguageGuess(language=best[1], probability=round(float(best[0]), 4))

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        prompts = [self._fit(window, settings) for window in windows]
        lengths = [len(prompt.token_ids) for prompt in prompts]
        batches = make_batches(
            lengths, settings.batch_size, settings.prompt_tokens, settings.prompt_group
        )
        for batch in batches:
            with memory_errors():
                results = self._decode_batch(batch, windows, prompts, (settings, chunk_id))
            yield results

    def score(
        self, window: WindowAudio, texts: Sequence[str], settings: DecodeSettings
    ) -> tuple[float, ...]:
        """Sum the log probabilities of each text's tokens, when the decoder is told to write it."""
        rows = [self._tokens.encode(text) for text in texts]
        scores: list[float] = []
        with memory_errors():
            for first in range(0, len(rows), FORCED_TOGETHER):
                batch = rows[first : first + FORCED_TOGETHER]
                [encoded] = self._encode([window.pcm])
                opening = self._tokens.opening(settings.language, settings.task)
                forced = self._engine.force(encoded, self._even(opening, batch), attention=False)
                scores += [
                    float(logprobs[len(opening) - 1 :][: len(row)].sum(dtype=np.float64))
                    for logprobs, row in zip(forced.logprobs, batch, strict=True)
                ]
        return tuple(scores)

    def _fit(self, window: WindowAudio, settings: DecodeSettings) -> FittedPrompt:
        prompt = fit_prompt(
            window.bias.terms, settings.initial_prompt, settings.prompt_tokens, self._tokens.encode
        )
        # What the decoder is really given: an introduction may have lost its beginning.
        return replace(prompt, text=self._tokens.decode(prompt.token_ids).strip())

    def _encode(self, windows: Sequence[Pcm]) -> list[Any]:
        """Run the encoder, or remember its output.

        So hearing a window again, and scoring texts for it, cost the decoder alone.
        """
        keys = [
            hashlib.blake2b(samples_of(pcm).tobytes(), digest_size=16).digest() for pcm in windows
        ]
        unknown = {
            key: pcm for key, pcm in zip(keys, windows, strict=True) if key not in self._encoded
        }
        found = dict(zip(unknown, self._engine.encode(list(unknown.values())), strict=True))
        found.update((key, self._encoded[key]) for key in keys if key in self._encoded)
        for key in keys:
            self._encoded[key] = found[key]
            self._encoded.move_to_end(key)
        while len(self._encoded) > ENCODINGS_KEPT:
            self._encoded.popitem(last=False)
        return [found[key] for key in keys]

    def _decode_batch(
        self,
        batch: Batch,
        windows: Sequence[WindowAudio],
        prompts: Sequence[FittedPrompt],
        job: tuple[DecodeSettings, int],
    ) -> tuple[WindowResult, ...]:
        settings, chunk_id = job
        members = [windows[index] for index in batch.indices]
        padded = [
            pad_prompt(prompts[index], batch.prompt_length) if batch.prompt_length else NO_PROMPT
            for index in batch.indices
        ]
        encoded = self._encode([member.pcm for member in members])
        heard = self._hear(encoded, members, padded, settings)
        results = []
        for member, prompt, one, audio in zip(members, padded, heard, encoded, strict=True):
            words = self._words(audio, member, one.tokens, settings)
            place = Place(member=member, prompt=prompt, chunk_id=chunk_id)
            results.append(
                WindowResult(
                    chunk_id=chunk_id,
                    window=member.window,
                    bias_window_id=member.bias.bias_window_id,
                    prompt=prompt,
                    segments=segments(place, self._tokens.decode(one.tokens), words, one),
                )
            )
        return tuple(results)

    def _hear(
        self,
        encoded: Sequence[Any],
        members: Sequence[WindowAudio],
        prompts: Sequence[Prompt],
        settings: DecodeSettings,
    ) -> list[Decoded]:
        opening = self._tokens.opening(settings.language, settings.task)
        rows = [[*self._before(prompt), *opening] for prompt in prompts]
        decoding = self._engine.begin(encoded, rows)
        start = len(rows[0]) - len(opening)
        silent = decoding.probabilities(start, [self._tokens.no_speech])[:, 0]
        answers = search(decoding, len(members), len(rows[0]), self._tokens, settings)
        return [
            Decoded.of(answer.tokens, self._tokens.end, answer.average_logprob, float(no_speech))
            for answer, no_speech in zip(answers, silent, strict=True)
        ]

    def _before(self, prompt: Prompt) -> list[int]:
        return [self._tokens.before, *prompt.token_ids] if prompt.token_ids else []

    # --- what the decoder is told to write ---

    def _even(self, opening: Sequence[int], rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """Bring rows to one length. What stands behind a text does not change what it scores."""
        room = MAX_POSITIONS - len(opening) - 1  # no window says nearly as much
        rows = [row[:room] for row in rows]
        longest = len(opening) + max(map(len, rows)) + 1
        length = -(-longest // FORCED_STEP) * FORCED_STEP
        return [
            [*opening, *row, *[self._tokens.end] * (length - len(opening) - len(row))]
            for row in rows
        ]

    def _words(
        self,
        encoded: Any,
        member: WindowAudio,
        text: Sequence[int],
        settings: DecodeSettings,
    ) -> list[Word] | None:
        """Return the words of a window, timed from its start; None if not asked for."""
        if not settings.word_times:
            return None
        if not text:
            return []
        opening = self._tokens.opening(settings.language, settings.task)
        forced = self._engine.force(encoded, self._even(opening, [text]), attention=True)
        assert forced.attention is not None
        length = member.window.span.length
        # The row before a token tells where it is heard; that of the last, where the text ends.
        attention = forced.attention[:, : len(opening) + len(text) + 1]
        rows = slice(len(opening) - 1, -1)
        starts = first_frames(attention, -(-length // FRAME_STEP), rows)
        return timed_words(
            self._tokens.split_words(text, settings.language),
            [min(int(frame) * FRAME_STEP, length) for frame in starts],
            np.exp(forced.logprobs[0][len(opening) - 1 :][: len(text)]).tolist(),
        )
