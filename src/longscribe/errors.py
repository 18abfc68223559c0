"""One tree of errors, each written for the person who meets it.

    LongscribeError              slug, what was found, what to do, exit status
    ├── UsageError          2    the command or the options are wrong
    │   ├── GlossaryError   2    a glossary line that can't be read
    │   └── OutputError     2    the output folder can't be used
    ├── MediaError          1    the file holds no audio that can be read
    ├── ModelError          1    the model can't be found or loaded
    ├── RecognizerError     1    the engine is missing or can't do what was asked
    ├── WorkerStartError    1    a worker can't start; retrying would not help
    ├── InstallError        1    an environment for a recognizer can't be made
    ├── JobError            1    the job folder can't be used
    │   ├── JobLockedError  1    another run holds it
    │   ├── JournalError    1    its database is damaged or of another version
    │   └── SpoolError      1    its audio is not that of the media
    └── StorageError        1    the disk is full or fails

Every error survives pickling and crosses the worker protocol by its slug.
"""

from __future__ import annotations

from typing import ClassVar


class LongscribeError(Exception):
    """Base of every error that a user may meet.

    Args:
        found: what was found, and what was expected where that isn't plain.
        remedy: what to do next; empty when there is nothing sensible to say.
    """

    slug: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(found, remedy)
        self.found = found
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.found} {self.remedy}".strip()


class UsageError(LongscribeError):
    slug = "usage"
    exit_status = 2


class GlossaryError(UsageError):
    slug = "glossary"


class OutputError(UsageError):
    slug = "output"


class MediaError(LongscribeError):
    slug = "media"


class ModelError(LongscribeError):
    slug = "model"


class RecognizerError(LongscribeError):
    slug = "recognizer"


class WorkerStartError(LongscribeError):
    slug = "worker-start"


class InstallError(LongscribeError):
    slug = "install"


class JobError(LongscribeError):
    slug = "job"


class JobLockedError(JobError):
    slug = "job-locked"


class JournalError(JobError):
    slug = "journal"


class SpoolError(JobError):
    slug = "spool"


class StorageError(LongscribeError):
    slug = "storage"


def _tree(root: type[LongscribeError]) -> list[type[LongscribeError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]


BY_SLUG: dict[str, type[LongscribeError]] = {cls.slug: cls for cls in _tree(LongscribeError)}
"""Slug → class, to raise in the parent what a child reported."""


def from_slug(slug: str, found: str, remedy: str = "") -> LongscribeError:
    """Return the error a child process described; an unknown slug becomes the base class."""
    return BY_SLUG.get(slug, LongscribeError)(found, remedy)
