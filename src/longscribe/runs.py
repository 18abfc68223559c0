"""A run as its caller holds it: iterated in any thread, cancelled from any other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Self

from longscribe.job_events import JobEvent

Steps = Generator[JobEvent]


class Run(Generator[JobEvent]):
    """The events of a run, each once it is stored. The run goes on while they are asked for.

    It is a generator: `next`, `for`, `close`; and a context, which closes it. Only one
    thread at a time may ask for the next event, but not always the same.

    Args:
        steps: yields the events; is given what tells whether the run was cancelled.
    """

    def __init__(self, steps: Callable[[Callable[[], bool]], Steps]) -> None:
        self._cancelled = False
        self._steps = steps(lambda: self._cancelled)

    def cancel(self) -> None:
        """Interrupt the run, from any thread or signal handler; returns at once.

        Whoever iterates gets `RunInterrupted` within a second as the last event, unless the
        run was finishing already. What is done is kept; the same call goes on from there.
        """
        self._cancelled = True  # one assignment: safe in a signal handler

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def send(self, value: None = None) -> JobEvent:
        """Return the next event."""
        return self._steps.send(value)

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | object = None,
        trace: TracebackType | None = None,
        /,
    ) -> JobEvent:
        """Raise an exception where the run stands."""
        if isinstance(kind, BaseException):
            return self._steps.throw(kind)
        error = value if isinstance(value, BaseException) else kind()
        return self._steps.throw(error.with_traceback(trace))

    def close(self) -> None:
        """Interrupt the run. While another thread waits for its next event, as `cancel`."""
        if inspect.getgeneratorstate(self._steps) == inspect.GEN_RUNNING:
            self.cancel()
        else:
            self._steps.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
