"""`longscribe replay`: one chunk again, in the foreground."""

from __future__ import annotations

import faulthandler
from pathlib import Path

from longscribe.cli.progress import clock
from longscribe.cli.terminal import results, shown
from longscribe.replay import replay
from longscribe.trust import Named
from longscribe.types import ChunkFailure


def print_replay(job: Path, chunk: str, named: Named) -> int:
    """Decode the chunk and print what it was told and what it gave; return the exit status."""
    faulthandler.enable()  # a crash here is what the user wants to see
    console = results(soft_wrap=True)
    done = replay(job, chunk, named)
    task = done.task
    console.print(f"[bold]chunk {shown(task.attempt.label)}[/bold]: {shown(task.settings)}")
    console.print(shown(task.recognizer))
    if isinstance(done.outcome, ChunkFailure):
        console.print(f"[red]failed: {shown(done.outcome.message)}[/red]")
        return 1
    for window in done.outcome.windows:
        span = window.window.span
        console.print(
            f"[dim]window {window.window.index}: {clock(span.start)}, "
            f"{len(window.prompt.token_ids)} prompt tokens, "
            f"terms: {shown(', '.join(window.prompt.terms)) or 'none'}[/dim]"
        )
        for remark in window.remarks:
            console.print(f"[yellow]{shown(remark)}[/yellow]")
        for segment in window.segments:
            console.print(f"{clock(segment.start)} {shown(segment.text.strip())}")
    return 0
