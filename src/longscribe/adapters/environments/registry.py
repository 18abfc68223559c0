"""The environments that `longscribe install` made, and which Python a recognizer runs under.

An environment is a folder `environments/NAME-N`, and `environments/NAME.json` says that
it is whole and where it is. That file is written last and at once: a folder without
one is a leftover, never an environment.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pydantic import TypeAdapter

from longscribe.adapters.environments import places
from longscribe.adapters.environments.settings_file import chosen_python
from longscribe.adapters.writers.atomic import write_atomically
from longscribe.errors import RecognizerError
from longscribe.wire import from_json, to_json


@dataclass(frozen=True, kw_only=True)
class WorkerPython:
    """A Python for workers that is not ours."""

    path: Path
    source: str
    """Who says so, for messages: the settings file, or the command that made it."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment that was made and tried."""

    recognizer: str
    folder: str
    """Its name within `environments/`."""
    base: str
    """The Python that it was made with."""
    requirements: tuple[str, ...]
    """What pip was asked for."""
    overrides: tuple[str, ...]
    """What was installed in the place of what packages ask for."""
    made_by: str
    """Version of Longscribe."""
    seconds: float
    """How long it took."""

    @property
    def path(self) -> Path:
        return places.environments() / self.folder

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"


_KIND = TypeAdapter(Environment)


def python_for(recognizer: str) -> WorkerPython | None:
    """Return the Python of its own that a recognizer runs under; None: ours.

    What the settings file says goes before what was installed.

    Raises:
        UsageError: the settings file is wrong, or the Python that it names is not there.
        RecognizerError: its environment is registered, but gone, or its marker can't be read.
    """
    chosen = chosen_python(recognizer)
    if chosen is not None:
        return WorkerPython(path=chosen, source=str(places.settings_file()))
    environment = installed(recognizer)
    if environment is None:
        return None
    if not os.access(environment.python, os.X_OK):
        raise RecognizerError(
            f"The environment of {recognizer!r} in {environment.path} has no {environment.python}.",
            f"Run: longscribe install {recognizer}.",
        )
    return WorkerPython(path=environment.python, source=f"longscribe install {recognizer}")


def installed(recognizer: str) -> Environment | None:
    """Return the environment that was made for a recognizer.

    Raises:
        RecognizerError: its marker can't be read.
    """
    # Names of recognizers from elsewhere may hold a slash; those have no environment.
    if Path(recognizer).name != recognizer:
        return None
    return _read(_marker(recognizer))


def replaceable(recognizer: str) -> Environment | None:
    """Return the environment that was made for a recognizer, as install and --remove see it.

    To them a marker that can't be read is none: they are what mends it.
    """
    try:
        return installed(recognizer)
    except RecognizerError:
        return None


def marked() -> tuple[str, ...]:
    """Return the recognizers that have a marker, whether it can be read or not, by name."""
    return tuple(sorted(marker.stem for marker in places.environments().glob("*.json")))


def register(environment: Environment) -> None:
    """Make an environment the one that its recognizer runs under, from now on."""
    write_atomically(_marker(environment.recognizer), lambda out: _write(out, environment))


def unregister(recognizer: str) -> None:
    _marker(recognizer).unlink(missing_ok=True)


def leftovers(recognizer: str) -> tuple[Path, ...]:
    """Return folders of a recognizer that no marker names: of installs that were cut short.

    All of its folders if its marker can't be read.
    """
    kept = replaceable(recognizer)
    return tuple(
        folder
        for folder in sorted(places.environments().glob(f"{recognizer}-*"))
        if folder.is_dir()
        and folder.name.removeprefix(f"{recognizer}-").isdigit()
        and (kept is None or folder.name != kept.folder)
    )


def _marker(recognizer: str) -> Path:
    return places.environments() / f"{recognizer}.json"


def _write(out: TextIO, environment: Environment) -> None:
    out.write(to_json(_KIND, environment) + "\n")


def _read(marker: Path) -> Environment | None:
    try:
        return from_json(_KIND, marker.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RecognizerError(
            f"{marker} can't be read ({type(error.__cause__ or error).__name__}).",
            f"Run: longscribe install {marker.stem}.",
        ) from None
