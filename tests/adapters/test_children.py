"""A child lives as long as its supervisor, whatever the program around it does with threads and children."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from longscribe.adapters.environments.trial import try_engine
from longscribe.adapters.executors import starting
from longscribe.adapters.executors.child import ChildProcess, Ended, ExitReport, Inbox
from longscribe.adapters.executors.failures import OomWatch, how_it_ended
from longscribe.adapters.executors.starting import scarcity, start_for_good, start_thread
from longscribe.adapters.executors.thread import ChildThread
from longscribe.errors import WorkerStartError
from longscribe.ports import ReadTask
from longscribe.types import FailureKind
from longscribe.worker.messages import Broke, Hello
from tests.e2e.support import ROOT, environment, wait_until

READER = "longscribe.worker.reader"
ENGINE = "longscribe.adapters.vad.silero:SileroDetector"


@pytest.fixture
def inbox() -> Inbox:
    return queue.SimpleQueue()


@pytest.fixture
def child(inbox: Inbox, tmp_path: Path) -> Iterator[ChildProcess]:
    """A child that has said hello, started by a thread that has ended since."""
    made: list[ChildProcess] = []

    def start() -> None:
        made.append(ChildProcess(READER, inbox, tmp_path / "log"))
        _, message = inbox.get(timeout=60)
        assert isinstance(message, Hello)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    if sys.platform == "linux":  # Python's thread has ended; wait for the system's
        wait_until(lambda: not Path(f"/proc/self/task/{thread.native_id}").exists())
    yield made[0]
    made[0].kill()
    made[0].reap()


def ended(inbox: Inbox) -> Ended:
    while True:
        _, message = inbox.get(timeout=60)
        if isinstance(message, Ended):
            return message


# --- threads -----------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal is Linux's")
def test_a_child_outlives_the_thread_that_asked_for_it(
    child: ChildProcess, inbox: Inbox, tmp_path: Path
) -> None:
    """Had that thread started it, the kernel would have killed it when the thread ended."""
    child.send(
        ReadTask(
            media=str(tmp_path / "absent"),
            audio_track=None,
            spool=str(tmp_path / "spool"),
            reader="longscribe.adapters.media.pyav:open_media",
            detector=ENGINE,
        )
    )
    _, answer = inbox.get(timeout=60)
    assert isinstance(answer, Broke), answer
    starter = [one for one in threading.enumerate() if one.name == "longscribe-start"]
    assert [one.daemon for one in starter] == [True]


PARENT = """
import queue, sys, threading, time
from pathlib import Path
from longscribe.adapters.executors.child import ChildProcess
inbox = queue.SimpleQueue()
def start():
    print(ChildProcess("longscribe.worker.reader", inbox, Path(sys.argv[1])).pid, flush=True)
thread = threading.Thread(target=start); thread.start(); thread.join()
inbox.get()
print("said hello", flush=True)
time.sleep(600)
"""


def test_no_child_outlives_its_killed_supervisor(tmp_path: Path) -> None:
    """Not even one that is stopped, and so can't notice anything itself."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")],
        env=environment(), stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.stdout.readline()
        if sys.platform == "linux":
            child.suspend()
        parent.kill()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_forked_program_gets_a_starter_of_its_own() -> None:
    assert start_for_good(os.getpid) == os.getpid()
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:  # a fork of a program that runs us
        answer = b"no answer"
        try:
            answer = str(start_for_good(os.getpid) == os.getpid()).encode()
        finally:
            os.write(theirs, answer)
            os._exit(0)
    os.close(theirs)
    assert os.read(ours, 20) == b"True"
    os.close(ours)
    os.waitpid(pid, 0)


def test_what_the_starter_raises_comes_back() -> None:
    with pytest.raises(ZeroDivisionError):
        start_for_good(lambda: 1 // 0)
    assert start_for_good(lambda: 1) == 1


# --- children that others reap -----------------------------------------------


def test_a_child_that_another_thread_has_reaped(child: ChildProcess, inbox: Inbox) -> None:
    os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    assert ended(inbox) == Ended()
    report = child.reap()
    assert report.unknown
    failure = how_it_ended(child, report, OomWatch())
    assert failure.kind is FailureKind.CRASH
    assert "not known" in failure.message
    assert child.reap() == ExitReport(signal=None, exit_code=0)  # a second time does no harm


def test_putting_down_a_child_that_was_reaped_signals_nobody(child: ChildProcess) -> None:
    os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    child.put_down()
    child.kill()
    assert child.reap().unknown


@pytest.fixture
def sigchld_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


def test_a_child_while_the_news_of_children_is_ignored(
    sigchld_ignored: None, inbox: Inbox, tmp_path: Path
) -> None:
    child = ChildProcess(READER, inbox, tmp_path / "log")
    assert isinstance(inbox.get(timeout=60)[1], Hello)
    child.put_down()
    assert child.reap().unknown
    assert not psutil.pid_exists(child.pid)


def test_trying_an_engine_while_the_news_of_children_is_ignored(sigchld_ignored: None) -> None:
    """As `doctor` does."""
    assert try_engine(ENGINE, None).seconds >= 0


def test_how_a_child_ended_is_still_told_where_it_can_be(child: ChildProcess) -> None:
    os.kill(child.pid, signal.SIGSEGV)
    assert child.reap() == ExitReport(signal=signal.SIGSEGV, exit_code=None)


# --- programs that fork ------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open")
def test_the_end_is_heard_while_a_fork_holds_the_pipe_open(
    child: ChildProcess, inbox: Inbox
) -> None:
    """As a fork in the moment between making the pipe and closing its other end would."""
    # The child gave its standard output a new number; any of its pipes that it writes to is it.
    kept = []
    for link in Path(f"/proc/{child.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(link.readlink()).startswith("pipe:"):
                kept.append(os.open(link, os.O_WRONLY | os.O_NONBLOCK))
    assert kept
    try:
        os.kill(child.pid, signal.SIGKILL)
        assert ended(inbox) == Ended()
        assert child.reap() == ExitReport(signal=signal.SIGKILL, exit_code=None)
    finally:
        for descriptor in kept:
            os.close(descriptor)


# --- no room for another -----------------------------------------------------


def no_thread(*_: object) -> None:
    raise RuntimeError("can't start new thread")


def no_process(*_: object, **__: object) -> None:
    raise BlockingIOError(11, "Resource temporarily unavailable")


def test_no_process_can_be_had(
    monkeypatch: pytest.MonkeyPatch, inbox: Inbox, tmp_path: Path
) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_process)
    with pytest.raises(WorkerStartError, match=r"no more processes.*ulimit -u"):
        ChildProcess(READER, inbox, tmp_path / "log")


def test_no_thread_can_be_had_to_listen_with(
    monkeypatch: pytest.MonkeyPatch, inbox: Inbox, tmp_path: Path
) -> None:
    start_for_good(os.getpid)  # the starter is there
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    before = {process.pid for process in psutil.Process().children()}
    with pytest.raises(WorkerStartError, match="no more threads"):
        ChildProcess(READER, inbox, tmp_path / "log")
    monkeypatch.undo()
    assert {process.pid for process in psutil.Process().children()} <= before


@pytest.mark.parametrize("start", [start_thread, lambda thread: starting._Starter().make(id)])
def test_no_thread_can_be_had_at_all(start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(WorkerStartError, match="no more threads"):
        start(threading.Thread())


def test_no_thread_for_isolation_off(
    monkeypatch: pytest.MonkeyPatch, inbox: Inbox, tmp_path: Path
) -> None:
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(WorkerStartError, match="no more threads"):
        ChildThread(READER, inbox, tmp_path / "log")


def test_other_errors_are_no_scarcity() -> None:
    assert scarcity(RuntimeError("dictionary changed size during iteration")) is None
    assert scarcity(FileNotFoundError(2, "No such file or directory")) is None
    assert scarcity(OSError(24, "Too many open files")) is not None
