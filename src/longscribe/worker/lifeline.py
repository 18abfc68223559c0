"""What ties a child to its supervisor: it dies with it, and leaves a trace when it dies first."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import queue
import signal
import sys
import threading
import time
from typing import Protocol

from longscribe.worker.messages import (
    Channel,
    FromChildMessage,
    GarbageError,
    ToChildMessage,
    claim_standard_streams,
)

PR_SET_PDEATHSIG = 1
"""From Linux's <sys/prctl.h>."""
WATCHDOG_SECONDS = 300
"""Where the kernel can't end us with our parent: how long a thread may hold the GIL."""


class Line(Protocol):
    """A child's connection to its supervisor."""

    def receive(self) -> ToChildMessage:
        """Wait for the next message."""
        ...

    def pending(self) -> ToChildMessage | None:
        """Return the next message if one is there."""
        ...

    def send(self, message: FromChildMessage) -> None: ...


class Lifeline:
    """The connection of a child process.

    A thread listens, so that the child ends when the supervisor is gone even in the
    middle of a long call. Ending is abrupt on purpose: tearing a native library down
    is where many of them crash or hang, and a child holds nothing worth saving.
    """

    def __init__(self) -> None:
        self._channel: Channel[FromChildMessage, ToChildMessage] = claim_standard_streams()
        self._inbox: queue.SimpleQueue[ToChildMessage] = queue.SimpleQueue()
        # As we are started so are the programs that we start (espeak-ng): how they end is ours to
        # learn, whatever the program above us has ignored.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        faulthandler.enable()
        # Written by a C handler, so it works while native code holds the GIL.
        faulthandler.register(signal.SIGUSR1, all_threads=True, chain=False)
        die_with_parent()
        threading.Thread(target=self._listen, name="lifeline", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except GarbageError as error:
                print(f"the supervisor sent garbage: {error}", file=sys.stderr, flush=True)  # noqa: T201
                os._exit(70)
            except OSError:
                message = None
            if message is None:
                os._exit(0)
            self._inbox.put(message)

    def receive(self) -> ToChildMessage:
        return self._inbox.get()

    def pending(self) -> ToChildMessage | None:
        try:
            return self._inbox.get_nowait()
        except queue.Empty:
            return None

    def send(self, message: FromChildMessage) -> None:
        """Send a message; a supervisor that is gone ends the child."""
        try:
            self._channel.send(message)
        except OSError:
            os._exit(0)


def die_with_parent() -> None:
    """Make sure that we end when the supervisor does, even in a hang that holds the GIL.

    Linux means the thread that started us, which therefore ends with the supervisor only
    (`adapters/executors/starting.py`).
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
                return
    watch_parent(WATCHDOG_SECONDS)


def watch_parent(seconds: float) -> None:
    """End with the parent where the kernel does not see to it (macOS).

    A thread winds up faulthandler's watchdog, which is a C thread and ends the process
    when it runs down: because the parent is gone, or because nobody wound it for
    `seconds` since other code held the GIL.
    """
    parent = os.getppid()

    def wind() -> None:
        while os.getppid() == parent:
            faulthandler.dump_traceback_later(seconds, exit=True)
            time.sleep(seconds / 10)
        os._exit(0)

    threading.Thread(target=wind, name="watch-parent", daemon=True).start()
