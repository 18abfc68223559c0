"""Reading `longscribe.toml`: which Python each recognizer runs under.

[recognizers.whisperx]
python = "~/whisperx/bin/python"
"""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from longscribe.adapters.environments import places
from longscribe.errors import UsageError
from longscribe.paths import absolute, expanded

_EXPECTED = 'Expected: [recognizers.NAME] with python = "/path/to/python".'
_SAID = {
    "extra_forbidden": "there is no such setting",
    "missing": "it is missing",
}


class _Recognizer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    python: str


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    recognizers: dict[str, _Recognizer] = {}


def chosen_python(recognizer: str) -> Path | None:
    """Return the Python that the settings file names for a recognizer; None: it names none.

    A name without a slash is looked for on the PATH; a relative path counts from the
    file's folder; `~` is the home folder. What is named for others need not be there.

    Raises:
        UsageError: the file can't be read, holds what it should not, or names a
            Python that is not there.
    """
    given = chosen_pythons().get(recognizer)
    return None if given is None else _executable(given, recognizer, places.settings_file())


def chosen_pythons() -> dict[str, str]:
    """Return what the settings file says: recognizer → Python, as written there.

    Raises:
        UsageError: the file can't be read, or holds what it should not.
    """
    file = places.settings_file()
    text = _text(file)
    if text is None:
        return {}
    try:
        settings = _Settings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}.", _EXPECTED) from None
    except ValidationError as error:
        raise UsageError(f"{file}: {_say(error.errors()[0])}.", _EXPECTED) from None
    return {name: table.python for name, table in settings.recognizers.items()}


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if os.environ.get(places.CONFIG):
            raise UsageError(
                f"{places.CONFIG} names {file}, which does not exist.", "Write it, or unset it."
            ) from None
        return None
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"The settings file {file} can't be read ({told}).") from None


def _say(problem: Any) -> str:
    """Return what is wrong as: the key, and what was found there."""
    key = ".".join(map(str, problem["loc"])) or "the file"
    told = _SAID.get(problem["type"])
    return f"{key}: {told}" if told else f"{key} is {problem['input']!r}"


def _executable(given: str, name: str, file: Path) -> Path:
    key = f"{file}: recognizers.{name}.python"
    if "/" not in given:
        found = shutil.which(given)
        if found is None:
            raise UsageError(f"{key} is {given!r}, which is not on the PATH.", _EXPECTED)
        return Path(found)
    # Its links are kept: a venv's Python is a link, and knows the venv by its own path.
    path = absolute(file).parent / expanded(given)
    if not path.exists():
        raise UsageError(f"{key} is {given!r}, which does not exist.", _EXPECTED)
    if path.is_dir():
        inside = path / "bin" / "python"
        hint = f"Did you mean {inside}?" if inside.exists() else _EXPECTED
        raise UsageError(f"{key} is {given!r}, which is a folder.", hint)
    if not os.access(path, os.X_OK):
        raise UsageError(f"{key} is {given!r}, which is not executable.", _EXPECTED)
    return path
