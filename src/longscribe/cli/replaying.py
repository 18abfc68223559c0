"""`longscribe replay`: one chunk again, in the foreground."""

from __future__ import annotations

import faulthandler
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from longscribe.cli.progress import clock
from longscribe.replay import replay
from longscribe.trust import Named
from longscribe.types import ChunkFailure


def print_replay(job: Path, chunk: str, named: Named) -> int:
    """Decode the chunk and print what it was told and what it gave; return the exit status."""
    faulthandler.enable()  # a crash here is what the user wants to see
    console = Console(soft_wrap=True, highlight=False)
    done = replay(job, chunk, named)
    task = done.task
    console.print(f"[bold]chunk {task.attempt.label}[/bold]: {escape(str(task.settings))}")
    console.print(escape(str(task.recognizer)))
    if isinstance(done.outcome, ChunkFailure):
        console.print(f"[red]failed: {escape(done.outcome.message)}[/red]")
        return 1
    for window in done.outcome.windows:
        span = window.window.span
        console.print(
            f"[dim]window {window.window.index}: {clock(span.start)}, "
            f"{len(window.prompt.token_ids)} prompt tokens, "
            f"terms: {escape(', '.join(window.prompt.terms)) or 'none'}[/dim]"
        )
        for remark in window.remarks:
            console.print(f"[yellow]{escape(remark)}[/yellow]")
        for segment in window.segments:
            console.print(f"{clock(segment.start)} {escape(segment.text.strip())}")
    return 0
