"""The output files of one job: written by the rules of `core/ownership.py`."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from longscribe.adapters.locking import exclusively
from longscribe.adapters.own_files import look
from longscribe.adapters.storage import explained
from longscribe.adapters.writers.atomic import Part, led_to, staged, sweep
from longscribe.config import OutputFormat
from longscribe.core.ownership import (
    Claim,
    NamedFile,
    Place,
    Verdict,
    aside_names,
    choose_place,
    is_superseded,
    tell_kept,
)
from longscribe.errors import OutputError
from longscribe.job import Written
from longscribe.ports import TranscriptView, TranscriptWriter


class OutputRecord(Protocol):
    """What a job knows of the outputs that it has written; the journal keeps it."""

    def will_write(self, digests: Collection[str]) -> None:
        """Store that files with these contents are about to be put in place."""
        ...

    def wrote(self, digest: str) -> bool:
        """Tell whether such a content may have been put in place."""
        ...

    def delivered(self, slot: str) -> str | None:
        """Return the digest of the last content that was put in place there."""
        ...


@dataclass(kw_only=True)
class Remembered:
    """Fulfils `OutputRecord` as long as the program lives."""

    digests: set[str] = field(default_factory=set)
    slots: dict[str, str] = field(default_factory=dict)

    def will_write(self, digests: Collection[str]) -> None:
        self.digests.update(digests)

    def wrote(self, digest: str) -> bool:
        return digest in self.digests

    def delivered(self, slot: str) -> str | None:
        return self.slots.get(slot)


@dataclass(frozen=True)
class OutputFiles:
    """Writes a transcript in each format asked for, as `directory/stem.extension`.

    A file there that is not the job's stays, and the transcript goes to `stem.new.extension`.
    """

    directory: Path
    stem: str
    writers: Mapping[OutputFormat, TranscriptWriter]
    record: OutputRecord = field(default_factory=Remembered)
    needed: Callable[[], Collection[NamedFile]] = tuple
    """Returns the files that must never be written, as they are now."""
    job: Path = Path()
    """The job folder: outputs that move together with it are known again."""
    overwrite: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in the order in which they are written."""
        return tuple(self.directory / f"{self.stem}.{name}" for name in self._extensions)

    @property
    def _extensions(self) -> tuple[str, ...]:
        return tuple(writer.extension for writer in self.writers.values())

    @property
    def _family(self) -> Path:
        """What stands for all outputs of the stem, in locks and in names of temporary files."""
        return self.directory / self.stem

    def check(self) -> None:
        """Make the folder and see that it takes files, before any work is done.

        Also removes what a killed run left behind.

        Raises:
            OutputError: the folder can't be made or written, or a folder is in a file's way.
            StorageError: the disk is full, fails or is read-only.
        """
        try:
            self._probe()
        except OSError as error:
            problem = explained(error, self.directory)
            if error.errno == errno.EROFS:  # no disk failed: the folder was badly chosen
                problem = OutputError(problem.found, problem.remedy)
            raise problem from error

    def survey(self) -> Mapping[str, str]:
        """Return what the user should know of each output that is there and not the job's.

        Raises:
            OutputError, StorageError: they can't be looked at, or there are too many of them.
        """
        needed = self.needed()
        told: dict[str, str] = {}
        with _explaining(self._family):
            for extension in self._extensions:
                verdict = choose_place(self._places(extension, needed), "", self._claim(extension))
                told |= _told(verdict)
        return told

    def write(self, view: TranscriptView) -> Written:
        """Write every format, each whole or not at all, except over what is not the job's.

        What says the same already is left alone, with its time, mode and links. The record
        knows a content before it is in place, so that a crash in between takes nothing for
        somebody else's.

        Raises:
            OutputError, StorageError: as `write_atomically`; files before the bad one are new.
            OutputError: too many files of others are in the way.
        """
        parts: dict[str, Part] = {}
        with ExitStack() as stack:
            for writer in self.writers.values():
                name = writer.extension
                render = partial(writer.write, view)
                with _explaining(self.directory / f"{self.stem}.{name}"):
                    opened = staged(self.directory, self._family, render)
                    parts[name] = stack.enter_context(opened)
            with _explaining(self._family), exclusively(self._family):
                return self._put(parts)

    def _put(self, parts: Mapping[str, Part]) -> Written:
        """Decide where each goes, note it, and put it there; nobody else writes meanwhile."""
        needed = self.needed()
        verdicts = {
            name: choose_place(self._places(name, needed), part.digest, self._claim(name))
            for name, part in parts.items()
        }
        new = {parts[name].digest for name, verdict in verdicts.items() if verdict.write}
        if new:
            self.record.will_write(new)
        for name, verdict in verdicts.items():
            if verdict.name is not None and verdict.write:
                place = self.directory / verdict.name
                like = self.directory / verdict.kept[0] if verdict.kept else None
                with _explaining(place):
                    parts[name].put(place, like)
            self._remove_superseded(name, verdict, needed)
        return Written(
            files=tuple(self.directory / v.name for v in verdicts.values() if v.name is not None),
            delivered={self._slot(name): part.digest for name, part in parts.items()},
            told={key: told for v in verdicts.values() for key, told in _told(v).items()},
        )

    def _remove_superseded(
        self, extension: str, verdict: Verdict, needed: Collection[NamedFile]
    ) -> None:
        """Remove an earlier state that stands aside, now that the text has a better place."""
        claim = self._claim(extension)
        for place in self._behind(extension, verdict.name, needed):
            if not is_superseded(place, claim):
                return
            with suppress(OSError):
                (self.directory / place.name).unlink()

    def _behind(
        self, extension: str, name: str | None, needed: Collection[NamedFile]
    ) -> Iterator[Place]:
        """Yield what is found under the names after `name`."""
        names = iter(aside_names(self.stem, extension))
        if name is not None and name in names:  # goes on to it
            for behind in names:
                yield look(self.directory / behind, needed)

    def _places(self, extension: str, needed: Collection[NamedFile]) -> Iterator[Place]:
        for name in aside_names(self.stem, extension):
            yield look(self.directory / name, needed)

    def _claim(self, extension: str) -> Claim:
        return Claim(
            wrote=self.record.wrote,
            delivered=self.record.delivered(self._slot(extension)),
            overwrite=self.overwrite,
        )

    def _slot(self, extension: str) -> str:
        """Return where a format goes, as seen from the job folder."""
        folder = os.path.relpath(self.directory.absolute(), self.job.absolute())
        name = os.fsencode(folder).decode("utf-8", "backslashreplace")
        return f"{name}/{extension}"

    def _probe(self) -> None:
        if self.directory.exists() and not self.directory.is_dir():
            raise OutputError(
                f"{self.directory} is a file, not a folder.", "Choose another with --output-dir."
            )
        self.directory.mkdir(parents=True, exist_ok=True)
        sweep(self.directory, self._family)
        with staged(self.directory, self._family, lambda _: None):
            pass
        for path in self.paths:
            place = led_to(path)
            if place.is_dir():
                raise OutputError(
                    f"{path} is a folder; a file is to be written there.", "Rename it."
                )
            if place.exists() and not place.is_file():
                raise OutputError(
                    f"{path} is no plain file (a pipe or a device); a file is to be written there.",
                    "Rename it, or choose another --output-dir.",
                )
            if place != path:
                sweep(place.parent, place)


def _told(verdict: Verdict) -> dict[str, str]:
    """Return the file in the way, if there is one, with what the user is told."""
    if verdict.replaced and verdict.name is not None:
        return {verdict.name: tell_kept(verdict)}
    return {verdict.kept[0]: tell_kept(verdict)} if verdict.kept else {}


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Say which file could not be written, and why."""
    try:
        yield
    except OSError as error:
        raise explained(error, path) from error
