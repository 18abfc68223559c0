"""Whose file is it? What a job may write over, and what it must leave alone.

Two rules, and no output is written past them:

1. What a job works with (its media, glossary, list of learnt terms, model, journal) is never
   a place for what it writes. The command is refused before anything is done.
2. A file is replaced only while its content is what this job put there. What anyone else
   has written stays, and the job's own text goes beside it under another name.

Nothing here looks at a disk: `adapters/own_files.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass

from longscribe.errors import OutputError, UsageError

ASIDES = 99
"""Most names that are tried for one output."""

# --- what is never written ---------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NamedFile:
    """A file and what it is to a job."""

    role: str
    """Such as `the glossary`."""
    path: str
    identity: frozenset[Hashable]
    """By which it is known again under other names: two files with a common element are one."""


def refuse_clashes(written: Iterable[NamedFile], needed: Iterable[NamedFile]) -> None:
    """Refuse to write a file that is needed.

    Raises:
        UsageError: one of `written` is one of `needed`; names both.
    """
    by_key = {key: file for file in needed for key in file.identity}
    for file in written:
        for key in file.identity:
            if key in by_key:
                raise UsageError(
                    f"{_first_up(file.role)} would be written to {file.path}, but that is "
                    f"{by_key[key].role}, {by_key[key].path}.",
                    "Choose another --output-dir, leave that format out with --output-format, or "
                    "rename one of them.",
                )


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- whether an output may be replaced ---------------------------------------


@dataclass(frozen=True, kw_only=True)
class Place:
    """What was found where an output may go."""

    name: str
    digest: str | None
    """Of the content; None where there is no file. Empty where it can't be read."""
    empty: bool = False
    """It is there and holds nothing, so nothing can be lost."""
    barred: bool = False
    """It is a file that the job works with, or no plain file: never written, whoever insists."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a job knows of the outputs that it has written."""

    wrote: Callable[[str], bool]
    """Tells whether this job may have written content with that digest."""
    delivered: str | None
    """Digest of what it last put in place for this format."""
    overwrite: bool
    """The user insists."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Where an output goes."""

    name: str | None
    """None: nowhere. Its text is what was there before a person changed it."""
    write: bool
    """False where the file says just that already."""
    kept: tuple[str, ...]
    """Files in the way that stay as they are."""
    replaced: bool = False
    """A file that is not the job's is written over, since the user insists."""


def aside_names(stem: str, extension: str) -> Iterator[str]:
    """Yield the names under which an output may be written, the best first."""
    yield f"{stem}.{extension}"
    yield f"{stem}.new.{extension}"
    for number in range(2, ASIDES):
        yield f"{stem}.new-{number}.{extension}"


def choose_place(places: Iterable[Place], new: str, claim: Claim) -> Verdict:
    """Decide where content with the digest `new` goes.

    Args:
        places: in the order of `aside_names`; looked at one by one.
        new: digest of the content.
        claim: what the job knows of its outputs.

    Raises:
        OutputError: every place is taken by files of others.
    """
    kept: list[str] = []
    for place in places:
        if place.barred:
            kept.append(place.name)
        elif place.digest == new:
            return Verdict(name=place.name, write=False, kept=tuple(kept))
        elif place.digest is None or place.empty or claim.wrote(place.digest):
            return Verdict(name=place.name, write=True, kept=tuple(kept))
        elif claim.overwrite:
            return Verdict(name=place.name, write=True, kept=tuple(kept), replaced=True)
        else:
            kept.append(place.name)
            if new == claim.delivered:  # whoever changed the file had this text before them
                return Verdict(name=None, write=False, kept=tuple(kept))
    raise OutputError(
        f"{kept[0] if kept else 'The output'} and {len(kept) - 1} files beside it are not this "
        "job's, and stay as they are.",
        "Move them away, or say --overwrite.",
    )


def is_superseded(place: Place, claim: Claim) -> bool:
    """Tell whether a file beside an output is an earlier state of it, and nobody's work."""
    return (
        not place.barred
        and not place.empty
        and place.digest is not None
        and claim.wrote(place.digest)
    )


def tell_kept(verdict: Verdict) -> str:
    """Return what the user is told of the file that an output found in its place."""
    if verdict.replaced:
        return (
            f"{verdict.name} was not written by this job, or was changed since; it is replaced "
            "(--overwrite)."
        )
    goes = "" if verdict.name is None else f"; the text of this job goes to {verdict.name}"
    return (
        f"{verdict.kept[0]} was not written by this job, or was changed since, and stays as it is"
        f"{goes}. (--overwrite replaces it.)"
    )


# --- whose job it is ---------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Film:
    """A media file, as the job that transcribes it knows it."""

    path: str
    """Absolute."""
    seen_from_job: str
    """The path from the job folder to it."""
    prints: frozenset[str]
    """Fingerprints of its content; several where it changed."""


def is_same_film(before: Film, now: Film, *, same_file: bool, there: bool) -> bool:
    """Tell whether a job that was begun with one file may go on with another.

    Args:
        before: as the journal has it.
        now: as it is asked for.
        same_file: both paths lead to one file now.
        there: the earlier path still leads to a file.

    A new version in the same place is the same film. So is the same content anywhere (it was
    moved, renamed, copied), and a new version where media and job folder were moved together.
    """
    if same_file or before.path == now.path or before.prints & now.prints:
        return True
    return not there and before.seen_from_job == now.seen_from_job


def refuse_other_recording(job: str) -> UsageError:
    """Return the error for a job folder of something else that came through a pipe."""
    return UsageError(
        f"The job in {job} is that of another recording that came through a pipe; its transcript "
        "would be replaced.",
        "Give this one another --output-dir. If the earlier job is done with, move its folder "
        "away.",
    )


def refuse_other_film(job: str, before: str, now: str) -> UsageError:
    """Return the error for a job folder that belongs to another film."""
    return UsageError(
        f"The job in {job} is that of {before}; {now} is another file, and its transcript would "
        "take the place of that one's.",
        "Give it another --output-dir. If the earlier job is done with, move its folder away.",
    )


def doubles(names: Iterable[str], key: Callable[[str], Hashable]) -> tuple[str, str] | None:
    """Return two of the names that have the same key, if there are such."""
    seen: dict[Hashable, str] = {}
    for name in names:
        if key(name) in seen:
            return seen[key(name)], name
        seen[key(name)] = name
    return None
