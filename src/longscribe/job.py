"""A job: what is to be transcribed, and the tools to do it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from longscribe.config import BiasMode, BiasSettings, Options
from longscribe.core.bias.learning import Source
from longscribe.job_events import RunStarted
from longscribe.ports import Executor, Journal, TranscriptView
from longscribe.types import Glossary, Term


class Content(Protocol):
    """What is in the media: known by a digest of all of it."""

    @property
    def known(self) -> bool:
        """Whether `fingerprint` returns at once."""
        ...

    def fingerprint(self) -> str:
        """Return the digest, once it is there.

        Raises:
            MediaError: the media can't be read, or changes all the time.
        """
        ...

    def as_before(self) -> str | None:
        """Return by what versions that sampled files knew it; None if by the same fingerprint."""
        ...

    def confirm(self) -> None:
        """Look at the media again: what was read since the start is what has this digest.

        Raises:
            MediaError: it was changed meanwhile.
        """
        ...

    def close(self) -> None:
        """Take no more trouble over it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done."""

    media: Path
    content: Content
    """What is in the media file; its digest may still be in the making."""
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
    """The file of samples in the job folder, and whose plan they belong to."""

    @property
    def path(self) -> Path: ...

    def digest(self, start: int, end: int) -> str:
        """Return a digest of the samples `[start, end)`."""
        ...

    def begin(self) -> None:
        """Make ready for other samples: whatever the file holds is nobody's from now on."""
        ...

    def seal(self, plan: str) -> None:
        """Say that the file holds all samples of the recording of `plan`."""
        ...

    def holds(self, plan: str, duration: int) -> bool:
        """Tell whether it is said to hold the recording of `plan`, of `duration` samples."""
        ...

    def remove(self) -> None: ...


class LearntTerms(Protocol):
    """Where names that a transcript teaches are kept for other files."""

    def add(self, terms: Sequence[Term], source: Source) -> None:
        """Join terms learnt from `source` to what is there."""
        ...


@dataclass(frozen=True, kw_only=True)
class Written:
    """What came of writing the outputs."""

    files: tuple[Path, ...]
    """Where the transcript stands now."""
    delivered: Mapping[str, str]
    """Slot → digest of what is in place; the slots are the journal's."""
    told: Mapping[str, str]
    """File that is not the job's own → what the user should know of it."""


class Outputs(Protocol):
    """The output files."""

    def survey(self) -> Mapping[str, str]:
        """Return what the user should know of files that are in the way, as in `Written.told`."""
        ...

    def write(self, view: TranscriptView) -> Written:
        """Let the output files say what `view` says, but for those that others have changed."""
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
    marked: Callable[[RunStarted], RunStarted]
    """Gives the beginning of a run the mark of this machine."""
