"""Files of a job folder, opened as what they must be.

A job folder may have come from elsewhere. So a symbolic link in the place of one of its
files is refused: what is read or written there is nobody's but the job's. And what is to
be decoded is compared with the digest of what was planned.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from longscribe.errors import JobError, SpoolError
from longscribe.types import AudioSeal

BYTES_PER_SAMPLE = 2
_BLOCK = 1 << 20
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# O_NONBLOCK: opening a pipe in the place of a file must not wait for ever.
_IS_LINK = frozenset({errno.ELOOP, errno.EMLINK})


def open_own(path: Path, flags: int) -> int:
    """Open a file of a job folder; return its descriptor.

    Raises:
        JobError: a symbolic link stands there, or something that is no file.
        OSError: it can't be opened.
    """
    try:
        descriptor = os.open(path, flags | _NO_FOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in _IS_LINK or (error.errno == errno.ENXIO):
            raise foreign(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise foreign(path)
    return descriptor


def check_own(path: Path, *, folder: bool = False) -> None:
    """Refuse what stands at `path` if it is neither nothing nor the job's own.

    For files that a library opens by their names.

    Raises:
        JobError: a symbolic link stands there, or something that is no file (or no folder).
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
        raise foreign(path)


def foreign(path: Path) -> JobError:
    """Return the error for something strange in a job folder."""
    what = "a symbolic link" if path.is_symlink() else "no plain file or folder"
    return JobError(
        f"{path} is {what}; nothing in a job folder is followed elsewhere.",
        "Was the folder made by somebody else? Remove that, or use another --job-dir.",
    )


# --- samples -----------------------------------------------------------------


def open_samples(path: Path) -> BinaryIO:
    """Open a spool for reading.

    Raises:
        JobError: it is a symbolic link.
        OSError: it can't be opened.
    """
    return os.fdopen(open_own(path, os.O_RDONLY), "rb", buffering=0)


def open_spool(path: Path) -> BinaryIO:
    """Open a spool for writing from its start, without cutting it off.

    A worker may have mapped it: after a crash of the reader the file is read once
    more, and a map of a file that shrinks kills its process.

    Raises:
        JobError: it is a symbolic link.
        OSError: it can't be opened.
    """
    return os.fdopen(open_own(path, os.O_RDWR | os.O_CREAT), "r+b")


def digest_samples(file: BinaryIO, start: int, end: int) -> str:
    """Return a digest of the samples `[start, end)`; of fewer where the file is shorter."""
    digest = hashlib.blake2b(digest_size=16)
    left = (end - start) * BYTES_PER_SAMPLE
    file.seek(start * BYTES_PER_SAMPLE)
    while left > 0 and (data := file.read(min(left, _BLOCK))):
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()


def check_samples(file: BinaryIO, seals: Sequence[AudioSeal]) -> None:
    """See that a spool holds the very samples that were planned.

    Raises:
        SpoolError: it holds others.
    """
    for seal in seals:
        if digest_samples(file, seal.span.start, seal.span.end) != seal.digest:
            begin, end = (position // 16_000 for position in (seal.span.start, seal.span.end))
            raise SpoolError(
                f"The decoded audio of the job is not what the media gave when it was read "
                f"(from {begin} s to {end} s).",
                "The media is changed while it is read, or the disk fails: copy the media, "
                "or give --job-dir a folder on another disk.",
            )
