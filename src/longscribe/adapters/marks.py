"""Marks: by which a run is known as begun by this user on this machine.

A job folder may come from anybody, and its journal names things to import, to read and
to write. A mark, made with a key that never leaves this machine, says that these were
named here. A run without one may be looked at; nothing that it names is followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, replace
from pathlib import Path

from longscribe.adapters.environments.places import own_key
from longscribe.job_events import RunStarted

KEY_BYTES = 32


def marked(start: RunStarted) -> RunStarted:
    """Return the event with this machine's mark; as it is where no key can be kept."""
    key = _key(make=True)
    return start if key is None else replace(start, mark=_mark(start, key))


def is_marked(start: RunStarted) -> bool:
    """Tell whether a run was begun by this user on this machine."""
    key = _key(make=False)
    return key is not None and hmac.compare_digest(start.mark, _mark(start, key))


def _mark(start: RunStarted, key: bytes) -> str:
    terms = [asdict(term) for term in start.extra_terms]
    # Each by name: a field that a later version adds must not spoil the marks of earlier ones.
    said = [start.media, start.model, start.recognizer, start.settings, start.glossary, terms]
    return hmac.new(key, json.dumps(said, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def _key(*, make: bool) -> bytes | None:
    try:
        path = own_key()
    except RuntimeError:  # no home
        return None
    if make and not path.exists():
        with contextlib.suppress(OSError):
            _make(path)
    try:
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == KEY_BYTES else None


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):  # of two that make it, the first counts
            path.hardlink_to(draft)
    finally:
        os.close(descriptor)
        draft.unlink(missing_ok=True)
