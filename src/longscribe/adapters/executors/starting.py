"""Starting processes and threads, whatever becomes of the thread that asks for it.

Linux ends a worker when *the thread that started it* ends, not when its process does
(`PR_SET_PDEATHSIG` in `worker/lifeline.py`). A library can't choose the thread that it is
called from: pools let theirs go, servers advance a generator in a new one each time. So
one thread of our own starts all children, and lives as long as the process.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from longscribe.errors import WorkerStartError

Made = TypeVar("Made")

_SCARCE = {
    errno.EAGAIN: "the system lets no more processes be started",
    errno.ENOMEM: "the system has no memory for another process",
    errno.EMFILE: "this program has too many files open",
    errno.ENFILE: "the system has too many files open",
}
_NO_THREAD = "can't start new thread"
"""How Python says it, in a bare RuntimeError."""
_REMEDY = (
    "Raise the limit on processes (ulimit -u, pids.max of the container) or on open files "
    "(ulimit -n), or end other programs; then run the same command again to go on."
)


def scarcity(error: BaseException) -> WorkerStartError | None:
    """Return what to tell the user if no process or thread could be had; else None."""
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return WorkerStartError("The system lets no more threads be started.", _REMEDY)
    told = _SCARCE.get(error.errno or 0) if isinstance(error, OSError) else None
    return WorkerStartError(f"No worker can be started: {told}.", _REMEDY) if told else None


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        WorkerStartError: the system lets none be started.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise (scarcity(error) or error) from error


class _Starter:
    """The thread that starts children. There is one in a process, from the first child on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] | None = None

    def make(self, start: Callable[[], Made]) -> Made:
        """Call `start` in that thread; return what it returns, or raise what it raises."""
        with self._lock:
            if self._asked is None:
                asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]]
                asked = queue.SimpleQueue()
                thread = threading.Thread(
                    target=_serve, args=(asked,), name="longscribe-start", daemon=True
                )
                start_thread(thread)
                self._asked = asked
        done: Future[Made] = Future()
        self._asked.put((start, done))
        return done.result()


def _serve(asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]]) -> None:
    while True:
        start, done = asked.get()
        try:
            done.set_result(start())
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            done.set_exception(error)
        del start, done


_starter = _Starter()


def _forked() -> None:
    """Begin anew in a process that the host program forked: threads don't come along."""
    global _starter  # noqa: PLW0603 - one a process is the point
    _starter = _Starter()


os.register_at_fork(after_in_child=_forked)


def start_for_good(start: Callable[[], Made]) -> Made:
    """Call `start`, which starts a process, in a thread that ends with this process only.

    Raises:
        WorkerStartError: no thread can be had.
    """
    return _starter.make(start)
