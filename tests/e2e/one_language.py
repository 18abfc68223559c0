"""A recognizer that knows one language, as the English-only models do, and writes marks apart."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from longscribe.adapters.recognizers import faster_whisper
from longscribe.config import DecodeSettings, RecognizerSettings
from longscribe.ports import WindowAudio
from longscribe.types import LanguageGuess, WindowResult

if TYPE_CHECKING:
    from longscribe.ports import Pcm


def load(settings: RecognizerSettings, model_path: str) -> EnglishOnly:
    return EnglishOnly(settings, model_path)


class EnglishOnly:
    """Fulfils `Recognizer`: the demo's model, with *a* written as *a* and a mark."""

    def __init__(self, settings: RecognizerSettings, model_path: str) -> None:
        self._real = faster_whisper.load(settings, model_path)
        self.capabilities = replace(self._real.capabilities, languages=("en",))
        self.device = self._real.device
        self.compute_type = self._real.compute_type

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        return LanguageGuess(language="en", probability=1.0)

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        settings = replace(settings, language="en")
        for batch in self._real.decode(windows, settings, chunk_id):
            yield tuple(map(_marked, batch))

    def score(
        self, window: WindowAudio, texts: Sequence[str], settings: DecodeSettings
    ) -> tuple[float, ...]:
        return self._real.score(window, texts, settings)


def _marked(result: WindowResult) -> WindowResult:
    def marks(text: str) -> str:
        return unicodedata.normalize("NFD", text.replace("a", "\u00e4"))

    return replace(
        result,
        segments=tuple(
            replace(
                segment,
                text=marks(segment.text),
                words=tuple(replace(word, text=marks(word.text)) for word in segment.words),
            )
            for segment in result.segments
        ),
    )
