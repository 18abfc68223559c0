"""The real recognizer, which takes the CPU for a GPU where the device is left to it.

With `GPU_FAULT` set, every decode on that GPU fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from longscribe.adapters.recognizers import faster_whisper
from longscribe.config import DecodeSettings, RecognizerSettings
from longscribe.ports import Recognizer, WindowAudio
from longscribe.types import LanguageGuess, WindowResult

if TYPE_CHECKING:
    from longscribe.ports import Pcm


def load(settings: RecognizerSettings, model_path: str) -> OnGpu:
    return OnGpu(faster_whisper.load(settings, model_path), settings.device)


class OnGpu:
    """Fulfils `Recognizer`."""

    def __init__(self, real: Recognizer, device: str) -> None:
        self._real = real
        self.capabilities = real.capabilities
        self.device = "cuda" if device == "auto" else real.device
        self.compute_type = real.compute_type

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        return self._real.detect_language(windows)

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        if self.device == "cuda" and "GPU_FAULT" in os.environ:
            raise RuntimeError("no GPU is really here")
        yield from self._real.decode(windows, settings, chunk_id)

    def score(
        self, window: WindowAudio, texts: Sequence[str], settings: DecodeSettings
    ) -> tuple[float, ...]:
        return self._real.score(window, texts, settings)
