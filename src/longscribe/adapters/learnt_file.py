"""The file of learnt terms (`--learn-glossary`): a glossary table with term, weight and note."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from longscribe.adapters.glossary_files import load_glossary
from longscribe.adapters.locking import exclusively
from longscribe.adapters.storage import explained
from longscribe.adapters.writers.atomic import led_to, write_atomically
from longscribe.core.bias.learning import Source, learnt_elsewhere, merged
from longscribe.errors import GlossaryError, OutputError
from longscribe.types import Term

COLUMNS = ("term", "weight", "note")

_CHECK = "Check --learn-glossary."


@dataclass(frozen=True, kw_only=True)
class LearntFile:
    """Reads and writes the terms. The file need not be there."""

    path: Path

    def check(self) -> None:
        """Make its folder, and see that the file can be read and written, before any work is done.

        Raises:
            GlossaryError: it can't be read, or holds what it would lose when it is written.
            OutputError: the folder can't be made or written.
        """
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} can't be made ({error.strerror}).", _CHECK) from error
        if not os.access(folder, os.W_OK):
            raise OutputError(f"{folder} can't be written.", _CHECK)
        if self.path.is_dir():
            raise OutputError(f"{self.path} is a folder, not a file.", _CHECK)
        self._read()

    def terms(self, without: Collection[str] = ()) -> tuple[Term, ...]:
        """Return the terms, but for those learnt only from files with the marks `without`.

        Raises:
            GlossaryError: as `check`.
        """
        return learnt_elsewhere(self._read(), without)

    def add(self, terms: Sequence[Term], source: Source) -> None:
        """Join terms learnt from `source` to the file; what is there stays.

        The file is held from reading to writing: of two runs at its end at once, neither
        loses what the other has learnt.

        Raises:
            GlossaryError: as `check`.
            OutputError, StorageError: it can't be written.
        """
        try:
            # The file itself, where a link leads to it: others may know it by another name.
            with exclusively(led_to(self.path)):
                self._join(terms, source)
        except OutputError as error:
            raise OutputError(error.found, _CHECK) from error
        except OSError as error:
            problem = explained(error, self.path)
            remedy = _CHECK if isinstance(problem, OutputError) else problem.remedy
            raise type(problem)(problem.found, remedy) from error

    def _join(self, terms: Sequence[Term], source: Source) -> None:
        text = _table(merged(self._read(), terms, source))
        if self.path.is_file() and self.path.read_bytes() == text.encode():
            return

        def render(out: TextIO) -> None:
            out.write(text)

        write_atomically(self.path, render)

    def _read(self) -> tuple[Term, ...]:
        if not self.path.exists() or not self.path.stat().st_size:
            return ()
        # A file from which nothing was learnt has left a header alone.
        glossary = load_glossary(self.path, may_be_empty=True)
        if not _has_our_header(self.path):
            raise GlossaryError(
                f"{self.path} is no file of learnt terms: its first line is not "
                f"{','.join(COLUMNS)}.",
                "Use it with --glossary, and give --learn-glossary a file of its own.",
            )
        return glossary.terms


def _has_our_header(path: Path) -> bool:
    """Tell whether the table has our columns, parted by whatever a spreadsheet puts there."""
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    header = first.strip().replace(";", ",").replace("\t", ",").replace('"', "").lower()
    return tuple(cell.strip() for cell in header.split(",")) == COLUMNS


def _table(terms: Sequence[Term]) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows((term.text, term.weight, term.note) for term in terms)
    return out.getvalue()
