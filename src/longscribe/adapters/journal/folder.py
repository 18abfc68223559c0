"""The job folder: `job.db`, `audio.s16`, `dumps/`, and the lock that says who is at work."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from longscribe.adapters.storage import explained, sync, sync_folder
from longscribe.errors import JobError, JobLockedError
from longscribe.job_files import (
    BYTES_PER_SAMPLE,
    check_own,
    digest_samples,
    open_own,
    open_samples,
)


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
            JobError: something in it leads elsewhere, or anyone may change it.
            OutputError, StorageError: the folder can't be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            sync_folder(self.path.parent)
            self.check()
            lock = open_own(self.path / "lock", os.O_RDWR | os.O_CREAT)
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

    def check(self) -> None:
        """Refuse a folder in which something leads elsewhere, or that anyone may change.

        Raises:
            JobError: names it.
        """
        check_journal_files(self.path)
        check_own(self.spool.path)
        check_own(self.spool.label)
        check_own(self.dumps, folder=True)
        found = self.path.stat() if self.path.exists() else None
        if found is not None and found.st_uid != os.geteuid() and found.st_mode & stat.S_IWOTH:
            raise JobError(
                f"The job folder {self.path} is somebody else's, and anyone may change it.",
                "Use another --job-dir, or a copy of the folder that is yours.",
            )

    def holder(self) -> str | None:
        """Return who is at work on the job, or None."""
        try:
            lock = open_own(self.path / "lock", os.O_RDONLY)
        except (OSError, JobError):
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
            found = log.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_size == 0:
                log.unlink()

    @property
    def on_network(self) -> str | None:
        """The kind of network file system that the folder lies on, or None."""
        kind = file_system(self.path)
        return kind if kind in NETWORK_FILE_SYSTEMS else None


def check_journal_files(folder: Path) -> None:
    """Refuse a journal that leads elsewhere: SQLite follows links.

    Raises:
        JobError: names the file.
    """
    for name in ("job.db", "job.db-wal", "job.db-shm", "job.db-journal"):
        check_own(folder / name)


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
    """The recording as 16 kHz mono s16, little-endian, without a header; and its label.

    The label, a small file beside it, names the plan whose samples these are. It goes
    before the first byte is overwritten and comes when the last one is on the disk, so
    samples without a label belong to nobody.
    """

    path: Path

    @property
    def label(self) -> Path:
        return self.path.with_suffix(".plan")

    def digest(self, start: int, end: int) -> str:
        """Return a digest of the samples `[start, end)`."""
        with open_samples(self.path) as file:
            return digest_samples(file, start, end)

    def begin(self) -> None:
        """Make ready for other samples: whatever the file holds is nobody's from now on.

        Raises:
            JobError: it is a symbolic link.
            OutputError, StorageError: the folder can't be written.
        """
        try:
            check_own(self.path)
            self.label.unlink(missing_ok=True)
            if self.path.exists() and self.path.stat().st_nlink > 1:
                self.path.unlink()  # what has another name too is not only ours to write
            sync_folder(self.path.parent)
        except OSError as error:
            raise explained(error, self.path) from error

    def seal(self, plan: str) -> None:
        """Say that the file holds all samples of the recording of `plan`.

        Raises:
            OutputError, StorageError: that can't be written.
        """
        try:
            self.label.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(open_own(self.label, flags), "w", encoding="ascii") as file:
                file.write(f"{plan}\n")
                file.flush()
                sync(file.fileno())
            sync_folder(self.path.parent)
        except OSError as error:
            raise explained(error, self.label) from error

    def holds(self, plan: str, duration: int) -> bool:
        """Tell whether it is said to hold the recording of `plan`, of `duration` samples.

        Whether these are the samples is for whoever decodes them to see.

        Raises:
            JobError: it is a symbolic link.
        """
        try:
            with os.fdopen(open_own(self.label, os.O_RDONLY), encoding="ascii") as label:
                named = label.read(200)
            with open_samples(self.path) as samples:
                size = os.fstat(samples.fileno()).st_size
        except (OSError, ValueError):
            return False
        return named == f"{plan}\n" and size == duration * BYTES_PER_SAMPLE

    def remove(self) -> None:
        self.label.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
