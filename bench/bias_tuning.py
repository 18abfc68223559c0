"""Fit the rule that accepts proposals, on the tuning set of bench/bias.py.

    python bench/bias.py --make tuning --out DIR1
    python bench/bias.py --make tuning --seed "tuning 2" --out DIR2
    python bench/bias.py --make tuning --seed "tuning 3" --recordings 6 --out DIR3
    (likewise 4, 5 and 6)
    python bench/bias_tuning.py DIR1 DIR2 DIR3 DIR4 DIR5 DIR6

Decodes every recording with several glossaries in verify mode, accepting nothing, and labels each
proposal: right if putting the term there lowers the word errors of its line. Then it fits the
coefficients of `core/bias/rule.py` (logistic regression, with and without acoustics) and prints
them with what each threshold would give, where each recording is judged by coefficients fitted to
the others. The numbers are copied into the rule by hand; the test set is generated and scored only
after that.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `bench` is not installed

from bench.bias_parts.glossaries import glossary_for, write_csv  # noqa: E402
from bench.bias_parts.in_process import PlannedRecording, load  # noqa: E402
from bench.bias_parts.recordings import PLAIN, Line, Recording, load_all  # noqa: E402
from demo.score import words_of  # noqa: E402
from longscribe.adapters.recognizers import faster_whisper  # noqa: E402
from longscribe.config import DecodeSettings, Options  # noqa: E402
from longscribe.core.bias import rule  # noqa: E402
from longscribe.ports import Recognizer, WindowAudio  # noqa: E402
from longscribe.types import SAMPLE_RATE, Proposal, Span, WindowResult, Word  # noqa: E402
from longscribe.worker import verifying  # noqa: E402

CONDITIONS = ((0, "none"), (500, "none"), (500, "oracle"))
BY_HAND = ("covered", "alias")
"""Weights of what the tuning sets hold too little of."""
FEATURES = tuple(f.name for f in fields(rule.Weights) if f.name not in BY_HAND)
LIKE_SIZES = {"sound": 10.0, "margin": 10.0, "acoustic": 0.1}
SCALE = np.array([LIKE_SIZES.get(name, 1.0) for name in FEATURES])
"""Brings the features to like sizes, so that the ridge weighs on all of them alike."""
FARTHEST = (0.06, 0.09, 0.12, 1.0)
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99)
EDGE = 0.3
"""Seconds around a line whose words are taken for its own."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A proposal and whether it was right."""

    recording: str
    condition: str
    stratum: str
    proposal: Proposal
    right: bool
    worse: bool


class Remembering:
    """A recognizer that hears each window without a prompt once, whatever the glossary."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._heard: dict[Span, WindowResult] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recognizer, name)

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        """Decode, or remember what is the same for every glossary."""
        if any(window.bias.terms for window in windows) or settings.repetition_penalty != 1:
            yield from self._recognizer.decode(windows, settings, chunk_id)
            return
        new = [window for window in windows if window.window.span not in self._heard]
        for batch in self._recognizer.decode(new, settings, chunk_id):
            self._heard.update((result.window.span, result) for result in batch)
        yield tuple(self._heard[window.window.span] for window in windows)


def gather(recording: Recording, scratch: Path, model: str) -> list[Example]:
    """Return what is proposed in one recording."""
    name = f"{recording.folder.name}/{recording.name}"
    options = Options.build(model=model, language="en", device="cpu", cpu_threads=2)
    planned = PlannedRecording(recording.media, scratch, options)
    recognizer = Remembering(load(options))
    examples = []
    for others, times in CONDITIONS:
        glossary = scratch / f"{others}-{times}.csv"
        rng = random.Random(f"{recording.name} {others} {times}")
        write_csv(glossary_for(recording, others, times, rng), glossary)
        chosen = options.model_copy(update={"glossary": glossary})
        decoded = planned.decode(recognizer, chosen)
        words = [w for each in decoded.windows for s in each.segments for w in s.words]
        proposals = [p for each in decoded.windows for p in each.proposals]
        for proposal in proposals:
            line = line_at(recording, proposal)
            before, after = errors(line, words, proposal)
            examples.append(
                Example(
                    recording=name,
                    condition=f"{others} {times}",
                    stratum=line.stratum,
                    proposal=proposal,
                    right=after < before,
                    worse=after > before,
                )
            )
        print(
            name,
            others,
            times,
            f"{decoded.seconds:.0f} s",
            len(proposals),
            file=sys.stderr,
        )
    return examples


def line_at(recording: Recording, proposal: Proposal) -> Line:
    """Return the line in whose time a proposal lies, or the nearest."""
    middle = (proposal.start + proposal.end) / 2 / SAMPLE_RATE
    return min(recording.lines, key=lambda each: max(each.start - middle, middle - each.end, 0))


def errors(line: Line, words: list[Word], proposal: Proposal) -> tuple[int, int]:
    """Return the word errors of a line as heard and with the proposal."""
    start, end = (line.start - EDGE) * SAMPLE_RATE, (line.end + EDGE) * SAMPLE_RATE
    own = [w for w in words if start <= (w.start + w.end) / 2 < end]
    heard = "".join(word.text for word in own)
    put = False
    changed = ""
    for word in own:
        if proposal.start <= (word.start + word.end) / 2 < proposal.end:
            changed += "" if put else f" {proposal.written}"
            put = True
        else:
            changed += word.text
    reference = words_of(line.text)
    return (
        Levenshtein.distance(reference, words_of(heard)),
        Levenshtein.distance(reference, words_of(changed)),
    )


def features(example: Example, *, acoustics: bool) -> list[float]:
    """Return an example as the rule sees it."""
    values = asdict(rule.values(example.proposal.evidence))
    return [values[name] if acoustics or name != "acoustic" else 0.0 for name in FEATURES]


def fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Logistic regression by Newton's method, with a small ridge."""
    scaled = x * SCALE
    weights = np.zeros(x.shape[1])
    ridge = np.full(x.shape[1], 0.3)
    ridge[0] = 0.0
    for _ in range(60):
        p = 1 / (1 + np.exp(-scaled @ weights))
        slope = scaled.T @ (y - p) - ridge * weights
        curve = (scaled * (p * (1 - p))[:, None]).T @ scaled + np.diag(ridge + 1e-9)
        weights += np.linalg.solve(curve, slope)
    return weights * SCALE


def judged_by_others(examples: list[Example], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return each example's probability by coefficients fitted to the other recordings."""
    recordings = np.array([each.recording for each in examples])
    p = np.zeros(len(y))
    for name in dict.fromkeys(recordings):
        own = recordings == name
        p[own] = 1 / (1 + np.exp(-x[own] @ fit(x[~own], y[~own])))
    return p


def without_overlap(examples: list[Example], p: np.ndarray) -> list[int]:
    """Return the likeliest of those that claim the same words, as the worker takes them."""
    taken: dict[tuple[str, str], list[Proposal]] = {}
    kept = []
    for i in np.argsort(-p):
        one = examples[i].proposal
        others = taken.setdefault((examples[i].recording, examples[i].condition), [])
        if all(one.end <= each.start or each.end <= one.start for each in others):
            others.append(one)
            kept.append(int(i))
    return kept


def show(examples: list[Example], *, acoustics: bool) -> None:
    """Fit and print the coefficients, and what thresholds give."""
    x = np.array([features(e, acoustics=acoustics) for e in examples])
    y = np.array([e.right for e in examples], float)
    weights = fit(x, y)
    print("\nwith acoustics" if acoustics else "\nwithout acoustics")
    print("  " + ", ".join(f"{n}={w:.3g}" for n, w in zip(FEATURES, weights, strict=True)))
    p = judged_by_others(examples, x, y)
    for condition in dict.fromkeys(each.condition for each in examples):
        kept = [i for i in without_overlap(examples, p) if examples[i].condition == condition]
        print(f"  {condition}: threshold, farthest, accepted, right, worse, plain")
        for farthest, threshold in itertools.product(FARTHEST, THRESHOLDS):
            taken = [
                i
                for i in kept
                if p[i] >= threshold and examples[i].proposal.evidence.sound <= farthest
            ]
            worse = sum(examples[i].worse for i in taken)
            plain = sum(examples[i].stratum == PLAIN and not y[i] for i in taken)
            print(
                f"    {threshold:.3f} {farthest:5.2f}"
                f" {len(taken):5d} {y[taken].sum():5.0f} {worse:4d} {plain:4d}"
            )


def main() -> None:
    """Gather, fit, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--model", default=str(ROOT / "demo" / "model"))
    parser.add_argument("--recordings", type=int, help="of each folder")
    parser.add_argument("--save", type=Path, help="where the examples go, as JSON lines")
    given = parser.parse_args()
    # Everything is heard again and scored, and nothing is written.
    for name in ("SHORT_LIST", "LONG_LIST"):
        setattr(rule, name, replace(getattr(rule, name), risky=-1.0, others=-1.0))
    vars(verifying)["patched"] = lambda result, *_: result
    faster_whisper.ENCODINGS_KEPT = 100  # a whole recording: the glossaries share its encodings
    examples: list[Example] = []
    with tempfile.TemporaryDirectory() as scratch:
        recordings = [r for folder in given.folders for r in load_all(folder)[: given.recordings]]
        for recording in recordings:
            examples += gather(recording, Path(scratch), given.model)
            if given.save:
                given.save.write_text("\n".join(json.dumps(asdict(e)) for e in examples))
    print(f"{len(examples)} proposals, {sum(e.right for e in examples)} right")
    show(examples, acoustics=True)
    show(examples, acoustics=False)


if __name__ == "__main__":
    main()
