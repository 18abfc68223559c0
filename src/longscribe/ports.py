"""Ports: what the pipeline needs from the outside, as Protocols.

`MediaReader`, `SpeechDetector` and `Recognizer` are implemented inside child
processes, `Executor`, `Journal` and `TranscriptWriter` in the supervisor.
Adding an adapter means one new file that fulfils one of these and one line in
`wiring.py`; it must pass the port's conformance suite in `tests/ports`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from longscribe.config import DecodeSettings, RecognizerSettings
from longscribe.events import JobEvent
from longscribe.types import (
    Attempt,
    Chunk,
    ChunkResult,
    CoverageEntry,
    Gap,
    LanguageGuess,
    MediaInfo,
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

    def close(self) -> None: ...


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


# --- in a worker process ----------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a recognizer can do. The job refuses what it can't, it never drops it silently."""

    prompts: bool
    """Takes a prompt for each window."""
    word_times: bool
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


class RecognizerFactory(Protocol):
    """Loads a recognizer. Found by name in `wiring.py`, called in the worker process."""

    def __call__(self, settings: RecognizerSettings, model_path: str) -> Recognizer: ...


# --- in the supervisor ------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ReadTask:
    """Read one media file into the spool."""

    media: Path
    audio_track: int | None
    spool: Path


@dataclass(frozen=True, kw_only=True)
class DecodeTask:
    """Decode one chunk."""

    chunk: Chunk
    biases: tuple[WindowBias, ...]
    """One for each window of the chunk, in order."""
    settings: DecodeSettings
    attempt: Attempt


@dataclass(frozen=True, kw_only=True)
class FramesHeard:
    """The reader has spooled more audio: probability and level (dBFS) of each new frame."""

    position: int
    """End of the spooled audio, in samples."""
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


@dataclass(frozen=True, kw_only=True)
class ChunkFailed:
    """An attempt failed. `failure.kind` says how."""

    attempt: Attempt
    failure: "ChunkFailure"


class Journal(Protocol):
    """The job's memory. Everything it has said yes to survives a power cut."""

    def record(self, event: JobEvent) -> JobEvent:
        """Store `event` unless it is transient; return it."""
        ...

    def save_result(self, key: str, result: ChunkResult, event: JobEvent) -> JobEvent:
        """Store a result under `key` together with its event, in one transaction."""
        ...

    def result(self, key: str) -> ChunkResult | None: ...


class TranscriptView(Protocol):
    """A transcript so far, read in order and never held whole."""

    @property
    def media(self) -> str: ...
    @property
    def language(self) -> str | None: ...
    @property
    def duration(self) -> int: ...
    @property
    def complete(self) -> bool:
        """False while chunks are still missing."""
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
