"""A child process, as its supervisor holds it: started, spoken to, and ended for certain."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import psutil

from longscribe.adapters.devices.environment import worker_environment
from longscribe.adapters.executors.starting import scarcity, start_for_good, start_thread
from longscribe.errors import WorkerStartError
from longscribe.worker import elsewhere
from longscribe.worker.messages import (
    FROM_CHILD,
    TO_CHILD,
    Channel,
    FromChildMessage,
    GarbageError,
    ToChildMessage,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

GRACE_SECONDS = 5.0
"""How long a child whose stream has ended may take to be gone."""
DUMP_SECONDS = 2.0
"""How long a hanging child may take to write its stacks."""
TERM_SECONDS = 1.0
"""How long it may then take to obey SIGTERM."""
STACKS = signal.SIGUSR1
"""The signal on which a child writes the stacks of its threads (`worker/lifeline.py`)."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The child's stream has ended, or was broken off because it held garbage."""

    garbage: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExitReport:
    """How a child ended. Neither is known where the program it runs in took the news."""

    signal: int | None
    exit_code: int | None

    @property
    def unknown(self) -> bool:
        """Whether nobody can say how it ended.

        So where SIGCHLD is ignored, and where other code waits for any child at all.
        """
        return self.signal is None and self.exit_code is None

    def __str__(self) -> str:
        if self.unknown:
            return "how is not known: this program or its starter reaps all children"
        if self.signal is not None:
            return signal.Signals(self.signal).name
        return f"exit status {self.exit_code}"


class Child(Protocol):
    """A child of the supervisor: a process, or with isolation off a thread."""

    log: Path

    @property
    def pid(self) -> int: ...

    def send(self, message: ToChildMessage) -> None:
        """Send a message. A child that is gone does not hear it; `Ended` tells."""
        ...

    def reap(self) -> ExitReport:
        """Wait for a child whose stream has ended; kill it if it lingers."""
        ...

    def put_down(self) -> None:
        """End a hanging child: stacks into its log, a polite signal, then the hard one."""
        ...

    def kill(self) -> None:
        """End the child and all it may have started, now."""
        ...


Inbox = queue.SimpleQueue[tuple[Child, FromChildMessage | Ended]]
"""What the children of one supervisor send, in the order in which it came."""


class ChildProcess:
    """A child in a process group of its own. What it sends lands in `inbox`.

    Args:
        module: run as `python -m module`.
        inbox: takes (this child, message or `Ended`).
        log: takes the child's standard error.
        python: runs it if it is not to be ours.

    Raises:
        WorkerStartError: that Python can't be run, or the system lets no process be started.
    """

    def __init__(self, module: str, inbox: Inbox, log: Path, python: Path | None = None) -> None:
        self.log = log
        self._reaped = False
        # -P: a stray file in the current folder must not shadow a module.
        command = [sys.executable, "-P", "-m", module]
        environment = _environment()
        if python is not None:
            command = [str(python), "-u", elsewhere.__file__, module]
            environment = _without_our_packages(environment)
        self._process = start_for_good(lambda: _started(command, environment, log, python))
        self._handle = _handle(self._process.pid)
        self._channel: Channel[ToChildMessage, FromChildMessage] = Channel(
            _UntilGone.reading(cast(BinaryIO, self._process.stdout), self._handle),
            cast(BinaryIO, self._process.stdin),
            sends=TO_CHILD,
            receives=FROM_CHILD,
        )
        # Written by a thread: a child that does not read must not stop the supervisor.
        self._outbox: queue.SimpleQueue[ToChildMessage | None] = queue.SimpleQueue()
        self._listener = threading.Thread(
            target=self._listen, args=(inbox,), name=f"listen-{self.pid}", daemon=True
        )
        speaker = threading.Thread(target=self._speak, name=f"speak-{self.pid}", daemon=True)
        try:
            start_thread(speaker)
            start_thread(self._listener)
        except WorkerStartError:
            self.kill()
            self.reap()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def _listen(self, inbox: Inbox) -> None:
        garbage = None
        try:
            while (message := self._channel.receive()) is not None:
                inbox.put((self, message))
        except GarbageError as error:
            garbage = str(error)
        except (OSError, ValueError):  # the pipe was closed under us
            pass
        inbox.put((self, Ended(garbage=garbage)))

    def send(self, message: ToChildMessage) -> None:
        self._outbox.put(message)

    def _speak(self) -> None:
        while (message := self._outbox.get()) is not None:
            with contextlib.suppress(OSError, ValueError):  # `Ended` will tell
                self._channel.send(message)

    def reap(self) -> ExitReport:
        if not self._gone_within(GRACE_SECONDS):
            self._signal_group(signal.SIGKILL)
        # While the child is not reaped its group's number can't be given to anyone else:
        # the moment to end what it may have left behind.
        self._gone_within(GRACE_SECONDS)
        self._signal_group(signal.SIGKILL)
        code = self._exit_code()
        self._outbox.put(None)
        if self._listener.ident is not None:  # it was started
            self._listener.join()
        self._channel.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if code is not None and code < 0:
            return ExitReport(signal=-code, exit_code=None)
        return ExitReport(signal=None, exit_code=code)

    def _exit_code(self) -> int | None:
        """Reap the child; return None where others have."""
        if self._reaped:
            return self._process.returncode
        self._reaped = True
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            self._process.returncode = 0  # so that Popen does not look for it any more
            return None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._process.returncode

    def put_down(self) -> None:
        size = self._log_size()
        self._signal_group(signal.SIGCONT)  # a stopped child can't write its stacks
        self._signal(STACKS)
        until = time.monotonic() + DUMP_SECONDS
        while self._log_size() == size and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.1)  # the rest of the stacks
        self._signal_group(signal.SIGTERM)
        self._gone_within(TERM_SECONDS)
        self._signal_group(signal.SIGKILL)

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def _gone_within(self, seconds: float) -> bool:
        """Wait until the child has ended, without reaping it; tell whether it has."""
        if self._reaped:
            return True
        until = time.monotonic() + seconds
        pause = 0.001
        while not self._has_ended():
            if time.monotonic() > until:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return True

    def _has_ended(self) -> bool:
        """Tell whether the child has ended, whoever has taken the news of it."""
        if self._handle is not None:
            return bool(_ready(self._handle, wait=False))
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return _is_gone(self.pid)
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.pid, flags) is not None
        except ChildProcessError:
            return True

    def _signal(self, number: signal.Signals) -> None:
        if self._reaped:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._handle is not None:  # never anyone who was given the number since
                signal.pidfd_send_signal(self._handle, number)
            else:
                os.kill(self.pid, number)

    def _signal_group(self, number: signal.Signals) -> None:
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0


def _started(
    command: list[str], environment: dict[str, str], log: Path, python: Path | None
) -> subprocess.Popen[bytes]:
    try:
        with log.open("wb") as stderr:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
                cwd=_folder(log),
                start_new_session=True,
            )
    except OSError as error:
        if (scarce := scarcity(error)) is not None:
            raise scarce from error
        if python is None:
            raise
        raise WorkerStartError(
            f"{python} can't be run: {error.strerror}.", "Expected a Python."
        ) from error


def _folder(log: Path) -> Path | None:
    """Return a folder to start a child in, which a Python must have; None where ours will do."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return log.parent
    return None


def _handle(pid: int) -> int | None:
    """Return a descriptor that stands for the process, whoever reaps it; None where there is none.

    Its number may be given to another process once it is reaped; this handle never is.
    """
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # gone and reaped by others, an old kernel, or a sandbox
        return None


def _ready(*descriptors: int, wait: bool) -> set[int]:
    """Return which of the descriptors have something to read (a handle: has ended)."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if wait else 0)}


def _is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class _UntilGone(io.RawIOBase):
    """A child's pipe, which ends with the child.

    A program that forks, as `multiprocessing` does, hands copies of the pipe's other end to
    processes that have nothing to do with it: the pipe then stays open though nobody writes.
    """

    def __init__(self, pipe: BinaryIO, handle: int) -> None:
        self._pipe = pipe
        self._handle = handle

    @classmethod
    def reading(cls, pipe: BinaryIO, handle: int | None) -> BinaryIO:
        """Return what reads the pipe; without a handle the pipe itself."""
        return pipe if handle is None else cast(BinaryIO, io.BufferedReader(cls(pipe, handle)))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        source = self._pipe.fileno()
        ready = _ready(source, self._handle, wait=True)
        if source not in ready and source not in _ready(source, wait=False):
            # It ended; what it wrote just before was there at the second look at the latest.
            return 0
        data = os.read(source, len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        super().close()
        self._pipe.close()


def _environment() -> dict[str, str]:
    """Return the child's environment: ours, what devices want, and our own module path."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    added = worker_environment(os.environ).added
    return {**os.environ, **added, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _without_our_packages(environment: dict[str, str]) -> dict[str, str]:
    """Return an environment for another Python: nothing in it points to packages of ours."""
    ours = {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"}
    kept = {name: value for name, value in environment.items() if name not in ours}
    # As -P, which Pythons before 3.11 do not know: they are to say that they are too old.
    return {**kept, "PYTHONSAFEPATH": "1"}
