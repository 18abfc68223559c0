"""What finding a model gives, whatever its format. Runs in the supervisor: loads no engine."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from longscribe.adapters.content import content_digest
from longscribe.errors import ModelError, UsageError


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """A model on this machine."""

    path: Path
    identity: str
    """Digest of its files: the same weights are the same model wherever they lie."""


class ModelState(StrEnum):
    """How much of a model is on this machine."""

    WHOLE = "whole"
    PARTIAL = "partial"
    """A download that broke off: never taken for a model."""
    ABSENT = "absent"


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """Where a model is, or where it is to be had."""

    name: str
    origin: str
    """The repository, or the repository's file; for a local model its path."""
    state: ModelState
    path: Path | None
    """On this machine. Of a part of a model, where the part is."""
    missing: tuple[str, ...] = ()
    """Files that a partial model lacks, with a word on those that are there but broken."""


class ModelShelf(Protocol):
    """Where an engine's models are. Nothing but `fetch` uses the network."""

    names: Mapping[str, str]
    """Name → repository on the hub, or the file there."""

    def look(self, name: str) -> Whereabouts:
        """Return where the model called `name` is: a local path, or a name of the hub.

        Raises:
            UsageError: no such model is known.
            ModelError: `name` is a path, and no model of this engine.
        """
        ...

    def look_up(self, name: str) -> Whereabouts:
        """Return where the model is that `names` calls `name`.

        Local paths do not count: a folder of that name may be anything.
        """
        ...

    def cached(self) -> tuple[Whereabouts, ...]:
        """Return the models in the hub's cache that are on no list of names."""
        ...

    def fetch(self, name: str, folder: Path | None) -> Path:
        """Fetch a model into the hub's cache, or into `folder`; go on where it broke off.

        Raises:
            UsageError: no such model is known.
            ModelError: the hub can't give it.
        """
        ...


def take_as_given(name: str) -> FoundModel:
    """Return the model of a recognizer that finds its models itself."""
    path = Path(name)
    if path.is_dir():
        return FoundModel(path=path, identity=digest_files(path.rglob("*"), path))
    return FoundModel(path=path, identity=file_identity(path) if path.is_file() else name)


def local_path(name: str, option: str = "--model") -> Path:
    """Return the path that `name` is if it is one; whether anything is there is not said.

    Raises:
        UsageError: the system can't look there: no such home, a name too long, no permission.
    """
    try:
        path = Path(name).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, RuntimeError, ValueError) as error:
        told = (error.strerror if isinstance(error, OSError) else None) or str(error)
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        raise UsageError(
            f"{option} {shown} is no path that can be looked at ({told.rstrip('.')}).",
            "Give the name of a model, a hub repository or another local path.",
        ) from error
    return path


_SHOWN = 60
"""Letters of a name that messages repeat."""


def file_identity(file: Path) -> str:
    """Return the digest of a model file's content.

    Raises:
        ModelError: it can't be read, or changes all the time.
    """
    try:
        return content_digest(file)
    except OSError as error:
        raise ModelError(f"The model file {file} can't be read ({error.strerror}).") from error


def digest_files(files: Iterable[Path], root: Path | None = None) -> str:
    """Return a digest of names and contents; folders among `files` do not count.

    Args:
        files: of one folder.
        root: counts names from this folder, if they lie deeper too.

    Raises:
        ModelError: one can't be read, or changes all the time.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(files):
        if file.is_file():
            name = file.name if root is None else file.relative_to(root).as_posix()
            line = f"{name}:{file_identity(file)};"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def unknown_model(name: str, names: Iterable[str], otherwise: str) -> UsageError:
    """Return the error for a name that nobody knows, with the nearest one that is known."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UsageError(
        f"Unknown model {name!r}.{hint}", f"Known names: {', '.join(known)}; {otherwise}."
    )


def has_client() -> bool:
    """Tell whether the hub's client can be imported, without importing it."""
    spec = importlib.util.find_spec("huggingface_hub")
    return spec is not None and spec.origin is not None  # a mere folder of its name has none


def no_client(name: str, error: ImportError) -> ModelError:
    """Return the error for a machine on which the hub's client is not installed."""
    return ModelError(
        f"To fetch the model {name!r}, {error.name} is needed, which is not installed.",
        "Run: pip install huggingface-hub.",
    )


def not_given(name: str, error: Exception, instead: str) -> ModelError:
    """Return the error for a model that the hub can't give.

    The hub's client raises its own errors, those of its HTTP library and OSErrors.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ModelError(
        f"The model {name!r} is not on this machine, and the hub can't give it "
        f"({lines[0].strip().rstrip('.')[:200]}).",
        instead,
    )
