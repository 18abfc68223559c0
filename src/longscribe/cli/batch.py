"""Several files in one command: each in turn, one bad file does not stop the rest."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from longscribe import api, wiring
from longscribe.adapters import incoming
from longscribe.cli.progress import Display
from longscribe.cli.terminal import messages
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
    console = messages()
    statuses = []
    for number, path in enumerate(media):
        named = incoming.named(path)
        job, out = wiring.job_folder(named, options).path, wiring.output_dir(options)
        display = Display(console, named, job, out, quiet, verbose)
        statuses.append(_transcribe_one(media[number:], options, display))
        if statuses[-1] == EXIT_INTERRUPTED:
            break
    return next(status for status in _WORST_FIRST if status in statuses)


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
                    status = EXIT_OK if event.complete else EXIT_GAPS
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
    names = [incoming.named(path) for path in media]
    twins = doubles([str(name) for name in names], lambda name: folded(stem_of(Path(name).name)))
    if twins is not None:
        raise UsageError(
            f"{twins[0]} and {twins[1]} are both called {stem_of(Path(twins[1]).name)!r}; their "
            "outputs would overwrite each other.",
            "Transcribe them one by one with different --output-dir.",
        )
    wiring.refuse_own_goals(names, options)
