"""Everything that the command prints goes through here, to standard output or standard error.

- Text from elsewhere is shown, not obeyed: neither by the terminal (`core/visible.py`)
  nor by Rich, whose markup is ours alone (`shown`).
- Standard error holds messages: where nobody can read them any more, the work goes on.
- Standard output holds what was asked for: where it can't be written, the command ends.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, Any, cast

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from longscribe.core.visible import visible, visible_lines
from longscribe.errors import StorageError


class ReaderLeftError(Exception):
    """What reads our standard output has gone, as `head` does when it has seen enough."""


def shown(text: object) -> str:
    """Return what is not ours for use in a line with markup: on one line, and taken literally."""
    return escape(visible(str(text)))


def shown_lines(text: str) -> str:
    """Return several lines that are not ours likewise."""
    return escape(visible_lines(text))


class Terminal(Console):
    """A console that lets no control character through, wherever its text comes from."""

    def render_str(self, text: str, **how: Any) -> Text:
        """Return text to be laid out."""
        return super().render_str(visible_lines(text), **how)

    def on_broken_pipe(self) -> None:
        raise ReaderLeftError


def messages(*, soft_wrap: bool = False) -> Terminal:
    """Return the console for standard error, which never fails."""
    file = None if sys.stderr is None else cast(IO[str], _Patient(sys.stderr))
    return Terminal(file=file, stderr=True, soft_wrap=soft_wrap, emoji=False)


def results(*, soft_wrap: bool = False, highlight: bool = False) -> Terminal:
    """Return the console for standard output.

    Printing to it raises ReaderLeftError or OSError where that fails.
    """
    return Terminal(soft_wrap=soft_wrap, highlight=highlight, emoji=False)


def print_plain(text: object) -> None:
    """Print for programs, as it is: JSON escapes control characters itself, paths must be true.

    Raises:
        ReaderLeftError: nobody reads it.
        OSError: it can't be written.
    """
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError as error:
        raise ReaderLeftError from error


def flush_results() -> None:
    """See that all that was printed is written.

    Raises:
        ReaderLeftError: nobody reads it.
        OSError: it can't be written.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderLeftError from error


def drop_results() -> None:
    """Write nothing more to standard output, also not what is buffered when we end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def cannot_print(error: OSError) -> StorageError:
    """Return what to say when standard output can't be written."""
    return StorageError(
        f"Standard output can't be written ({error.strerror or error}).",
        "Nothing of the job is lost: print it elsewhere.",
    )


def hold_standard_streams() -> None:
    """Open what is closed of the streams 0, 1 and 2, as `>&-` leaves them.

    Else the next files that are opened get their numbers, and whatever writes to standard
    error writes into them.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


class _Patient:
    """A stream whose failures do not matter: a terminal that was closed, a full disk."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
