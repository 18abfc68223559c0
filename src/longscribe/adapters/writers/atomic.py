"""Whole files or none: write beside the target, sync, rename over it, sync the folder.

A reader, and a power cut, finds the old file or the new one and never a part.
The order is that of restic (`internal/backend/local/local.go`).

Each writer has a temporary file of its own and holds its lock (`flock`), by which another
knows whether it is still being written: what a killed run left is swept up, and nothing else.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TextIO

from longscribe.adapters.locking import is_locked_elsewhere, mark_of
from longscribe.adapters.storage import explained, sync, sync_folder

_BLOCK = 1 << 20
Render = Callable[[TextIO], None]


def write_atomically(path: Path, render: Render) -> None:
    r"""Replace `path` by what `render` writes: UTF-8, line ends as written, no byte order mark.

    Mode and owner of an earlier file stay; where `path` is a link, what it leads to is
    replaced and the link stays. When anything fails, the old file stays and the temporary one
    is removed. What UTF-8 can't hold (half a surrogate pair) is written as `\udc80`.

    Raises:
        StorageError: the disk is full, fails or is read-only.
        OutputError: the file may not be written, or its folder is gone.
        Exception: whatever else `render` raises.
    """
    try:
        folder = led_to(path).parent
        sweep(folder, path)
        with staged(folder, path, render) as part:
            part.put(path)
    except OSError as error:
        raise explained(error, path) from error


def led_to(path: Path) -> Path:
    """Return the file that is meant by `path`: where a link leads, which may be nowhere yet.

    Raises:
        OSError: the link leads to itself.
    """
    if not path.is_symlink():
        return path
    try:
        return path.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error


@dataclass(kw_only=True)
class Part:
    """A new content on the disk, whole, that is not in its place yet."""

    path: Path
    descriptor: int
    mode: int
    """That a new file has here."""
    digest: str = ""
    """Of the content."""

    def put(self, target: Path, like: Path | None = None) -> None:
        """Move it to its place, through links.

        Args:
            target: its place.
            like: a file whose mode it gets where there is none at `target` yet.

        Raises:
            OSError: it can't be. What was at `target` is still there.
        """
        place = led_to(target)
        if place.parent != self.path.parent:
            with _part(place.parent, place) as nearer:
                _copy(self.descriptor, nearer.descriptor)
                nearer.mode = self.mode
                nearer.move_to(place, like)
        else:
            self.move_to(place, like)

    def move_to(self, place: Path, like: Path | None) -> None:
        """Move it to a file of its own folder."""
        _take_mode(self.descriptor, [place] if like is None else [place, like], self.mode)
        self.path.replace(place)
        sync_folder(place.parent)


@contextmanager
def staged(folder: Path, key: Path, render: Render) -> Iterator[Part]:
    """Write a content to a file of its own in `folder`, which goes unless it is put in place.

    Args:
        folder: where it is to be put.
        key: the file, or family of files, that it is written for; `sweep` goes by it.
        render: writes the content.

    Raises:
        OSError: it can't be written.
        Exception: whatever else `render` raises.
    """
    with _part(folder, key) as part:
        _write_synced(part, render)
        part.digest = _digest(part.descriptor)
        yield part


def sweep(folder: Path, key: Path) -> None:
    """Remove what killed runs left; files that are still being written stay."""
    with suppress(OSError):
        for left in folder.glob(f"{_prefix(key)}*.part"):
            with suppress(OSError):
                descriptor = os.open(left, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    if not is_locked_elsewhere(descriptor):
                        left.unlink()
                finally:
                    os.close(descriptor)


def _prefix(key: Path) -> str:
    return f".longscribe-{mark_of(key)}"


@contextmanager
def _part(folder: Path, key: Path) -> Iterator[Part]:
    part = _open_part(folder, key)
    try:
        yield part
    finally:
        with suppress(OSError):  # it is gone where it was put in its place
            part.path.unlink()
        os.close(part.descriptor)


def _open_part(folder: Path, key: Path) -> Part:
    while True:
        path = folder / f"{_prefix(key)}-{secrets.token_hex(6)}.part"
        # O_EXCL: never through a link that someone put there.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            locked_out = is_locked_elsewhere(descriptor)
            found = os.fstat(descriptor)
            if not locked_out and found.st_nlink:
                _set_mode(descriptor, 0o600)  # nobody reads it before it has its own mode
                return Part(path=path, descriptor=descriptor, mode=stat.S_IMODE(found.st_mode))
        except BaseException:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)
            raise
        os.close(descriptor)  # another run has swept it up before it was locked


def _write_synced(part: Part, render: Render) -> None:
    with open(
        part.descriptor,
        "w",
        encoding="utf-8",
        errors="backslashreplace",
        newline="\n",
        closefd=False,
    ) as out:
        render(out)
        out.flush()
        sync(part.descriptor)


def _take_mode(descriptor: int, models: list[Path], default: int) -> None:
    """Give an open file mode and owner of the first model that is there."""
    for model in models:
        with suppress(OSError):
            found = model.stat()
            ours = os.fstat(descriptor)
            if (found.st_uid, found.st_gid) != (ours.st_uid, ours.st_gid):
                with suppress(OSError):  # only root may give a file away
                    os.fchown(descriptor, found.st_uid, found.st_gid)
            _set_mode(descriptor, stat.S_IMODE(found.st_mode))
            return
    _set_mode(descriptor, default)


def _set_mode(descriptor: int, mode: int) -> None:
    with suppress(OSError):  # memory sticks know no modes
        os.fchmod(descriptor, mode)


def _digest(descriptor: int) -> str:
    digest, at = blake2b(digest_size=16), 0
    while data := os.pread(descriptor, _BLOCK, at):
        digest.update(data)
        at += len(data)
    return digest.hexdigest()


def _copy(source: int, target: int) -> None:
    at = 0
    while data := os.pread(source, _BLOCK, at):
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]
        at += len(data)
    sync(target)
