"""What others make of a recording: `python -m bench.long_form_parts.peers TOOL MEDIA OUT …`.

A process for each recording, which loads the model, transcribes and writes a JSON file: so that
wall time, CPU time and memory mean the same as for Longscribe's command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

BEAM = 5

Segment = dict[str, Any]
"""`text`, and `words` (begin and end of each) where the tool was asked for word times."""


def faster_whisper(given: argparse.Namespace) -> Iterator[Segment]:
    """Run faster-whisper one window after the other, or in batches."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel  # noqa: PLC0415

    model = WhisperModel(given.model, device=given.device, compute_type=given.compute_type)
    options = {"language": given.language, "beam_size": BEAM}
    ways: dict[str, Callable[[], tuple[Iterable[Any], Any]]] = {
        "sequential": lambda: model.transcribe(given.media, word_timestamps=True, **options),
        "sequential-vad": lambda: model.transcribe(
            given.media, word_timestamps=True, vad_filter=True, **options
        ),
        "batched": lambda: BatchedInferencePipeline(model).transcribe(given.media, **options),
        "batched-timestamps": lambda: BatchedInferencePipeline(model).transcribe(
            given.media, without_timestamps=False, word_timestamps=True, **options
        ),
    }
    segments, _ = ways[given.tool]()
    for segment in segments:
        words = [(float(word.start), float(word.end)) for word in segment.words or ()]
        yield {"text": segment.text, "words": words}


def openai_whisper(given: argparse.Namespace) -> Iterator[Segment]:
    import whisper  # noqa: PLC0415

    from bench._common import read_samples  # noqa: PLC0415

    model = whisper.load_model(given.model, device=given.device)
    samples = read_samples(Path(given.media)).astype("float32") / 32_768
    found = model.transcribe(samples, language=given.language, beam_size=BEAM, fp16=False)
    for segment in found["segments"]:
        yield {"text": segment["text"], "words": []}


def whisper_cpp(given: argparse.Namespace) -> Iterator[Segment]:
    from pywhispercpp.model import Model  # noqa: PLC0415

    from bench._common import read_samples  # noqa: PLC0415

    beam_search = 1
    model = Model(given.model, params_sampling_strategy=beam_search, print_progress=False)
    samples = read_samples(Path(given.media)).astype("float32") / 32_768
    search = {"beam_size": BEAM, "patience": -1.0}
    for segment in model.transcribe(samples, language=given.language, beam_search=search):
        yield {"text": f" {segment.text}", "words": []}


TOOLS: dict[str, Callable[[argparse.Namespace], Iterator[Segment]]] = {
    "sequential": faster_whisper,
    "sequential-vad": faster_whisper,
    "batched": faster_whisper,
    "batched-timestamps": faster_whisper,
    "openai": openai_whisper,
    "whisper-cpp": whisper_cpp,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("media")
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--compute-type", required=True)
    parser.add_argument("--language", required=True)
    given = parser.parse_args()
    segments = list(TOOLS[given.tool](given))
    given.out.write_text(json.dumps({"segments": segments}, ensure_ascii=False), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
