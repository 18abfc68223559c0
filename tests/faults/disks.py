"""Disks that are full or fail, at every write: one clear line, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from longscribe.adapters.journal.sqlite import SqliteJournal
from tests.faults.harness import Job, Report, run
from tests.faults.kills import KILLS, SMALL
from tests.faults.stage import Scenario, Stage

ROOM = "12m"
"""Of the small disk: several times what the job needs."""
SIZES = ("64k", "256k", "512k", "1m", "2m", "3m", "3400k", "4m")
"""Of disks that may be too small from the beginning."""
FULL_STEP = 2
"""Really filling a disk is done at every second write; the patched failure at each."""


def scenarios() -> Iterator[Scenario]:
    for writer, count in KILLS.items():
        for at in range(1, count + 1):
            for action in ("ENOSPC", "EIO"):
                yield Scenario(
                    name=f"{action} at write {at} of the {writer}",
                    play=partial(_fails, writer, at, action),
                    short=at % 31 == (3 if action == "EIO" else 11),
                )
    if can_mount():
        for at in range(1, KILLS["supervisor"] + 1, FULL_STEP):
            yield Scenario(
                name=f"a full disk at write {at}", play=partial(_full, at), short=at == 35
            )
        for size in SIZES:
            yield Scenario(name=f"a disk of {size}", play=partial(_small, size), short=size == "1m")


def _fails(writer: str, at: int, action: str, stage: Stage) -> None:
    name = f"{action} at write {at} of the {writer}"
    job = stage.job(SMALL)
    failed = run(job, at=at, writer=writer, action=action)
    if any(note.name == "sabotage" for note in failed.notes):
        stage.struck(f"{action} at a write")
        _check_failed(name, failed, stage)
        _check_opens(failed)
    stage.settle(name, run(job), stage.calm(SMALL))


def _check_failed(name: str, failed: Report, stage: Stage) -> None:
    """Check that a run ended with one line that says what is wrong with the disk."""
    if failed.status != 1:
        stage.complain(name, f"status {failed.status}: {failed.error}")
        return
    lines = failed.error.strip().splitlines()
    if "Traceback" in failed.error or not any(
        word in lines[-1] for word in ("disk", "space", "error", "room")
    ):
        stage.complain(name, f"what it said: {failed.error}")
    if failed.orphans or failed.children_left:
        stage.complain(name, f"{failed.orphans} orphans, {failed.children_left} children")


def _check_opens(failed: Report) -> None:
    """Check that the journal opens, once there is room again."""
    if (failed.job.path / "job.db").exists():
        SqliteJournal(failed.job.path / "job.db", on_network=False).close()


def _full(at: int, stage: Stage) -> None:
    """The disk is really full from the n-th write on."""
    name = f"a full disk at write {at}"
    job = stage.job(SMALL)
    with _disk(job, ROOM):
        ballast = job.out / "ballast"
        failed = run(job, at=at, action="fill", ballast=str(ballast))
        stage.struck("a full disk")
        if failed.status != 0:  # what was left to write may have fitted into the files' own room
            _check_failed(name, failed, stage)
        ballast.unlink(missing_ok=True)
        _check_opens(failed)
        stage.settle(name, run(job), stage.calm(SMALL))


def _small(size: str, stage: Stage) -> None:
    """The disk is too small from the beginning; the job folder is moved to another one."""
    name = f"a disk of {size}"
    job = stage.job(SMALL)
    with _disk(job, size):
        failed = run(job)
        stage.struck("a full disk")
        if failed.status != 0:
            _check_failed(name, failed, stage)
            _grow(job)
            _check_opens(failed)
            failed = run(job)
        stage.settle(name, failed, stage.calm(SMALL))


# --- small disks ---------------------------------------------------------------


@cache
def can_mount() -> bool:
    """Tell whether we may mount a small disk in memory."""
    with TemporaryDirectory() as folder:
        if not _mount(Path(folder), "1m"):
            return False
        _unmount(Path(folder))
        return True


@contextmanager
def _disk(job: Job, size: str) -> Iterator[None]:
    """Let the job's output folder be a disk of its own."""
    job.out.mkdir(parents=True)
    assert _mount(job.out, size), "it was possible a moment ago"
    try:
        yield
    finally:
        _unmount(job.out)


def _mount(folder: Path, size: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "faults", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _grow(job: Job) -> None:
    command = ["mount", "-o", f"remount,size={ROOM}", str(job.out)]
    subprocess.run(command, capture_output=True, check=True)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)
