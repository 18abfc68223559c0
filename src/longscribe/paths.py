"""Paths as they are given, made to mean the same place for the whole of a run.

The current folder belongs to the program that we run in: it may change while a run goes
on, and it may vanish. So paths are made absolute where they come in, and nowhere else.
"""

from __future__ import annotations

import os
from pathlib import Path

from longscribe.errors import UsageError


def given_path(path: object, what: str = "The media") -> Path:
    """Return a path that a program gave, as it was given.

    Raises:
        UsageError: it is no path: samples, an open file, bytes.
    """
    if not isinstance(path, str | os.PathLike):
        kind = f"{type(path).__module__}.{type(path).__qualname__}".removeprefix("builtins.")
        raise UsageError(
            f"{what} is of the type {kind}; expected the path of a file.",
            "Write samples or bytes to a file first, for example with the module wave.",
        )
    name = os.fsdecode(path)
    if "\0" in name:
        raise UsageError(f"{what} is no path: {name!r} holds a null character.")
    return Path(name)


def absolute(path: Path) -> Path:
    """Return where `path` is, whatever becomes of the current folder.

    Raises:
        UsageError: it starts from the current folder, which is gone; or is no path.
    """
    if "\0" in str(path):
        raise UsageError(f"{str(path)!r} is no path: it holds a null character.")
    try:
        return path.absolute()
    except FileNotFoundError:
        where = "outputs go" if path == Path() else f"{path} is"
        raise UsageError(
            f"The current folder is gone, so it can't be said where {where}.",
            "Go to a folder that exists, or give absolute paths, also for --output-dir.",
        ) from None


def home() -> Path:
    """Return the user's home; where there is none, a folder that does not exist.

    A process in a container may have neither HOME nor an entry in the list of users. What
    is looked up in a home is then simply not there.
    """
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def expanded(path: str) -> Path:
    """Return a path with `~` at its beginning replaced by the home of the user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return home() / path.lstrip("~").lstrip("/")
