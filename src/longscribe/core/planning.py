"""The plan: where the recording is cut into chunks, and chunks into decode windows.

A pure function of the frames (speech probability and level, 32 ms each) and the
settings. It is streamed: a chunk is decided as soon as a fixed amount of audio
past its start is known, and from exactly that audio, so the plan is the same
whatever the size of the blocks in which the file was read.

Chunks tile the recording. A chunk ends in the middle of the longest pause
within reach of its target length. Only where there is no pause at all in reach
does the cut fall into speech, on the quietest point; then the windows on both
sides reach over it and stitching takes each word from the window that owns its
middle (`core/stitching.py`). Windows follow the same rule on a smaller scale.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from longscribe.config import Chunking, PlanSettings, SpeechSettings
from longscribe.core.speech import speech_spans
from longscribe.types import Chunk, Span, Window

QUIET_FRAMES = 5
"""The quietest point is the middle of the quietest run of this many frames (160 ms)."""


def one_chunk(duration: int | None, device: str, settings: PlanSettings) -> bool:
    """Tell whether the file may stay in one piece.

    `auto` keeps files under ten minutes whole, but never on MPS, whose memory
    grows with every batch and is only given back between chunks.
    """
    if settings.chunking is Chunking.AUTO:
        return duration is not None and duration < settings.single_chunk_limit and device != "mps"
    return settings.chunking is Chunking.OFF


@dataclass(frozen=True, kw_only=True)
class _Cut:
    at: int
    in_speech: bool


@dataclass(kw_only=True)
class ChunkPlanner:
    """Turns a stream of frames into a stream of chunks.

    Args:
        frame: samples a frame.
        whole: keep the file in one chunk (see `one_chunk`).
    """

    frame: int
    speech: SpeechSettings
    settings: PlanSettings
    whole: bool
    _probabilities: array[float] = field(default_factory=lambda: array("d"))
    _levels: array[float] = field(default_factory=lambda: array("d"))
    _start: int = 0
    _count: int = 0
    _starts_in_speech: bool = False

    @property
    def needs(self) -> int | None:
        """How far (in samples) the recording must be known to decide the next chunk.

        None when only its end can decide.
        """
        length = self._decision_length
        return None if length is None else self._start + length

    @property
    def ramping(self) -> bool:
        """Tell whether the chunk decided last was one of the short ones at the beginning."""
        return self._count > 0 and self._target_of(self._count - 1) < self.settings.chunk_length

    @property
    def _target(self) -> int:
        return self._target_of(self._count)

    def _target_of(self, chunk: int) -> int:
        return min(self.settings.chunk_length, self.settings.first_chunk_length << chunk)

    @property
    def _decision_length(self) -> int | None:
        if self.whole and self.settings.chunking is Chunking.OFF:
            return None
        # A header that promised a short file may have lied: past the limit, cut after all.
        longest = self.settings.single_chunk_limit if self.whole else self._longest
        # What lies just past the reach decides whether a pause ends there.
        beyond = self.settings.seam_overlap + self.speech.min_silence
        return -(-(longest + beyond) // self.frame) * self.frame

    @property
    def _longest(self) -> int:
        return round(self._target * (1 + self.settings.reach))

    def expected(self, duration: int | None) -> int | None:
        """Return about how many chunks a recording of so many samples has; None if not known."""
        if self.whole:
            return 1
        if duration is None:
            return None
        count, rest = 1, duration
        while rest > self._target_of(count - 1) * (1 + self.settings.reach):
            rest -= self._target_of(count - 1)
            count += 1
        return count

    def feed(self, probabilities: Sequence[float], levels: Sequence[float]) -> list[Chunk]:
        """Take the next frames; return the chunks that are now decided."""
        self._probabilities.extend(probabilities)
        self._levels.extend(levels)
        chunks: list[Chunk] = []
        while (length := self._decision_length) is not None:
            frames = length // self.frame
            if len(self._probabilities) < frames:
                break
            self.whole = False
            chunks.append(self._cut_chunk(length))
        return chunks

    def finish(self, duration: int) -> list[Chunk]:
        """Return the remaining chunks of a recording that ends at sample `duration`."""
        chunks: list[Chunk] = []
        while not self.whole and duration - self._start > self._longest:
            chunks.append(self._cut_chunk(duration - self._start))
        if duration > self._start:
            length = duration - self._start
            end = _Cut(at=length, in_speech=False)
            chunks.append(self._make_chunk(end, self._speech(length), length))
        return chunks

    def _speech(self, known: int) -> list[Span]:
        heard = self._probabilities[: self._frames(known)]
        return speech_spans(heard, self.frame, self.speech, in_speech=self._starts_in_speech)

    def _frames(self, length: int) -> int:
        return -(-length // self.frame)

    def _cut_chunk(self, known: int) -> Chunk:
        """Cut the next chunk from the `known` samples past its start."""
        spans = self._speech(known)
        reach = self.settings.reach
        within = Span(start=round(self._target * (1 - reach)), end=self._longest)
        levels = self._levels[: self._frames(known)]
        cut = _choose_cut(spans, within, self._target, levels, self.frame)
        return self._make_chunk(cut, spans, known)

    def _make_chunk(self, cut: _Cut, spans: list[Span], known: int) -> Chunk:
        """Build the chunk from its start to `cut` and move on to what follows."""
        bounds = Span(start=0, end=cut.at)
        inside = [span.clipped(bounds) for span in spans if span.start < cut.at]
        stretch = _Stretch(
            bounds=bounds,
            known=known,
            starts_in_speech=self._starts_in_speech,
            ends_in_speech=cut.in_speech,
            levels=self._levels,
            frame=self.frame,
        )
        windows = _pack(inside, stretch, self.settings, self.speech.padding)
        chunk = Chunk(
            chunk_id=self._count,
            span=_shift(bounds, self._start),
            windows=tuple(
                Window(
                    index=index,
                    span=_shift_to_file(window.span, self._start),
                    owns=_shift(window.owns, self._start),
                    speech=window.speech,
                    voiced=tuple(_shift(piece, self._start) for piece in window.voiced),
                )
                for index, window in enumerate(windows)
            ),
        )
        used = cut.at // self.frame
        del self._probabilities[:used], self._levels[:used]
        self._start += cut.at
        self._count += 1
        self._starts_in_speech = cut.in_speech
        return chunk


def _shift(span: Span, by: int) -> Span:
    return Span(start=span.start + by, end=span.end + by)


def _shift_to_file(span: _Reach, by: int) -> Span:
    """Return a reach on the recording's own clock."""
    return Span(start=max(0, span.start + by), end=span.end + by)


def _pauses(spans: Sequence[Span], end: int) -> list[Span]:
    edges = [0, *(edge for span in spans for edge in (span.start, span.end)), end]
    return [
        Span(start=start, end=max(start, stop))
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
    ]


def _choose_cut(
    spans: Sequence[Span], within: Span, target: int, levels: Sequence[float], frame: int
) -> _Cut:
    """Return the middle of the longest pause `within` reach, else the quietest point."""
    candidates = [
        pause.clipped(within)
        for pause in _pauses(spans, len(levels) * frame)
        if pause.overlap(within) > 0
    ]
    if not candidates:
        return _Cut(at=quietest(levels, within, target, frame), in_speech=True)
    longest = max(candidates, key=lambda pause: (pause.length, -abs(pause.middle - target)))
    return _Cut(at=longest.middle // frame * frame, in_speech=False)


def quietest(levels: Sequence[float], within: Span, target: int, frame: int) -> int:
    """Return the quietest point (a multiple of `frame`) in `within`; of equals, the nearest."""
    half = QUIET_FRAMES // 2

    def loudness(index: int) -> tuple[float, int]:
        around = levels[max(0, index - half) : index + half + 1]
        return sum(around) / len(around), abs(index * frame - target)

    first = -(-within.start // frame)
    last = min(within.end // frame, len(levels) - 1)
    return min(range(first, max(first, last) + 1), key=loudness) * frame


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """Like a `Span`, but may begin before the chunk it is counted from."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class _PackedWindow:
    span: _Reach
    owns: Span
    voiced: tuple[Span, ...]

    @property
    def speech(self) -> int:
        return sum(piece.length for piece in self.voiced)


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """What packing must know of a chunk, in samples from its start."""

    bounds: Span
    known: int
    """End of the audio that is known, or of the recording."""
    starts_in_speech: bool
    ends_in_speech: bool
    levels: Sequence[float]
    frame: int


def _pack(
    spans: Sequence[Span], stretch: _Stretch, settings: PlanSettings, padding: int
) -> list[_PackedWindow]:
    """Pack speech into windows: as few as can be, parted at the longest pauses."""
    room = settings.window_length - 2 * max(padding, settings.seam_overlap)
    pieces = [piece for span in spans for piece in _split(span, room, stretch)]
    groups: list[tuple[Span, ...]] = []
    while pieces:
        count = _group(pieces, room, settings.bridge)
        groups.append(tuple(pieces[:count]))
        pieces = pieces[count:]
    return [
        _window(groups, index, stretch, settings.seam_overlap, padding)
        for index in range(len(groups))
    ]


def _split(span: Span, room: int, stretch: _Stretch) -> list[Span]:
    """Cut speech that is too long for a window at its quietest points."""
    pieces: list[Span] = []
    while span.length > room:
        # The rest must not be a sliver, whose words would lie in three windows at once.
        latest = min(span.start + room, span.end - room // 4)
        within = Span(start=span.start + room // 2, end=latest)
        cut = quietest(stretch.levels, within, within.end, stretch.frame)
        cut = min(max(cut, within.start), within.end)
        pieces.append(Span(start=span.start, end=cut))
        span = Span(start=cut, end=span.end)
    return [*pieces, span]


def _group(pieces: Sequence[Span], room: int, bridge: int) -> int:
    """Return how many of `pieces` the next window takes.

    All that fit, unless that would leave some behind: then the window ends at the
    longest pause of its last third, so that sentences stay together.
    """
    count = 1
    while (
        count < len(pieces)
        and pieces[count].end - pieces[0].start <= room
        and pieces[count].start - pieces[count - 1].end <= bridge
    ):
        count += 1
    if count == len(pieces) or pieces[count].start - pieces[count - 1].end > bridge:
        return count
    enough = pieces[0].start + room * 2 // 3
    choices = [n for n in range(1, count + 1) if pieces[n - 1].end >= enough] or [count]
    return max(choices, key=lambda n: (pieces[n].start - pieces[n - 1].end, n))


def _window(
    groups: Sequence[tuple[Span, ...]], index: int, stretch: _Stretch, overlap: int, padding: int
) -> _PackedWindow:
    """Return the window around one group of pieces: its audio and the part that it owns."""
    start, end = groups[index][0].start, groups[index][-1].end
    if index == 0:
        owns_start = stretch.bounds.start
        cut_before = stretch.starts_in_speech and start == owns_start
    else:
        before = groups[index - 1][-1].end
        owns_start, cut_before = (before + start) // 2, before == start
    if index == len(groups) - 1:
        owns_end = stretch.bounds.end
        cut_after = stretch.ends_in_speech and end == owns_end
    else:
        after = groups[index + 1][0].start
        owns_end, cut_after = (end + after) // 2, after == end
    # A cut through speech is reached over; a pause is shared with the neighbour.
    reach_end = min(owns_end + overlap, stretch.known)
    return _PackedWindow(
        span=_Reach(
            start=owns_start - overlap if cut_before else max(owns_start, start - padding),
            end=reach_end if cut_after else min(owns_end, end + padding),
        ),
        owns=Span(start=owns_start, end=owns_end),
        voiced=groups[index],
    )
