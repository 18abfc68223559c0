"""Whole files or none: write beside the target, sync, rename over it, sync the folder.

A reader, and a power cut, finds the old file or the new one and never a part.
The order is that of restic (`internal/backend/local/local.go`); macOS needs
F_FULLFSYNC, since its fsync leaves data in the drive's cache.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TextIO

from longscribe.errors import LongscribeError, OutputError, StorageError

# Where a folder or a file system can't be synced, there is nothing to wait for.
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})


def write_atomically(path: Path, render: Callable[[TextIO], None]) -> None:
    r"""Replace `path` by what `render` writes: UTF-8, line ends as written, no byte order mark.

    When anything fails, the old file stays and the temporary one is removed.
    What UTF-8 can't hold (half a surrogate pair) is written as `\udc80`.

    Raises:
        StorageError: the disk is full, fails or is read-only.
        OutputError: the file may not be written, or its folder is gone.
        Exception: whatever else `render` raises.
    """
    try:
        _replace(path, render)
    except OSError as error:
        raise explained(error, path) from error


def temporary_path(path: Path) -> Path:
    """Return where `path` is written before it is renamed.

    The same for every run, so that a killed one leaves at most one such file
    for each output; hashed, so that a long name doesn't become too long.
    """
    digest = blake2b(os.fsencode(path.name), digest_size=8).hexdigest()
    return path.with_name(f".longscribe-{digest}.part")


def _replace(path: Path, render: Callable[[TextIO], None]) -> None:
    temporary = temporary_path(path)
    try:
        _write_synced(temporary, render)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write_synced(temporary: Path, render: Callable[[TextIO], None]) -> None:
    temporary.unlink(missing_ok=True)
    # O_EXCL: never through a link that someone put there.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with open(  # noqa: PTH123 - from a descriptor
        descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
    ) as out:
        render(out)
        out.flush()
        _sync(descriptor)


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - not on every system

        with suppress(OSError):  # network file systems know only fsync
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # renames are durable there, and folders can't be opened
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor)
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
    errno.ENAMETOOLONG: (OutputError, "the name is too long", "Rename the media file."),
}


def explained(error: OSError, path: Path) -> LongscribeError:
    """Return the error a person meets when `path` could not be written."""
    unknown = (StorageError, error.strerror or type(error).__name__, f"Cure that, {_AGAIN}")
    kind, found, remedy = _EXPLANATIONS.get(error.errno or 0, unknown)
    return kind(f"Can't write {path}: {found}.", remedy)
