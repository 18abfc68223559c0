"""Speech spans from frame probabilities: hysteresis, as Silero VAD's own utilities do it."""

from __future__ import annotations

from collections.abc import Sequence

from longscribe.config import SpeechSettings
from longscribe.types import Span


def speech_spans(
    probabilities: Sequence[float], frame: int, settings: SpeechSettings, *, in_speech: bool
) -> list[Span]:
    """Return the stretches of speech, in samples from the first frame, unpadded.

    Speech begins with a frame at or over `threshold`. It ends before the first
    frame under `end_threshold` that opens a pause of at least `min_silence`;
    a frame between the two thresholds prolongs whatever was going on. `in_speech`
    says what was going on before the first frame.
    """
    spans: list[Span] = []
    start: int | None = 0 if in_speech else None
    pause: int | None = None  # first frame of the pause we may be in
    for index, probability in enumerate(probabilities):
        if probability >= settings.threshold:
            start = index if start is None else start
            pause = None
        elif start is not None and probability < settings.end_threshold:
            pause = index if pause is None else pause
        if start is not None and pause is not None:
            silent_for = (index + 1 - pause) * frame
            if silent_for >= settings.min_silence:
                spans.append(Span(start=start * frame, end=pause * frame))
                start = pause = None
    if start is not None:
        last = len(probabilities) if pause is None else pause
        spans.append(Span(start=start * frame, end=last * frame))
    return [span for span in spans if span.length >= settings.min_speech]
