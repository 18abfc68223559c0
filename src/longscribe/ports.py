"""Ports: what the pipeline needs from the outside, as Protocols.

`MediaReader`, `SpeechDetector` and `Recognizer` are implemented inside child
processes, `Executor`, `Journal` and `TranscriptWriter` in the supervisor.
Adding an adapter means one new file that fulfils one of these and one line in
`wiring.py`; it must pass the port's conformance suite in `tests/ports`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TextIO

from longscribe.config import (
    BiasSettings,
    DecodeSettings,
    PronouncerName,
    RecognizerSettings,
)
from longscribe.job_events import (
    AttemptStarted,
    AudioMissing,
    BatchDecoded,
    JobEvent,
    LanguageDetected,
    MediaEnded,
    MediaOpened,
    MediaProblem,
    MemoryRelieved,
    MemorySampled,
    RunStarted,
    WorkerReady,
)
from longscribe.types import (
    Attempt,
    AudioSeal,
    Chunk,
    ChunkFailure,
    ChunkResult,
    CoverageEntry,
    Gap,
    LanguageGuess,
    Loss,
    MediaInfo,
    MemoryReading,
    Recording,
    Segment,
    Span,
    Window,
    WindowBias,
    WindowResult,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pcm = npt.NDArray[np.int16]
    """Mono 16 kHz samples, shape (n,)."""


# --- in the reader process --------------------------------------------------


class MediaReader(Protocol):
    """Decodes one audio track of a media file to 16 kHz mono s16 on the media's own clock.

    Sample 0 is the start of the media as a player shows it. Where the track
    starts later, or its timestamps leave a gap, the reader yields silence;
    where they overlap, it drops samples. So sample n is always at n / 16000 s.
    """

    @property
    def info(self) -> MediaInfo: ...

    def blocks(self) -> Iterator[Pcm]:
        """Yield the audio in order, in blocks of any length, holding no more than one.

        A block may be empty, to let the caller act. Ends at the end of the track;
        a damaged part is passed over and reported through `problems`.
        """
        ...

    def problems(self) -> list[tuple[int, str]]:
        """Return and forget what was odd since the last call: (sample position, sentence)."""
        ...

    def losses(self) -> list[Loss]:
        """Return and forget what should have been there and was not, since the last call."""
        ...

    @property
    def peak(self) -> float:
        """Largest sample so far as it was recorded; full scale is 1."""
        ...

    def close(self) -> None: ...


class MediaReaderFactory(Protocol):
    """Opens a media file. Found by name in `wiring.py`, called in the reader process."""

    def __call__(self, path: Path, audio_track: int | None) -> MediaReader:
        """Open track `audio_track` (counted among the audio tracks), or the default one.

        Raises:
            UsageError: there is no such file or track.
            MediaError: the file holds no audio that can be read.
        """
        ...


class SpeechDetector(Protocol):
    """Tells speech from everything else, frame by frame, with state carried between calls."""

    frame: int
    """Samples a frame."""

    def probabilities(self, pcm: Pcm) -> Sequence[float]:
        """Take the next audio; return the speech probability of each frame now decided.

        The values for a given recording must not depend on how it was cut into calls.
        """
        ...

    def flush(self) -> Sequence[float]:
        """Return the probabilities still owed, padding the last frame with silence."""
        ...


class SpeechDetectorFactory(Protocol):
    """Loads a detector. Found by name in `wiring.py`, called in the reader process."""

    def __call__(self) -> SpeechDetector: ...


# --- in a worker process ----------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a recognizer can do. The job refuses what it can't, it never drops it silently."""

    prompts: bool
    """Takes a prompt for each window."""
    word_times: bool
    scoring: bool
    """Can say how likely a given text is for a window."""
    batching: bool
    translate: bool
    languages: tuple[str, ...]
    """Codes it can be asked for; it can also detect one of these if there are several."""


@dataclass(frozen=True, kw_only=True)
class WindowAudio:
    """One window to decode: its place, its samples and the terms offered to it."""

    window: Window
    bias: WindowBias
    pcm: Pcm


class Recognizer(Protocol):
    """A loaded speech recognizer. Lives in a worker process; may crash, hang or leak there."""

    capabilities: Capabilities
    device: str
    """Where it really runs, such as `cpu` or `cuda:0`."""
    compute_type: str
    """The number format it really uses."""

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        """Return the language of the speech in `windows` (each at most 30 s), judged together."""
        ...

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        """Decode `windows`; yield the results of each batch as soon as it is done.

        Segments come with times on the recording's clock (the window's start
        added). `settings.language` is set unless the model knows only one.
        """
        ...

    def score(
        self, window: WindowAudio, texts: Sequence[str], settings: DecodeSettings
    ) -> tuple[float, ...]:
        """Return the log probability of each text, in nats, as what is said in `window`.

        Teacher-forced, without a prompt. Only asked of recognizers that can (`capabilities`).
        """
        ...


class Pronouncer(Protocol):
    """Says how texts sound. Lives in a worker process."""

    name: str
    """With its version: what it says decides what is proposed."""

    def pronounce(self, texts: Sequence[str]) -> list[str]:
        """Return the phones of each text, one character a phone (`core/bias/phones.py`)."""
        ...


class LanguageTools(Protocol):
    """What verifying needs to know of a language. Lives in a worker process."""

    pronouncer: Pronouncer
    knows_common_words: bool
    """Whether there is a list of the language's words; without one none is common."""

    def commonness(self, word: str) -> float:
        """Return how common a word is, from 0 (unknown) to 1 (an everyday word)."""
        ...


class LanguageToolsFactory(Protocol):
    """Found by name in `wiring.py`, called in a worker process."""

    def __call__(self, pronouncer: PronouncerName, language: str) -> LanguageTools:
        """Return the tools for a language.

        Raises:
            RecognizerError: the pronouncer asked for can't be had, or not for this language.
        """
        ...


class WorkerMemory(Protocol):
    """What a worker's process and its device hold. Lives in a worker process."""

    def settle(self, device: str, shared_by: int = 1) -> None:
        """Take note of where the recognizer works, now that it is loaded."""
        ...

    def read(self) -> MemoryReading:
        """Return what is held now. Safe from any thread, also while others decode."""
        ...

    def count_anew(self) -> None:
        """Forget the peak so far."""
        ...

    def release(self) -> None:
        """Give back, after a batch, what is kept for reuse where that harms others."""
        ...

    def clean_up(self) -> None:
        """Give back all that nobody needs; it may take a moment."""
        ...

    def limit(self, held: int) -> None:
        """Tell the engine to make do with so many bytes, where it can be told."""
        ...


class WorkerMemoryFactory(Protocol):
    """Found by name in `wiring.py`, called in the worker process before a model is loaded."""

    def __call__(self) -> WorkerMemory: ...


class RecognizerFactory(Protocol):
    """Loads a recognizer. Found by name in `wiring.py`, called in the worker process."""

    def __call__(self, settings: RecognizerSettings, model_path: str) -> Recognizer: ...


# --- between supervisor and children ----------------------------------------


@dataclass(frozen=True, kw_only=True)
class ReadTask:
    """Read one media file into the spool."""

    type: Literal["read"] = "read"
    media: str
    audio_track: int | None
    spool: str
    """Path of the file that takes the 16 kHz mono s16 samples."""
    reader: str
    """`package.module:attribute` of a `MediaReaderFactory`."""
    detector: str
    """`package.module:attribute` of a `SpeechDetectorFactory`."""


@dataclass(frozen=True, kw_only=True)
class LanguageTask:
    """Tell the language of some windows, judged together."""

    type: Literal["detect_language"] = "detect_language"
    windows: tuple[Window, ...]
    audio: tuple[AudioSeal, ...]
    """The samples that the windows are of, which the worker compares before it hears them."""


@dataclass(frozen=True, kw_only=True)
class DecodeTask:
    """Decode one chunk."""

    type: Literal["decode"] = "decode"
    chunk: Chunk
    biases: tuple[WindowBias, ...]
    """One for each window of the chunk, in order."""
    settings: DecodeSettings
    bias: BiasSettings
    glossary: str
    """Digest of the glossary that the worker was given at its start."""
    recognizer: RecognizerSettings
    """With which the worker's model must be loaded."""
    attempt: Attempt
    audio: tuple[AudioSeal, ...] = ()
    """The samples that the chunk is of, which the worker compares before it decodes. Empty only
    in tasks that older journals hold."""


@dataclass(frozen=True, kw_only=True)
class FramesHeard:
    """The reader has spooled more audio: probability and level (dBFS) of each new frame."""

    type: Literal["frames_heard"] = "frames_heard"
    position: int
    """End of the spooled audio, in samples."""
    heard: int
    """End of the frames, in samples: the detector works in batches and lags a little."""
    probabilities: tuple[float, ...]
    levels: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ReaderDied:
    """The reader ended without finishing: a crash, not an unreadable file."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ChunkDone:
    """A worker decoded a chunk. Its result counts once it is in the journal."""

    attempt: Attempt
    result: ChunkResult
    seconds: float
    peak_memory: int
    memory: MemoryReading | None
    """After the chunk, tidied up."""
    most_memory: int
    """Bytes needed at the highest while it was decoded."""


@dataclass(frozen=True, kw_only=True)
class LanguageFailed:
    """The worker that was asked for the language failed."""

    failure: ChunkFailure


@dataclass(frozen=True, kw_only=True)
class ChunkFailed:
    """An attempt failed. `failure.kind` says how."""

    attempt: Attempt
    failure: ChunkFailure


Report = (
    MediaOpened
    | MediaProblem
    | AudioMissing
    | FramesHeard
    | MediaEnded
    | ReaderDied
    | WorkerReady
    | LanguageDetected
    | LanguageFailed
    | MemorySampled
    | MemoryRelieved
    | BatchDecoded
    | ChunkDone
    | ChunkFailed
)
"""What an executor reports. The events among them go into the journal as they are."""


# --- in the supervisor ------------------------------------------------------


class Executor(Protocol):
    """Runs the reader and the workers, apart from the supervisor.

    However a child dies, the executor lives: it reports what happened and puts
    a new worker in place of a dead one. It never retries; that is the ladder's.
    """

    def read(self, task: ReadTask) -> None:
        """Start reading. The reader pauses where `read_until` has not allowed it to go on."""
        ...

    def read_until(self, position: int | None) -> None:
        """Allow reading up to sample `position` (and a block more); None: to the end."""
        ...

    def start_workers(self, chunks: int | None) -> None:
        """Begin to load the model; `WorkerReady` is reported for each worker.

        Args:
            chunks: how many there are to decode, if it is known: no more workers are started, and
                those share the threads of all. Called again with more, it starts more.
        """
        ...

    @property
    def watched(self) -> float:
        """Seconds in which the executor was watching: no clock change or sleep counts."""
        ...

    @property
    def idle(self) -> int:
        """Workers that are loaded and have nothing to do."""
        ...

    def submit(self, task: LanguageTask | DecodeTask) -> int:
        """Give a task to an idle worker; return the worker's number."""
        ...

    def reports(self) -> Iterator[Report]:
        """Wait a moment for reports, then yield all that are there, maybe none.

        Raises:
            MediaError, UsageError: the reader can't read the file.
            ModelError, RecognizerError, WorkerStartError: no worker can start.
        """
        ...

    def close(self) -> None:
        """End all children, at once. Idempotent."""
        ...


@dataclass(frozen=True, kw_only=True)
class PlannedChunk:
    """A chunk of the plan, or a part of one, and the digest of its samples."""

    chunk: Chunk
    audio: str
    heard: Span | None = None
    """What the digest is of; None: all that shapes the chunk's result. A part of a chunk has the
    digest of the whole."""


@dataclass(frozen=True, kw_only=True)
class StoredPlan:
    """A plan whose recording was read to its end."""

    recording: Recording
    chunks: tuple[PlannedChunk, ...]


class Journal(Protocol):
    """The job's memory. What it has said yes to survives a power cut."""

    def record(self, event: JobEvent) -> JobEvent:
        """Store `event` unless it is transient; return it."""
        ...

    def save_plan(self, plan: str, stored: StoredPlan) -> None:
        """Store a plan whose recording was read to its end, in the place of an earlier one."""
        ...

    def stored_plan(self, plan: str) -> StoredPlan | None:
        """Return a complete plan."""
        ...

    def fingerprints(self) -> frozenset[str]:
        """Return the fingerprints of the media that were read to the end."""
        ...

    def knows_languages(self) -> bool:
        """Tell whether any language was detected."""
        ...

    def save_language(self, key: str, guess: LanguageGuess) -> None: ...

    def language(self, key: str) -> LanguageGuess | None: ...

    def save_result(self, key: str, result: ChunkResult, event: JobEvent) -> JobEvent:
        """Store a result under `key` together with its event, in one transaction."""
        ...

    def result(self, key: str) -> ChunkResult | None: ...

    def has_result(self, key: str) -> bool: ...

    def start_attempt(self, key: str, task: DecodeTask, event: AttemptStarted) -> AttemptStarted:
        """Store that an attempt at `key` begins, together with its event.

        The task is kept, so that the attempt can be replayed.
        """
        ...

    def save_failure(
        self, key: str, number: int, failure: ChunkFailure, event: JobEvent
    ) -> JobEvent:
        """Store how attempt `number` at `key` failed, together with its event."""
        ...

    def failures(self, key: str) -> tuple[ChunkFailure, ...]:
        """Return the failed attempts at `key`, oldest first."""
        ...

    def attempts(self, key: str) -> int:
        """Return how many attempts at `key` were started, those cut short included."""
        ...

    def save_gap(self, key: str, gap: Gap, event: JobEvent) -> JobEvent:
        """Store that the chunk under `key` was given up, together with its event."""
        ...

    def gap(self, key: str) -> Gap | None: ...

    def glossary(self) -> str:
        """Return the digest of the glossary that was recorded last; empty: none was."""
        ...

    def outputs_complete(self) -> bool:
        """Tell whether the output files were last written by a run that had finished."""
        ...

    def will_write(self, digests: Collection[str]) -> None:
        """Store that files with these contents are about to be put in place."""
        ...

    def wrote(self, digest: str) -> bool:
        """Tell whether such a content may have been put in place, by this run or an earlier one."""
        ...

    def delivered(self, slot: str) -> str | None:
        """Return the digest of the last content that was put in place there."""
        ...

    def save_outputs(self, event: JobEvent, delivered: Mapping[str, str]) -> JobEvent:
        """Store that outputs are in place, with the digest for each slot, and the event of it."""
        ...

    def films(self) -> tuple[RunStarted | None, frozenset[str]]:
        """Return how the latest run was started, and the fingerprints of all that was read."""
        ...

    def reopen_gaps(self) -> None:
        """Forget gaps and failures of a run that had finished, so that they are tried again."""
        ...

    def close(self) -> None: ...


class TranscriptView(Protocol):
    """A transcript so far, read in order and never held whole."""

    @property
    def media(self) -> str: ...
    @property
    def language(self) -> str | None:
        """What is spoken."""
        ...

    @property
    def text_language(self) -> str | None:
        """What is written: English where it was translated."""
        ...

    @property
    def duration(self) -> int: ...
    @property
    def complete(self) -> bool:
        """False while chunks are still missing, and where the recognizer loses words."""
        ...

    def segments(self) -> Iterator[Segment]: ...
    def windows(self) -> Iterator[WindowResult]: ...
    def gaps(self) -> Sequence[Gap]: ...
    def coverage(self) -> Sequence[CoverageEntry]: ...


class TranscriptWriter(Protocol):
    """Writes one output format."""

    extension: str
    """Without the dot."""

    def write(self, view: TranscriptView, out: TextIO) -> None:
        """Write the whole of `view`. Equal views give equal bytes: no clock, no host, no path."""
        ...
