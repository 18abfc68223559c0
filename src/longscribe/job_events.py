"""Job events: what happened, in order.

The journal is their home, and everything a person sees is derived from them.
Three are `transient`: they report progress inside a step, reach listeners and
are not stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from longscribe.types import (
    Attempt,
    Chunk,
    ChunkFailure,
    Gap,
    Glossary,
    LanguageGuess,
    Loss,
    MediaInfo,
    MemoryReading,
    Span,
    Term,
)


@dataclass(frozen=True, kw_only=True)
class _Event:
    transient: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class RunStarted(_Event):
    """A run of the job began; an earlier one may have been cut short."""

    type: Literal["run_started"] = "run_started"
    media: str
    """Absolute path. In the journal only: outputs never hold it."""
    model: str
    recognizer: str
    settings: str
    """The user's options as JSON."""
    extra_terms: tuple[Term, ...] = ()
    """Offered besides the glossary's, such as those learnt from earlier files."""
    glossary: str = ""
    """Digest of all terms, by which a later reader knows whether the file has changed."""
    mark: str = ""
    """Of the machine and the user that began it; without it nothing that is named here is
    followed later."""


@dataclass(frozen=True, kw_only=True)
class MediaIdentified(_Event):
    """The whole media file was hashed: by this the job knows its film again under another name."""

    type: Literal["media_identified"] = "media_identified"
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class GlossaryTaken(_Event):
    """The terms of the run, where they are not those of the run before: the job's own copy."""

    type: Literal["glossary_taken"] = "glossary_taken"
    digest: str
    """As in `RunStarted`."""
    glossary: Glossary
    """With the extra terms."""


@dataclass(frozen=True, kw_only=True)
class Notice(_Event):
    """Something about this run that the user should know."""

    type: Literal["notice"] = "notice"
    message: str


@dataclass(frozen=True, kw_only=True)
class MediaOpened(_Event):
    type: Literal["media_opened"] = "media_opened"
    info: MediaInfo


@dataclass(frozen=True, kw_only=True)
class MediaProblem(_Event):
    """The reader met something odd and went on (a decode error, a jump of the clock)."""

    type: Literal["media_problem"] = "media_problem"
    at: int
    message: str


@dataclass(frozen=True, kw_only=True)
class AudioMissing(_Event):
    """The media should hold audio here and does not: a gap, for which silence stands."""

    type: Literal["audio_missing"] = "audio_missing"
    loss: Loss


@dataclass(frozen=True, kw_only=True)
class AudioRead(_Event):
    """Progress of the reader."""

    transient: ClassVar[bool] = True
    type: Literal["audio_read"] = "audio_read"
    position: int


@dataclass(frozen=True, kw_only=True)
class MediaEnded(_Event):
    """All audio is in the spool."""

    type: Literal["media_ended"] = "media_ended"
    duration: int
    peak: float | None = None
    """Largest sample as it was recorded; full scale is 1."""


@dataclass(frozen=True, kw_only=True)
class WorkerReady(_Event):
    """A worker has loaded its model."""

    type: Literal["worker_ready"] = "worker_ready"
    worker: int
    pid: int
    device: str
    compute_type: str
    seconds: float
    memory: MemoryReading | None = None
    """With the model loaded."""
    only_language: str = ""
    """The one language that the model knows; empty if there are several."""


@dataclass(frozen=True, kw_only=True)
class MemorySampled(_Event):
    """What a worker holds, every few seconds while it decodes."""

    transient: ClassVar[bool] = True
    type: Literal["memory_sampled"] = "memory_sampled"
    worker: int
    memory: MemoryReading


@dataclass(frozen=True, kw_only=True)
class MemoryRelieved(_Event):
    """A worker held too much, and something was done about it."""

    type: Literal["memory_relieved"] = "memory_relieved"
    worker: int
    remedy: str
    """`clean up`, `smaller batch`, `new worker`."""
    reason: str
    memory: MemoryReading
    batch_size: int | None = None
    """Windows decoded together from now on, at most; with `smaller batch` only."""


@dataclass(frozen=True, kw_only=True)
class LanguageDetected(_Event):
    type: Literal["language_detected"] = "language_detected"
    guess: LanguageGuess
    windows: int
    """How many windows were heard to decide it."""


@dataclass(frozen=True, kw_only=True)
class ChunkPlanned(_Event):
    type: Literal["chunk_planned"] = "chunk_planned"
    chunk: Chunk


@dataclass(frozen=True, kw_only=True)
class ChunkReused(_Event):
    """An earlier run had finished this chunk; it is not decoded again."""

    type: Literal["chunk_reused"] = "chunk_reused"
    chunk_id: int
    span: Span
    key: str
    """Under which the journal holds its result."""


@dataclass(frozen=True, kw_only=True)
class AttemptStarted(_Event):
    type: Literal["attempt_started"] = "attempt_started"
    attempt: Attempt
    worker: int


@dataclass(frozen=True, kw_only=True)
class BatchDecoded(_Event):
    """Progress inside a chunk."""

    transient: ClassVar[bool] = True
    type: Literal["batch_decoded"] = "batch_decoded"
    chunk_id: int
    samples: int
    """Audio in the windows of this batch."""


@dataclass(frozen=True, kw_only=True)
class ChunkFinished(_Event):
    type: Literal["chunk_finished"] = "chunk_finished"
    chunk_id: int
    span: Span
    key: str
    """Under which the journal holds its result."""
    seconds: float
    """Time the decode took."""
    peak_memory: int
    """Peak resident memory of the worker so far, in bytes."""
    memory: MemoryReading | None = None
    """After the chunk, tidied up."""
    most_memory: int = 0
    """Bytes that counted against the limit at the highest, while it was decoded."""


@dataclass(frozen=True, kw_only=True)
class AttemptFailed(_Event):
    type: Literal["attempt_failed"] = "attempt_failed"
    attempt: Attempt
    failure: ChunkFailure
    next_step: str
    """What follows, as a sentence."""


@dataclass(frozen=True, kw_only=True)
class GapDeclared(_Event):
    type: Literal["gap_declared"] = "gap_declared"
    gap: Gap
    span: Span
    """Of the chunk, or the part of one, that was given up; the gap is the speech in it."""


@dataclass(frozen=True, kw_only=True)
class OutputsWritten(_Event):
    """The output files were replaced by newer ones."""

    type: Literal["outputs_written"] = "outputs_written"
    files: tuple[str, ...]
    complete: bool
    """False while chunks are still missing."""


@dataclass(frozen=True, kw_only=True)
class TermsLearnt(_Event):
    """Names of this transcript were written to the file of learnt terms."""

    type: Literal["terms_learnt"] = "terms_learnt"
    terms: tuple[str, ...]
    """All that the transcript teaches, also those that were in the file."""


@dataclass(frozen=True, kw_only=True)
class RunFinished(_Event):
    type: Literal["run_finished"] = "run_finished"
    gaps: int
    duration: int
    text: int
    """Samples that hold text."""
    silence: int
    wordless: tuple[Span, ...] = ()
    """Speech without words. The default is for older journals."""
    loses_words: bool = False
    """Whether that is so much of all speech that the recognizer loses words."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: no gap, and no sign that the recognizer loses words."""
        return not self.gaps and not self.loses_words


@dataclass(frozen=True, kw_only=True)
class RunInterrupted(_Event):
    """The user stopped the run; running again goes on."""

    type: Literal["run_interrupted"] = "run_interrupted"


@dataclass(frozen=True, kw_only=True)
class RunFailed(_Event):
    """An error that no retry can cure ended the run."""

    type: Literal["run_failed"] = "run_failed"
    slug: str
    message: str


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(_Event):
    """An event of a later version, as a reader of the journal meets it; none is ever written."""

    type: str
    body: str
    """As JSON."""


JobEvent = (
    RunStarted
    | MediaIdentified
    | GlossaryTaken
    | Notice
    | MediaOpened
    | MediaProblem
    | AudioMissing
    | AudioRead
    | MediaEnded
    | WorkerReady
    | MemorySampled
    | MemoryRelieved
    | LanguageDetected
    | ChunkPlanned
    | ChunkReused
    | AttemptStarted
    | BatchDecoded
    | ChunkFinished
    | AttemptFailed
    | GapDeclared
    | OutputsWritten
    | TermsLearnt
    | RunFinished
    | RunInterrupted
    | RunFailed
)
