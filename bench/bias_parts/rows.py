"""Hypotheses: what a row of the table wrote for a recording, kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .metrics import HeardWord
from .recordings import Recording


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """What was written, and what it took."""

    words: tuple[HeardWord, ...]
    seconds: float
    """Of decoding; loading the model is left out."""
    cpu_seconds: float = 0.0
    """Of all threads, and of helpers that ended: hardly disturbed by what else the machine does."""
    windows: tuple[tuple[float, float], ...] = ()
    """What was decoded at a time, in seconds; of our own rows only."""
    note: str = ""


Transcriber = Callable[[Recording, Path], Hypothesis]
"""Takes a recording and the path of its glossary (a CSV)."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table."""

    label: str
    run: Transcriber
    base: str
    """Label of the row without bias that cost and harm are measured against."""
    biased: bool = True
    """False when the glossary is not looked at: then one run serves all conditions."""
    own_glossary: bool = False
    """True for the oracle, which gets the spoken terms line by line and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Which glossary."""

    times: str = "none"
    others: int = 500

    @property
    def name(self) -> str:
        return f"{self.times}-{self.others}"


def cpu_now() -> float:
    """Return the CPU seconds of this process and of the children it has waited for."""
    return sum(os.times()[:4])


class Store:
    """Hypotheses on disk, each with a digest of what it was made from."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder = folder
        self._model = model

    def path(self, row: Row, recording: Recording, condition: Condition) -> Path:
        slug = re.sub(r"[^a-z0-9]+", "-", row.label.lower()).strip("-")
        bias = condition.name if row.biased and not row.own_glossary else "any"
        return self._folder / slug / f"{recording.name}.{bias}.json"

    def forget(self, row: Row) -> None:
        """Delete what is kept of a row."""
        slug = self.path(row, _NOBODY, Condition()).parent
        for path in slug.glob("*.json"):
            path.unlink()

    def get(
        self, row: Row, recording: Recording, condition: Condition, glossary: Path
    ) -> Hypothesis:
        """Return what is kept, or run the row and keep it."""
        path = self.path(row, recording, condition)
        key = self._key(recording, glossary if row.biased else None)
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["key"] == key and "cpu_seconds" in kept:
                return _read(kept)
        print(f"{row.label}, {recording.name}, {condition.name}:", end=" ", file=sys.stderr)
        sys.stderr.flush()
        made = row.run(recording, glossary)
        print(f"{made.seconds:.1f} s, CPU {made.cpu_seconds:.1f} s", file=sys.stderr, flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(
                {
                    "key": key,
                    "seconds": made.seconds,
                    "cpu_seconds": made.cpu_seconds,
                    "note": made.note,
                    "windows": made.windows,
                    "words": [(word.text, word.start, word.end) for word in made.words],
                },
                ensure_ascii=False,
            ),
            encoding="utf-8",
        )
        return made

    def _key(self, recording: Recording, glossary: Path | None) -> str:
        digest = hashlib.sha256(recording.path.read_bytes())
        digest.update((self._model / "model.bin").read_bytes())
        if glossary is not None:
            digest.update(glossary.read_bytes())
        return digest.hexdigest()[:16]


def _read(kept: dict) -> Hypothesis:
    return Hypothesis(
        words=tuple(HeardWord(text=text, start=a, end=b) for text, a, b in kept["words"]),
        seconds=kept["seconds"],
        cpu_seconds=kept["cpu_seconds"],
        windows=tuple((a, b) for a, b in kept["windows"]),
        note=kept["note"],
    )


_NOBODY = Recording(
    name="none", folder=Path(), seed="", duration=0, blocks=(), lines=(), terms=(),
    near_others=(), random_others=(),
)  # fmt: skip
