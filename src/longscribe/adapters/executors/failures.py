"""Telling apart how a worker failed."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path

from longscribe import version
from longscribe.adapters.executors.child import Child, ExitReport
from longscribe.errors import WorkerStartError
from longscribe.types import ChunkFailure, FailureKind
from longscribe.worker.messages import Hello

VMSTAT = Path("/proc/vmstat")
"""Linux counts here how often its out-of-memory killer struck, in any process."""


def _oom_kills() -> int | None:
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:
        return None  # no Linux
    counts = (line.split() for line in lines if line.startswith("oom_kill "))
    return next((int(count) for _, count in counts), None)


@dataclass(kw_only=True)
class OomWatch:
    """Tells whether the system killed for memory since it was last asked."""

    _seen: int | None = field(default_factory=_oom_kills)

    def struck(self) -> bool:
        now = _oom_kills()
        before, self._seen = self._seen, now
        return now is not None and before is not None and now > before


def how_it_ended(child: Child, exit_report: ExitReport, oom: OomWatch) -> ChunkFailure:
    """Return the failure of a worker that ended by itself or was killed by others."""
    if (exit_report.signal == signal.SIGKILL or exit_report.unknown) and oom.struck():
        kind, told = FailureKind.OOM, "the system ended the worker because memory ran out"
    elif exit_report.exit_code == 0:
        kind, told = FailureKind.NO_ANSWER, "the worker ended without an answer (exit status 0)"
    else:
        kind, told = FailureKind.CRASH, f"the worker died ({exit_report})"
    return ChunkFailure(
        chunk_id=0,
        kind=kind,
        message=told,
        signal=exit_report.signal,
        exit_code=exit_report.exit_code,
        dump=child.log.name,
    )


def failed(child: Child, kind: FailureKind, told: str) -> ChunkFailure:
    """Return the failure of a worker that had to be ended."""
    return ChunkFailure(chunk_id=0, kind=kind, message=told, dump=child.log.name)


def check_version(hello: Hello) -> None:
    """Refuse a child that is of another version, which may speak otherwise.

    Raises:
        WorkerStartError: it is.
    """
    if hello.longscribe != version.__version__:
        raise WorkerStartError(
            f"A child process is of Longscribe {hello.longscribe}; expected {version.__version__}.",
            "Longscribe was changed while it ran: run the same command again to go on.",
        )
