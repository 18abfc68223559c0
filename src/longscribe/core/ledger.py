"""The ledger of a job: every chunk of the plan with its state, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from longscribe.core.coverage import (
    audio_extent,
    chunk_entries,
    declared_wordless,
    gap_entries,
    heard,
    loses_words,
    merged,
    totals,
    wordless_spans,
)
from longscribe.core.ladder import Step, split, split_point
from longscribe.core.lifecycle import SETTLED, ChunkState, moved
from longscribe.core.losses import with_losses
from longscribe.core.stitching import stitch
from longscribe.ports import PlannedChunk
from longscribe.types import (
    AudioSeal,
    Chunk,
    ChunkResult,
    CoverageEntry,
    CoverageKind,
    Gap,
    Segment,
    Span,
    Window,
    WindowBias,
    WindowResult,
)

LANGUAGE_WINDOWS = range(3, 9)
"""The language is judged from at least 3 windows of speech (if there are so many), at most 8."""


@dataclass(kw_only=True)
class ChunkEntry:
    """One chunk of the plan, or a part of one that the ladder split."""

    planned: PlannedChunk
    label: str
    """As in `Attempt`."""
    biases: tuple[WindowBias, ...] = ()
    """One for each window; known once the language is."""
    start: Step | None = None
    """Where a part begins on the ladder; None for a whole chunk."""
    state: ChunkState = ChunkState.PLANNED
    key: str = ""
    """Of its result; known once the language is."""
    step: Step | None = None
    """The next or current attempt's place on the ladder."""
    not_before: float = 0.0
    """When the next attempt may begin, on the executor's watch."""
    gap: Gap | None = None

    @property
    def chunk(self) -> Chunk:
        return self.planned.chunk

    @property
    def seal(self) -> AudioSeal:
        """What the audio of the chunk must be."""
        heard = self.planned.heard or audio_extent(self.chunk)
        return AudioSeal(span=heard, digest=self.planned.audio)

    def move(self, to: ChunkState) -> None:
        self.state = moved(self.state, to)


@dataclass(kw_only=True)
class Ledger:
    """The chunks of a job, in order; they tile the part of the recording that is planned."""

    entries: list[ChunkEntry] = field(default_factory=list)
    planned: int = 0
    """Chunks of the plan; there are more entries when some were split."""
    duration: int | None = None
    """Of the whole recording, once it has been read to the end."""
    tail: Gap | None = None
    """Audio that the media promised and did not hold."""
    lost: tuple[Gap, ...] = ()
    """The same in the midst of it, in order."""
    language_windows: tuple[Window, ...] = ()
    """The windows from which the language is judged, once they are known."""

    def plan(self, entry: ChunkEntry) -> None:
        """Add the next chunk."""
        self.entries.append(entry)
        self.planned += 1
        if not self.language_windows:
            self._choose_language_windows(enough=LANGUAGE_WINDOWS.start)

    def split(self, entry: ChunkEntry, step: Step) -> tuple[ChunkEntry, ChunkEntry]:
        """Put two parts in the place of an entry; they go on from `step` of the ladder."""
        before = split_point(entry.chunk)
        assert before is not None, f"chunk {entry.label} can't be split"
        first, second = (
            ChunkEntry(
                planned=PlannedChunk(chunk=chunk, audio=entry.planned.audio, heard=entry.seal.span),
                label=f"{entry.label}.{number}",
                start=step,
            )
            for number, chunk in enumerate(split(entry.chunk, before), start=1)
        )
        place = self.entries.index(entry)
        self.entries[place : place + 1] = [first, second]
        return first, second

    def entry(self, label: str) -> ChunkEntry:
        """Return the entry called `label`."""
        return next(entry for entry in self.entries if entry.label == label)

    def end(self, duration: int, tail: Gap | None) -> None:
        """Note that the plan is complete."""
        self.duration = duration
        self.tail = tail
        if not self.language_windows:
            self._choose_language_windows(enough=1)

    def _choose_language_windows(self, enough: int) -> None:
        windows = [window for entry in self.entries for window in entry.chunk.windows]
        if len(windows) >= enough:
            self.language_windows = tuple(windows[: LANGUAGE_WINDOWS.stop - 1])

    @property
    def language_seals(self) -> tuple[AudioSeal, ...]:
        """What the audio of the windows must be from which the language is judged."""
        windows = set(self.language_windows)
        return tuple(e.seal for e in self.entries if not windows.isdisjoint(e.chunk.windows))

    @property
    def settled(self) -> bool:
        """True when the plan is complete and every chunk is done or given up."""
        return self.duration is not None and all(e.state in SETTLED for e in self.entries)

    def in_state(self, state: ChunkState) -> list[ChunkEntry]:
        return [entry for entry in self.entries if entry.state is state]

    @property
    def gaps(self) -> list[Gap]:
        found = [entry.gap for entry in self.entries if entry.gap is not None]
        found = sorted([*found, *self.lost], key=lambda gap: gap.span) if self.lost else found
        return [*found, self.tail] if self.tail is not None else found


@dataclass(frozen=True, kw_only=True)
class LedgerView:
    """The transcript so far, read chunk by chunk; fulfils `TranscriptView`.

    Args:
        text_language: of what is written, where that is not what is spoken.
        ledger: the state of every chunk.
        load: returns a finished chunk's result.
        expected: length by the media's header, until the true one is known.
    """

    media: str
    language: str | None
    text_language: str | None
    ledger: Ledger
    load: Callable[[ChunkEntry], ChunkResult]
    expected: int

    @property
    def duration(self) -> int:
        if self.ledger.duration is not None:
            return self.ledger.duration
        entries = self.ledger.entries
        return max(self.expected, entries[-1].chunk.span.end if entries else 0)

    @property
    def complete(self) -> bool:
        if not self.ledger.settled:
            return False
        samples = totals(self.coverage())
        return not loses_words(samples[CoverageKind.WORDLESS], samples[CoverageKind.TEXT])

    def windows(self) -> Iterator[WindowResult]:
        return stitch(
            replace(window, remarks=result.remarks + window.remarks)
            for entry in self.ledger.in_state(ChunkState.DONE)
            if entry.chunk.windows
            for result in [self.load(entry)]
            for window in result.windows
        )

    def segments(self) -> Iterator[Segment]:
        for window in self.windows():
            yield from window.segments

    def gaps(self) -> Sequence[Gap]:
        return self.ledger.gaps

    def coverage(self) -> Sequence[CoverageEntry]:
        entries = [item for entry in self.ledger.entries for item in self._cover(entry)]
        end = entries[-1].span.end if entries else 0
        tail = self.ledger.tail
        if tail is not None:
            rest = CoverageEntry(span=tail.span, kind=CoverageKind.GAP, reason=tail.reason)
        else:
            rest = CoverageEntry(span=Span(start=end, end=self.duration), kind=CoverageKind.PENDING)
        covered = with_losses([*entries, rest], self.ledger.lost)
        return merged(declared_wordless(covered, wordless_spans(self.windows())))

    def _cover(self, entry: ChunkEntry) -> Iterator[CoverageEntry]:
        if entry.state is ChunkState.DONE and not entry.chunk.windows:
            yield from chunk_entries(entry.chunk, {})
        elif entry.state is ChunkState.DONE:
            yield from chunk_entries(entry.chunk, heard(self.load(entry).windows))
        elif entry.gap is not None:
            yield from gap_entries(entry.chunk, entry.gap)
        else:
            yield CoverageEntry(span=entry.chunk.span, kind=CoverageKind.PENDING)
