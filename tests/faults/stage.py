"""What scenarios share: media, calm runs to compare with, fresh folders, and the tally."""

from __future__ import annotations

import fcntl
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.harness import Job, Report, Tally, read_journal, read_outputs, run
from tests.faults.media import cut_sample, make_speech
from tests.faults.plans import notes

SMALL = 150.0
"""Seconds; three chunks."""
LONG = 1250.0
"""Seconds; twenty chunks."""
PLAIN = ("--batch-size", "1", "--beam-size", "1", "--deadline", "2")
"""Several batches a chunk, and no rung of the ladder between a retry and a lighter search."""


@dataclass(frozen=True, kw_only=True)
class Calm:
    """A job that nothing disturbs."""

    seconds: float = SMALL
    options: tuple[str, ...] = PLAIN

    @property
    def name(self) -> str:
        return f"calm-{self.seconds:g}-{'-'.join(self.options).replace('/', '_')}"


@dataclass(kw_only=True)
class Stage:
    """Where scenarios are played. Several threads, and several processes, may share its folder."""

    root: Path
    tally: Tally = field(default_factory=Tally)
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each scenario took."""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def speech(self, seconds: float) -> Path:
        """Return a recording of that length."""
        path = self.root / f"{seconds:g}" / "talk.wav"
        with self.once(path.parent) as missing:
            if missing:
                make_speech(path, seconds)
        return path

    def excerpt(self, seconds: float) -> Path:
        """Return the beginning of the demo's sample."""
        path = self.root / f"sample-{seconds:g}" / "talk.flac"
        with self.once(path.parent) as missing:
            if missing:
                cut_sample(path, seconds)
        return path

    def calm(self, calm: Calm) -> Report:
        """Return the calm run of a job; it is run once."""
        return self.calm_run(calm.name, lambda folder: self._job(calm, folder))[0]

    def calm_run(
        self, name: str, job_in: Callable[[Path], Job], **plan: Any
    ) -> tuple[Report, float]:
        """Return a run that nothing disturbs, and the seconds it took; it is run once."""
        folder = self.root / name
        job = job_in(folder)
        with self.once(folder) as missing:
            if missing:
                began = time.monotonic()
                done = run(job, **plan)
                assert done.status == 0, done.error
                (folder / "seconds").write_text(str(time.monotonic() - began), encoding="ascii")
        [scratch] = folder.glob("scratch-*")
        report = Report(
            job=job,
            status=0,
            error="",
            outputs=read_outputs(job),
            journal=read_journal(job.path),
            notes=notes(scratch),
            orphans=0,
        )
        return report, float((folder / "seconds").read_text(encoding="ascii"))

    def _job(self, calm: Calm, folder: Path) -> Job:
        return Job(folder=folder, media=self.speech(calm.seconds), options=calm.options)

    def job(self, calm: Calm, *more: str) -> Job:
        """Return the same job in a fresh folder, with more options that change no output."""
        folder = self.folder()
        return Job(folder=folder, media=self.speech(calm.seconds), options=(*calm.options, *more))

    def folder(self) -> Path:
        path = self.root / f"job-{uuid.uuid4().hex[:10]}"
        path.mkdir(parents=True)
        return path

    def settle(self, name: str, report: Report, calm: Report, *, gaps: Sequence[int] = ()) -> None:
        """Add a finished run to the tally."""
        with self._lock:
            self.tally.add(name, report, calm, gaps=gaps)

    def struck(self, kind: str, count: int = 1) -> None:
        """Count faults that came from outside the workers."""
        with self._lock:
            self.tally.injected[kind] += count

    def foreign(self, name: str, count: int, changed: Sequence[Path]) -> None:
        """Count files that are not the job's, and those of them that are not as they were."""
        with self._lock:
            self.tally.foreign += count
            self.tally.foreign_changed += len(changed)
            self.tally.broken += [
                f"{name}: {path.name} was not the job's, and was changed" for path in changed
            ]

    def complain(self, name: str, sentence: str) -> None:
        with self._lock:
            self.tally.broken.append(f"{name}: {sentence}")

    @contextmanager
    def once(self, folder: Path) -> Iterator[bool]:
        """Hold the folder; yield whether it must be made."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = folder / ".made"
            missing = not made.exists()
            folder.mkdir(parents=True, exist_ok=True)
            yield missing
            made.touch()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One thing that may happen to a job, and what must come of it."""

    name: str
    play: Callable[[Stage], None]
    short: bool = False
    """In the short form too."""
    needs_model: bool = False
