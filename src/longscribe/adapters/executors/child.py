"""A child process, as its supervisor holds it: started, spoken to, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

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


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The child's stream has ended, or was broken off because it held garbage."""

    garbage: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExitReport:
    """How a child ended."""

    signal: int | None
    exit_code: int | None

    @property
    def signal_name(self) -> str | None:
        return signal.Signals(self.signal).name if self.signal is not None else None

    def __str__(self) -> str:
        return self.signal_name or f"exit status {self.exit_code}"


class ChildProcess:
    """One child in a process group of its own. What it sends lands in `inbox`.

    Args:
        module: run as `python -m module`.
        inbox: takes (this child, message or `Ended`).
        log: takes the child's standard error.

    """

    def __init__(
        self,
        module: str,
        inbox: queue.SimpleQueue[tuple[ChildProcess, FromChildMessage | Ended]],
        log: Path,
    ) -> None:
        self.log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                # -P: a stray file in the current folder must not shadow a module.
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(),
                start_new_session=True,
            )
        self._channel: Channel[ToChildMessage, FromChildMessage] = Channel(
            cast(BinaryIO, self._process.stdout),
            cast(BinaryIO, self._process.stdin),
            sends=TO_CHILD,
            receives=FROM_CHILD,
        )
        threading.Thread(
            target=self._listen, args=(inbox,), name=f"listen-{self.pid}", daemon=True
        ).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _listen(
        self, inbox: queue.SimpleQueue[tuple[ChildProcess, FromChildMessage | Ended]]
    ) -> None:
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
        """Send a message. A child that is gone does not hear it; `Ended` tells."""
        with contextlib.suppress(OSError):
            self._channel.send(message)

    def reap(self) -> ExitReport:
        """Wait for a child whose stream has ended; kill it if it lingers."""
        try:
            code = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        self._channel.close()
        # It may have left children of its own in its group.
        self._kill_group()
        if code < 0:
            return ExitReport(signal=-code, exit_code=None)
        return ExitReport(signal=None, exit_code=code)

    def kill(self) -> None:
        """End the child and its whole process group, now."""
        self._kill_group()
        self._process.kill()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Return the child's environment: ours, with our own module path."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
