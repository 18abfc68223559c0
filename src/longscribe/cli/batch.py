"""Several files in one command: each in turn, one bad file does not stop the rest."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from rich.console import Console

from longscribe import api, wiring
from longscribe.cli.progress import Display
from longscribe.config import Options
from longscribe.core.names import folded, stem_of
from longscribe.core.ownership import doubles
from longscribe.errors import LongscribeError, UsageError
from longscribe.job_events import RunFinished

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_GAPS, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

_WORST_FIRST = (EXIT_INTERRUPTED, EXIT_FAILED, EXIT_USAGE, EXIT_GAPS, EXIT_OK)


def transcribe_all(media: list[Path], options: Options, *, verbose: bool, quiet: bool) -> int:
    """Transcribe each file; return the exit status of the worst.

    Raises:
        UsageError: the files can't be done together with these options.
        GlossaryError, OutputError: the file of learnt terms can't be read or written.
    """
    _check_together(media, options)
    if (learnt := wiring.learnt_file(options)) is not None:
        learnt.check()
    # Messages go to standard error: standard output stays free for pipelines.
    console = _Console(stderr=True)
    statuses = []
    for number, path in enumerate(media):
        job, out = wiring.job_folder(path, options).path, wiring.output_dir(options)
        display = Display(console, path, job, out, quiet, verbose)
        statuses.append(_transcribe_one(media[number:], options, display))
        if statuses[-1] == EXIT_INTERRUPTED:
            break
    return next(status for status in _WORST_FIRST if status in statuses)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on: Rich would end the program, and with it the run."""
        self.quiet = True


def _transcribe_one(rest: list[Path], options: Options, display: Display) -> int:
    """Transcribe the first of the files that are left.

    It is offered what was learnt before it, not what it taught itself, or files behind it,
    in an earlier run of the same command: so the same command finds nothing to redo.
    """
    status = EXIT_FAILED
    try:
        extra = api.learnt_elsewhere(options, rest)
        run = api.events(rest[0], options, extra_terms=extra)
        with display, closing(run) as events:
            for event in events:
                display.show(event)
                if isinstance(event, RunFinished):
                    status = EXIT_GAPS if event.gaps else EXIT_OK
    except LongscribeError as error:
        display.error(error)
        return error.exit_status
    except KeyboardInterrupt:
        display.interrupted()
        return EXIT_INTERRUPTED
    return status


def _check_together(media: list[Path], options: Options) -> None:
    if options.job_dir is not None and len(media) > 1:
        raise UsageError(
            f"--job-dir names one job folder, but there are {len(media)} files.",
            "Leave it out: each file gets its own folder beside its outputs.",
        )
    twins = doubles([str(path) for path in media], lambda path: folded(stem_of(Path(path).name)))
    if twins is not None:
        raise UsageError(
            f"{twins[0]} and {twins[1]} are both called {stem_of(Path(twins[1]).name)!r}; their "
            "outputs would overwrite each other.",
            "Transcribe them one by one with different --output-dir.",
        )
    wiring.refuse_own_goals(media, options)
