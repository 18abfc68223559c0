"""A job: what is to be transcribed, and the tools to do it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from longscribe.config import BiasMode, BiasSettings, Options
from longscribe.core.bias.learning import Source
from longscribe.ports import Executor, Journal, TranscriptView
from longscribe.types import Glossary, Term


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done."""

    media: Path
    fingerprint: str
    """Digest of the media file's content."""
    model: str
    """Identity of the model's files."""
    model_path: Path
    """Where they are, or what the recognizer finds them by."""
    options: Options
    device_kind: str
    """What the device is, as far as it is known before a worker says so: `cpu`, `cuda` or `mps`."""
    glossary: Glossary
    """With the extra terms."""
    extra_terms: tuple[Term, ...]
    """Offered besides those of the glossary's file."""
    pronouncer: str
    """Which pronouncer verifies: what it says decides what is written."""
    reader: str
    """`package.module:attribute` of the `MediaReaderFactory`."""
    detector: str
    """`package.module:attribute` of the `SpeechDetectorFactory`."""
    notices: tuple[str, ...]
    """What the user should know about how this run is done."""

    @property
    def bias_settings(self) -> BiasSettings:
        """As the options have it; without any terms nothing is prompted or verified."""
        mode = self.options.bias if self.glossary.terms else BiasMode.OFF
        return replace(self.options.bias_settings, mode=mode)


class Spool(Protocol):
    """The file of samples in the job folder."""

    @property
    def path(self) -> Path: ...

    def digest(self, start: int, end: int) -> str:
        """Return a digest of the samples `[start, end)`."""
        ...

    def holds(self, duration: int) -> bool:
        """Tell whether all of a recording of `duration` samples is there."""
        ...

    def remove(self) -> None: ...


class LearntTerms(Protocol):
    """Where names that a transcript teaches are kept for other files."""

    def add(self, terms: Sequence[Term], source: Source) -> None:
        """Join terms learnt from `source` to what is there."""
        ...


class Outputs(Protocol):
    """The output files."""

    def write(self, view: TranscriptView) -> tuple[Path, ...]:
        """Replace every output file by one that says what `view` says."""
        ...


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What it is done with."""

    journal: Journal
    executor: Executor
    spool: Spool
    outputs: Outputs
    learnt: LearntTerms | None
    """None where nothing is to be learnt."""
