"""Which signals end a run, and which were meant not to.

A signal that is ignored when a program starts is to stay ignored: that is how `nohup`
lets a run outlive its terminal, and how a shell keeps Ctrl-C from what it runs in the
background.
"""

from __future__ import annotations

import signal

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Polite requests to end: an interruption like Ctrl-C, after which a run can be gone on with."""


def set_up_signals() -> None:
    """Let requests to end interrupt the run, but for those that our starter had us ignore."""
    for number in REQUESTS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    # No request: it decides whether we learn how our own children end.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
