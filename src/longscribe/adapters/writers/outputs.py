"""The output files of one job."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from longscribe.adapters.storage import explained
from longscribe.adapters.writers.atomic import temporary_path, write_atomically
from longscribe.config import OutputFormat
from longscribe.errors import OutputError
from longscribe.ports import TranscriptView, TranscriptWriter


@dataclass(frozen=True)
class OutputFiles:
    """Writes a transcript in each format asked for, as `directory/stem.extension`."""

    directory: Path
    stem: str
    writers: Mapping[OutputFormat, TranscriptWriter]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in the order in which they are written."""
        return tuple(self._path(writer) for writer in self.writers.values())

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

    def write(self, view: TranscriptView) -> tuple[Path, ...]:
        """Write every format, each whole or not at all; return the files.

        Raises:
            OutputError, StorageError: as `write_atomically`; files before the bad one are new.
        """
        for writer in self.writers.values():
            write_atomically(self._path(writer), partial(writer.write, view))
        return self.paths

    def _probe(self) -> None:
        if self.directory.exists() and not self.directory.is_dir():
            raise OutputError(
                f"{self.directory} is a file, not a folder.", "Choose another with --output-dir."
            )
        self.directory.mkdir(parents=True, exist_ok=True)
        probe = temporary_path(self.directory / self.stem)
        probe.unlink(missing_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
        for path in self.paths:
            if path.is_dir():
                raise OutputError(
                    f"{path} is a folder; a file is to be written there.", "Rename it."
                )
        for name in OutputFormat:
            temporary_path(self.directory / f"{self.stem}.{name}").unlink(missing_ok=True)

    def _path(self, writer: TranscriptWriter) -> Path:
        return self.directory / f"{self.stem}.{writer.extension}"
