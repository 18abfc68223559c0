"""The variables that libraries read when they start, set before a worker does.

Nothing that the user has set is changed.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass

from longscribe.core.watermarks import watermarks

FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
"""With 1, what torch can't do on Apple's GPU is done on the CPU, in silence and slowly. With 0 it
is an error, and the ladder decides about the CPU."""
IGNORED = "MPS_ALLOC_MAX_SIZE_MB"
"""Found in old advice; torch reads no such variable."""


@dataclass(frozen=True, kw_only=True)
class WorkerEnvironment:
    """What a worker is given besides our own environment."""

    added: Mapping[str, str]
    notices: tuple[str, ...]
    """What the user should know of it, as sentences."""


def worker_environment(
    environment: Mapping[str, str], *, system: str | None = None
) -> WorkerEnvironment:
    """Return the variables to add for a worker on this machine, and what to say about them.

    Args:
        environment: what the worker has already.
        system: `Darwin`, `Linux`; this machine's if not given.
    """
    added: dict[str, str] = {}
    notices = []
    # So that cuda:1 is the same GPU for the driver, for `nvidia-smi` and for every engine; by
    # itself CUDA puts the fastest first.
    added["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if (system or platform.system()) == "Darwin":
        marks = watermarks(environment)
        added |= marks.added
        added[FALLBACK] = "0"
        notices.append(marks.notice)
        if IGNORED in environment:
            notices.append(
                f"{IGNORED} is set in the environment but has no effect: nothing reads it. "
                "Use --memory-limit."
            )
    return WorkerEnvironment(
        added={name: value for name, value in added.items() if name not in environment},
        notices=tuple(filter(None, notices)),
    )
