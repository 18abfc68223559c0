"""What a person sees while a job runs. Derived from its events alone."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from longscribe.cli.terminal import Terminal, shown
from longscribe.core.visible import visible
from longscribe.errors import LongscribeError
from longscribe.job_events import (
    AttemptFailed,
    AttemptStarted,
    AudioMissing,
    AudioRead,
    BatchDecoded,
    ChunkFinished,
    ChunkPlanned,
    ChunkReused,
    GapDeclared,
    GlossaryTaken,
    JobEvent,
    LanguageDetected,
    MediaEnded,
    MediaIdentified,
    MediaOpened,
    MediaProblem,
    MemoryRelieved,
    Notice,
    OutputsWritten,
    RunFinished,
    RunStarted,
    TermsLearnt,
    WorkerReady,
)
from longscribe.sizes import say_size
from longscribe.types import SAMPLE_RATE, MemoryReading, Span, to_seconds


def clock(samples: int) -> str:
    """Return a media time as h:mm:ss."""
    seconds = samples // SAMPLE_RATE
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


PLACES = 2
"""Stretches of speech without words that the last line names."""
LOSES_WORDS = (
    "The recognizer loses words: try a larger model (--model). Where words are missing stands "
    "as `wordless` in the coverage of the JSON, and in `longscribe status`."
)
_BEFORE_WORK = (
    RunStarted,
    Notice,
    GlossaryTaken,
    MediaIdentified,
    MediaOpened,
    AudioRead,
    MediaProblem,
    MediaEnded,
    ChunkPlanned,
)


class Display:
    """Shows one job: a bar in media time on a terminal, lines with `--verbose`, else little."""

    def __init__(
        self, console: Terminal, media: Path, job: Path, out: Path, quiet: bool, verbose: bool
    ) -> None:
        self._console = console
        self._media = media
        self._job = job
        self._out = out
        self._quiet = quiet
        self._verbose = verbose
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[place]}"),
            TextColumn("{task.fields[speed]}"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._total = 0
        self._settled = 0  # samples of chunks that are done or given up
        self._in_chunk: dict[int, int] = {}  # samples decoded of chunks that run
        self._spans: dict[int, Span] = {}
        self._started: float | None = None
        self._decoded = 0  # samples decoded in this run
        self._files: tuple[str, ...] = ()
        self._held: list[str] | None = []
        """Notices about a run that has not begun to do anything yet; None once it has."""

    def __enter__(self) -> Self:
        with contextlib.suppress(RuntimeError):  # no thread can be had: then without a bar
            self._bar.start()
        self._task = self._bar.add_task(visible(self._media.name), total=None, place="", speed="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, event: JobEvent) -> None:
        """Take the next event."""
        self._count(event)
        self._move_bar()
        self._release(event)
        match event:
            case RunFinished():
                self._finished(event)
            case Notice():
                notice = f"[yellow]{shown(event.message)}[/yellow]"
                self._say(notice) if self._held is None else self._held.append(notice)
            case MediaProblem():
                self._say(f"[yellow]{clock(event.at)} {shown(event.message)}[/yellow]")
            case AudioMissing(loss=loss):
                start, end = clock(loss.span.start), clock(loss.span.end)
                self._say(f"[red]missing: {start} to {end}, {shown(loss.reason)}[/red]")
            case AttemptFailed():
                place = clock(self._spans[event.attempt.chunk_id].start)
                self._say(
                    f"[yellow]chunk {event.attempt.label} at {place}: "
                    f"{shown(event.failure.message)}; next: {shown(event.next_step)}[/yellow]"
                )
            case TermsLearnt():
                if event.terms:
                    self._say(f"learnt for the next files: {shown(', '.join(event.terms))}")
            case GapDeclared():
                start, end = clock(event.gap.span.start), clock(event.gap.span.end)
                reason = shown(event.gap.reason)
                self._say(f"[red]not transcribed: {start} to {end}, {reason}[/red]")
            case _:
                if self._verbose and (line := _line(event)):
                    self._say(shown(line))

    def _release(self, event: JobEvent) -> None:
        """Say what was held once work begins: what prevents it is to stand alone."""
        if self._held is not None and (self._verbose or not isinstance(event, _BEFORE_WORK)):
            lines, self._held = self._held, None
            for line in lines:
                self._say(line)

    def error(self, error: LongscribeError) -> None:
        told, media = str(error), self._media.name or str(self._media)
        named = "" if media in told else f"{shown(media)}: "
        self._print(f"[red]error:[/red] {named}{shown(told)}")

    def interrupted(self) -> None:
        self._print(
            f"Interrupted. What is done is kept in {shown(self._job)}; "
            "run the same command again to go on.",
        )

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._print(line, highlight=False)

    def _print(self, line: str, *, highlight: bool = True) -> None:
        """Print a line; that nobody can read it any more is no reason to stop the work."""
        with contextlib.suppress(OSError):
            self._console.print(line, soft_wrap=True, highlight=highlight)

    def _count(self, event: JobEvent) -> None:
        """Keep the sums that the bar shows."""
        match event:
            case MediaOpened():
                self._total = event.info.duration or 0
            case MediaEnded():
                self._total = event.duration
            case ChunkPlanned(chunk=chunk):
                self._spans[chunk.chunk_id] = chunk.span
                self._total = max(self._total, chunk.span.end)
                if not chunk.windows:
                    self._settled += chunk.span.length
            case ChunkReused():
                self._settled += event.span.length
            case AttemptStarted():
                self._started = self._started or time.monotonic()
                self._in_chunk[event.attempt.chunk_id] = 0
            case BatchDecoded():
                self._in_chunk[event.chunk_id] = (
                    self._in_chunk.get(event.chunk_id, 0) + event.samples
                )
                self._decoded += event.samples
            case ChunkFinished():
                self._in_chunk.pop(event.chunk_id, None)
                self._settled += event.span.length
            case GapDeclared():
                self._in_chunk.pop(event.gap.chunk_id or 0, None)
                self._settled += event.span.length
            case OutputsWritten():
                self._files = event.files
            case _:
                pass

    @property
    def _done(self) -> int:
        return self._settled + sum(self._in_chunk.values())

    def _move_bar(self) -> None:
        if self._task is None:
            return
        speed = ""
        if self._started is not None and self._decoded:
            rate = self._decoded / SAMPLE_RATE / max(time.monotonic() - self._started, 1e-3)
            left = max(0, self._total - self._done) / rate
            speed = f"{rate:.1f}x, {clock(round(left))} left"
        self._bar.update(
            self._task,
            total=self._total or None,
            completed=self._done,
            place=f"{clock(self._done)} of {clock(self._total)}" if self._total else "",
            speed=speed,
        )

    def _finished(self, event: RunFinished) -> None:
        gaps = f", [red]{event.gaps} not transcribed[/red]" if event.gaps else ""
        self._say(
            f"[green]{shown(self._media.name)}[/green]: {clock(event.duration)}, "
            f"{clock(event.text)} of it speech{gaps}{_words_said(event)} → "
            + ", ".join(shown(self._out / name) for name in self._files)
        )
        if event.loses_words:
            self._say(f"[red]{LOSES_WORDS}[/red]")


def _words_said(event: RunFinished) -> str:
    """Return, for the last line, whether all speech has words, and where it has none."""
    if not event.wordless:
        return ", all speech has words" if event.text and not event.gaps else ""
    colour = "red" if event.loses_words else "yellow"
    seconds = to_seconds(sum(span.length for span in event.wordless))
    places = ", ".join(clock(span.start) for span in event.wordless[:PLACES])
    if (more := len(event.wordless) - PLACES) > 0:
        places += f" and {more} more place{'s' * (more > 1)}"
    return f", [{colour}]{seconds:.1f} s of speech without words, at {places}[/{colour}]"


def _memory(reading: MemoryReading | None, most: int = 0) -> str:
    """Return what a worker holds as the end of a line; empty where it is not known."""
    if reading is None:
        return ""
    return f", holds {say_size(reading.held)}" + (f", at most {say_size(most)}" if most else "")


def _line(event: JobEvent) -> str | None:
    """Return an event as a line for `--verbose`."""
    match event:
        case MediaOpened(info=info):
            length = clock(info.duration) if info.duration is not None else "unknown length"
            return (
                f"{info.container}, track {info.track} of {info.tracks}: {info.codec}, "
                f"{info.sample_rate} Hz, {info.channels} channels, {length}"
            )
        case AudioRead():
            return f"read to {clock(event.position)}"
        case MediaEnded():
            return f"all audio read: {to_seconds(event.duration):.3f} s"
        case WorkerReady():
            return (
                f"worker {event.worker} (process {event.pid}) loaded the model on "
                f"{event.device} as {event.compute_type} in {event.seconds:.1f} s"
                + _memory(event.memory)
            )
        case MemoryRelieved():
            return f"worker {event.worker}: {event.remedy}, because {event.reason}"
        case LanguageDetected(guess=guess):
            return f"language: {guess.language} ({guess.probability:.0%})"
        case ChunkPlanned(chunk=chunk):
            start, end = clock(chunk.span.start), clock(chunk.span.end)
            return f"chunk {chunk.chunk_id}: {start} to {end}, {len(chunk.windows)} windows"
        case ChunkReused():
            return f"chunk {event.chunk_id} was done before"
        case AttemptStarted(attempt=attempt):
            return f"chunk {attempt.label}: attempt {attempt.number} ({attempt.rung})"
        case ChunkFinished():
            speed = to_seconds(event.span.length) / max(event.seconds, 1e-3)
            done = f"chunk {event.chunk_id} done in {event.seconds:.1f} s ({speed:.1f}x)"
            return done + _memory(event.memory, event.most_memory)
        case OutputsWritten():
            return "wrote " + ", ".join(event.files)
        case _:
            return None
