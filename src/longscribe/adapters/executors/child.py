"""A child process, as its supervisor holds it: started, spoken to, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from longscribe.adapters.devices.environment import worker_environment
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
    """How a child ended."""

    signal: int | None
    exit_code: int | None

    def __str__(self) -> str:
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
        WorkerStartError: that Python can't be run.
    """

    def __init__(self, module: str, inbox: Inbox, log: Path, python: Path | None = None) -> None:
        self.log = log
        # -P: a stray file in the current folder must not shadow a module.
        command = [sys.executable, "-P", "-m", module]
        environment = _environment()
        if python is not None:
            command = [str(python), "-u", elsewhere.__file__, module]
            environment = _without_our_packages(environment)
        try:
            with log.open("wb") as stderr:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            if python is None:
                raise
            raise WorkerStartError(
                f"{python} can't be run: {error.strerror}.", "Expected a Python."
            ) from error
        self._channel: Channel[ToChildMessage, FromChildMessage] = Channel(
            cast(BinaryIO, self._process.stdout),
            cast(BinaryIO, self._process.stdin),
            sends=TO_CHILD,
            receives=FROM_CHILD,
        )
        self._listener = threading.Thread(
            target=self._listen, args=(inbox,), name=f"listen-{self.pid}", daemon=True
        )
        self._listener.start()
        # Written by a thread: a child that does not read must not stop the supervisor.
        self._outbox: queue.SimpleQueue[ToChildMessage | None] = queue.SimpleQueue()
        threading.Thread(target=self._speak, name=f"speak-{self.pid}", daemon=True).start()

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
        code = self._process.wait()
        self._outbox.put(None)
        self._listener.join()
        self._channel.close()
        if code < 0:
            return ExitReport(signal=-code, exit_code=None)
        return ExitReport(signal=None, exit_code=code)

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
        if self._process.returncode is not None:
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
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0


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
