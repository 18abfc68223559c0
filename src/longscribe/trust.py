"""What of a job's journal may be followed: only what the user named on this machine.

A journal names a recognizer to import, a model to load, files to read and folders to
write. All of it may have been put there by somebody else. `own_run` gives the latest
run only if this user began it here; `named_run` lets whoever examines a job of somebody
else's name these things anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from longscribe.adapters.marks import is_marked
from longscribe.config import Options
from longscribe.errors import JobError, UsageError
from longscribe.job_events import RunStarted
from longscribe.reading import latest_run


@dataclass(frozen=True, kw_only=True)
class Named:
    """What a user names now, in the place of what the journal says."""

    media: Path | None = None
    recognizer: str | None = None
    model: str | None = None
    align_model: str | None = None
    glossary: Path | None = None


def own_run(job: Path) -> tuple[RunStarted, Options]:
    """Return the latest run of a job and its options, if this user began it on this machine.

    Raises:
        JobError: somebody else did, or there is none.
    """
    start, options = latest_run(job)
    if not is_marked(start):
        raise JobError(
            f"The latest run of the job in {job} was not begun by you on this machine, so nothing "
            "that it names is followed.",
            "Name the media and the options yourself: call transcribe(), or use the command.",
        )
    return start, options


def named_run(job: Path, named: Named) -> tuple[RunStarted, Options]:
    """Return the latest run of a job and its options, with what is named now in their place.

    Raises:
        JobError: there is none.
        UsageError: somebody else began it, and what it would have us import or read is
            not all named.
    """
    start, options = latest_run(job)
    if not is_marked(start) and (strange := list(_strange(options, named))):
        raise UsageError(
            f"The latest run of the job in {job} was not begun by you on this machine, and it "
            f"names {' and '.join(f'{option} {value}' for option, value in strange)}. "
            "Nothing of that is followed.",
            "If you trust it, name it yourself: "
            f"{' '.join(f'--{option} {value}' for option, value in strange)}.",
        )
    given = {
        name: value
        for name in ("recognizer", "model", "align_model")
        if (value := getattr(named, name)) is not None
    }
    return start, options.model_copy(update=given)


def named_media(start: RunStarted, named: Named) -> Path:
    """Return the media file of a run, or the one named in its place.

    Raises:
        UsageError: somebody else began the run, and none is named.
    """
    return _named_file("media", Path(start.media), start, named.media)


def named_glossary(start: RunStarted, options: Options, named: Named) -> Path | None:
    """Return the glossary's file of a run, or the one named in its place.

    Raises:
        UsageError: somebody else began the run, and none is named.
    """
    if options.glossary is None:
        return named.glossary
    return _named_file("glossary", options.glossary, start, named.glossary)


def _named_file(what: str, journaled: Path, start: RunStarted, named: Path | None) -> Path:
    if named is None and not is_marked(start):
        raise UsageError(
            f"The {what} must be read, and {journaled} was not named by you on this machine.",
            f"If it is the right file, name it yourself: --{what} {journaled}.",
        )
    return named or journaled


def _strange(options: Options, named: Named) -> Iterator[tuple[str, str]]:
    """Yield what leads somewhere and was not named here: the option, and what it says."""
    here = Options.build()  # what the environment names
    for name in ("recognizer", "model", "align_model"):
        value = getattr(options, name)
        known = getattr(named, name) is not None or value in (None, getattr(here, name))
        if not known and _leads_elsewhere(name, str(value)):
            yield name.replace("_", "-"), str(value)


def _leads_elsewhere(name: str, value: str) -> bool:
    """Tell whether an option names code or a file, not one of the things that we know by name."""
    if name == "recognizer":
        return ":" in value
    return os.sep in value
