"""Longscribe's own decoding without its supervisor: the same plan, worker code and stitching.

For benchmarks that time decoding alone or switch stages of verify mode off, which no option does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench._common import read_samples
from longscribe import wiring
from longscribe.adapters.recognizers import faster_whisper
from longscribe.adapters.vad.silero import SileroDetector
from longscribe.api import load_glossary
from longscribe.config import Options
from longscribe.core.bias.ranking import BiasPlan, of_language
from longscribe.core.planning import ChunkPlanner
from longscribe.core.stitching import stitch
from longscribe.ports import DecodeTask, Recognizer
from longscribe.types import Attempt, Chunk, WindowResult
from longscribe.worker.decoding import ChunkDecoder
from longscribe.worker.levels import LevelMeter
from longscribe.worker.messages import ChunkDecoded


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What a run gave, and the seconds that decoding took (planning and loading left out)."""

    windows: tuple[WindowResult, ...]
    seconds: float

    @property
    def text(self) -> str:
        return "".join(s.text for window in self.windows for s in window.segments)


def load(options: Options) -> Recognizer:
    """Return the recognizer with its model."""
    return faster_whisper.load(options.recognizer_settings, options.model)


class PlannedRecording:
    """A recording read and cut once, to be decoded many times."""

    def __init__(self, media: Path, folder: Path, options: Options) -> None:
        samples = read_samples(media)
        self._spool = folder / f"{media.stem}.s16"
        samples.astype("<i2").tofile(self._spool)
        detector = SileroDetector()
        meter = LevelMeter(detector.frame)
        planner = ChunkPlanner(
            frame=detector.frame,
            speech=options.speech_settings,
            settings=options.plan_settings,
            whole=False,
        )
        heard = [*detector.probabilities(samples), *detector.flush()]
        levels = [*meter.feed(samples), *meter.flush()]
        self.chunks: list[Chunk] = [*planner.feed(heard, levels), *planner.finish(len(samples))]

    def decode(self, recognizer: Recognizer, options: Options, **stages: bool) -> Decoded:
        """Decode with these options; `stages` switches parts of verify mode off."""
        glossary = load_glossary(options.glossary)
        bias = replace(options.bias_settings, **stages)
        decoder = ChunkDecoder(recognizer, glossary, wiring.LANGUAGE_TOOLS, self._spool)
        plan = BiasPlan(glossary=of_language(glossary, "en"), settings=bias)
        begun = time.perf_counter()
        results = list(self._results(decoder, plan, options))
        seconds = time.perf_counter() - begun
        return Decoded(windows=tuple(stitch(results)), seconds=seconds)

    def _results(
        self, decoder: ChunkDecoder, plan: BiasPlan, options: Options
    ) -> Iterator[WindowResult]:
        for chunk in self.chunks:
            if not chunk.windows:
                continue
            task = DecodeTask(
                chunk=chunk,
                biases=plan.for_chunk(chunk),
                settings=options.decode_settings,
                bias=plan.settings,
                glossary="",
                recognizer=options.recognizer_settings,
                attempt=Attempt(chunk_id=chunk.chunk_id, label="0", number=1, rung="as asked"),
            )
            for message in decoder.decode(task):
                if isinstance(message, ChunkDecoded):
                    yield from message.result.windows
