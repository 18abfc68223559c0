"""Where there is speech in a recording, said by code that is not ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from bench._common import SAMPLE_RATE, read_samples
from bench.long_form_parts.recordings import Recording
from bench.long_form_parts.stretches import Span

PAUSE_MS = 300
"""Milliseconds of silence that end a stretch of speech."""


class SpeechSpans:
    """Stretches of speech by Silero as faster-whisper runs it, kept on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, recording: Recording) -> Sequence[Span]:
        """Return begin and end of each stretch."""
        key = hashlib.sha256(recording.media.read_bytes()).hexdigest()[:16]
        path = self._folder / f"{recording.name}-{key}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(_detected(recording.media)), encoding="utf-8")
        return [(start, end) for start, end in json.loads(path.read_text(encoding="utf-8"))]


def _detected(media: Path) -> list[Span]:
    from faster_whisper.vad import VadOptions, get_speech_timestamps  # noqa: PLC0415

    samples = read_samples(media).astype("float32") / 32_768
    options = VadOptions(min_silence_duration_ms=PAUSE_MS, speech_pad_ms=0)
    return [
        (each["start"] / SAMPLE_RATE, each["end"] / SAMPLE_RATE)
        for each in get_speech_timestamps(samples, options)
    ]
