"""The disk: making sure that what was written is there, and saying what went wrong with it."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from longscribe.errors import LongscribeError, OutputError, StorageError

# Where a folder or a file system can't be synced, there is nothing to wait for.
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})


def sync(descriptor: int) -> None:
    """Wait until an open file is on the disk, the drive's own cache included.

    macOS needs F_FULLFSYNC for that (as Borg does, src/borg/platform/darwin.pyx).
    """
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - not on every system

        with suppress(OSError):  # network file systems know only fsync
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk."""
    if sys.platform == "win32":  # renames are durable there, and folders can't be opened
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


# --- what went wrong, and what to do ----------------------------------------

_AGAIN = "then run the same command again; finished chunks are kept."
_ELSEWHERE = "Choose another folder with --output-dir."

_EXPLANATIONS: dict[int, tuple[type[LongscribeError], str, str]] = {
    errno.ENOSPC: (StorageError, "the disk is full", f"Free some space, {_AGAIN}"),
    errno.EDQUOT: (StorageError, "your disk quota is used up", f"Free some space, {_AGAIN}"),
    errno.EFBIG: (StorageError, "it is too large for the file system or its limit", _ELSEWHERE),
    errno.EIO: (StorageError, "the disk reports an error", f"Check the disk, {_AGAIN}"),
    errno.EROFS: (StorageError, "the file system is read-only", _ELSEWHERE),
    errno.EACCES: (OutputError, "permission denied", _ELSEWHERE),
    errno.EPERM: (OutputError, "the system does not permit it", _ELSEWHERE),
    errno.ENOENT: (OutputError, "its folder does not exist", _ELSEWHERE),
    errno.ENOTDIR: (OutputError, "a file stands where its folder should be", _ELSEWHERE),
    errno.EEXIST: (OutputError, "another run is writing it", "Wait for that run to end."),
    errno.EISDIR: (OutputError, "a folder of that name is in the way", "Rename or remove it."),
    errno.ENOTEMPTY: (OutputError, "a folder of that name is in the way", "Rename or remove it."),
    errno.ENAMETOOLONG: (
        OutputError,
        "the name is too long",
        "Rename the media file, or give --job-dir a shorter one.",
    ),
}


def explained(error: OSError, path: Path) -> LongscribeError:
    """Return the error a person meets when `path` could not be written."""
    unknown = (StorageError, error.strerror or type(error).__name__, f"Cure that, {_AGAIN}")
    kind, found, remedy = _EXPLANATIONS.get(error.errno or 0, unknown)
    return kind(f"Can't write {path}: {found}.", remedy)
