"""The identity of files' content: media and models are known by all of their bytes.

Hashing takes about a second a gigabyte. So it is done beside everything else
(`MediaContent`), and what was hashed is remembered under how the file looked: device,
inode, size, and the times of the last changes. A later run looks at the file again, and
only if anything of that differs is it read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

from longscribe.adapters.environments.places import known_contents
from longscribe.adapters.journal.folder import file_system
from longscribe.errors import MediaError
from longscribe.fingerprint import (
    ChangingFileError,
    FileLook,
    GivenUpError,
    HashedFile,
    hash_file,
    joined_fingerprint,
    sampled_fingerprint,
)
from longscribe.playlists import parts_of

REMEMBERED_OVER = 8 * 1024 * 1024
"""Bytes. Smaller files are hashed again in no time."""
SETTLING_SECONDS = 3.0
"""A file that changed less than this ago may change again and show the same times: the clocks
of file systems tick every few milliseconds, some every two seconds."""
SILENT_FILE_SYSTEMS = frozenset({"vfat", "msdos", "exfat", "fat", "msdosfs"})
"""They keep no time of the last change that programs can't set: nothing is remembered there."""
MOST_ENTRIES = 10_000
"""Digests kept; past that the oldest half goes."""

MISSING = "missing"
"""Stands for the digest of a part that is not there."""

_ENTRY = re.compile(r"([0-9a-f]{32}) ([0-9a-f]{32})\n")


@dataclass(frozen=True, kw_only=True)
class KnownContents:
    """Digests by how files looked: one small file each, so that many processes may share them."""

    folder: Path

    def digest(self, look: FileLook) -> str | None:
        """Return the digest of a file that looks so; None if it is not known."""
        key = _key(look)
        try:
            found = _ENTRY.fullmatch((self.folder / key).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        # Half an entry, or one that rotted, is none.
        return found[1] if found and found[2] == _check(key, found[1]) else None

    def keep(self, look: FileLook, digest: str) -> None:
        """Keep a digest; where that can't be done, the file is hashed again next time."""
        key = _key(look)
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(f"{digest} {_check(key, digest)}\n")
                Path(name).replace(self.folder / key)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            self._sweep()

    def _sweep(self) -> None:
        entries = list(os.scandir(self.folder))
        if len(entries) > MOST_ENTRIES:
            entries.sort(key=lambda entry: entry.stat().st_mtime_ns)
            for entry in entries[: MOST_ENTRIES // 2]:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def _key(look: FileLook) -> str:
    return hashlib.blake2b(repr(astuple(look)).encode(), digest_size=16).hexdigest()


def _check(key: str, digest: str) -> str:
    return hashlib.blake2b(f"{key} {digest}".encode(), digest_size=16).hexdigest()


def _here() -> KnownContents | None:
    try:
        return KnownContents(folder=known_contents())
    except RuntimeError:  # no home
        return None


def recall_digest(path: Path) -> str | None:
    """Return a file's digest if it need not be read for that.

    Raises:
        OSError: the file can't be looked at.
    """
    look, known = FileLook.at(path), _here()
    return None if known is None or look.size <= REMEMBERED_OVER else known.digest(look)


def remember(path: Path, hashed: HashedFile, began: int) -> None:
    """Keep what was hashed for the next time, unless a later change might not show.

    Args:
        path: of the file.
        hashed: its digest.
        began: when hashing began, in nanoseconds since 1970.
    """
    known, look = _here(), hashed.look
    worth = hashed.whole and look.size > REMEMBERED_OVER and _is_settled(look, began)
    if known is not None and worth and file_system(path) not in SILENT_FILE_SYSTEMS:
        known.keep(look, hashed.digest)


def _is_settled(look: FileLook, now: int) -> bool:
    """Tell whether any change from `now` on would show in the times."""
    return now - max(look.modified, look.changed) >= SETTLING_SECONDS * 1e9


def content_digest(path: Path) -> str:
    """Return the digest of a file's whole content, reading it only if it must be.

    Raises:
        OSError: it can't be read, or changes all the time.
    """
    return recall_digest(path) or _hash_anew(path).digest


def media_digest(media: Path) -> str:
    """Return the digest of a media file and of everything that is part of it.

    Raises:
        MediaError: it is a list of files that is not read.
        OSError: it can't be read, or changes all the time.
    """
    parts = parts_of(media)
    looks = _look_at(parts)
    return _joined(parts, [_digest_of(*each) for each in zip(parts, looks, strict=True)])


def _look_at(parts: Sequence[Path]) -> tuple[FileLook | None, ...]:
    """Look at the files of a medium; None for one of several that is not there."""
    first, *others = parts
    return FileLook.at(first), *map(_look_if_there, others)


def _look_if_there(path: Path) -> FileLook | None:
    try:
        return FileLook.at(path)
    except FileNotFoundError:
        return None


def _digest_of(path: Path, look: FileLook | None) -> str:
    return MISSING if look is None else content_digest(path)


def _joined(parts: Sequence[Path], digests: Sequence[str]) -> str:
    return joined_fingerprint([path.name for path in parts], digests)


def _hash_anew(path: Path, given_up: threading.Event | None = None) -> HashedFile:
    began = time.time_ns()
    hashed = hash_file(path, given_up.is_set) if given_up else hash_file(path)
    remember(path, hashed, began)
    return hashed


@dataclass(kw_only=True)
class MediaContent:
    """What is in a media file, and in those that it names; hashed while other things are done.

    Fulfils `Content`.

    Args:
        paths: the media file first, then the files that it is made up of, if it names any. That
            one of these is not there counts as content too.
    """

    paths: Sequence[Path]
    _looks: tuple[FileLook | None, ...] = ()
    _settled: bool = False
    """Any change since the start shows in how the files look."""
    _moved: bool = False
    """A file was changed between the start and the hashing of it."""
    _digests: list[str] = field(default_factory=list)
    _error: OSError | None = None
    _done: threading.Event = field(default_factory=threading.Event)
    _given_up: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin to hash what is not known; return at once.

        Raises:
            MediaError: a file can't be looked at.
        """
        now = time.time_ns()
        try:
            self._looks = _look_at(self.paths)
            known = [
                MISSING if look is None else recall_digest(path)
                for path, look in zip(self.paths, self._looks, strict=True)
            ]
        except OSError as error:
            raise self._unreadable(error) from error
        self._settled = all(look is None or _is_settled(look, now) for look in self._looks)
        threading.Thread(
            target=self._hash, args=(known,), name="longscribe-content", daemon=True
        ).start()
        if None not in known:
            self._done.wait()

    def _hash(self, known: Sequence[str | None]) -> None:
        try:
            for path, look, digest in zip(self.paths, self._looks, known, strict=True):
                if digest is not None:
                    self._digests.append(digest)
                    continue
                hashed = _hash_anew(path, self._given_up)
                self._digests.append(hashed.digest)
                self._moved = self._moved or hashed.look != look
        except OSError as error:
            self._error = error
        except GivenUpError:
            pass
        finally:
            self._done.set()

    def close(self) -> None:
        """Hash no further."""
        self._given_up.set()

    @property
    def known(self) -> bool:
        return self._done.is_set()

    def fingerprint(self) -> str:
        self._done.wait()
        if self._error is not None:
            raise self._unreadable(self._error)
        return _joined(self.paths, self._digests)

    def as_before(self) -> str | None:
        try:
            return sampled_fingerprint(self.paths[0])
        except OSError:
            return None

    def confirm(self) -> None:
        before = self.fingerprint()
        try:
            looks = _look_at(self.paths)
            if looks == self._looks and self._settled:
                return
            digests = [_digest_of(*each) for each in zip(self.paths, looks, strict=True)]
        except OSError as error:
            raise self._unreadable(error) from error
        if self._moved or _joined(self.paths, digests) != before:
            raise self._changed()

    def _unreadable(self, error: OSError) -> MediaError:
        if isinstance(error, ChangingFileError):
            return self._changed()
        return MediaError(f"{error.filename or self.paths[0]} can't be read ({error.strerror}).")

    def _changed(self) -> MediaError:
        return MediaError(
            f"{self.paths[0]} was changed while it was read: its text would be of two recordings.",
            "When nothing writes to it any more, run the same command again.",
        )
