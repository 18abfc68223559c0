"""The nouns of Longscribe.

Everything here is frozen and keyword-only. Positions and lengths in audio are
integer samples at 16 kHz (`SAMPLE_RATE`); seconds appear only where a person
or a file format meets us. Nothing here decides or does anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SAMPLE_RATE = 16_000
"""Samples per second of everything after the media reader (Whisper's own rate)."""


def to_samples(seconds: float) -> int:
    """Return the sample nearest to `seconds`."""
    return round(seconds * SAMPLE_RATE)


def to_seconds(samples: int) -> float:
    """Return `samples` in seconds, rounded to milliseconds."""
    return round(samples / SAMPLE_RATE, 3)


@dataclass(frozen=True, kw_only=True, order=True)
class Span:
    """The half-open stretch `[start, end)` of the recording, in samples."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"a span needs 0 <= start <= end, got [{self.start}, {self.end})")

    @property
    def length(self) -> int:
        return self.end - self.start

    @property
    def middle(self) -> int:
        return (self.start + self.end) // 2

    def overlap(self, other: Span) -> int:
        """Return how many samples the two spans share."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))

    def clipped(self, bounds: Span) -> Span:
        """Return the part of this span inside `bounds` (empty at the nearer edge if none)."""
        start = min(max(self.start, bounds.start), bounds.end)
        return Span(start=start, end=max(start, min(self.end, bounds.end)))


# --- media -----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AudioTrack:
    """One audio track as its container describes it."""

    number: int
    """Counted from 0 among the audio tracks."""
    codec: str
    channels: int
    language: str = ""
    """As the container spells it; empty if it says nothing."""
    title: str = ""
    default: bool = False
    """A player takes it unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Audio that the media should hold at a place, and does not."""

    span: Span
    """Silence stands there in the recording."""
    reason: str
    left_out: int = 0
    """Samples of the media's own time that the span is short of."""


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """What a media file says about itself before it is decoded."""

    container: str
    codec: str
    track: int
    """Number of the audio track read, counted from 0 among the audio tracks."""
    tracks: int
    sample_rate: int
    channels: int
    duration: int | None
    """Length by the header, in samples at 16 kHz; None when the header is silent."""
    duration_is_exact: bool
    """False when the container only estimates its length (raw MP3, ADTS)."""
    audio_tracks: tuple[AudioTrack, ...] = ()
    """All audio tracks, the one that is read among them."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Audio that exists: decoded, 16 kHz mono s16, in a spool file of the job folder."""

    fingerprint: str
    """Digest of the media file's content."""
    duration: int
    media: MediaInfo
    peak: float | None = None
    """Largest sample as it was recorded, full scale 1; None where nobody measured it."""
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AudioSeal:
    """What a stretch of the recording must be for what was planned on it."""

    span: Span
    digest: str
    """Of its samples."""


# --- plan ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Window:
    """The unit of decoding: at most 30 s of audio around speech."""

    index: int
    """Position in its chunk, from 0."""
    span: Span
    """The audio given to the decoder."""
    owns: Span
    """The part whose words this window contributes. Neighbours' spans overlap only
    where speech without a pause had to be cut: there each word is taken from the
    window that owns its middle."""
    speech: int
    """Samples in which the detector heard speech."""
    voiced: tuple[Span, ...] = ()
    """Where in the recording it heard them. The default is for windows that hold no speech, and for
    older journals."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The unit of isolation, checkpoint and retry. The chunks of a job tile the recording."""

    chunk_id: int
    span: Span
    windows: tuple[Window, ...]
    """Empty when the detector heard no speech."""


# --- bias ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Term:
    """A thing that must be spelt right."""

    text: str
    aliases: tuple[str, ...] = ()
    """Other spellings or sounds under which it is heard."""
    never: tuple[str, ...] = ()
    """Spellings that are always wrong: where one is heard, the term is written."""
    weight: float = 1.0
    ranges: tuple[Span, ...] = ()
    """Where in the media it may occur; empty means everywhere."""
    languages: tuple[str, ...] = ()
    """Codes of the languages in which it is used; empty means all."""
    inflect: bool = True
    """Whether an ending that was heard, such as *'s*, is kept behind it."""
    note: str = ""
    """For people. In the file of learnt terms it says what each was learnt from."""


@dataclass(frozen=True, kw_only=True)
class Glossary:
    """Terms in the order of their file."""

    terms: tuple[Term, ...] = ()
    never: tuple[str, ...] = ()
    """Anti-terms: what the bias must never write, whatever it sounds like."""


@dataclass(frozen=True, kw_only=True)
class BiasWindow:
    """One position of the sliding window over the recording, with its terms, best first."""

    window_id: int
    span: Span
    terms: tuple[Term, ...]


@dataclass(frozen=True, kw_only=True)
class WindowBias:
    """The terms offered to one decode window, best first."""

    bias_window_id: int | None
    terms: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the decoder was really given before `<|startoftranscript|>`."""

    terms: tuple[str, ...]
    """The terms that fitted, best first."""
    text: str
    token_ids: tuple[int, ...]


NO_PROMPT = Prompt(terms=(), text="", token_ids=())


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What speaks for and against writing a term in the place of what was heard."""

    sound: float
    """Distance of the sounds of both, per phone: 0 the same, 1 nothing in common."""
    acoustic: float | None
    """Log probability of the window's text with the term less that of the text as heard, both
    teacher-forced without a prompt, in nats. None where the recognizer can't tell, or where
    the rest of the evidence leaves nothing to tell."""
    margin: float
    """`sound` less that of the nearest other term for the same words; negative where no other
    term fits as well."""
    confidence: float
    """Least probability of the words that were heard."""
    commonness: float
    """Of the heard words, from 0 (unknown) to 1 (an everyday word); that of the rarest counts."""
    second_pass: bool
    """Whether a decode that was prompted with the term wrote it here."""
    recurrence: int
    """In how many other places of the chunk the term sounds nearest of all, less that of the other
    term for these words that has most; at most 2 either way (`core/bias/recurrence.py`)."""
    timing: int
    """2: the term's time range covers the place, 1: is near, 0: the term has no range."""
    alias: bool
    """Whether what was heard is, but for case, one of the term's aliases."""
    small: bool
    """Whether the term has a capital and what was heard has none, in a text that has some."""
    letters: int
    """Of the term: the shorter, the more sounds like it."""
    words: int
    """Of the term."""
    probability: float
    """That the term was said, by the calibrated rule (`core/bias/rule.py`)."""
    threshold: float
    """Which the probability must reach, by the class of the term."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A term that may have been said where something else was heard."""

    term: str
    heard: str
    written: str
    """What stands, or would stand, in the place of what was heard."""
    start: int
    end: int
    accepted: bool
    reason: str
    """Why, in a few words."""
    evidence: Evidence

    @property
    def span(self) -> Span:
        return Span(start=self.start, end=self.end)


# --- results ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Word:
    start: int
    end: int
    text: str
    """As decoded, with its leading space if it has one."""
    probability: float


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A phrase of the transcript, placed on the recording's own clock."""

    start: int
    end: int
    text: str
    words: tuple[Word, ...]
    """Empty when word times were not asked for."""
    chunk_id: int
    window: int
    bias_window_id: int | None
    bias_terms: tuple[str, ...]
    average_logprob: float
    no_speech_probability: float
    compression_ratio: float

    @property
    def span(self) -> Span:
        return Span(start=self.start, end=self.end)


@dataclass(frozen=True, kw_only=True)
class WindowResult:
    """What one decode window yielded."""

    chunk_id: int
    window: Window
    bias_window_id: int | None
    prompt: Prompt
    segments: tuple[Segment, ...]
    remarks: tuple[str, ...] = ()
    """What was wrong with a first hearing and how this one was got, as sentences."""
    proposals: tuple[Proposal, ...] = ()
    """Terms that were weighed against what was heard, accepted or not; only when verifying."""


@dataclass(frozen=True, kw_only=True)
class ChunkResult:
    """What one chunk, or a part of it, yielded. Holds nothing that differs between equal runs."""

    chunk_id: int
    windows: tuple[WindowResult, ...]
    remarks: tuple[str, ...] = ()
    """How it had to be decoded when the settings asked for did not do, as sentences."""


class FailureKind(StrEnum):
    """How an attempt ended when it did not end well."""

    CRASH = "crash"
    """The worker died by a signal, or ended with another exit status than 0."""
    NO_ANSWER = "no_answer"
    """The worker ended with exit status 0 and had not answered."""
    OOM = "oom"
    """Memory ran out, by the worker's own report or by the system's killer."""
    HANG = "hang"
    """The worker made no progress before its deadline."""
    GARBAGE = "garbage"
    """What the worker sent was no message, or not an answer to what was asked."""
    ERROR = "error"
    """The worker reported an exception."""


@dataclass(frozen=True, kw_only=True)
class ChunkFailure:
    """How one attempt at a chunk failed."""

    chunk_id: int
    kind: FailureKind
    message: str
    signal: int | None = None
    exit_code: int | None = None
    dump: str | None = None
    """Name of the file in the job's `dumps` folder, if there is one."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at a chunk, or at a part of one that was split."""

    chunk_id: int
    label: str
    """`7` for chunk 7, `7.2` for the second part of it, `7.2.1` for the first part of that."""
    number: int
    """Counted from 1 over the life of the job."""
    rung: str
    """Which step of the ladder this is."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A stretch that could not be transcribed, and why."""

    span: Span
    reason: str
    """A short sentence, such as `worker crashed (signal SIGSEGV)`."""
    chunk_id: int | None = None
    """The chunk it replaces; None for audio that could not be read."""


class CoverageKind(StrEnum):
    TEXT = "text"
    """Words stand there."""
    SILENCE = "silence"
    WORDLESS = "wordless"
    """The detector hears speech, and no word could be got from it."""
    GAP = "gap"
    PENDING = "pending"
    """Not yet decoded. Never in a finished transcript."""


@dataclass(frozen=True, kw_only=True)
class CoverageEntry:
    """One stretch of the ledger that accounts for every sample."""

    span: Span
    kind: CoverageKind
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class LanguageGuess:
    """A language and how sure the model is of it."""

    language: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """A whole transcript, in memory."""

    language: str | None
    duration: int
    segments: tuple[Segment, ...]
    windows: tuple[WindowResult, ...]
    gaps: tuple[Gap, ...]
    coverage: tuple[CoverageEntry, ...]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()

    @property
    def complete(self) -> bool:
        """True when every sample is text or silence: all speech has words."""
        return all(
            entry.kind in (CoverageKind.TEXT, CoverageKind.SILENCE) for entry in self.coverage
        )

    @property
    def wordless(self) -> tuple[Span, ...]:
        """The stretches in which the detector hears speech and no word stands."""
        return tuple(entry.span for entry in self.coverage if entry.kind is CoverageKind.WORDLESS)


@dataclass(frozen=True, kw_only=True)
class Cue:
    """One subtitle. Times are integer milliseconds, as in every subtitle format."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


# --- devices ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Device:
    """Something that a model can run on."""

    name: str
    """As `--device` takes it: `cpu`, `cuda:0`, `mps`."""
    model: str
    """What its maker calls it."""
    memory: int
    """Bytes that it may hold in all."""
    free: int
    """Bytes of these that nobody holds now."""
    unified: bool
    """Whether this is the machine's own memory, which everything else needs too."""

    @property
    def kind(self) -> str:
        """The name without its number."""
        return self.name.partition(":")[0]


@dataclass(frozen=True, kw_only=True)
class MemoryReading:
    """What a worker holds, in bytes, at one moment."""

    device: str
    """Where its model is."""
    resident: int
    """Of the process, in the machine's memory (RSS); parts may be shared with others."""
    private: int
    """Of the process alone: what its end would give back (USS; on macOS its footprint)."""
    system_free: int
    """That can still be had of the machine's memory."""
    allocated: int = 0
    """In use on the GPU, as the engine counts it; 0 where the model runs on the CPU."""
    reserved: int = 0
    """The same and what is kept for reuse: what the driver gave to this process."""
    peak: int = 0
    """Most that was ever allocated since this was last asked to be counted anew."""
    device_memory: int | None = None
    """That the device may hold in all; None where nobody tells."""
    device_free: int | None = None
    """That nobody holds of it."""

    @property
    def held(self) -> int:
        """What counts against a limit: on a GPU with its own memory that, else the machine's."""
        if self.device.startswith("cuda"):
            return self.reserved
        # On a Mac the footprint holds the GPU's part as well, if the system counts it there.
        return max(self.private, self.reserved)

    @property
    def kept(self) -> int:
        """What is held for reuse only; a clean-up gives it back."""
        return max(0, self.reserved - self.allocated)

    @property
    def needed(self) -> int:
        """What is held and no clean-up would give back."""
        return max(0, self.held - self.kept)
