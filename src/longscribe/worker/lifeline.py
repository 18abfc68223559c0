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

from longscribe.worker.messages import (
    Channel,
    FromChildMessage,
    GarbageError,
    ToChildMessage,
    claim_standard_streams,
)

PR_SET_PDEATHSIG = 1
"""From Linux's <sys/prctl.h>."""


class Lifeline:
    """The child's connection to its supervisor.

    A thread listens, so that the child ends when the supervisor is gone even in the
    middle of a long call. Ending is abrupt on purpose: tearing a native library down
    is where many of them crash or hang, and a child holds nothing worth saving.
    """

    def __init__(self) -> None:
        self._channel: Channel[FromChildMessage, ToChildMessage] = claim_standard_streams()
        self._inbox: queue.SimpleQueue[ToChildMessage] = queue.SimpleQueue()
        faulthandler.enable()
        _die_with_parent()
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
        """Wait for the next message."""
        return self._inbox.get()

    def pending(self) -> ToChildMessage | None:
        """Return the next message if one is there."""
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


def _die_with_parent() -> None:
    """Ask the kernel to kill us when the supervisor dies, even in a hang that holds the GIL.

    Linux only; elsewhere the listening thread must do.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
