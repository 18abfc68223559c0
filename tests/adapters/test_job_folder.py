"""The job folder: who is at work, and the file of samples."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from longscribe.adapters.journal.folder import JobFolder
from longscribe.errors import JobLockedError, OutputError, SpoolError
from longscribe.job_files import check_samples, open_samples
from longscribe.types import AudioSeal, Span

HOLDER = """
import sys
from pathlib import Path
from longscribe.adapters.journal.folder import JobFolder
with JobFolder(path=Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(path=tmp_path / "talks" / "film.longscribe")


@pytest.fixture
def holder(folder: JobFolder):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_it_is_made_with_all_that_is_above_it(folder: JobFolder) -> None:
    with folder.locked():
        assert folder.path.is_dir()


def test_a_lock_names_its_holder(folder: JobFolder, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(JobLockedError) as caught, folder.locked():
        pass
    assert f"process {holder.pid} " in str(caught.value)
    assert str(folder.path) in str(caught.value)
    assert caught.value.exit_status == 1


def test_being_refused_changes_nothing(folder: JobFolder, holder: subprocess.Popen[str]) -> None:
    for _ in range(2):
        with pytest.raises(JobLockedError, match=str(holder.pid)), folder.locked():
            pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_free_when_its_holder_is_dead(
    how: signal.Signals, folder: JobFolder, holder: subprocess.Popen[str]
) -> None:
    holder.send_signal(how)
    holder.wait()
    with folder.locked():
        assert str(os.getpid()) in (folder.path / "lock").read_text()


def test_it_is_free_after_use_and_after_an_error(folder: JobFolder) -> None:
    with pytest.raises(RuntimeError), folder.locked():
        raise RuntimeError
    with folder.locked():
        pass
    with folder.locked():
        pass


def test_one_process_can_not_hold_it_twice(folder: JobFolder) -> None:
    with folder.locked(), pytest.raises(JobLockedError, match=str(os.getpid())), folder.locked():
        pass


def test_a_lock_of_a_longer_name_leaves_no_rest(folder: JobFolder) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / "lock").write_text("process 99999999 on a-host-with-a-very-long-name-indeed\n")
    with folder.locked():
        assert "indeed" not in (folder.path / "lock").read_text()


def test_children_do_not_inherit_the_lock(folder: JobFolder) -> None:
    """A worker that outlives its supervisor must not keep the next run out."""
    with folder.locked():
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )
    try:
        with folder.locked():
            pass
    finally:
        child.communicate()


def test_a_file_in_its_place(folder: JobFolder) -> None:
    folder.path.parent.mkdir()
    folder.path.write_text("mine")
    with pytest.raises(OutputError, match="film"), folder.locked():
        pass
    assert folder.path.read_text() == "mine"


# --- the file of samples -----------------------------------------------------


def test_a_digest_is_that_of_the_samples_alone(folder: JobFolder) -> None:
    folder.path.mkdir(parents=True)
    samples = np.random.default_rng(1).integers(-9, 9, 2_000_000, dtype="<i2")
    samples.tofile(folder.spool.path)
    digest = folder.spool.digest(1000, 1_500_000)
    shifted = np.concatenate([np.ones(7, "<i2"), samples])
    shifted.tofile(folder.spool.path)
    assert folder.spool.digest(1007, 1_500_007) == digest
    assert folder.spool.digest(1006, 1_500_006) != digest
    assert folder.spool.digest(5, 5) == folder.spool.digest(9, 9)


def test_it_knows_whether_it_is_whole(folder: JobFolder) -> None:
    spool = folder.spool
    assert not spool.holds("plan", 10)
    folder.path.mkdir(parents=True)
    spool.begin()
    np.zeros(10, "<i2").tofile(spool.path)
    assert not spool.holds("plan", 10)
    spool.seal("plan")
    assert spool.holds("plan", 10)
    assert not spool.holds("plan", 11)
    assert not spool.holds("plan", 9)
    spool.remove()
    spool.remove()
    assert not spool.holds("plan", 10)


def test_it_knows_whose_samples_it_holds(folder: JobFolder) -> None:
    folder.path.mkdir(parents=True)
    spool = folder.spool
    np.zeros(10, "<i2").tofile(spool.path)
    spool.seal("one plan")
    spool.seal("other plan")
    assert not spool.holds("one plan", 10)
    assert spool.holds("other plan", 10)
    spool.begin()
    assert spool.path.exists()  # a worker may have mapped it
    assert not spool.holds("other plan", 10)


@pytest.mark.parametrize("label", [b"", b"pla", b"plan", b"plan\nplan\n", b"\xff"])
def test_a_label_that_is_not_whole_is_none(label: bytes, folder: JobFolder) -> None:
    folder.path.mkdir(parents=True)
    np.zeros(10, "<i2").tofile(folder.spool.path)
    folder.spool.label.write_bytes(label)
    assert not folder.spool.holds("plan", 10)


def test_samples_are_compared_with_what_was_planned(folder: JobFolder) -> None:
    folder.path.mkdir(parents=True)
    np.arange(1000, dtype="<i2").tofile(folder.spool.path)
    spans = [Span(start=0, end=600), Span(start=500, end=1000)]  # windows reach over the edge
    seals = [AudioSeal(span=s, digest=folder.spool.digest(s.start, s.end)) for s in spans]
    with open_samples(folder.spool.path) as file:
        check_samples(file, seals)
    for at, right in ((550, ()), (100, seals[1:]), (900, seals[:1])):
        samples = np.arange(1000, dtype="<i2")
        samples[at] += 1
        samples.tofile(folder.spool.path)
        with open_samples(folder.spool.path) as file:
            check_samples(file, right)
            with pytest.raises(SpoolError, match="not what the media gave"):
                check_samples(file, seals)
    np.arange(999, dtype="<i2").tofile(folder.spool.path)
    with open_samples(folder.spool.path) as file, pytest.raises(SpoolError):
        check_samples(file, seals)
