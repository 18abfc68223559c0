"""`longscribe status` and `longscribe inspect`: what a job's journal says. They only read."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from rich.table import Table

from longscribe.cli.progress import clock
from longscribe.cli.terminal import Terminal, print_plain, results, shown
from longscribe.core.losses import loss_gaps
from longscribe.reading import JobSummary, body_of, open_journal, summarize
from longscribe.sizes import say_size
from longscribe.types import to_seconds


def print_status(job: Path) -> None:
    """Print how the job stands.

    Raises:
        JobError: there is no job in that folder.
    """
    summary = summarize(job)
    console = results(highlight=True)
    console.print(f"[bold]{shown(summary.media)}[/bold]: {shown(summary.state)}")
    console.print(f"model {shown(summary.model)}, recognizer {shown(summary.recognizer)}")
    if summary.language:
        console.print(f"language {shown(summary.language)} ({summary.language_probability:.0%})")
    _print_progress(summary, console)
    _print_trouble(summary, console)


MOST_STRETCHES = 10
"""Stretches of speech without words that `status` lists."""


def _print_progress(summary: JobSummary, console: Terminal) -> None:
    total = clock(summary.duration) if summary.duration is not None else "unknown"
    end = "" if summary.read_to_end else " (still being read)"
    console.print(
        f"{clock(summary.settled)} of {total}{end}, "
        f"{summary.done} of {len(summary.spans)} planned chunks done"
    )
    if summary.decode_seconds:
        speed = summary.decoded / 16_000 / summary.decode_seconds
        console.print(f"decoded at {speed:.1f}x, peak memory {summary.peak_memory / 2**20:.0f} MB")
    for worker, holding in sorted(summary.holdings.items()):
        most = f", at most {say_size(holding.most)} in a chunk" if holding.most else ""
        reading = holding.now
        console.print(
            f"worker {worker} on {reading.device}: holds {say_size(reading.held)}{most}"
            + (
                f"; of its device {say_size(reading.device_free)} are free"
                if reading.device_free is not None
                else ""
            )
        )
    if summary.files:
        console.print("outputs: " + ", ".join(shown(name) for name in summary.files))


def _print_trouble(summary: JobSummary, console: Terminal) -> None:
    for at, message in summary.problems:
        console.print(f"[yellow]media at {clock(at)}: {shown(message)}[/yellow]")
    for remedy, reliefs in itertools.groupby(
        sorted(summary.reliefs, key=lambda relief: relief.remedy), lambda relief: relief.remedy
    ):
        every = list(reliefs)
        times = "once" if len(every) == 1 else f"{len(every)} times, the last time"
        console.print(f"memory: {shown(remedy)} {times} because {shown(every[-1].reason)}")
    if summary.failures:
        table = Table("chunk", "at", "attempt", "what happened", "what followed")
        for event in summary.failures:
            # A failure of an earlier run may be of a chunk that this one has not come to yet.
            span = summary.spans.get(event.attempt.chunk_id)
            table.add_row(
                shown(event.attempt.label),
                clock(span.start) if span else "",
                str(event.attempt.number),
                shown(event.failure.message),
                shown(event.next_step),
            )
        console.print(table)
    for gap in (*loss_gaps(summary.losses), *summary.gaps):
        start, end = clock(gap.span.start), clock(gap.span.end)
        console.print(f"[red]not transcribed: {start} to {end}, {shown(gap.reason)}[/red]")
    for span in summary.wordless[:MOST_STRETCHES]:
        start, end = clock(span.start), clock(span.end)
        seconds = to_seconds(span.length)
        console.print(f"[yellow]speech without words: {start} to {end}, {seconds:.1f} s[/yellow]")
    if (more := len(summary.wordless) - MOST_STRETCHES) > 0:
        console.print(f"[yellow]and {more} more, see coverage in the JSON[/yellow]")


def print_inspection(job: Path, *, as_json: bool) -> None:
    """Print every event of the job: as lines, or as one JSON document.

    Raises:
        JobError: there is no job in that folder.
    """
    with open_journal(job) as journal:
        if as_json:
            print_plain(json.dumps(journal.dump(), ensure_ascii=False, indent=1))
            return
        console = results(soft_wrap=True)
        for at, event in journal.events():
            console.print(f"{at} {event.type} {shown(body_of(event))}")
