"""Which models are on this machine: in the hub's cache, in a package, in the folder `models`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from longscribe.adapters.recognizers import hub_cache
from longscribe.adapters.recognizers.catalog import CATALOG, EngineKind
from longscribe.adapters.recognizers.models import ModelState, Whereabouts
from longscribe.errors import LongscribeError

LOCAL = Path("models")
"""Where the documentation puts models that were copied from elsewhere, from the current folder."""


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One model for one recognizer."""

    recognizer: str
    name: str
    """As `--model` takes it."""
    origin: str
    state: ModelState
    path: Path | None
    size: int
    """Bytes on this machine."""
    missing: tuple[str, ...]


def inventory(recognizer: str | None = None) -> tuple[ModelEntry, ...]:
    """Return every model that has a name or is here, for one recognizer or for all.

    A model that goes by several names is listed under the first.
    """
    kinds = [CATALOG[recognizer]] if recognizer is not None else list(CATALOG.values())
    return tuple(entry for kind in kinds for entry in _of_kind(kind))


def here(entries: tuple[ModelEntry, ...]) -> tuple[ModelEntry, ...]:
    """Return those of which there is something on this machine."""
    return tuple(entry for entry in entries if entry.state is not ModelState.ABSENT)


def by_model(entries: tuple[ModelEntry, ...]) -> list[tuple[ModelEntry, str]]:
    """Return each model once, with the recognizers that share it, for tables."""
    readers: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        readers.setdefault((entry.name, entry.origin), []).append(entry.recognizer)
    first = {(entry.name, entry.origin): entry for entry in reversed(entries)}
    return [(first[key], ", ".join(names)) for key, names in readers.items()]


def _of_kind(kind: EngineKind) -> Iterator[ModelEntry]:
    first_names: dict[str, str] = {}
    for name, origin in kind.shelf.names.items():
        first_names.setdefault(origin, name)
    found = [kind.shelf.look_up(name) for name in first_names.values()]
    for there in (*found, *kind.shelf.cached(), *_local(kind)):
        yield ModelEntry(
            recognizer=kind.name,
            name=there.name,
            origin=there.origin,
            state=there.state,
            path=there.path,
            size=0 if there.path is None else hub_cache.size(there.path),
            missing=there.missing,
        )


def _local(kind: EngineKind) -> Iterator[Whereabouts]:
    for path in sorted(LOCAL.iterdir()) if LOCAL.is_dir() else ():
        try:
            yield kind.shelf.look(str(path))
        except (LongscribeError, OSError):
            continue  # of another recognizer, or no model at all, or not ours to read
