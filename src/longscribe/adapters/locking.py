"""Holding a file against other runs while it is read, merged and written."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from longscribe.core.names import folded
from longscribe.errors import OutputError

PATIENCE = 60.0
"""Seconds to wait for another run, which holds a file for milliseconds unless it is stopped."""
_LOOK_EVERY = 0.02
"""Seconds."""


def mark_of(path: Path) -> str:
    """Return what stands for a file's name in the names of our own files beside it.

    Hashed, so that a long name doesn't become too long.
    """
    return blake2b(os.fsencode(folded(path.name)), digest_size=8).hexdigest()


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Hold `path`, which need not exist, against other runs.

    The lock is the kernel's (`flock`), on a file beside `path` that is removed again: the
    file itself is replaced by a new one, and a lock on the old one would hold nothing. Where
    the file system has no locks, nothing is held.

    Raises:
        OSError: the folder can't be written.
        OutputError: another run has held it for a minute.
    """
    lock = path.with_name(f".longscribe-{mark_of(path)}.lock")
    descriptor = _locked(lock, path)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _locked(lock: Path, path: Path) -> int:
    deadline = time.monotonic() + PATIENCE
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            if not is_locked_elsewhere(descriptor) and _is_still(lock, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise OutputError(
                f"Another run has held {path} for {PATIENCE:.0f} s.", "Wait for it, or end it."
            )
        time.sleep(_LOOK_EVERY)


def is_locked_elsewhere(descriptor: int) -> bool:
    """Take the lock of an open file, if nobody has it; tell whether somebody has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there are no locks here
        return False
    return False


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether the name still leads to the open file: its last holder has removed it."""
    try:
        there, ours = path.lstat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
