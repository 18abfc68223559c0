"""Our rows: Longscribe's decoding with the bias options of a row."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

from longscribe import Options
from longscribe.ports import Recognizer
from longscribe.types import SAMPLE_RATE

from .in_process import PlannedRecording, load
from .metrics import HeardWord
from .recordings import Recording
from .rows import Hypothesis, Transcriber, cpu_now

BEAM, BATCH = 5, 8


def options_for(model: Path, glossary: Path | None, **options: Any) -> Options:
    """Return the options that all our rows share, and those of one."""
    return Options.build(
        model=str(model),
        language="en",
        device="cpu",
        beam_size=BEAM,
        batch_size=BATCH,
        glossary=None if options.get("bias") == "off" else glossary,
        **options,
    )


def longscribe_row(model: Path, *, without: str = "", **options: Any) -> Transcriber:
    """Return a row's function; `options` are those of `Options.build`, such as `bias="verify"`.

    `without` is a stage of `BiasSettings` that is left out. The clock runs while windows are
    decoded: reading, finding speech and loading the model are the same for each row and are left
    out, so that they can't make a dear row look cheap.
    """
    stages = {without: False} if without else {}

    def run(recording: Recording, glossary: Path) -> Hypothesis:
        built = options_for(model, glossary, **options)
        planned, recognizer = _planned(model, recording.media), _recognizer(model)
        begun = cpu_now()
        decoded = planned.decode(recognizer, built, **stages)
        cpu_seconds = cpu_now() - begun
        return Hypothesis(
            words=tuple(
                HeardWord(text=w.text, start=w.start / SAMPLE_RATE, end=w.end / SAMPLE_RATE)
                for window in decoded.windows
                for segment in window.segments
                for w in segment.words
            ),
            seconds=decoded.seconds,
            cpu_seconds=cpu_seconds,
            windows=tuple(
                (each.window.owns.start / SAMPLE_RATE, each.window.owns.end / SAMPLE_RATE)
                for each in decoded.windows
            ),
        )

    return run


@functools.cache
def _recognizer(model: Path) -> Recognizer:
    return load(options_for(model, None, bias="off"))


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="longscribe-bias-")


@functools.cache
def _planned(model: Path, media: Path) -> PlannedRecording:
    folder = Path(_scratch().name)
    return PlannedRecording(media, folder, options_for(model, None, bias="off"))
