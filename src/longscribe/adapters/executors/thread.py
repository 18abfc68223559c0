"""A child that is none: with isolation off, reader and recognizer run in threads of ours.

Everything else is the same: the messages, the journal, the ladder. Given up is
what only a process can give: a crash ends the program, a hang can't be ended, and
memory is never handed back.
"""

from __future__ import annotations

import importlib
import os
import queue
import threading
from dataclasses import dataclass, field
from pathlib import Path

from longscribe.adapters.executors.child import Child, Ended, ExitReport, Inbox
from longscribe.adapters.executors.starting import start_thread
from longscribe.worker.messages import FromChildMessage, ToChildMessage

JOIN_SECONDS = 2.0
"""How long a thread may take to notice that it is let go."""


class LetGoError(BaseException):
    """Ends the thread; not an `Exception`, so that no handler on the way takes it."""


@dataclass(kw_only=True)
class ThreadLine:
    """The thread's end: fulfils `Line`."""

    child: Child
    inbox: Inbox
    orders: queue.SimpleQueue[ToChildMessage | None] = field(default_factory=queue.SimpleQueue)
    over: bool = False

    def receive(self) -> ToChildMessage:
        message = self.orders.get()
        if message is None or self.over:
            raise LetGoError
        return message

    def pending(self) -> ToChildMessage | None:
        return None if self.orders.empty() else self.receive()

    def send(self, message: FromChildMessage) -> None:
        if self.over:
            raise LetGoError
        self.inbox.put((self.child, message))


class ChildThread:
    """The supervisor's end: fulfils `Child` with a daemon thread that runs `module.serve(line)`."""

    def __init__(self, module: str, inbox: Inbox, log: Path) -> None:
        self.log = log
        self._line = ThreadLine(child=self, inbox=inbox)
        self._thread = threading.Thread(target=self._run, args=(module,), name=module, daemon=True)
        start_thread(self._thread)

    def _run(self, module: str) -> None:
        try:
            importlib.import_module(module).serve(self._line)
        except LetGoError:
            return
        except BaseException as error:  # noqa: BLE001 - a child never takes its supervisor along
            self._line.inbox.put((self, Ended(garbage=f"{type(error).__name__}: {error}")))

    @property
    def pid(self) -> int:
        return os.getpid()

    def send(self, message: ToChildMessage) -> None:
        self._line.orders.put(message)

    def reap(self) -> ExitReport:
        self.kill()
        self._thread.join(JOIN_SECONDS)
        return ExitReport(signal=None, exit_code=0)

    def put_down(self) -> None:
        self.kill()

    def kill(self) -> None:
        """Let the thread go at its next message. A call that never returns goes on."""
        self._line.over = True
        self._line.orders.put(None)
