"""Recognizers that take more memory than they should, around the real one.

`HUNGER` says how:

    leak:50           each batch leaves 50 MB that are never given back
    leak:50:once      only the first worker of the job leaks (`HUNGER_DIR` remembers)
    batch:40          a batch takes 40 MB a window, until the next one begins
    model:400         the model takes 400 MB more
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longscribe.adapters.recognizers import faster_whisper
from longscribe.config import DecodeSettings, RecognizerSettings
from longscribe.ports import Recognizer, WindowAudio
from longscribe.types import LanguageGuess, WindowResult

if TYPE_CHECKING:
    from longscribe.ports import Pcm

MEGABYTE = 10**6


def load(settings: RecognizerSettings, model_path: str) -> HungryRecognizer:
    return HungryRecognizer(faster_whisper.load(settings, model_path))


class HungryRecognizer:
    """Fulfils `Recognizer`."""

    def __init__(self, real: Recognizer) -> None:
        self._real = real
        self.capabilities = real.capabilities
        self.device = real.device
        self.compute_type = real.compute_type
        kind, amount, *when = os.environ["HUNGER"].split(":")
        size = int(amount) * MEGABYTE
        self._leak = size if kind == "leak" and _strikes(when) else 0
        self._share = size if kind == "batch" else 0
        self._held = [_filled(size)] if kind == "model" else []

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        return self._real.detect_language(windows)

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        for batch in self._real.decode(windows, settings, chunk_id):
            if self._leak:
                self._held.append(_filled(self._leak))
            work = _filled(self._share * len(batch))
            yield batch
            del work

    def score(
        self, window: WindowAudio, texts: Sequence[str], settings: DecodeSettings
    ) -> tuple[float, ...]:
        return self._real.score(window, texts, settings)


def _filled(size: int) -> bytearray:
    """Return memory that is really there, not only promised."""
    return bytearray(b"x") * size


def _strikes(when: Sequence[str]) -> bool:
    if "once" not in when:
        return True
    try:
        (Path(os.environ["HUNGER_DIR"]) / "struck").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
