"""Fingerprints: digests of the whole content of files.

Samples of a file tell it from others; they do not tell that a part of it was changed. So
every byte counts. What that costs, and how it is hidden, stands in decision 18;
`adapters/content.py` remembers what was hashed before.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path

BLOCK = 1 << 20
"""Bytes read at a time. The interpreter is free for others while one is hashed."""
TRIES = 3
"""Times a file is hashed that changes meanwhile."""


class ChangingFileError(OSError):
    """A file changes so often that its content can't be told."""


class GivenUpError(Exception):
    """The digest is not wanted any more."""


@dataclass(frozen=True, kw_only=True)
class FileLook:
    """What the file system says of a file without its content being read."""

    device: int
    inode: int
    size: int
    modified: int
    """When its content last changed, in nanoseconds; programs can set this."""
    changed: int
    """When anything of it last changed, in nanoseconds; this they can't set."""

    @classmethod
    def of(cls, stat: os.stat_result) -> FileLook:
        return cls(
            device=stat.st_dev,
            inode=stat.st_ino,
            size=stat.st_size,
            modified=stat.st_mtime_ns,
            changed=stat.st_ctime_ns,
        )

    @classmethod
    def at(cls, path: Path) -> FileLook:
        """Look at a file.

        Raises:
            OSError: it can't be looked at.
        """
        return cls.of(path.stat())


@dataclass(frozen=True, kw_only=True)
class HashedFile:
    """A file's digest, and how the file looked while it was made."""

    digest: str
    look: FileLook
    whole: bool
    """Every byte could be read."""


def _never() -> bool:
    return False


def hash_file(path: Path, given_up: Callable[[], bool] = _never) -> HashedFile:
    """Return a digest of the file's size and of all of its content.

    What the disk can't give counts as that: unreadable at this place. So a file with a
    damaged sector has a digest too, and the rest of it can be transcribed.

    Args:
        path: of a regular file.
        given_up: asked now and then whether the digest is still wanted.

    Raises:
        ChangingFileError: it changes all the time.
        GivenUpError: nobody wants the digest any more.
        OSError: it can't be read.
    """
    for _ in range(TRIES):
        with path.open("rb", buffering=0) as file:
            look = FileLook.of(os.fstat(file.fileno()))
            digest, whole = _hash(file, look.size, given_up)
            after = FileLook.of(os.fstat(file.fileno()))
        if after == look:
            return HashedFile(digest=digest, look=look, whole=whole)
    raise ChangingFileError(errno.EBUSY, "it is being changed", str(path))


def _hash(file: RawIOBase, size: int, given_up: Callable[[], bool]) -> tuple[str, bool]:
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    block = bytearray(BLOCK)
    view, position, whole = memoryview(block), 0, True
    while position < size:
        if given_up():
            raise GivenUpError
        try:
            count = file.readinto(view[: min(BLOCK, size - position)]) or 0
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            count = min(BLOCK, size - position)
            digest.update(f"unreadable at {position}".encode())
            whole = False
            file.seek(position + count)
        else:
            if count == 0:  # it has become shorter
                break
            digest.update(view[:count])
        position += count
    return digest.hexdigest(), whole


def fingerprint_file(path: Path) -> str:
    """Return a digest of the file's size and of all of its content, read anew.

    Raises:
        OSError: it can't be read, or changes all the time.
    """
    return hash_file(path).digest


def joined_fingerprint(names: Sequence[str], digests: Sequence[str]) -> str:
    """Return the fingerprint of several files that are one medium; of one file, its own.

    Args:
        names: by which the first refers to the others; the name of the first does not count.
        digests: of their contents.
    """
    if len(digests) == 1:
        return digests[0]
    joined = hashlib.blake2b(digests[0].encode(), digest_size=16)
    for name, digest in zip(names[1:], digests[1:], strict=True):
        joined.update(f"\0{len(name)}:{name}:{digest}".encode(errors="surrogateescape"))
    return joined.hexdigest()


# --- as earlier versions had it ---------------------------------------------

SAMPLED_OVER = 8 * 1024 * 1024
"""Bytes. Larger files were known by samples; the digest of others is the same as ever."""
_SAMPLES = 64
_SAMPLE_BYTES = 64 * 1024


def sampled_fingerprint(path: Path) -> str | None:
    """Return by what earlier versions knew a large file; None for one whose digest is as ever.

    Only to say why a job of theirs is done again: it does not tell that a file was changed.

    Raises:
        OSError: it can't be read.
    """
    size = path.stat().st_size
    if size <= SAMPLED_OVER:
        return None
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek((size - _SAMPLE_BYTES) * number // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
