"""The job folder: `job.db`, `audio.s16`, `dumps/`, and the lock that says who is at work."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from longscribe.adapters.storage import explained, sync_folder
from longscribe.errors import JobLockedError

BYTES_PER_SAMPLE = 2


@dataclass(frozen=True, kw_only=True)
class JobFolder:
    """Where one job lives."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "job.db"

    @property
    def dumps(self) -> Path:
        return self.path / "dumps"

    @property
    def spool(self) -> SpoolFile:
        return SpoolFile(path=self.path / "audio.s16")

    @property
    def own_files(self) -> tuple[Path, ...]:
        """The files that a run writes here, whether they are there or not."""
        names = (self.database.name, "job.db-wal", "job.db-shm", self.spool.path.name, "lock")
        return tuple(self.path / name for name in names)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder, making it if needed.

        The lock is the kernel's (`flock`): it is free again the moment its holder is
        dead, however it died.

        Raises:
            JobLockedError: another run holds it; names that run.
            OutputError, StorageError: the folder can't be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            sync_folder(self.path.parent)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise explained(error, self.path) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise JobLockedError(
                    f"The job in {self.path} is being worked on by {_holder(lock)}.",
                    "Wait for it, or give --job-dir another folder.",
                ) from None
            try:
                os.ftruncate(lock, 0)
                os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
                self._sweep()
            except OSError as error:
                raise explained(error, self.path) from error
            yield
        finally:
            os.close(lock)

    def holder(self) -> str | None:
        """Return who is at work on the job, or None."""
        try:
            lock = os.open(self.path / "lock", os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(lock)
        else:
            return None
        finally:
            os.close(lock)

    def _sweep(self) -> None:
        """Remove the empty logs of children whose supervisor was killed."""
        for log in self.dumps.glob("*.log"):
            if log.stat().st_size == 0:
                log.unlink()

    @property
    def on_network(self) -> str | None:
        """The kind of network file system that the folder lies on, or None."""
        kind = file_system(self.path)
        return kind if kind in NETWORK_FILE_SYSTEMS else None


def _holder(lock: int) -> str:
    return os.pread(lock, 200, 0).decode(errors="replace").strip() or "another run"


NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afpfs", "webdav", "9p", "sshfs"}
    | {"fuse.sshfs", "fuse.rclone", "fuse.s3fs", "glusterfs", "lustre", "ceph", "beegfs", "afs"}
)
"""As Linux and macOS name them."""


def file_system(path: Path) -> str:
    """Return the kind of file system that `path` lies on; empty when it can't be told."""
    place = path.absolute()
    mounts = [(Path(part.mountpoint), part.fstype) for part in psutil.disk_partitions(all=True)]
    around = [(mount, kind) for mount, kind in mounts if place.is_relative_to(mount)]
    return max(around, key=lambda it: len(it[0].parts), default=(place, ""))[1]


@dataclass(frozen=True, kw_only=True)
class SpoolFile:
    """The recording as 16 kHz mono s16, little-endian, without a header."""

    path: Path

    def digest(self, start: int, end: int) -> str:
        """Return a digest of the samples `[start, end)`."""
        digest = hashlib.blake2b(digest_size=16)
        left = (end - start) * BYTES_PER_SAMPLE
        with self.path.open("rb") as file:
            file.seek(start * BYTES_PER_SAMPLE)
            while left > 0 and (data := file.read(min(left, 1 << 20))):
                digest.update(data)
                left -= len(data)
        return digest.hexdigest()

    def holds(self, duration: int) -> bool:
        """Tell whether a complete recording of `duration` samples is there."""
        return self.path.is_file() and self.path.stat().st_size == duration * BYTES_PER_SAMPLE

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
