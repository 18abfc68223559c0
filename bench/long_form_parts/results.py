"""What a row made of a recording: run once, kept in the work folder, scored when it is shown."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench._common import Run, run_sampled
from bench.long_form_parts.recordings import Recording
from bench.long_form_parts.rows import Call, Given, Row, call, digest
from bench.long_form_parts.stretches import Span

GAPS_STATUS = 3
"""Longscribe's exit status when something could not be transcribed and is declared."""
INTERVAL = 0.2
"""Seconds between two readings of the memory."""

Runner = Callable[[Call, Path], Run]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a row wrote for a recording, and what that took."""

    digest: str
    text: str
    words: tuple[Span, ...]
    """Times of the words; empty where the tool gives none."""
    seconds: float
    cpu_seconds: float
    peak: int
    """Most memory of the process tree, in bytes."""
    coverage: tuple[tuple[str, float, float], ...] = ()
    """Kind, begin and end of each entry of Longscribe's ledger."""

    def listed(self, *kinds: str) -> list[Span]:
        """Return the stretches of these kinds in the ledger."""
        return [(start, end) for kind, start, end in self.coverage if kind in kinds]


class RowFailedError(Exception):
    """A tool ended with an error: its status and the last thing that it said."""


def run_with_memory(wanted: Call, log: Path) -> Run:
    """Run a command while the memory of its process tree is read."""
    return run_sampled(wanted.command, log=log, interval=INTERVAL, env=wanted.env)


class Results:
    """Results on disk, made when they are first asked for."""

    def __init__(self, folder: Path, given: Given, runner: Runner = run_with_memory) -> None:
        self._folder = folder
        self._given = given
        self._run = runner

    def path(self, row: Row, recording: Recording) -> Path:
        """Return where a result is kept."""
        return self._folder / row.key / f"{recording.name}.json"

    def forget(self, row: Row) -> None:
        """Delete what is kept of a row."""
        shutil.rmtree(self._folder / row.key, ignore_errors=True)

    def get(self, row: Row, recording: Recording) -> Result:
        """Return what is kept and still stands, or run the row.

        Raises:
            RowFailedError: the tool failed; nothing is kept, so that it is tried again.
        """
        path = self.path(row, recording)
        key = digest(row, recording, self._given)
        if path.exists():
            kept = _kept(json.loads(path.read_text(encoding="utf-8")))
            if kept.digest == key:
                return kept
        print(f"{row.key}, {recording.name}:", end=" ", file=sys.stderr, flush=True)
        try:
            made = self._made(row, recording, key)
        except RowFailedError as error:
            print(f"failed: {error}", file=sys.stderr, flush=True)
            raise
        print(f"{made.seconds:.1f} s, CPU {made.cpu_seconds:.1f} s", file=sys.stderr, flush=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(made), ensure_ascii=False), encoding="utf-8")
        unfinished.rename(path)
        return made

    def _made(self, row: Row, recording: Recording, key: str) -> Result:
        scratch = self._folder / row.key / f"{recording.name}.run"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        wanted = call(row, recording, self._given, scratch)
        log = scratch / "log.txt"
        run = self._run(wanted, log)
        if run.status not in {0, GAPS_STATUS if row.ours else 0}:
            raise RowFailedError(f"status {run.status}: {_last_words(log)} (see {log})")
        document = json.loads(wanted.out.read_text(encoding="utf-8"))
        shutil.rmtree(scratch)
        return read_document(document, key, run)


def _last_words(log: Path) -> str:
    """Return the last line of a log in which something is said: not the frame of a message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line.strip("│ ") for line in lines if any(letter.isalpha() for letter in line)]
    return told[-1] if told else "it said nothing"


def read_document(document: dict[str, Any], key: str, run: Run) -> Result:
    """Return a result out of Longscribe's JSON, or that of a peer's process."""
    segments = document["segments"]
    words = [word for segment in segments for word in segment["words"]]
    coverage = document.get("coverage", {}).get("entries", ())
    return Result(
        digest=key,
        text=" ".join(segment["text"] for segment in segments),
        words=tuple(
            (word["start"], word["end"]) if isinstance(word, dict) else (word[0], word[1])
            for word in words
        ),
        seconds=run.seconds,
        cpu_seconds=run.cpu_seconds,
        peak=run.peak.total,
        coverage=tuple((entry["kind"], entry["start"], entry["end"]) for entry in coverage),
    )


def _kept(document: dict[str, Any]) -> Result:
    spans = {
        name: tuple(tuple(each) for each in document.pop(name)) for name in ("words", "coverage")
    }
    return Result(**document, **spans)
